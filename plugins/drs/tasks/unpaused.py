"""Runs in Airflow's scheduler: notes in a scheduled run that its DAG was unpaused after the run's tick.

Airflow keeps this time only in its audit log, which no task can read. The scheduler can: it calls this
when a run starts, and it has the database. For a DAG that was not unpaused after the tick, nothing is noted.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable
from typing import Any

from drs.plan.naming import DAG_ID_PREFIX
from drs.run.ticks import SCHEDULED, UNPAUSED_AT

BY_API, BY_API_MANY, BY_COMMAND = "patch_dag", "patch_dags", "cli_dag_unpause"
"""The events of the audit log by which a DAG is unpaused: one or several DAGs in the UI or over the API, and
``airflow dags unpause``.
"""


def note_unpaused(dag_run: Any) -> None:
    """Write into the run's ``conf`` when its DAG was unpaused, if that was after the run's tick."""
    run_type = str(getattr(dag_run.run_type, "value", dag_run.run_type))
    if run_type != SCHEDULED or not dag_run.dag_id.startswith(DAG_ID_PREFIX):
        return
    at = last_unpaused(entries_since(dag_run.run_after), dag_run.dag_id)
    if at is not None:
        dag_run.conf = {**(dag_run.conf or {}), UNPAUSED_AT: at.isoformat()}


def entries_since(after: dt.datetime) -> list[Any]:
    """The entries of the audit log that may have unpaused a DAG after that time, newest first."""
    # These need Airflow's database, which only its own components have.
    from airflow.models.log import Log
    from airflow.utils.session import create_session
    from sqlalchemy import select

    wanted = (
        select(Log.dttm, Log.event, Log.dag_id, Log.extra)
        .where(Log.dttm > after, Log.event.in_((BY_API, BY_API_MANY, BY_COMMAND)))
        .order_by(Log.dttm.desc())
    )
    # A session of its own: an error here must not spoil the scheduler's transaction.
    with create_session(scoped=False) as session:
        return list(session.execute(wanted))


def last_unpaused(entries: Iterable[Any], dag_id: str) -> dt.datetime | None:
    """When the DAG was last unpaused, by these entries (newest first)."""
    return next((entry.dttm for entry in entries if _unpauses(entry, dag_id)), None)


def _unpauses(entry: Any, dag_id: str) -> bool:
    try:
        extra = json.loads(entry.extra or "{}")
    except ValueError:
        extra = {}
    if entry.event == BY_COMMAND:
        return entry.dag_id == dag_id or "--treat-dag-id-as-regex" in str(extra.get("full_command"))
    # A change of several DAGs names them only by a pattern. It counts as one of this DAG.
    return extra.get("is_paused") is False and (entry.event == BY_API_MANY or entry.dag_id == dag_id)
