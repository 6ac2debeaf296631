CREATE TABLE notices (
    controller_id text NOT NULL REFERENCES controllers (id),
    hash bytea NOT NULL,
    kind text NOT NULL,
    version integer NOT NULL,
    language text NOT NULL,
    body text NOT NULL,
    valid_from timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (controller_id, hash)
);
COMMENT ON TABLE notices IS 'The exact texts that people saw, by SHA-256; never changed';

CREATE TABLE consent_events (
    controller_id text NOT NULL REFERENCES controllers (id),
    seq bigint NOT NULL,
    event_id uuid NOT NULL,
    subject_ref uuid NOT NULL,
    purpose text NOT NULL CHECK (purpose IN ('open', 'click')),
    scope_user uuid,
    state text NOT NULL CHECK (state IN ('requested', 'granted', 'denied', 'withdrawn', 'expired', 'invalidated')),
    author text NOT NULL CHECK (author IN ('recipient', 'sender', 'admin', 'import', 'system')),
    assurance smallint NOT NULL CHECK (assurance BETWEEN 0 AND 2),
    at timestamptz NOT NULL,
    effective_at timestamptz NOT NULL,
    expires_at timestamptz,
    profile text NOT NULL,
    notice_hash bytea,
    language text,
    method text NOT NULL,
    evidence_sha256 bytea NOT NULL,
    prev_hash bytea NOT NULL,
    entry_hash bytea NOT NULL,
    PRIMARY KEY (controller_id, seq)
);
CREATE INDEX consent_events_subject ON consent_events (controller_id, subject_ref, seq);
COMMENT ON TABLE consent_events IS 'The consent log: appended, never edited; the state is derived. Names nobody: subject_ref is random';
COMMENT ON COLUMN consent_events.scope_user IS 'The one sender for whom it holds; NULL for the whole controller';
COMMENT ON COLUMN consent_events.assurance IS '2: the recipient''s own act; 1: attested by another; 0: none';
COMMENT ON COLUMN consent_events.prev_hash IS 'entry_hash of the entry before, in this controller''s chain';

CREATE TABLE consent_evidence (
    controller_id text NOT NULL,
    seq bigint NOT NULL,
    subject_ref uuid NOT NULL,
    evidence jsonb NOT NULL,
    PRIMARY KEY (controller_id, seq)
);
COMMENT ON TABLE consent_evidence IS 'What supports a consent event; beside the chain, which holds its hash only, so that erasure leaves the chain whole';

CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'insufficient_privilege';
END $$;
CREATE TRIGGER consent_events_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON consent_events
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER notices_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON notices
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

CREATE TABLE suppressions (
    controller_id text NOT NULL REFERENCES controllers (id),
    address_hash bytea NOT NULL,
    since timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (controller_id, address_hash)
);
COMMENT ON TABLE suppressions IS 'Keyed hashes of base addresses that asked never to be asked or tracked again';

CREATE TABLE recipient_links (
    controller_id text NOT NULL REFERENCES controllers (id),
    token_hash bytea NOT NULL,
    subject_ref uuid NOT NULL,
    scope_user uuid,
    request_id uuid,
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    used_at timestamptz,
    PRIMARY KEY (controller_id, token_hash),
    FOREIGN KEY (controller_id, subject_ref) REFERENCES subjects (controller_id, subject_ref) ON DELETE CASCADE
);
CREATE INDEX recipient_links_subject ON recipient_links (controller_id, subject_ref, created_at);
CREATE INDEX recipient_links_created_at ON recipient_links (controller_id, created_at);
COMMENT ON TABLE recipient_links IS 'Links mailed to recipients, good for one use: what proves that the mailbox is theirs';
COMMENT ON COLUMN recipient_links.scope_user IS 'The sender whose mail led to the link, offered as the narrower scope';
COMMENT ON COLUMN recipient_links.request_id IS 'The request that carried the link; NULL for one that the person asked for. A request''s link may choose, not see or erase';
