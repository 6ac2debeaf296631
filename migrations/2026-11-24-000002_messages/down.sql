DROP TABLE links;
DROP TABLE message_recipients;
DROP TABLE messages;
DROP TABLE subjects;
