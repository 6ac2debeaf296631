DROP TABLE digests;
DROP TABLE feed_keys;
