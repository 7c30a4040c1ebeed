"""The records of a run, read through Airflow's API."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from drs.cli.airflow_api import AirflowApi, TaskInstance
from drs.run.ledger import BEGIN_TASK_ID, Ledger
from drs.run.proof import VERDICT_TASK_ID, cut_off_by_hand
from drs.run.records import FailureRecord


@dataclass(frozen=True)
class RunStore:
    """The XComs of the run's first task, which hold its ledger.

    A value is written once and never replaced: apart from a person's stop, only the tasks of a run write its
    records.
    """

    api: AirflowApi
    dag_id: str
    run_id: str

    def get(self, key: str) -> Any:
        return self.api.xcom(self.dag_id, self.run_id, BEGIN_TASK_ID, key)

    def set(self, key: str, value: Any) -> None:
        self.api.add_xcom(self.dag_id, self.run_id, BEGIN_TASK_ID, key, value)


@dataclass(frozen=True)
class Failure:
    """Why a task failed.

    :param code: None if the task recorded no code, for example because its process was killed
    """

    task_id: str
    code: str | None
    message: str = ""
    remedy: str = ""


def failures(ledger: Ledger, instances: Iterable[TaskInstance]) -> Iterator[Failure]:
    """Every failed task with its code, in the order in which the tasks ended.

    The task verdict only sums up the failures before it, so it is left out if there are any.
    """
    listed = list(instances)
    by_hand = _cut_off_by_hand(ledger, listed)
    failed = [instance for instance in listed if instance["state"] == "failed"]
    failed.sort(key=lambda instance: instance["end_date"] or "~")
    causes = [instance for instance in failed if instance["task_id"] != VERDICT_TASK_ID]
    for instance in causes or failed:
        task_id = instance["task_id"]
        record = by_hand.get(task_id) or ledger.failure(task_id)
        if record is None:
            yield Failure(task_id, None)
        else:
            yield Failure(task_id, record.code, record.message, record.remedy)


def _cut_off_by_hand(ledger: Ledger, instances: Iterable[TaskInstance]) -> dict[str, FailureRecord]:
    states = {instance["task_id"]: instance["state"] for instance in instances}
    try:
        return cut_off_by_hand(ledger, states)
    except ValidationError:  # another version of drs-drills wrote the records
        return {}
