ALTER TABLE messages DROP COLUMN exchanger;
