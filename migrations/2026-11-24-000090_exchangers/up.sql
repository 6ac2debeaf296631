ALTER TABLE messages ADD COLUMN exchanger text;
COMMENT ON COLUMN messages.exchanger IS 'Who takes the mail of the recipients, such as proofpoint; other for anybody else; NULL until a hit soon after sending made somebody ask';
