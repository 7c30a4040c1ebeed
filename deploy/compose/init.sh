#!/usr/bin/env bash
# Migrates the database to Airflow's version and creates the first user. It can be run again: an existing user is kept.
set -euo pipefail

airflow db migrate
airflow users create --username admin --password "$ADMIN_PASSWORD" --role Admin \
    --firstname Drill --lastname Administrator --email admin@localhost
