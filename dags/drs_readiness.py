"""One Airflow DAG that checks every day, for each recovery plan, whether a drill of it could begin.

Its first task lists the plans. So no plan is read when this file is parsed, and a new plan is checked like
any other.
"""

from datetime import timedelta

from airflow.sdk import DAG, CronTriggerTimetable

from drs import settings
from drs.tasks.operators.readiness import DrsListPlansOperator, DrsReadinessOperator

schedule = settings.readiness_schedule()

with DAG(
    dag_id="drs_readiness",
    description="Could a drill of each recovery plan begin? Launches nothing",
    schedule=CronTriggerTimetable(schedule, timezone="UTC") if schedule else None,
    catchup=False,
    max_active_runs=1,
    default_args={"retries": 2, "retry_delay": timedelta(seconds=10)},
    tags=["drs-readiness"],
    doc_md=__doc__,
    is_paused_upon_creation=True,
):
    plans = DrsListPlansOperator(task_id="plans")
    DrsReadinessOperator.partial(
        task_id="preflight",
        map_index_template="{{ task.plan }}",
        # Leaves workers free for drills, and limits the calls to DRS, which publishes no rates for its API.
        max_active_tis_per_dagrun=4,
    ).expand(plan=plans.output)
