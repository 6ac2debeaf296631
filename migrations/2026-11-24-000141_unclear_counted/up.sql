-- What was settled before there were these counters. A migration of its own: adding columns locks the table, and nobody
-- shall wait for the counting. What the release before settles while this one comes is counted when its message is next
-- counted anew.
WITH counted AS (
    SELECT hits.controller_id, hits.message_id, count(*) FILTER (WHERE kind = 'open') AS opens,
        count(*) FILTER (WHERE kind = 'click') AS clicks
    FROM hits JOIN messages ON messages.controller_id = hits.controller_id AND messages.id = hits.message_id
    WHERE class = 'unknown' AND settled AND at <= settled_until AND duplicate_of IS NULL
    GROUP BY 1, 2
), locked AS MATERIALIZED (
    -- In the order in which a withdrawal takes them.
    SELECT messages.controller_id, messages.id FROM messages
    WHERE (controller_id, id) IN (SELECT controller_id, message_id FROM counted)
    ORDER BY controller_id, id FOR UPDATE
)
UPDATE messages SET unclear_opens = counted.opens, unclear_clicks = counted.clicks
FROM locked JOIN counted ON counted.controller_id = locked.controller_id AND counted.message_id = locked.id
WHERE messages.controller_id = locked.controller_id AND messages.id = locked.id;
