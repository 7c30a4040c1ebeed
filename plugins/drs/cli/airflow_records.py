"""What a run recorded about itself, read from outside through Airflow's API."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from drs.cli.airflow_api import AirflowApi, TaskInstance
from drs.run.ledger import BEGIN_TASK_ID, Ledger

VERDICT_TASK_ID = "verdict"


@dataclass(frozen=True)
class RunStore:
    """The XCom of the run's first task, which holds its ledger: read here, written by the run alone."""

    api: AirflowApi
    dag_id: str
    run_id: str

    def get(self, key: str) -> Any:
        return self.api.xcom(self.dag_id, self.run_id, BEGIN_TASK_ID, key)

    def set(self, key: str, value: Any) -> None:
        raise TypeError(f"{key} = {value}: the records of a run are written by its own tasks alone")


@dataclass(frozen=True)
class Failure:
    """Why a task failed.

    :param code: None where the task left no code, as when its process was killed
    """

    task_id: str
    code: str | None
    message: str = ""
    remedy: str = ""


def failures(ledger: Ledger, instances: Iterable[TaskInstance]) -> Iterator[Failure]:
    """Every failed task with its code, in the order in which they ended.

    The verdict only sums up what failed before it, so it is left out where anything did.
    """
    failed = [instance for instance in instances if instance["state"] == "failed"]
    failed.sort(key=lambda instance: instance["end_date"] or "~")
    causes = [instance for instance in failed if instance["task_id"] != VERDICT_TASK_ID]
    for instance in causes or failed:
        record = ledger.failure(instance["task_id"])
        if record is None:
            yield Failure(instance["task_id"], None)
        else:
            yield Failure(instance["task_id"], record.code, record.message, record.remedy)
