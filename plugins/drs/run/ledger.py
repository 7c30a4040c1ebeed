"""What a run records about itself, where every task of the run can read it.

The ledger is kept in the XCom of the run's first task, ``begin``. A task that is retried loses its own XCom
but not that of another task, and ``begin`` stays in a plan's DAG even while the plan's file is broken. A task
that acts on servers reads what to do from here and not from the plan file, so an edit of the file does not
change a drill that is running.
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
    Loss,
    Losses,
    Record,
    Resolution,
    RunRecord,
    Stood,
    Stop,
    ValidationBegin,
    WaveOutcome,
    WaveValidation,
)

BEGIN_TASK_ID = "begin"


class SupersededError(Exception):
    """A newer try of the same task owns a record. This try must do nothing more.

    Airflow takes a worker for dead when it does not hear from it, and starts another try. The worker may only
    have been frozen, and go on.
    """


class Store(Protocol):
    """Key to JSON value, shared by all tasks of one run."""

    def get(self, key: str) -> Any: ...

    def set(self, key: str, value: Any) -> None: ...


class ReadOnce:
    """A store that fetches each key once; later reads also see what is written through it.

    It never sees what others write later. So it is for a task that runs after all tasks that write, or for
    one decision: see :meth:`Ledger.at_once`.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._known: dict[str, Any] = {}

    def get(self, key: str) -> Any:
        if key not in self._known:
            self._known[key] = self._store.get(key)
        return self._known[key]

    def set(self, key: str, value: Any) -> None:
        self._store.set(key, value)
        self._known[key] = value


R = TypeVar("R", bound=Record)


class Ledger:
    """Typed access to a run's records. A record that was never written reads as ``None``."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def at_once(self) -> Ledger:
        """These records, each fetched at its first use and only once. What is written through them is seen.

        For one decision, which reads a record several times. That is safe as long as nobody waits in between:
        what another process writes meanwhile is then seen by the next decision, as if it had been written a
        moment later. A record that a newer try of its task may have taken over (a wave's launch, clean-up) is
        saved through the ledger itself, which fetches it again before each write.
        """
        return Ledger(ReadOnce(self._store))

    def begun(self) -> RunRecord | None:
        """The run's record; ``None`` if the run was refused before it began."""
        return self._read("run", RunRecord)

    def run(self) -> RunRecord:
        """The run's record.

        :raises DrillFailed: the run never began
        """
        record = self.begun()
        if record is None:
            raise DrillFailed(
                "This run has no record of its beginning.",
                remedy="Clear the task 'begin' with all tasks after it.",
            )
        return record

    def save_run(self, record: RunRecord) -> None:
        self._write("run", record)

    def resolution(self) -> Resolution | None:
        return self._read("resolution", Resolution)

    def save_resolution(self, record: Resolution) -> None:
        self._write("resolution", record)

    def approval(self, subject: str) -> ApprovalRecord | None:
        """The answer to one question of the run.

        :param subject: a wave's name, or :data:`RECOVERY_APPROVAL` or :data:`CLEANUP_APPROVAL`
        """
        return self._read(f"approval.{subject}", ApprovalRecord)

    def save_approval(self, subject: str, record: ApprovalRecord) -> None:
        self._write(f"approval.{subject}", record)

    def forget_approval(self, subject: str) -> None:
        """Remove an earlier answer, because the question is asked again."""
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
        """Every job that the run has recorded so far, including the jobs of its clean-up."""
        run = self.begun()
        launches = [self.launch(wave) for wave in run.waves] if run else []
        cleanup = self.cleanup()
        terminated = {call.job_id for call in cleanup.terminate_calls if call.job_id} if cleanup else set()
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

    def notes(self, task_id: str) -> tuple[str, ...]:
        """What went wrong in a task without failing it: a message that was not sent, or a measure."""
        return tuple(self._store.get(f"remarks.{task_id}") or ())

    def add_note(self, task_id: str, text: str) -> None:
        self._store.set(f"remarks.{task_id}", [*self.notes(task_id), text])

    def notified(self, task_id: str) -> tuple[str, ...]:
        """The events of which a task has notified people, so that a later try does not notify them again."""
        return tuple(self._store.get(f"told.{task_id}") or ())

    def save_notified(self, task_id: str, event: str) -> None:
        self._store.set(f"told.{task_id}", [*self.notified(task_id), event])

    def measured(self, wave: str) -> frozenset[str]:
        """The calls and jobs of a wave that are counted in its measures, so that each is counted once."""
        return frozenset(self._store.get(f"measured.{wave}") or ())

    def save_measured(self, wave: str, measured: frozenset[str]) -> None:
        self._store.set(f"measured.{wave}", sorted(measured))

    def cleanup(self) -> CleanupRecord | None:
        return self._read("cleanup", CleanupRecord)

    def save_cleanup(self, record: CleanupRecord) -> None:
        self._write("cleanup", record)

    def losses(self) -> tuple[Loss, ...]:
        """The instances of this run that somebody else ended, as far as the run has found them."""
        record = self._read("losses", Losses)
        return record.losses if record else ()

    def save_losses(self, losses: tuple[Loss, ...]) -> None:
        self._write("losses", Losses(losses=losses))

    def stood(self) -> Stood | None:
        """The last look that saw everything that the run launched as it should be."""
        return self._read("stood", Stood)

    def save_stood(self, record: Stood) -> None:
        self._write("stood", record)

    def stop(self) -> Stop | None:
        """A person's request to end the run (``python -m drs stop``)."""
        return self._read("stop", Stop)

    def save_stop(self, record: Stop) -> None:
        self._write("stop", record)

    def failure(self, task_id: str) -> FailureRecord | None:
        return self._read(f"failure.{task_id}", FailureRecord)

    def save_failure(self, task_id: str, record: FailureRecord) -> None:
        self._write(f"failure.{task_id}", record)

    def forget_failure(self, task_id: str) -> None:
        """Remove why an earlier try failed, because the task is retried or was cleared."""
        if self.failure(task_id) is not None:
            self._store.set(f"failure.{task_id}", None)

    def _read(self, key: str, model: type[R]) -> R | None:
        value = self._store.get(key)
        return None if value is None else model.model_validate(value)

    def _write(self, key: str, record: Record) -> None:
        self._store.set(key, record.model_dump(mode="json"))
