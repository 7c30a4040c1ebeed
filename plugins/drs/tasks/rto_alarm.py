"""The callback that Airflow runs in the triggerer when a plan's RTO has passed since a run of it was queued.

Airflow knows only whether the run has ended. At that time a healthy drill may still be cleaning up, or
keeping its instances for a while. So the callback reads the run's records, and notifies people only if waves
are not up.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from typing import Any

from airflow.sdk.execution_time.xcom import XCom

from drs import settings
from drs.compat import in_thread
from drs.notify import messages
from drs.run.ledger import BEGIN_TASK_ID, Ledger
from drs.run.proof import LAST_GATE
from drs.run.records import RunRecord
from drs.tasks.send_messages import send

log = logging.getLogger(__name__)


async def rto_has_passed(context: Mapping[str, Any]) -> None:
    """Notify people if any wave of the run is not launched and validated.

    :param context: Airflow's context; only ``dag_run`` is used
    """
    dag_run = context["dag_run"]
    # In a thread, because reading records blocks, and the other triggers must not wait for that.
    await in_thread(notify_if_waves_lack, dag_run["dag_id"], dag_run["dag_run_id"], dag_run["state"])


def notify_if_waves_lack(dag_id: str, run_id: str, state: str) -> None:
    """Notify people if waves of this run are not up. A run that launches nothing or is over needs no alarm.

    :param state: the state of the run in Airflow
    """
    ledger = Ledger(_XComStore(dag_id, run_id))
    run = ledger.begun()
    if run is None or run.missed or run.dry_run or state != "running" or ledger.cleanup() is not None:
        return
    objective = run.read_plan().objectives.rto
    lacking = list(waves_not_up(ledger, run))
    if objective is None or not lacking:
        return
    notice = messages.rto_exceeded(run, settings.base_url(), objective, lacking)
    log.warning("%s", notice.message)
    # This callback belongs to no task, so the notice is recorded under the run's first task, which is done.
    send({}, ledger, BEGIN_TASK_ID, notice.event, notice, run)


def waves_not_up(ledger: Ledger, run: RunRecord) -> Iterator[str]:
    """The run's waves for which the records do not show that they were launched and validated."""
    resolution = ledger.resolution()
    for name in run.waves:
        left_out = resolution is not None and resolution.waves[name].left_out
        if not left_out and ledger.reached(name, LAST_GATE) is None:
            yield name


class _XComStore:
    """A run's records, read and written from outside its tasks."""

    def __init__(self, dag_id: str, run_id: str) -> None:
        self._place = {"dag_id": dag_id, "task_id": BEGIN_TASK_ID, "run_id": run_id}

    def get(self, key: str) -> Any:
        return XCom.get_one(key=key, **self._place)

    def set(self, key: str, value: Any) -> None:
        XCom.set(key=key, value=value, **self._place)
