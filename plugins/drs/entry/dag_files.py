"""What a DAG file calls. Each function puts DAGs into the file's namespace, where Airflow finds them.

    from airflow.sdk import DAG  # Airflow reads only files that name both
    from drs import recovery_plans
    recovery_plans(globals(), "plans")

The folder of the plans is looked for by :mod:`drs.tasks.plans_folder`, beside the DAG file first.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from os import PathLike
from pathlib import Path
from typing import Any

from airflow.sdk import DAG, CronTriggerTimetable, DeltaTriggerTimetable, get_parsing_context

from drs import settings
from drs.dag_factory import build_dags
from drs.plan import BrokenPlan, load_folder
from drs.plan.naming import DAG_ID_PREFIX
from drs.tasks.plans_folder import PlansFolder, nothing_there, remember
from drs.tasks.schedules import in_dag_processor, keep_schedules

READINESS_DAG_ID = "drs_readiness"
WATCH_DAG_ID = "drs_watch"

READINESS_DOC = """\
One Airflow DAG that checks every day, for each recovery plan, whether a drill of it could begin.

Its first task lists the plans. So no plan is read when this file is parsed, and a new plan is checked like
any other.
"""
WATCH_DOC = """\
One Airflow DAG that looks every ten minutes for drills that stand still, and for what drills have left.

It is red as long as it finds anything. Its log says what, and what to do: see docs/watch.md.
"""

Namespace = dict[str, Any]
"""The ``globals()`` of a DAG file."""


def recovery_plans(namespace: Namespace, plans: str | PathLike[str] = "plans") -> None:
    """All DAGs: one for each recovery plan, readiness, and the watch.

    :param namespace: the ``globals()`` of the DAG file
    :param plans: the folder of the plans, relative to the DAG file
    :raises drs.plan.PlanError: there is no such folder, or no plan in it; Airflow shows it as an import error
    """
    plan_dags(namespace, plans)
    readiness_dag(namespace, plans)
    watch_dag(namespace, plans)


def plan_dags(namespace: Namespace, plans: str | PathLike[str] = "plans") -> None:
    """The DAG of each recovery plan. In a worker, only the DAG that it runs; no other plan is read.

    :param namespace: the ``globals()`` of the DAG file
    :param plans: the folder of the plans, relative to the DAG file
    :raises drs.plan.PlanError: there is no such folder, or no plan in it; Airflow shows it as an import error
    """
    only = get_parsing_context().dag_id
    if only is not None and not only.startswith(DAG_ID_PREFIX):
        return  # a worker that runs another DAG
    place = _place(namespace, plans)
    folder = place.find()
    dags = build_dags(folder, only=only)
    if only is None and not dags:
        raise nothing_there(folder)
    for dag_id in dags:
        remember(dag_id, place)
    if in_dag_processor(only):
        keep_schedules(dags, folder)
    namespace.update(dags)


def plan_errors(namespace: Namespace, plans: str | PathLike[str] = "plans") -> None:
    """No DAG, but one import error that lists every broken recovery plan.

    Airflow drops all DAGs of a file that raises, so the file that calls this must define none.

    :param namespace: the ``globals()`` of the DAG file
    :param plans: the folder of the plans, relative to the DAG file
    :raises RuntimeError: a plan is broken
    :raises drs.plan.PlanError: there is no such folder
    """
    found = load_folder(_place(namespace, plans).find())
    broken = [plan.describe() for plan in found if isinstance(plan, BrokenPlan)]
    if broken:
        title = "Recovery plans that cannot be drilled until their files are fixed:"
        raise RuntimeError("\n\n".join([title, *broken]))


def readiness_dag(
    namespace: Namespace, plans: str | PathLike[str] = "plans", *, dag_id: str = READINESS_DAG_ID
) -> None:
    """The DAG that checks every day, for each recovery plan, whether a drill of it could begin.

    :param namespace: the ``globals()`` of the DAG file
    :param plans: the folder of the plans, relative to the DAG file; it is read when the DAG runs
    :param dag_id: another id, for a second folder of plans in the same Airflow
    """
    _add(namespace, plans, dag_id, _readiness)


def watch_dag(namespace: Namespace, plans: str | PathLike[str] = "plans") -> None:
    """The DAG that looks every few minutes for drills that stand still, and for what drills have left. One
    watch sees the drills of all plans of an Airflow, from whichever folder they come.

    :param namespace: the ``globals()`` of the DAG file
    :param plans: the folder of the plans, relative to the DAG file; it is read when the DAG runs
    """
    _add(namespace, plans, WATCH_DAG_ID, _watch)


def _add(namespace: Namespace, plans: str | PathLike[str], dag_id: str, make: Callable[[str], DAG]) -> None:
    """Make the DAG, except in a worker that runs another one."""
    if get_parsing_context().dag_id in (None, dag_id):
        remember(dag_id, _place(namespace, plans))
        namespace[dag_id] = make(dag_id)


def _readiness(dag_id: str) -> DAG:
    # Not imported by a worker that runs a drill.
    from drs.tasks.operators.readiness import DrsListPlansOperator, DrsReadinessOperator

    schedule = settings.readiness_schedule()
    with DAG(
        dag_id=dag_id,
        description="Could a drill of each recovery plan begin? Launches nothing",
        schedule=CronTriggerTimetable(schedule, timezone="UTC") if schedule else None,
        catchup=False,
        max_active_runs=1,
        default_args={"retries": 2, "retry_delay": timedelta(seconds=10)},
        tags=["drs-readiness"],
        doc_md=READINESS_DOC,
        is_paused_upon_creation=True,
    ) as dag:
        listed = DrsListPlansOperator(task_id="plans")
        DrsReadinessOperator.partial(
            task_id="preflight",
            map_index_template="{{ task.plan }}",
            # Leaves workers free for drills, and limits the calls to DRS, which publishes no rates.
            max_active_tis_per_dagrun=4,
        ).expand(plan=listed.output)
    return dag


def _watch(dag_id: str) -> DAG:
    from drs.tasks.operators.watch import DrsWatchOperator

    interval = settings.watch_interval()
    with DAG(
        dag_id=dag_id,
        description="Does a drill stand still, or has one left instances?",
        schedule=DeltaTriggerTimetable(interval) if interval else None,
        catchup=False,
        max_active_runs=1,
        # Not retried: the next run looks again anyway, and a finding does not go away within seconds.
        default_args={"retries": 0, "execution_timeout": timedelta(minutes=10)},
        tags=["drs-watch"],
        doc_md=WATCH_DOC,
        # A watch that is off protects nobody.
        is_paused_upon_creation=False,
    ) as dag:
        DrsWatchOperator(task_id="watch")
    return dag


def _place(namespace: Namespace, plans: str | PathLike[str]) -> PlansFolder:
    return PlansFolder(Path(namespace["__file__"]), plans)
