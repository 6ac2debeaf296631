ALTER TABLE messages DROP COLUMN to_several;
