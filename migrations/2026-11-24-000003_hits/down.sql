DROP TABLE activity;
DROP TABLE settlements;
DROP FUNCTION create_hits_partition(date);
DROP TABLE hits;
