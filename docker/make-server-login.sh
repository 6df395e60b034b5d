#!/bin/sh
# Runs once, when the database is made: the log-in under which server and worker use it.
set -eu
psql -v ON_ERROR_STOP=1 -v password="$COUNTERSIGN_SERVER_PASSWORD" --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" <<'SQL'
CREATE ROLE countersign_app NOLOGIN;
CREATE ROLE countersign_server LOGIN PASSWORD :'password' IN ROLE countersign_app;
SQL
