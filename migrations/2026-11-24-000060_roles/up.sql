-- The programs may connect as roles that own no table: what takes the owner's rights is done by functions that have them.
CREATE OR REPLACE FUNCTION create_hits_partition(month date) RETURNS void LANGUAGE plpgsql
    SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    first date := date_trunc('month', month);
    name text := 'hits_' || to_char(first, 'YYYY_MM');
BEGIN
    -- Several programs may be at it.
    PERFORM pg_advisory_xact_lock(hashtextextended('hits partitions', 0));
    IF to_regclass(name) IS NULL THEN
        EXECUTE format('CREATE TABLE %I PARTITION OF hits FOR VALUES FROM (%L) TO (%L)', name,
            first::timestamp AT TIME ZONE 'UTC', (first + interval '1 month')::timestamp AT TIME ZONE 'UTC');
    END IF;
END $$;
REVOKE EXECUTE ON FUNCTION create_hits_partition(date) FROM PUBLIC;

CREATE FUNCTION drop_hits_partition(name text) RETURNS void LANGUAGE plpgsql
    SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    IF name !~ '^hits_[0-9]{4}_[0-9]{2}$' THEN
        RAISE EXCEPTION 'no partition of a month: %', name;
    END IF;
    EXECUTE format('DROP TABLE IF EXISTS %I', name);
END $$;
COMMENT ON FUNCTION drop_hits_partition(text) IS 'Drops the partition of hits of a month that is over';
REVOKE EXECUTE ON FUNCTION drop_hits_partition(text) FROM PUBLIC;

CREATE FUNCTION refuse_change_of_evidence() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' AND (
        EXISTS (SELECT FROM erasures
            WHERE erasures.controller_id = OLD.controller_id AND erasures.subject_ref = OLD.subject_ref)
        OR EXISTS (SELECT FROM consent_events event
            WHERE event.controller_id = OLD.controller_id AND event.seq = OLD.seq
                AND coalesce(event.expires_at, event.at) < now())) THEN
        RETURN OLD;
    END IF;
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'insufficient_privilege';
END $$;
COMMENT ON FUNCTION refuse_change_of_evidence() IS 'Evidence goes with an erased person, which erasures tells for ever, or when what it supports is over; and is never changed';
CREATE TRIGGER consent_evidence_append_only BEFORE UPDATE OR DELETE ON consent_evidence
    FOR EACH ROW EXECUTE FUNCTION refuse_change_of_evidence();
CREATE TRIGGER consent_evidence_no_truncate BEFORE TRUNCATE ON consent_evidence
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
