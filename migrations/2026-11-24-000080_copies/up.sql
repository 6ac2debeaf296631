CREATE TABLE copies (
    controller_id text NOT NULL,
    message_id uuid NOT NULL,
    fingerprint bytea NOT NULL,
    opens boolean NOT NULL,
    links text NOT NULL,
    PRIMARY KEY (controller_id, message_id),
    FOREIGN KEY (controller_id, message_id) REFERENCES messages (controller_id, id) ON DELETE CASCADE
);
CREATE INDEX copies_fingerprint ON copies (controller_id, fingerprint);
COMMENT ON TABLE copies IS 'Messages to one recipient that a message to several was split into: what each may become when it comes back';
COMMENT ON COLUMN copies.fingerprint IS 'Keyed hash of Message-ID, Date and body: by it the copy is known again';
COMMENT ON COLUMN copies.opens IS 'Whether the author wants opens seen; consent is asked again';
COMMENT ON COLUMN copies.links IS 'Where the author wants links rewritten: both, html, no or text';
