DROP FUNCTION freeze_messages(text, uuid[]);
ALTER TABLE messages DROP COLUMN frozen;
