CREATE TABLE hits (
    controller_id text NOT NULL,
    message_id uuid NOT NULL,
    at timestamptz NOT NULL,
    id uuid NOT NULL,
    kind text NOT NULL CHECK (kind IN ('open', 'click')),
    ordinal smallint NOT NULL,
    features jsonb NOT NULL,
    class text NOT NULL,
    confidence smallint NOT NULL,
    reasons text[] NOT NULL,
    rules_version integer NOT NULL,
    settled boolean NOT NULL DEFAULT false,
    duplicate_of uuid,
    PRIMARY KEY (controller_id, message_id, at, id),
    FOREIGN KEY (controller_id, message_id) REFERENCES messages (controller_id, id) ON DELETE CASCADE
) PARTITION BY RANGE (at);
CREATE TABLE hits_default PARTITION OF hits DEFAULT;
COMMENT ON TABLE hits IS 'Requests on pixels and tracked links, kept where consent covered them; no IP address, no user agent';
COMMENT ON COLUMN hits.ordinal IS 'Number of the link in its message, from 1; 0 for an open';
COMMENT ON COLUMN hits.features IS 'What the classifier needs: network label, client family, flags';
COMMENT ON COLUMN hits.settled IS 'Whether the verdict has seen later hits; nothing notifies before';

CREATE FUNCTION create_hits_partition(month date) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    first date := date_trunc('month', month);
    name text := 'hits_' || to_char(first, 'YYYY_MM');
BEGIN
    IF to_regclass(name) IS NULL THEN
        EXECUTE format('CREATE TABLE %I PARTITION OF hits FOR VALUES FROM (%L) TO (%L)', name,
            first::timestamp AT TIME ZONE 'UTC', (first + interval '1 month')::timestamp AT TIME ZONE 'UTC');
    END IF;
END $$;
COMMENT ON FUNCTION create_hits_partition(date) IS 'Creates the partition of hits for a month, unless it is there';
SELECT create_hits_partition(now()::date);
SELECT create_hits_partition((now() + interval '1 month')::date);

CREATE TABLE settlements (
    controller_id text NOT NULL,
    message_id uuid NOT NULL,
    due_at timestamptz NOT NULL,
    PRIMARY KEY (controller_id, message_id),
    FOREIGN KEY (controller_id, message_id) REFERENCES messages (controller_id, id) ON DELETE CASCADE
);
CREATE INDEX settlements_due ON settlements (due_at);
COMMENT ON TABLE settlements IS 'Messages with hits whose verdicts are to be settled, and when';

CREATE TABLE activity (
    controller_id text NOT NULL,
    user_id uuid NOT NULL,
    hour timestamptz NOT NULL,
    opens integer NOT NULL DEFAULT 0,
    clicks integer NOT NULL DEFAULT 0,
    automatic integer NOT NULL DEFAULT 0,
    PRIMARY KEY (controller_id, user_id, hour),
    FOREIGN KEY (controller_id, user_id) REFERENCES users (controller_id, id) ON DELETE CASCADE
);
COMMENT ON TABLE activity IS 'Settled hits of each user by hour: what the picture on the report page is drawn from';
