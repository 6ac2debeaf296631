CREATE TABLE consent_epochs (
    controller_id text PRIMARY KEY REFERENCES controllers (id),
    epoch bigint NOT NULL
);
COMMENT ON TABLE consent_epochs IS 'Changes whenever anything changes that decides whether hits are kept: what was read under an epoch holds as long as it';

CREATE FUNCTION start_consent_epoch(controller text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    -- Waits for batches of hits that are being written, and keeps others waiting until this transaction ends.
    PERFORM pg_advisory_xact_lock(hashtextextended('consent|' || controller, 0));
    INSERT INTO consent_epochs AS old VALUES (controller, 1)
    ON CONFLICT (controller_id) DO UPDATE SET epoch = old.epoch + 1
        -- Once in a transaction is enough: an import changes thousands of rows.
        WHERE old.xmin <> pg_current_xact_id()::xid;
END $$;
COMMENT ON FUNCTION start_consent_epoch(text) IS 'Makes everything that was read about consent before this transaction worthless, at its commit';

CREATE FUNCTION consent_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM start_consent_epoch(CASE TG_OP WHEN 'DELETE' THEN OLD.controller_id ELSE NEW.controller_id END);
    RETURN NULL;
END $$;
CREATE TRIGGER consent_events_epoch AFTER INSERT ON consent_events FOR EACH ROW EXECUTE FUNCTION consent_changed();
CREATE TRIGGER suppressions_epoch AFTER INSERT OR UPDATE OR DELETE ON suppressions
    FOR EACH ROW EXECUTE FUNCTION consent_changed();
CREATE TRIGGER subjects_epoch AFTER DELETE OR UPDATE OF restricted, address, base_address ON subjects
    FOR EACH ROW EXECUTE FUNCTION consent_changed();
CREATE TRIGGER messages_epoch AFTER UPDATE OF stopped_at, opens, links, sent_at ON messages
    FOR EACH ROW EXECUTE FUNCTION consent_changed();

CREATE FUNCTION record_hits(
    controllers text[], epochs bigint[],
    controller_ids text[], message_ids uuid[], ats timestamptz[], ids uuid[], kinds text[], ordinals smallint[],
    features jsonb[], classes text[], confidences smallint[], reasons text[], rules_version integer, settle interval
) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    controller text;
BEGIN
    FOREACH controller IN ARRAY controllers LOOP
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
    INSERT INTO hits (controller_id, message_id, at, id, kind, ordinal, features, class, confidence, reasons, rules_version)
    SELECT new.controller_id, new.message_id, new.at, new.id, new.kind, new.ordinal, new.features, new.class,
        new.confidence, string_to_array(new.reasons, ','), record_hits.rules_version
    FROM unnest(controller_ids, message_ids, ats, ids, kinds, ordinals, record_hits.features, classes, confidences,
            record_hits.reasons)
        AS new (controller_id, message_id, at, id, kind, ordinal, features, class, confidence, reasons)
    ON CONFLICT DO NOTHING;
    INSERT INTO settlements AS old (controller_id, message_id, due_at)
    SELECT new.controller_id, new.message_id, min(new.at) + settle
    FROM unnest(controller_ids, message_ids, ats) AS new (controller_id, message_id, at)
    -- One that is due soon enough, and not so soon that somebody may be at it, need not be written again.
    WHERE NOT EXISTS (
        SELECT FROM settlements AS known
        WHERE known.controller_id = new.controller_id AND known.message_id = new.message_id
            AND known.due_at BETWEEN now() + interval '10 seconds' AND new.at + settle)
    GROUP BY new.controller_id, new.message_id
    -- Always in the same order, so that two batches never wait for each other.
    ORDER BY new.controller_id, new.message_id
    ON CONFLICT (controller_id, message_id) DO UPDATE SET due_at = excluded.due_at WHERE old.due_at > excluded.due_at;
    RETURN true;
END $$;
COMMENT ON FUNCTION record_hits IS 'Writes a batch of hits, unless consent changed since the given epochs: then it writes nothing and says so';
