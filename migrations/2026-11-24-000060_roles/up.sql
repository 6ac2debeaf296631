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
