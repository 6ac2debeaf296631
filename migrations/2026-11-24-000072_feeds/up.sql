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
    day date NOT NULL,
    PRIMARY KEY (controller_id, user_id),
    FOREIGN KEY (controller_id, user_id) REFERENCES users (controller_id, id) ON DELETE CASCADE
);
COMMENT ON TABLE digests IS 'The last day, in the user''s time zone, whose summary was mailed or had nothing to say';
