"""What a run records about itself, where every task of the run can read it.

The ledger lives in the XCom of the run's first task: a retried task loses its own XCom, never another's,
and ``begin`` stays in a plan's DAG even while its file is broken. A task that acts on servers reads what
to do from here and never again from the plan file, so an edit in mid-drill does not move a running drill.
"""

from __future__ import annotations

import datetime as dt
from typing import Any, Protocol, TypeVar

from drs.errors import DrillFailed
from drs.run.records import (
    ApprovalRecord,
    CleanupRecord,
    FailureRecord,
    LaunchRecord,
    Record,
    Resolution,
    RunRecord,
    ValidationBegin,
    WaveOutcome,
    WaveValidation,
)

BEGIN_TASK_ID = "begin"


class Store(Protocol):
    """Key to JSON value, shared by all tasks of one run."""

    def get(self, key: str) -> Any: ...

    def set(self, key: str, value: Any) -> None: ...


R = TypeVar("R", bound=Record)


class Ledger:
    """Typed access to a run's records. Reading what was never written gives ``None``."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def begun(self) -> RunRecord | None:
        """The run's record; ``None`` when it was refused before it began."""
        return self._read("run", RunRecord)

    def run(self) -> RunRecord:
        """The run's record.

        :raises DrillFailed: the run never began
        """
        record = self.begun()
        if record is None:
            raise DrillFailed(
                "This run has no record of its beginning.", remedy="Clear the task 'begin' with all after it."
            )
        return record

    def save_run(self, record: RunRecord) -> None:
        self._write("run", record)

    def resolution(self) -> Resolution | None:
        return self._read("resolution", Resolution)

    def save_resolution(self, record: Resolution) -> None:
        self._write("resolution", record)

    def approval(self, subject: str) -> ApprovalRecord | None:
        """The answer about a wave, by its name, or about the whole run (:data:`RECOVERY_APPROVAL`)."""
        return self._read(f"approval.{subject}", ApprovalRecord)

    def save_approval(self, subject: str, record: ApprovalRecord) -> None:
        self._write(f"approval.{subject}", record)

    def forget_approval(self, subject: str) -> None:
        """Take back an earlier answer: the question is asked again."""
        self._store.set(f"approval.{subject}", None)

    def launch(self, wave: str) -> LaunchRecord | None:
        return self._read(f"launch.{wave}", LaunchRecord)

    def save_launch(self, wave: str, record: LaunchRecord) -> None:
        self._write(f"launch.{wave}", record)

    def reached(self, wave: str, gate: str) -> dt.datetime | None:
        """When the wave's gate (``started``, ``launched``, ``validated``) was reached."""
        value = self._store.get(f"reached.{wave}.{gate}")
        return None if value is None else dt.datetime.fromisoformat(value)

    def save_reached(self, wave: str, gate: str, at: dt.datetime) -> None:
        self._store.set(f"reached.{wave}.{gate}", at.isoformat())

    def job_ids(self) -> frozenset[str]:
        """Every job that the run is known to have made so far, those of its clean-up included."""
        run = self.begun()
        launches = [self.launch(wave) for wave in run.waves] if run else []
        cleanup = self.cleanup()
        terminated = {call.job_id for call in cleanup.terminate_calls} if cleanup else set()
        return frozenset(terminated).union(*(record.all_job_ids for record in launches if record))

    def outcome(self, wave: str) -> WaveOutcome | None:
        return self._read(f"outcome.{wave}", WaveOutcome)

    def save_outcome(self, wave: str, record: WaveOutcome) -> None:
        self._write(f"outcome.{wave}", record)

    def validation_begin(self, wave: str) -> ValidationBegin | None:
        return self._read(f"validating.{wave}", ValidationBegin)

    def save_validation_begin(self, wave: str, record: ValidationBegin) -> None:
        self._write(f"validating.{wave}", record)

    def validation(self, wave: str) -> WaveValidation | None:
        return self._read(f"validation.{wave}", WaveValidation)

    def save_validation(self, wave: str, record: WaveValidation) -> None:
        self._write(f"validation.{wave}", record)

    def remarks(self, task_id: str) -> tuple[str, ...]:
        """What went wrong in a task beside its work, and fails nothing: a message or a measure not sent."""
        return tuple(self._store.get(f"remarks.{task_id}") or ())

    def add_remark(self, task_id: str, text: str) -> None:
        self._store.set(f"remarks.{task_id}", [*self.remarks(task_id), text])

    def told(self, task_id: str) -> tuple[str, ...]:
        """The events that a task has told people of, so that a later try does not tell them again."""
        return tuple(self._store.get(f"told.{task_id}") or ())

    def save_told(self, task_id: str, event: str) -> None:
        self._store.set(f"told.{task_id}", [*self.told(task_id), event])

    def measured(self, wave: str) -> frozenset[str]:
        """The calls and jobs of a wave that have gone into its measures, so that each does once."""
        return frozenset(self._store.get(f"measured.{wave}") or ())

    def save_measured(self, wave: str, measured: frozenset[str]) -> None:
        self._store.set(f"measured.{wave}", sorted(measured))

    def cleanup(self) -> CleanupRecord | None:
        return self._read("cleanup", CleanupRecord)

    def save_cleanup(self, record: CleanupRecord) -> None:
        self._write("cleanup", record)

    def failure(self, task_id: str) -> FailureRecord | None:
        return self._read(f"failure.{task_id}", FailureRecord)

    def save_failure(self, task_id: str, record: FailureRecord) -> None:
        self._write(f"failure.{task_id}", record)

    def forget_failure(self, task_id: str) -> None:
        """Take back why an earlier try failed: the task is tried again, or was cleared."""
        if self.failure(task_id) is not None:
            self._store.set(f"failure.{task_id}", None)

    def _read(self, key: str, model: type[R]) -> R | None:
        value = self._store.get(key)
        return None if value is None else model.model_validate(value)

    def _write(self, key: str, record: Record) -> None:
        self._store.set(key, record.model_dump(mode="json"))
