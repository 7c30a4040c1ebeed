"""What a run records about itself, where every task of the run can read it.

The ledger lives in the XCom of the run's first task: a retried task loses its own XCom, never another's,
and ``begin`` stays in a plan's DAG even while its file is broken. A task that acts on servers reads what
to do from here and never again from the plan file, so an edit in mid-drill does not move a running drill.
"""

from __future__ import annotations

import datetime as dt
from typing import Any, Literal, Protocol, TypeVar

from pydantic import BaseModel, ConfigDict

from drs.errors import DrillFailed
from drs.plan import Plan
from drs.timeline import Timeline

BEGIN_TASK_ID = "begin"

ExecutionType = Literal["DRILL", "RECOVERY"]
RECOVERY_APPROVAL = "*recovery*"
"""The subject of the approval that a real recovery needs; no wave can bear this name."""


class Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class RunRecord(Record):
    """What ``begin`` decided: the plan as it was, and what this run is to do with it."""

    token: str
    """Marks this run's jobs in DRS; random, since two Airflows may run one plan under one run id."""
    dag_id: str
    run_id: str
    began_at: dt.datetime
    plan: dict[str, Any]
    digest: str
    waves: tuple[str, ...]
    execution_type: ExecutionType = "DRILL"
    run_type: str = "manual"
    """Airflow's word for how the run came about: manual, scheduled, ..."""
    exclude_servers: tuple[str, ...] = ()
    dry_run: bool = False
    keep_instances: bool = False
    skip_approvals: bool = False
    recovery_point: dt.datetime | None = None
    """Launch from the newest recovery snapshot at or before this time; ``None`` is the latest state."""
    reason: str = ""
    initiator: str = ""
    missed: str | None = None
    """Why this run launches nothing: its time went by before it could begin."""

    @property
    def is_drill(self) -> bool:
        return self.execution_type == "DRILL"

    def read_plan(self) -> Plan:
        return Plan.model_validate(self.plan)


class ResolvedServer(Record):
    server_id: str
    name: str
    group: str
    optional: bool = False
    snapshot_id: str | None = None
    """The recovery snapshot to launch from; ``None`` is the latest state."""


class WaveResolution(Record):
    """The servers of one wave for this run; ``left_out`` says why there are none to launch."""

    servers: tuple[ResolvedServer, ...] = ()
    excluded: tuple[str, ...] = ()
    left_out: str | None = None


class Resolution(Record):
    """What ``preflight`` resolved the plan's protection groups to, for this run."""

    waves: dict[str, WaveResolution]


class ApprovalRecord(Record):
    """The answer to one question of this run."""

    approved: bool
    answered: Literal["by a person", "by time-out", "skipped"]
    by: str = ""
    """The user's name."""
    at: dt.datetime
    comment: str = ""


class Call(Record):
    """One StartRecovery call: written as an intent before it is made, with its outcome after it."""

    at: dt.datetime
    servers: tuple[str, ...]
    tagged: bool = True
    outcome: str | None = None
    """``None`` while the reply is unknown; else a job id, or the error code DRS answered with."""


class LaunchRecord(Record):
    """A wave's launch: each server's place on the timeline, and every call made."""

    timeline: Timeline
    calls: tuple[Call, ...] = ()
    tags_refused: bool = False

    @property
    def unanswered(self) -> tuple[Call, ...]:
        return tuple(call for call in self.calls if call.outcome is None)

    @property
    def jobs(self) -> dict[str, tuple[str, ...]]:
        """Job ids to the servers that this run started in them, in the order of the launch."""
        jobs: dict[str, tuple[str, ...]] = {}
        for server in self.timeline.servers:
            if server.job_id:
                jobs[server.job_id] = (*jobs.get(server.job_id, ()), server.server_id)
        return jobs

    def called_at(self, job_id: str) -> dt.datetime:
        """When the call that made the job was made."""
        return next(call.at for call in self.calls if call.outcome == job_id)

    @property
    def all_job_ids(self) -> frozenset[str]:
        """Every job this run made for the wave, those of an earlier try included."""
        made = {call.outcome for call in self.calls if call.outcome and call.outcome.startswith("drsjob-")}
        return frozenset(made | set(self.jobs))


class ServerRecord(Record):
    """How the launch of one server ended."""

    server_id: str
    name: str
    job_id: str | None
    launched: bool
    optional: bool
    instance_id: str | None = None
    seconds: float | None = None
    """From the job's creation to the server's last event."""
    error: str | None = None


class WaveOutcome(Record):
    servers: tuple[ServerRecord, ...]


class InstanceRecord(Record):
    """A drill instance that this run launched, and what became of it."""

    recovery_instance_id: str
    ec2_instance_id: str
    server_id: str
    job_id: str


class TerminateCall(Record):
    """One TERMINATE job that clean-up started."""

    job_id: str
    instances: tuple[str, ...]


class CleanupRecord(Record):
    """What clean-up did. ``proven`` only when DRS and EC2 both show every instance gone."""

    started_at: dt.datetime
    jobs: tuple[str, ...] = ()
    """The run's LAUNCH jobs that the proof covers."""
    instances: tuple[InstanceRecord, ...] = ()
    terminate_calls: tuple[TerminateCall, ...] = ()
    ec2_looks: int = 0
    """Looks at EC2 that found an instance running which DRS no longer lists."""
    kept: bool = False
    """The run was asked to keep its instances, or it was a real recovery."""
    proven: bool = False


class FailureRecord(Record):
    """Why a task failed, for evidence and verdict."""

    code: str
    message: str
    remedy: str = ""


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
        """When the wave's gate (``started``, ``launched``) was reached."""
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

    def cleanup(self) -> CleanupRecord | None:
        return self._read("cleanup", CleanupRecord)

    def save_cleanup(self, record: CleanupRecord) -> None:
        self._write("cleanup", record)

    def failure(self, task_id: str) -> FailureRecord | None:
        return self._read(f"failure.{task_id}", FailureRecord)

    def save_failure(self, task_id: str, record: FailureRecord) -> None:
        self._write(f"failure.{task_id}", record)

    def _read(self, key: str, model: type[R]) -> R | None:
        value = self._store.get(key)
        return None if value is None else model.model_validate(value)

    def _write(self, key: str, record: Record) -> None:
        self._store.set(key, record.model_dump(mode="json"))
