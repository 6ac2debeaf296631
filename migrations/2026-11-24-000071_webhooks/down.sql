DROP TRIGGER notifications_queue ON notifications;
DROP FUNCTION queue_webhooks();
DROP TABLE webhook_deliveries;
DROP TABLE webhooks;
