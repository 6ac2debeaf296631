CREATE OR REPLACE FUNCTION freeze_messages(controller text, ids uuid[]) RETURNS void LANGUAGE sql AS $$
    WITH wanted AS (
        SELECT message.id, EXISTS (
            SELECT FROM message_recipients recipient JOIN subjects USING (controller_id, subject_ref)
            WHERE recipient.controller_id = message.controller_id AND recipient.message_id = message.id
                AND subjects.restricted) AS frozen
        FROM messages message WHERE message.controller_id = controller AND message.id = ANY (ids)
    ), changed AS (
        UPDATE messages SET frozen = wanted.frozen FROM wanted
        WHERE messages.controller_id = controller AND messages.id = wanted.id AND messages.frozen <> wanted.frozen
        RETURNING messages.id, messages.user_id, messages.settled_until, CASE WHEN wanted.frozen THEN -1 ELSE 1 END AS sign
    ), hours AS (
        SELECT changed.user_id, date_trunc('hour', hits.at, 'UTC') AS hour,
            sum(sign) FILTER (WHERE class IN ('human', 'image-proxy-on-open') AND kind = 'open') AS opens,
            sum(sign) FILTER (WHERE class IN ('human', 'image-proxy-on-open') AND kind = 'click') AS clicks,
            sum(sign) FILTER (WHERE class IN ('machine-prefetch', 'security-scanner', 'link-preview')) AS automatic
        FROM hits JOIN changed ON hits.controller_id = controller AND hits.message_id = changed.id
        WHERE hits.settled AND hits.at <= changed.settled_until AND hits.duplicate_of IS NULL
        GROUP BY 1, 2
    )
    UPDATE activity SET opens = greatest(0, activity.opens + coalesce(hours.opens, 0)),
        clicks = greatest(0, activity.clicks + coalesce(hours.clicks, 0)),
        automatic = greatest(0, activity.automatic + coalesce(hours.automatic, 0))
    FROM hours
    WHERE activity.controller_id = controller AND activity.user_id = hours.user_id AND activity.hour = hours.hour
$$;
