ALTER TABLE messages ADD COLUMN unclear_opens integer NOT NULL DEFAULT 0;
ALTER TABLE messages ADD COLUMN unclear_clicks integer NOT NULL DEFAULT 0;
COMMENT ON COLUMN messages.unclear_opens IS 'Settled opens of which it is not clear whether a person or a machine made them';
COMMENT ON COLUMN messages.unclear_clicks IS 'Settled clicks of which it is not clear whether a person or a machine made them';
