"""One Airflow DAG that looks every ten minutes for drills that stand still, and for what drills have left.

It is red as long as it finds anything. Its log says what, and what to do: see docs/watch.md.
"""

from datetime import timedelta

from airflow.sdk import DAG, DeltaTriggerTimetable

from drs import settings
from drs.tasks.operators.watch import DrsWatchOperator

interval = settings.watch_interval()

with DAG(
    dag_id="drs_watch",
    description="Does a drill stand still, or has one left instances?",
    schedule=DeltaTriggerTimetable(interval) if interval else None,
    catchup=False,
    max_active_runs=1,
    # Not retried: the next run looks again anyway, and a finding does not go away within seconds.
    default_args={"retries": 0, "execution_timeout": timedelta(minutes=10)},
    tags=["drs-watch"],
    doc_md=__doc__,
    # A watch that is off protects nobody.
    is_paused_upon_creation=False,
):
    DrsWatchOperator(task_id="watch")
