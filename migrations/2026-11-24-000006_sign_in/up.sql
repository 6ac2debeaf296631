CREATE TABLE sign_in_links (
    controller_id text NOT NULL,
    token_hash bytea NOT NULL,
    login text NOT NULL,
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    used_at timestamptz,
    PRIMARY KEY (controller_id, token_hash)
);
CREATE INDEX sign_in_links_login ON sign_in_links (controller_id, login, created_at);
COMMENT ON TABLE sign_in_links IS 'Links mailed to users who want to sign in, good for one use';

CREATE TABLE sessions (
    controller_id text NOT NULL,
    token_hash bytea NOT NULL,
    user_id uuid NOT NULL,
    csrf bytea NOT NULL,
    created_at timestamptz NOT NULL,
    seen_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    PRIMARY KEY (controller_id, token_hash),
    FOREIGN KEY (controller_id, user_id) REFERENCES users (controller_id, id) ON DELETE CASCADE
);
CREATE INDEX sessions_user ON sessions (controller_id, user_id);
COMMENT ON TABLE sessions IS 'Signed-in browsers of users';

CREATE TABLE api_tokens (
    controller_id text NOT NULL,
    user_id uuid NOT NULL,
    id uuid NOT NULL,
    name text NOT NULL,
    token_hash bytea NOT NULL,
    created_at timestamptz NOT NULL,
    used_at timestamptz,
    PRIMARY KEY (controller_id, user_id, id),
    UNIQUE (controller_id, token_hash),
    FOREIGN KEY (controller_id, user_id) REFERENCES users (controller_id, id) ON DELETE CASCADE
);
COMMENT ON TABLE api_tokens IS 'Tokens for the API; only their SHA-256 is kept';
