CREATE TABLE consent_requests (
    controller_id text NOT NULL REFERENCES controllers (id),
    request_id uuid NOT NULL,
    user_id uuid NOT NULL,
    address_hash bytea NOT NULL,
    at timestamptz NOT NULL,
    PRIMARY KEY (controller_id, request_id)
);
CREATE INDEX consent_requests_address ON consent_requests (controller_id, address_hash, at);
CREATE INDEX consent_requests_user ON consent_requests (controller_id, user_id, at);
COMMENT ON TABLE consent_requests IS 'Request mails sent, by keyed hash of the address: what keeps anyone from being asked twice in 180 days';

CREATE TABLE withdrawal_keys (
    controller_id text NOT NULL,
    message_id uuid NOT NULL,
    subject_ref uuid NOT NULL,
    user_id uuid NOT NULL,
    PRIMARY KEY (controller_id, message_id),
    FOREIGN KEY (controller_id, subject_ref) REFERENCES subjects (controller_id, subject_ref) ON DELETE CASCADE
);
CREATE INDEX withdrawal_keys_subject ON withdrawal_keys (controller_id, subject_ref);
COMMENT ON TABLE withdrawal_keys IS 'What is left of a purged message while its recipient''s permission may still hold: enough for the link in it to withdraw';

CREATE TABLE erasures (
    controller_id text NOT NULL REFERENCES controllers (id),
    subject_ref uuid NOT NULL,
    at timestamptz NOT NULL,
    address_hash bytea,
    PRIMARY KEY (controller_id, subject_ref)
);
COMMENT ON TABLE erasures IS 'Subjects of whom nothing else is kept, to be erased again after a restore; names nobody';
COMMENT ON COLUMN erasures.subject_ref IS 'The random name that the person had; where nobody was stored, one for the hash alone';
COMMENT ON COLUMN erasures.address_hash IS 'The keyed hash that went to suppressions; NULL where the person refused that';

CREATE TABLE acts (
    controller_id text NOT NULL REFERENCES controllers (id),
    seq bigint NOT NULL,
    at timestamptz NOT NULL,
    actor text NOT NULL,
    act text NOT NULL,
    detail jsonb NOT NULL,
    prev_hash bytea NOT NULL,
    entry_hash bytea NOT NULL,
    PRIMARY KEY (controller_id, seq)
);
COMMENT ON TABLE acts IS 'What administrators and users changed or looked at, chained like the consent log; never an address';
COMMENT ON COLUMN acts.actor IS 'A user''s login, or the account that ran a command';

CREATE FUNCTION refuse_change_of_young_act() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' AND OLD.at < now() - interval '360 days' THEN
        RETURN OLD;
    END IF;
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'insufficient_privilege';
END $$;
COMMENT ON FUNCTION refuse_change_of_young_act() IS 'Acts are kept for twelve months; then the oldest may go, and the chain begins later';
CREATE TRIGGER acts_append_only BEFORE UPDATE OR DELETE ON acts
    FOR EACH ROW EXECUTE FUNCTION refuse_change_of_young_act();
CREATE TRIGGER acts_no_truncate BEFORE TRUNCATE ON acts
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

ALTER TABLE recipient_links ADD COLUMN acts integer NOT NULL DEFAULT 0;
COMMENT ON COLUMN recipient_links.acts IS 'How often the page that followed was used: there is an end to it, because some acts are written down for ever';
