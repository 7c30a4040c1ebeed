"""Defines no Airflow DAG: raises one import error that lists every broken recovery plan."""

from airflow.sdk import DAG  # Airflow reads only files that name both
from drs import plan_errors

plan_errors(globals(), "plans")
