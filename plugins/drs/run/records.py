"""What a run records about itself, and later proves from: frozen values, each written by one task."""

from __future__ import annotations

import datetime as dt
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from drs.plan import Plan
from drs.run.timeline import Timeline

ExecutionType = Literal["DRILL", "RECOVERY"]
RECOVERY_APPROVAL = "*recovery*"
"""The subject of the approval that a real recovery needs; no wave can bear this name."""
CLEANUP_APPROVAL = "*cleanup*"
"""The subject of the answer whether the drill's instances are terminated."""


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
    lag_seconds: float | None = None
    """The replication lag that preflight saw; ``None`` where DRS named none."""
    starts: bool = True
    """Whether the launch disposition is STARTED: such an instance must run, another must be stopped."""


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
    """One StartRecovery call: written as an intent before it is made, and completed with how it ended.

    At most one of ``job_id``, ``error`` and ``not_made`` is set; none of them while the reply is unknown.
    """

    at: dt.datetime
    servers: tuple[str, ...]
    tagged: bool = True
    job_id: str | None = None
    """The job that DRS made."""
    error: str | None = None
    """The error code with which DRS refused the call."""
    not_made: bool = False
    """The call was not sent after all, or DRS is known never to have acted on it."""

    @property
    def answered(self) -> bool:
        """Whether it is known how the call ended."""
        return self.job_id is not None or self.error is not None or self.not_made


class LaunchRecord(Record):
    """A wave's launch: each server's place on the timeline, and every call made."""

    timeline: Timeline
    calls: tuple[Call, ...] = ()
    tags_refused: bool = False

    @property
    def unanswered(self) -> tuple[Call, ...]:
        return tuple(call for call in self.calls if not call.answered)

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
        return next(call.at for call in self.calls if call.job_id == job_id)

    @property
    def all_job_ids(self) -> frozenset[str]:
        """Every job this run made for the wave, those of an earlier try included."""
        made = {call.job_id for call in self.calls if call.job_id}
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
    requested_at: dt.datetime | None = None
    """When DRS created the server's job."""
    launched_at: dt.datetime | None = None
    """The time of the server's last event in DRS's job log, if it was launched."""
    point_in_time: dt.datetime | None = None
    """Of which moment the launched instance holds the data (pointInTimeSnapshotDateTime)."""


class WaveOutcome(Record):
    servers: tuple[ServerRecord, ...]


class CheckResult(Record):
    """What one check saw of one launched server."""

    check: str
    """What was checked: the kind of check and its object, such as ``http :80/health``."""
    server_id: str
    instance_id: str | None
    passed: bool
    optional: bool = False
    """A failure is a warning."""
    seen: str
    """What was seen, complete on its own."""
    at: dt.datetime
    seconds: float
    """From the beginning of the wave's validation."""
    output: str = ""
    """What a command or an answer said, cut to a readable length."""


class WaveValidation(Record):
    """Every check of one wave, the servers in their order."""

    began_at: dt.datetime
    ended_at: dt.datetime
    results: tuple[CheckResult, ...]


class ValidationBegin(Record):
    """When the validation of a wave's instances began: a task that takes it up later has no more time."""

    began_at: dt.datetime
    instances: dict[str, str]
    """Instance ids, by source server."""


class InstanceRecord(Record):
    """A drill instance that this run launched, and what became of it."""

    recovery_instance_id: str
    ec2_instance_id: str
    server_id: str
    job_id: str
    point_in_time: dt.datetime | None = None
    """Of which moment the instance holds the data (pointInTimeSnapshotDateTime)."""
    instance_type: str | None = None
    launched_at: dt.datetime | None = None
    """EC2's launch time."""
    state: str | None = None
    """EC2's state when clean-up first saw it; a stopped instance costs no hours."""


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
    earlier_calls: int = 0
    """How many of these calls were made before the task was tried again or cleared: these no longer count as
    tries.
    """
    ec2_looks: int = 0
    """Looks at EC2 that found an instance running which DRS no longer lists."""
    kept: bool = False
    """The run was asked to keep its instances, or it was a real recovery."""
    proven: bool = False
    ended_at: dt.datetime | None = None
    why_kept: str = ""
    """Why the instances were kept: the run's parameter, the plan's rule, a person's answer."""


class FailureRecord(Record):
    """Why a task failed, for evidence and verdict."""

    code: str
    message: str
    remedy: str = ""
    details: str = ""
    """What stands above the message in the task's log: the wave's servers, each failure explained."""
