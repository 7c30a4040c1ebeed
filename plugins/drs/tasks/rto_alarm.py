"""What Airflow calls in the triggerer when a plan's RTO has gone by since a run of it was queued.

Airflow knows only whether the run has ended. A healthy drill is still at its clean-up by then, or keeps its
instances for a while: so the run's records are read, and people are told only of waves that are not up.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator, Mapping
from typing import Any

from airflow.sdk.execution_time.xcom import XCom

from drs import settings
from drs.notify import messages
from drs.run.ledger import BEGIN_TASK_ID, Ledger
from drs.run.proof import LAST_GATE
from drs.run.records import RunRecord
from drs.tasks.send_messages import tell

log = logging.getLogger(__name__)


async def rto_has_passed(context: Mapping[str, Any]) -> None:
    """Tell people if the run's waves are not all launched and validated.

    :param context: Airflow's, of which only ``dag_run`` is used
    """
    dag_run = context["dag_run"]
    # In a thread: reading records blocks, and the triggerer's other triggers must not wait for it.
    await asyncio.to_thread(look, dag_run["dag_id"], dag_run["dag_run_id"], dag_run["state"])


def look(dag_id: str, run_id: str, state: str) -> None:
    """The same, of a run by its ids.

    :param state: the run's, in Airflow's words
    """
    ledger = Ledger(_XComStore(dag_id, run_id))
    run = ledger.begun()
    if run is None or run.missed or run.dry_run or state != "running" or ledger.cleanup() is not None:
        return
    objective = run.read_plan().objectives.rto
    lacking = list(waves_not_up(ledger, run))
    if objective is None or not lacking:
        return
    notice = messages.rto_passed(run, settings.base_url(), objective, lacking)
    log.warning("%s", notice.message)
    # Under the first task, whose own part is done by now: this callback belongs to no task.
    tell({}, ledger, BEGIN_TASK_ID, notice.event, notice, run)


def waves_not_up(ledger: Ledger, run: RunRecord) -> Iterator[str]:
    """The chosen waves of which the records do not say that they came up."""
    resolution = ledger.resolution()
    for name in run.waves:
        left_out = resolution is not None and resolution.waves[name].left_out
        if not left_out and ledger.reached(name, LAST_GATE) is None:
            yield name


class _XComStore:
    """The records of a run, read and written from outside its tasks."""

    def __init__(self, dag_id: str, run_id: str) -> None:
        self._place = {"dag_id": dag_id, "task_id": BEGIN_TASK_ID, "run_id": run_id}

    def get(self, key: str) -> Any:
        return XCom.get_one(key=key, **self._place)

    def set(self, key: str, value: Any) -> None:
        XCom.set(key=key, value=value, **self._place)
