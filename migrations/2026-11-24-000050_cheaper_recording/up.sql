-- A key that refers to the message costs as much as the hit itself: a query and a lock for each row. Instead, whoever
-- deletes messages deletes their hits and starts a new epoch, so that no batch that knew the messages is written after it.
ALTER TABLE hits DROP CONSTRAINT hits_controller_id_message_id_fkey;
ALTER TABLE settlements DROP CONSTRAINT settlements_controller_id_message_id_fkey;

CREATE FUNCTION before_forgetting() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    -- Whoever began an epoch in this transaction holds that controller's lock, and deletes messages of no other. To wait
    -- for the others too would be to wait for somebody who waits for this one.
    IF NOT EXISTS (SELECT FROM consent_epochs WHERE xmin = pg_current_xact_id()::xid) THEN
        -- Before any message is locked, as a withdrawal does it: else each could wait for the other. Whose messages go is
        -- not known yet, and there are few controllers.
        PERFORM pg_advisory_xact_lock(hashtextextended('consent|' || id, 0))
        FROM (SELECT id FROM controllers ORDER BY id) AS ordered;
    END IF;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION before_forgetting() IS 'Keeps batches of hits waiting while messages are deleted';
CREATE TRIGGER messages_before_forgetting BEFORE DELETE ON messages
    FOR EACH STATEMENT EXECUTE FUNCTION before_forgetting();

CREATE FUNCTION forget_hits() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM start_consent_epoch(controller_id)
    FROM (SELECT DISTINCT controller_id FROM gone ORDER BY controller_id) AS concerned;
    DELETE FROM hits USING gone WHERE hits.controller_id = gone.controller_id AND hits.message_id = gone.id;
    DELETE FROM settlements USING gone
    WHERE settlements.controller_id = gone.controller_id AND settlements.message_id = gone.id;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION forget_hits() IS 'Deletes the hits of deleted messages and what is planned for them, and makes what batches of hits knew of them worthless';
CREATE TRIGGER messages_forget_hits AFTER DELETE ON messages REFERENCING OLD TABLE AS gone
    FOR EACH STATEMENT EXECUTE FUNCTION forget_hits();

-- To mark each hit as settled would be to write it twice. What is there already was marked, or is on the list.
ALTER TABLE messages ADD COLUMN settled_until timestamptz DEFAULT now();
ALTER TABLE messages ALTER COLUMN settled_until DROP DEFAULT;
COMMENT ON COLUMN messages.settled_until IS 'Hits up to this moment have a settled verdict, except those marked otherwise';
COMMENT ON COLUMN hits.settled IS 'Whether the verdict is settled once the message is settled until this hit; false for one that came late, until it was looked at by itself';

CREATE TABLE arrivals (
    controller_id text NOT NULL,
    due_at timestamptz NOT NULL,
    id uuid NOT NULL DEFAULT gen_random_uuid(),
    oldest_at timestamptz NOT NULL,
    message_ids uuid[] NOT NULL,
    PRIMARY KEY (controller_id, due_at, id)
);
CREATE INDEX arrivals_due ON arrivals (due_at);
COMMENT ON TABLE arrivals IS 'Batches of hits whose verdicts are to be settled, and when; a row goes when they are';
COMMENT ON COLUMN arrivals.oldest_at IS 'When the oldest hit of the batch came';
COMMENT ON COLUMN arrivals.message_ids IS 'One for each hit, so some may be named more than once';
COMMENT ON TABLE settlements IS 'Messages whose verdicts are to be looked at once more, and when';
ALTER TABLE settlements ADD COLUMN oldest_at timestamptz;
COMMENT ON COLUMN settlements.oldest_at IS 'When the oldest hit came that is to be looked at; NULL for all hits of the message';

CREATE FUNCTION keep_hits(
    controllers text[], epochs bigint[],
    owners smallint[], message_ids uuid[], ats timestamptz[], ids uuid[], ordinals smallint[], features jsonb[],
    originals uuid[], verdicts smallint[], classes text[], confidences smallint[], reasons text[], rules_version integer,
    settle interval, are_new boolean
) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    controller text;
    late timestamptz;
BEGIN
    -- In the order in which others take several.
    FOR controller IN SELECT unnest(controllers) ORDER BY 1 LOOP
        PERFORM pg_advisory_xact_lock_shared(hashtextextended('consent|' || controller, 0));
    END LOOP;
    -- A statement of its own, so that it sees what was committed while the lock was waited for.
    IF EXISTS (
        SELECT FROM unnest(controllers, epochs) AS known (controller_id, epoch)
        LEFT JOIN consent_epochs USING (controller_id)
        WHERE known.epoch IS DISTINCT FROM coalesce(consent_epochs.epoch, 0)
    ) THEN
        RETURN false;
    END IF;
    -- Only now: while the locks were waited for, messages may have been settled beyond hits that are not written yet.
    late := clock_timestamp() - settle / 2;
    -- To ask for each row whether it is there already costs a quarter of all; a batch seen for the first time need not.
    -- Arrays in the list of columns are read one by one; as a table they would be copied first.
    IF are_new THEN
        INSERT INTO hits (controller_id, message_id, at, id, kind, ordinal, features, class, confidence, reasons,
            rules_version, settled, duplicate_of)
        SELECT controllers[owner], message_id, at, id, CASE ordinal WHEN 0 THEN 'open' ELSE 'click' END, ordinal, feature,
            classes[verdict], confidences[verdict], string_to_array(keep_hits.reasons[verdict], ','),
            keep_hits.rules_version, at > late, original
        FROM (SELECT unnest(owners) AS owner, unnest(message_ids) AS message_id, unnest(ats) AS at, unnest(ids) AS id,
            unnest(ordinals) AS ordinal, unnest(keep_hits.features) AS feature, unnest(originals) AS original,
            unnest(verdicts) AS verdict) AS new;
    ELSE
        INSERT INTO hits (controller_id, message_id, at, id, kind, ordinal, features, class, confidence, reasons,
            rules_version, settled, duplicate_of)
        SELECT controllers[owner], message_id, at, id, CASE ordinal WHEN 0 THEN 'open' ELSE 'click' END, ordinal, feature,
            classes[verdict], confidences[verdict], string_to_array(keep_hits.reasons[verdict], ','),
            keep_hits.rules_version, at > late, original
        FROM (SELECT unnest(owners) AS owner, unnest(message_ids) AS message_id, unnest(ats) AS at, unnest(ids) AS id,
            unnest(ordinals) AS ordinal, unnest(keep_hits.features) AS feature, unnest(originals) AS original,
            unnest(verdicts) AS verdict) AS new
        ON CONFLICT DO NOTHING;
    END IF;
    -- What came late waits a little for what comes later still.
    INSERT INTO arrivals (controller_id, due_at, oldest_at, message_ids)
    SELECT controllers[owner], greatest(max(at) + settle, now() + settle / 6), min(at), array_agg(message_id)
    FROM (SELECT unnest(owners) AS owner, unnest(message_ids) AS message_id, unnest(ats) AS at) AS new
    GROUP BY owner;
    RETURN true;
END $$;
COMMENT ON FUNCTION keep_hits IS 'Writes a batch of hits, unless consent changed since the given epochs: then it writes nothing and says so';
