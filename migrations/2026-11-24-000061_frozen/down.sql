DROP TRIGGER message_recipients_freeze ON message_recipients;
DROP FUNCTION freeze_new_messages();
DROP FUNCTION freeze_messages(text, uuid[]);
ALTER TABLE messages DROP COLUMN frozen;
