"""One Airflow DAG for each recovery plan in the plans folder; in a worker, only the DAG that it runs."""

from airflow.sdk import get_parsing_context

from drs import settings
from drs.dag_factory import build_dags

globals().update(build_dags(settings.plans_folder(), only=get_parsing_context().dag_id))
