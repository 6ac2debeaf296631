#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Makes role and database when the compose file's PostgreSQL is set up: a role that owns its database and is nothing
# beyond. The image runs this once, with the password in the environment.
set -eu

psql --no-psqlrc --set ON_ERROR_STOP=1 --set "password=$POSTGRES_PASSWORD" --username "${POSTGRES_USER:-postgres}" \
    --dbname postgres <<'SQL'
CREATE ROLE fairtrack LOGIN PASSWORD :'password';
CREATE DATABASE fairtrack OWNER fairtrack;
SQL
