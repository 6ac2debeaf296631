CREATE TABLE subjects (
    controller_id text NOT NULL REFERENCES controllers (id),
    subject_ref uuid NOT NULL,
    address text NOT NULL,
    base_address text NOT NULL,
    restricted boolean NOT NULL DEFAULT false,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (controller_id, subject_ref),
    UNIQUE (controller_id, address)
);
CREATE INDEX subjects_base ON subjects (controller_id, base_address);
COMMENT ON TABLE subjects IS 'Data subjects: the one place where a recipient''s address stands; everything else names the subject_ref';
COMMENT ON COLUMN subjects.base_address IS 'The address without a +tag: refusals cover it';
COMMENT ON COLUMN subjects.restricted IS 'Frozen on request (GDPR, Article 18): kept, not used, not shown';

CREATE TABLE messages (
    controller_id text NOT NULL,
    id uuid NOT NULL,
    user_id uuid NOT NULL,
    queue_id text NOT NULL,
    message_id_header text,
    subject text NOT NULL DEFAULT '',
    sent_at timestamptz NOT NULL,
    opens boolean NOT NULL,
    links boolean NOT NULL,
    reason text,
    record jsonb,
    muted boolean NOT NULL DEFAULT false,
    open_count integer NOT NULL DEFAULT 0,
    first_open_at timestamptz,
    last_open_at timestamptz,
    click_count integer NOT NULL DEFAULT 0,
    first_click_at timestamptz,
    last_click_at timestamptz,
    automatic_count integer NOT NULL DEFAULT 0,
    stopped_at timestamptz,
    PRIMARY KEY (controller_id, id),
    FOREIGN KEY (controller_id, user_id) REFERENCES users (controller_id, id) ON DELETE CASCADE
) WITH (fillfactor = 80);
CREATE INDEX messages_report ON messages (controller_id, user_id, sent_at DESC, id DESC);
CREATE INDEX messages_sent_at ON messages (sent_at);
COMMENT ON TABLE messages IS 'Messages of users who switched tracking on, instrumented or left untouched for a reason';
COMMENT ON COLUMN messages.opens IS 'Whether the pixel went in';
COMMENT ON COLUMN messages.links IS 'Whether links were rewritten';
COMMENT ON COLUMN messages.reason IS 'Reason code of an untouched message; NULL for an instrumented one';
COMMENT ON COLUMN messages.record IS 'Decision record: what was done with each part and link, and why; no destination';
COMMENT ON COLUMN messages.open_count IS 'Opens by likely people; the counters have no index so that their updates stay cheap';
COMMENT ON COLUMN messages.automatic_count IS 'Hits by machines';
COMMENT ON COLUMN messages.stopped_at IS 'When a recipient ended the recording of this message, for all';

CREATE TABLE message_recipients (
    controller_id text NOT NULL,
    message_id uuid NOT NULL,
    subject_ref uuid NOT NULL,
    PRIMARY KEY (controller_id, message_id, subject_ref),
    FOREIGN KEY (controller_id, message_id) REFERENCES messages (controller_id, id) ON DELETE CASCADE,
    FOREIGN KEY (controller_id, subject_ref) REFERENCES subjects (controller_id, subject_ref) ON DELETE CASCADE
);
CREATE INDEX message_recipients_subject ON message_recipients (controller_id, subject_ref);
COMMENT ON TABLE message_recipients IS 'Who a message went to, by envelope';

CREATE TABLE links (
    controller_id text NOT NULL,
    message_id uuid NOT NULL,
    ordinal smallint NOT NULL,
    host text NOT NULL,
    label text NOT NULL,
    click_count integer NOT NULL DEFAULT 0,
    PRIMARY KEY (controller_id, message_id, ordinal),
    FOREIGN KEY (controller_id, message_id) REFERENCES messages (controller_id, id) ON DELETE CASCADE
);
COMMENT ON TABLE links IS 'Tracked links of a message: number, host and visible text; never the destination, which stands in the link itself';
