-- Keys of large tables begin with the controller, so that the schema can be distributed by it.

CREATE TABLE controllers (
    id text PRIMARY KEY,
    name text NOT NULL,
    address text NOT NULL,
    contact text NOT NULL,
    authority text NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE controllers IS 'Organisations answerable for mail domains: a copy of the configuration, so that proofs name them as they were';

CREATE TABLE users (
    controller_id text NOT NULL REFERENCES controllers (id),
    id uuid NOT NULL,
    login text NOT NULL,
    display_name text,
    enabled boolean NOT NULL DEFAULT true,
    is_admin boolean NOT NULL DEFAULT false,
    opens boolean NOT NULL DEFAULT false,
    links boolean NOT NULL DEFAULT false,
    text_links boolean NOT NULL DEFAULT false,
    notifications text NOT NULL DEFAULT 'none' CHECK (notifications IN ('none', 'clicks', 'all')),
    digest text NOT NULL DEFAULT 'off' CHECK (digest IN ('off', 'daily')),
    remember_choice boolean NOT NULL DEFAULT true,
    language text,
    time_zone text NOT NULL DEFAULT 'UTC',
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (controller_id, id),
    UNIQUE (controller_id, login)
);
COMMENT ON TABLE users IS 'People who write mail and have an account, with their settings; everything is off until they switch it on';
COMMENT ON COLUMN users.login IS 'SASL name in normal form: lower case, with a domain; also the mailbox for sign-in links';
COMMENT ON COLUMN users.opens IS 'Default for open tracking in new messages';
COMMENT ON COLUMN users.links IS 'Default for link tracking in new messages';
COMMENT ON COLUMN users.text_links IS 'Whether links in plain text are rewritten too';
COMMENT ON COLUMN users.remember_choice IS 'Whether a choice made in a message becomes the default';
COMMENT ON COLUMN users.language IS 'Two-letter code; NULL means the language of the controller';
COMMENT ON COLUMN users.time_zone IS 'IANA name';
