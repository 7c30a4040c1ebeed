"""One Airflow DAG for each recovery plan in the plans folder; in a worker, only the DAG that it runs."""

from airflow.sdk import get_parsing_context

from drs import settings
from drs.dag_factory import build_dags
from drs.tasks.schedules import in_dag_processor, keep_schedules

only = get_parsing_context().dag_id
dags = build_dags(settings.plans_folder(), only=only)
if in_dag_processor(only):
    keep_schedules(dags)
globals().update(dags)
