DROP TABLE users;
DROP TABLE controllers;
