CREATE TABLE webhooks (
    controller_id text NOT NULL,
    user_id uuid NOT NULL,
    id uuid NOT NULL,
    url text NOT NULL,
    generation integer NOT NULL DEFAULT 1,
    rotated_at timestamptz,
    created_at timestamptz NOT NULL,
    failing_since timestamptz,
    failed_at timestamptz,
    disabled_at timestamptz,
    PRIMARY KEY (controller_id, user_id, id),
    FOREIGN KEY (controller_id, user_id) REFERENCES users (controller_id, id) ON DELETE CASCADE
);
COMMENT ON TABLE webhooks IS 'Where programs of a user want to be told of notifications';
COMMENT ON COLUMN webhooks.generation IS 'Of the secret, which is derived from it and the key file; no secret is kept';
COMMENT ON COLUMN webhooks.rotated_at IS 'When this generation began: the one before signs too for a day';
COMMENT ON COLUMN webhooks.failing_since IS 'When deliveries began to fail; NULL after a success';
COMMENT ON COLUMN webhooks.failed_at IS 'When one failed last: after a long time without any, failing begins anew';

CREATE TABLE webhook_deliveries (
    controller_id text NOT NULL,
    user_id uuid NOT NULL,
    webhook_id uuid NOT NULL,
    id uuid NOT NULL,
    notification_id bigint NOT NULL,
    created_at timestamptz NOT NULL,
    attempts smallint NOT NULL DEFAULT 0,
    next_at timestamptz,
    tried_at timestamptz,
    delivered_at timestamptz,
    outcome text,
    PRIMARY KEY (controller_id, user_id, webhook_id, id),
    FOREIGN KEY (controller_id, user_id, webhook_id) REFERENCES webhooks (controller_id, user_id, id) ON DELETE CASCADE,
    FOREIGN KEY (controller_id, user_id, notification_id)
        REFERENCES notifications (controller_id, user_id, id) ON DELETE CASCADE
);
CREATE INDEX webhook_deliveries_due ON webhook_deliveries (next_at) WHERE next_at IS NOT NULL;
CREATE INDEX webhook_deliveries_notification ON webhook_deliveries (controller_id, user_id, notification_id);
COMMENT ON TABLE webhook_deliveries IS
    'What webhooks were, or are to be, told; the words are made at sending, and go when the notification goes';
COMMENT ON COLUMN webhook_deliveries.next_at IS 'When it is tried next; NULL when it was delivered or given up';
COMMENT ON COLUMN webhook_deliveries.outcome IS 'Of the last attempt: a status of HTTP, or a word of ours';

-- In the transaction that notifies, so that nothing is told twice or forgotten, whichever program notifies.
CREATE FUNCTION queue_webhooks() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO webhook_deliveries (controller_id, user_id, webhook_id, id, notification_id, created_at, next_at)
    SELECT controller_id, user_id, id, gen_random_uuid(), NEW.id, NEW.at, now()
    FROM webhooks WHERE controller_id = NEW.controller_id AND user_id = NEW.user_id AND disabled_at IS NULL;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION queue_webhooks() IS 'Queues a notification for every webhook of its user';
CREATE TRIGGER notifications_queue AFTER INSERT ON notifications FOR EACH ROW
    WHEN (NEW.kind <> 'warning') EXECUTE FUNCTION queue_webhooks();
