"""The active run of a plan, as tasks outside that run see it."""

from __future__ import annotations

from typing import Any

from airflow.sdk import Variable

from drs.aws.jobs import Job
from drs.run.ledger import Ledger
from drs.run.other_drills import Activity
from drs.run.ownership import DAG_TAG, RUN_ID_TAG, RUN_TAG
from drs.run.proof import TERMINATE_TASK_ID, asks_a_person
from drs.tasks.drill_task import XComStore
from drs.tasks.installation import kept_run

ACTIVE = frozenset({"running", "queued"})


def owner_key(dag_id: str) -> str:
    """The Airflow Variable that names the run which owns the plan."""
    return f"{dag_id}__owner"


def is_active(ti: Any, dag_id: str, run_id: str) -> bool:
    """Whether the run has not ended yet. A run that was deleted has ended."""
    if not ti.get_dr_count(dag_id=dag_id, run_ids=[run_id]):
        return False
    return ti.get_dagrun_state(dag_id, run_id) in ACTIVE


def jobs_of_active_run(ti: Any, dag_id: str) -> frozenset[str]:
    """The DRS jobs of the DAG's active run, including those of its clean-up; none when no run is active."""
    owner = Variable.get(owner_key(dag_id), default=None)
    if not owner or not is_active(ti, dag_id, owner):
        return frozenset()
    return Ledger(XComStore(ti, dag_id=dag_id, run_id=owner)).job_ids()


def activity_of_runs(ti: Any) -> Activity:
    """What the run that started a job is doing now, as Airflow knows it."""

    def activity(job: Job) -> str | None:
        dag_id, run_id = job.tags[DAG_TAG], job.tags[RUN_ID_TAG]
        last = kept_run(dag_id)
        if last is not None and last.token == job.tags[RUN_TAG]:
            run_id = last.run_id  # a tag cannot hold every character of a run id
        return doing(ti, dag_id, run_id) if is_active(ti, dag_id, run_id) else None

    return activity


def doing(ti: Any, dag_id: str, run_id: str) -> str:
    """What an active run is doing or waiting for, as a clause."""
    states: dict[str, str | None] = ti.get_task_states(dag_id=dag_id, run_ids=[run_id]).get(run_id, {})
    if asking := [task_id for task_id, state in states.items() if asks_a_person(task_id, state)]:
        return f"is active: its task {', '.join(asking)} waits for a person's answer"
    if states.get(TERMINATE_TASK_ID) in {"running", "deferred"}:
        cleanup = Ledger(XComStore(ti, dag_id=dag_id, run_id=run_id)).cleanup()
        return (
            "is cleaning up" if cleanup else "has passed its waves and keeps its instances (cleanup.keep_for)"
        )
    busy = [task_id for task_id, state in states.items() if state in {"running", "deferred", "queued"}]
    return f"is active ({', '.join(busy) or 'no task is running'})"
