CREATE TABLE feed_keys (
    controller_id text NOT NULL,
    user_id uuid NOT NULL,
    key_hash bytea NOT NULL,
    created_at timestamptz NOT NULL,
    used_at timestamptz,
    PRIMARY KEY (controller_id, user_id),
    UNIQUE (controller_id, key_hash),
    FOREIGN KEY (controller_id, user_id) REFERENCES users (controller_id, id) ON DELETE CASCADE
);
COMMENT ON TABLE feed_keys IS 'What opens a user''s feed; only its SHA-256 is kept. A new key takes the place of the old one';

CREATE TABLE digests (
    controller_id text NOT NULL,
    user_id uuid NOT NULL,
    day date,
    told_until timestamptz,
    next_at timestamptz,
    failures smallint NOT NULL DEFAULT 0,
    PRIMARY KEY (controller_id, user_id),
    FOREIGN KEY (controller_id, user_id) REFERENCES users (controller_id, id) ON DELETE CASCADE
);
COMMENT ON TABLE digests IS 'How far each user was told in daily summaries, and whether a collector is at the next';
COMMENT ON COLUMN digests.day IS 'The last day, in the user''s time zone, whose summary was mailed, had nothing to say, or was given up';
COMMENT ON COLUMN digests.told_until IS 'What happened before this was told, or there was nothing to tell: the next summary begins here';
COMMENT ON COLUMN digests.next_at IS 'Not before this another collector tries; NULL when a day is done';
COMMENT ON COLUMN digests.failures IS 'Attempts in a row that the mail server did not take';
