ALTER TABLE messages ADD COLUMN frozen boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN messages.frozen IS 'Whether the data of one of its recipients are frozen (GDPR, Article 18): then it is kept, and neither used nor shown';
CREATE INDEX messages_frozen ON messages (controller_id, user_id) WHERE frozen;

CREATE FUNCTION freeze_messages(controller text, ids uuid[]) RETURNS void LANGUAGE sql AS $$
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
COMMENT ON FUNCTION freeze_messages(text, uuid[]) IS 'Hides messages that have a recipient whose data are frozen, shows the others again, and takes their hits out of the picture or puts them back';

CREATE FUNCTION freeze_new_messages() RETURNS trigger LANGUAGE plpgsql
    SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    frozen_now boolean;
BEGIN
    -- Locked as they are read: whoever freezes one of them meanwhile is waited for, or waits and then sees the message.
    -- The keys' check locks the same rows, so this costs no more writing.
    SELECT bool_or(restricted) INTO frozen_now FROM (
        SELECT subjects.restricted FROM written JOIN subjects USING (controller_id, subject_ref)
        ORDER BY subjects.controller_id, subjects.subject_ref FOR SHARE OF subjects) AS recipients;
    IF frozen_now THEN
        UPDATE messages SET frozen = true FROM written JOIN subjects USING (controller_id, subject_ref)
        WHERE messages.controller_id = written.controller_id AND messages.id = written.message_id
            AND subjects.restricted AND NOT messages.frozen;
    END IF;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION freeze_new_messages() IS 'Hides a message at once that is written to somebody whose data are frozen; with the rights of the owner, since the milter may not';
REVOKE EXECUTE ON FUNCTION freeze_new_messages() FROM PUBLIC;
CREATE TRIGGER message_recipients_freeze AFTER INSERT ON message_recipients REFERENCING NEW TABLE AS written
    FOR EACH STATEMENT EXECUTE FUNCTION freeze_new_messages();

-- What was frozen before there was this column.
SELECT freeze_messages(controller_id, array_agg(DISTINCT message_id))
FROM message_recipients JOIN subjects USING (controller_id, subject_ref)
WHERE subjects.restricted
GROUP BY controller_id;
