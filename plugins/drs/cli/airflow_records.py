"""The records of a run, read through Airflow's API."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import ValidationError

from drs.cli.airflow_api import AirflowApi, TaskInstance
from drs.run.ledger import BEGIN_TASK_ID, Ledger
from drs.run.proof import VERDICT_TASK_ID, cut_off_by_hand
from drs.run.records import FailureRecord, Record

R = TypeVar("R", bound=Record)


class UnreadableRecordError(Exception):
    """A record of a run exists and cannot be read; the text says why, as a clause."""


def stored_value(value: Any) -> Any:
    """The value of an XCom, if Airflow's API has it.

    With an XCom backend that keeps values in an object store, the API gives the address of the object.

    :raises UnreadableRecordError: the value is such an address
    """
    if isinstance(value, str) and "://" in value:
        raise UnreadableRecordError(
            "Airflow keeps its records in an object store ([core] xcom_backend), and its API has only their "
            f"addresses, such as {value}"
        )
    return value


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
        """The value; ``None`` if there is none.

        :raises UnreadableRecordError: Airflow's API does not have it
        """
        return stored_value(self.api.xcom(self.dag_id, self.run_id, BEGIN_TASK_ID, key))

    def set(self, key: str, value: Any) -> None:
        self.api.add_xcom(self.dag_id, self.run_id, BEGIN_TASK_ID, key, value)


class RunLedger(Ledger):
    """A ledger that the command line reads. Other versions of this package may have written it.

    :ivar unreadable: why a record that was wanted could not be read, as a clause
    """

    def __init__(self, api: AirflowApi, dag_id: str, run_id: str) -> None:
        super().__init__(RunStore(api, dag_id, run_id))
        self.unreadable: str | None = None

    def _read(self, key: str, model: type[R]) -> R | None:
        """A record.

        :raises UnreadableRecordError: it cannot be read
        """
        try:
            return super()._read(key, model)
        except ValidationError as error:
            self.unreadable = "another version of drs-drills wrote its records"
            raise UnreadableRecordError(self.unreadable) from error
        except UnreadableRecordError as error:
            self.unreadable = str(error)
            raise


@dataclass(frozen=True)
class Failure:
    """Why a task failed.

    :param code: None if the task recorded no code, for example because its process was killed, or if its
        record cannot be read
    :param message: if there is no code, why its record cannot be read
    """

    task_id: str
    code: str | None
    message: str = ""
    remedy: str = ""

    @property
    def shown(self) -> str:
        """The code, or what there is in its place."""
        return self.code or ("not readable" if self.message else "no code")


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
        yield _failure(ledger, instance["task_id"], by_hand)


def _failure(ledger: Ledger, task_id: str, by_hand: dict[str, FailureRecord]) -> Failure:
    try:
        record = by_hand.get(task_id) or ledger.failure(task_id)
    except UnreadableRecordError as error:
        remedy = f"The task's log says why it failed: python -m drs logs RUN --task {task_id}"
        return Failure(task_id, None, f"Why it failed cannot be read: {error}.", remedy)
    if record is None:
        return Failure(task_id, None)
    return Failure(task_id, record.code, record.message, record.remedy)


def _cut_off_by_hand(ledger: Ledger, instances: Iterable[TaskInstance]) -> dict[str, FailureRecord]:
    states = {instance["task_id"]: instance["state"] for instance in instances}
    try:
        return cut_off_by_hand(ledger, states)
    except UnreadableRecordError:
        return {}
