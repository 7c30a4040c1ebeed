#!/usr/bin/env bash
# Brings the database to Airflow's version, and makes the first user. Safe to run again: a user that exists is kept.
set -euo pipefail

airflow db migrate
airflow users create --username admin --password "$ADMIN_PASSWORD" --role Admin \
    --firstname Drill --lastname Administrator --email admin@localhost
