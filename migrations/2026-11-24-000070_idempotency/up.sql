CREATE TABLE idempotent_answers (
    controller_id text NOT NULL,
    user_id uuid NOT NULL,
    name text NOT NULL,
    request_hash bytea NOT NULL,
    claimed_at timestamptz NOT NULL,
    status smallint,
    body bytea,
    PRIMARY KEY (controller_id, user_id, name),
    FOREIGN KEY (controller_id, user_id) REFERENCES users (controller_id, id) ON DELETE CASCADE
);
CREATE INDEX idempotent_answers_claimed ON idempotent_answers (claimed_at);
COMMENT ON TABLE idempotent_answers IS 'Answers to requests that programs named, for a day, so that one sent again does nothing twice';
COMMENT ON COLUMN idempotent_answers.name IS 'The Idempotency-Key of the request';
COMMENT ON COLUMN idempotent_answers.request_hash IS 'Of method, path and body: another request under the same name is refused';
COMMENT ON COLUMN idempotent_answers.status IS 'Of the answer; NULL while the request is worked on';
COMMENT ON COLUMN idempotent_answers.body IS 'Of the answer; NULL where it holds a secret, which is shown once';
