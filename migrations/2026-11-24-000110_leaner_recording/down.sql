ALTER TABLE hits ADD CONSTRAINT hits_kind_check CHECK (kind IN ('open', 'click'));
CREATE INDEX arrivals_due ON arrivals (due_at);
ALTER TABLE arrivals DROP CONSTRAINT arrivals_pkey, ADD PRIMARY KEY (controller_id, due_at, id);
CREATE OR REPLACE FUNCTION keep_hits(
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
