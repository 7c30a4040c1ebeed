"""One Airflow DAG that looks every few minutes for drills that stand still, and for what drills have left."""

from airflow.sdk import DAG  # Airflow reads only files that name both
from drs import watch_dag

watch_dag(globals(), "plans")
