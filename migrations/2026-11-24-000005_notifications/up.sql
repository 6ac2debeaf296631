CREATE TABLE notifications (
    controller_id text NOT NULL,
    user_id uuid NOT NULL,
    id bigint GENERATED ALWAYS AS IDENTITY,
    message_id uuid,
    kind text NOT NULL CHECK (kind IN ('first-open', 'first-click', 'repeat-open', 'warning')),
    ordinal smallint,
    detail text,
    at timestamptz NOT NULL,
    read_at timestamptz,
    PRIMARY KEY (controller_id, user_id, id),
    FOREIGN KEY (controller_id, user_id) REFERENCES users (controller_id, id) ON DELETE CASCADE,
    FOREIGN KEY (controller_id, message_id) REFERENCES messages (controller_id, id) ON DELETE CASCADE
);
CREATE INDEX notifications_message ON notifications (controller_id, message_id);
COMMENT ON TABLE notifications IS 'What a user is told: first opens and clicks, opens after silence, warnings';
COMMENT ON COLUMN notifications.detail IS 'Of a warning: its code and what it is about; never an address';
