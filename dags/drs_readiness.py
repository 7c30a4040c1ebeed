"""One Airflow DAG that checks every day, for each recovery plan, whether a drill of it could begin."""

from airflow.sdk import DAG  # Airflow reads only files that name both
from drs import readiness_dag

readiness_dag(globals(), "plans")
