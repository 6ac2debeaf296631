-- The tracked links of a message stand in its decision record, so a message with hundreds of them costs one row and not
-- hundreds; how often a link was followed is counted from the hits.
CREATE VIEW tracked_links AS
SELECT messages.controller_id, messages.id AS message_id, link.ordinal, link.host, link.label
FROM messages CROSS JOIN LATERAL (
    -- A link of the HTML and its twin in the plain text have one number; the twin has no text.
    SELECT DISTINCT ON (ordinal) (found ->> 'ordinal')::smallint AS ordinal, found ->> 'host' AS host,
        found ->> 'text' AS label
    FROM jsonb_path_query(messages.record, '$.parts[*].links[*] ? (@.ordinal != null)') AS found
    ORDER BY ordinal, found ->> 'text' = '') AS link
WHERE messages.links;
COMMENT ON VIEW tracked_links IS 'Tracked links of instrumented messages: number, host and visible text, from the decision record; never the destination, which stands in the link itself';

-- The release before writes it while this one comes; nothing reads it any more, and it goes with the next release.
COMMENT ON TABLE links IS 'Not in use: see tracked_links. Tracked links as the release before wrote them down';
