"""Since when Airflow has known each plan's schedule: an Airflow Variable that the DAG processor keeps.

Airflow gives a task no such time: a version of a DAG that has no runs is changed in place, and any edit of a
plan makes a new version. The DAG processor reads the plans before the
scheduler can make a run by a new schedule.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from airflow.sdk import DAG, Variable
from airflow.sdk.execution_time import task_runner

from drs.plan import Plan
from drs.run.ledger import BEGIN_TASK_ID
from drs.run.ticks import KnownSchedule, schedule_of
from drs.text.times import utc_now

SCHEDULES = "drs_schedules"
log = logging.getLogger(__name__)


def in_dag_processor(only: str | None) -> bool:
    """Whether this process is the DAG processor's. A worker parses only the DAG of its task, and a person's
    process has no connection to Airflow's API.

    :param only: the only DAG that this process parses
    """
    return only is None and hasattr(task_runner, "SUPERVISOR_COMMS")


def keep_schedules(dags: Mapping[str, DAG], folder: Path) -> None:
    """Keep since when each plan's schedule is known. A plan that is broken or gone has none.

    If Airflow does not answer, the plans are parsed all the same; the next parse tries again.

    :param dags: the DAGs of all plans of a folder
    :param folder: that folder. What is kept of the plans of other folders, each of which has a DAG file of
        its own, stays as it is.
    """
    try:
        before = _read()
        after = {dag_id: known for dag_id, known in before.items() if known.folder not in ("", str(folder))}
        for dag_id, dag in dags.items():
            after.pop(dag_id, None)
            if known := _known(dag, before.get(dag_id)):
                after[dag_id] = known.model_copy(update={"folder": str(folder)})
        if after != before:
            Variable.set(
                SCHEDULES,
                {dag_id: known.model_dump(mode="json") for dag_id, known in after.items()},
                description="The schedules of the recovery plans, and since when Airflow has known them",
                serialize_json=True,
            )
    except Exception as error:
        log.warning("It could not be kept since when the plans' schedules are known: %r", error)


def known_schedule(dag_id: str) -> KnownSchedule | None:
    """The schedule of a plan's DAG, as the DAG processor last read it; ``None`` if it has kept none."""
    return _read().get(dag_id)


def _read() -> dict[str, KnownSchedule]:
    kept: Any = Variable.get(SCHEDULES, default=None, deserialize_json=True)
    return {dag_id: KnownSchedule.model_validate(known) for dag_id, known in (kept or {}).items()}


def _known(dag: DAG, before: KnownSchedule | None) -> KnownSchedule | None:
    plan: Plan | None = getattr(dag.task_dict[BEGIN_TASK_ID], "plan", None)
    now = schedule_of(plan, utc_now()) if plan else None
    return before if now and now.same(before) else now
