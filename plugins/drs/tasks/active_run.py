"""The active run of a plan, as tasks outside that run see it."""

from __future__ import annotations

from typing import Any

from airflow.sdk import Variable

from drs.run.ledger import Ledger
from drs.tasks.drill_task import XComStore

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
