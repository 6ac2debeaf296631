DROP TRIGGER consent_evidence_append_only ON consent_evidence;
DROP TRIGGER consent_evidence_no_truncate ON consent_evidence;
DROP FUNCTION refuse_change_of_evidence();
DROP FUNCTION drop_hits_partition(text);
CREATE OR REPLACE FUNCTION create_hits_partition(month date) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    first date := date_trunc('month', month);
    name text := 'hits_' || to_char(first, 'YYYY_MM');
BEGIN
    IF to_regclass(name) IS NULL THEN
        EXECUTE format('CREATE TABLE %I PARTITION OF hits FOR VALUES FROM (%L) TO (%L)', name,
            first::timestamp AT TIME ZONE 'UTC', (first + interval '1 month')::timestamp AT TIME ZONE 'UTC');
    END IF;
END $$;
GRANT EXECUTE ON FUNCTION create_hits_partition(date) TO PUBLIC;
