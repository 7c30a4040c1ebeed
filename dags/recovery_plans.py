"""One Airflow DAG for each recovery plan; in a worker, only the DAG that it runs."""

from airflow.sdk import DAG  # Airflow reads only files that name both
from drs import plan_dags

plan_dags(globals(), "plans")
