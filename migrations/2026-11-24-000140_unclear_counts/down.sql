ALTER TABLE messages DROP COLUMN unclear_opens;
ALTER TABLE messages DROP COLUMN unclear_clicks;
