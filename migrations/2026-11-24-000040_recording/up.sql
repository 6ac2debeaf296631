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
