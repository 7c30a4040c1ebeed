"""What a run records about itself and uses as proof later: frozen values, each written by one task."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from drs.plan import Plan
from drs.run.timeline import Timeline
from drs.text import shown

ExecutionType = Literal["DRILL", "RECOVERY"]
RECOVERY_APPROVAL = "*recovery*"
"""The subject of the approval that a real recovery needs; no wave can have this name."""
CLEANUP_APPROVAL = "*cleanup*"
"""The subject of the question whether the drill's instances are terminated."""


class Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class RunRecord(Record):
    """What ``begin`` decided: the plan at that time, and what this run does with it."""

    token: str
    """Marks this run's jobs in DRS. Random, because two Airflows may run one plan with the same run id."""
    installation: str = ""
    """The id of the Airflow installation that runs it; empty in the records of older versions."""
    dag_id: str
    run_id: str
    began_at: dt.datetime
    plan: dict[str, Any]
    digest: str
    waves: tuple[str, ...]
    execution_type: ExecutionType = "DRILL"
    run_type: str = "manual"
    """Airflow's word for how the run was started: manual, scheduled, ..."""
    exclude_servers: tuple[str, ...] = ()
    dry_run: bool = False
    keep_instances: bool = False
    skip_approvals: bool = False
    recovery_point: dt.datetime | None = None
    """Launch from the newest recovery snapshot at or before this time; ``None`` is the latest state."""
    reason: str = ""
    initiator: str = ""
    missed: str | None = None
    """Why this run launches nothing: its scheduled time had passed before it could begin."""

    @property
    def is_drill(self) -> bool:
        return self.execution_type == "DRILL"

    @property
    def started_by(self) -> str:
        """Who or what started the run, in words."""
        return started_by(self.initiator, self.run_type, self.plan)

    def read_plan(self) -> Plan:
        return Plan.model_validate(self.plan)


STARTED_BY = {
    "manual": "a person whom Airflow does not name (manual)",
    "backfill": "a backfill",
    "operator_triggered": "another DAG (operator_triggered)",
    "asset_triggered": "an asset's event (asset_triggered)",
}


def started_by(initiator: str, run_type: str, plan: Mapping[str, Any]) -> str:
    """Who or what started a run, in words: a person, or the schedule that made it.

    :param initiator: what the run recorded; without a person it is the type of the run
    :param plan: the content of the run's plan
    """
    if initiator and initiator != run_type:
        return shown.line(initiator)
    schedule = plan.get("schedule")
    if run_type == "scheduled" and schedule:
        return f"the plan's schedule ({shown.line(schedule)}, {shown.line(plan.get('timezone') or 'UTC')})"
    return STARTED_BY.get(run_type, shown.line(run_type))


class ResolvedServer(Record):
    server_id: str
    name: str
    group: str
    optional: bool = False
    snapshot_id: str | None = None
    """The recovery snapshot to launch from; ``None`` is the latest state."""
    lag_seconds: float | None = None
    """The replication lag that preflight saw; ``None`` if DRS reported none."""
    starts: bool = True
    """Whether the launch disposition is STARTED: then the instance must run, otherwise it must be stopped."""


class WaveResolution(Record):
    """The servers of one wave for this run; ``left_out`` says why there are none to launch."""

    servers: tuple[ResolvedServer, ...] = ()
    excluded: tuple[str, ...] = ()
    left_out: str | None = None


class Resolution(Record):
    """The servers that ``preflight`` found for the plan's protection groups in this run."""

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
    """One StartRecovery call. It is written as an intent before it is made, and completed when it has ended.

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
    """The call was not sent after all, or it is known that DRS never acted on it."""

    @property
    def answered(self) -> bool:
        """Whether it is known how the call ended."""
        return self.job_id is not None or self.error is not None or self.not_made


class LaunchRecord(Record):
    """A wave's launch: each server's slot on the timeline, and every call."""

    timeline: Timeline
    calls: tuple[Call, ...] = ()
    tags_refused: bool = False
    try_number: int = 0
    """The try of the wave's task that owns this record: the newest. An older one whose worker was frozen may
    still be alive, and must not overwrite it.
    """

    @property
    def unanswered(self) -> tuple[Call, ...]:
        return tuple(call for call in self.calls if not call.answered)

    @property
    def jobs(self) -> dict[str, tuple[str, ...]]:
        """The servers that this run started in each job, by job id and in the order of the launch."""
        jobs: dict[str, tuple[str, ...]] = {}
        for server in self.timeline.servers:
            if server.job_id:
                jobs[server.job_id] = (*jobs.get(server.job_id, ()), server.server_id)
        return jobs

    def called_at(self, job_id: str) -> dt.datetime:
        """When this run made the call that started the job."""
        return next(call.at for call in self.calls if call.job_id == job_id)

    @property
    def all_job_ids(self) -> frozenset[str]:
        """Every job that this run started for the wave, including the jobs of earlier tries."""
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
    live: bool = False
    """The job had not ended when the wave was judged: it may still launch the server."""
    requested_at: dt.datetime | None = None
    """When DRS created the server's job."""
    launched_at: dt.datetime | None = None
    """The time of the server's last event in DRS's job log, if it was launched."""
    point_in_time: dt.datetime | None = None
    """The moment of the data on the launched instance (pointInTimeSnapshotDateTime)."""

    @property
    def result(self) -> str:
        """How the launch ended, in words that follow the server's name."""
        return launch_in_words(launched=self.launched, live=self.live)


def launch_in_words(*, launched: bool, live: bool) -> str:
    """How a launch ended, in words that follow the server's name.

    :param live: whether the server's job was still live when the wave was judged. It may launch the server
        later, so nobody may say that the server did not launch
    """
    if launched:
        return "launched"
    return "was still launching when the wait ended" if live else "did not launch"


class WaveOutcome(Record):
    servers: tuple[ServerRecord, ...]

    def same_launches(self, other: WaveOutcome) -> bool:
        """Whether both say the same of the same launches."""
        return self._launches() == other._launches()

    def _launches(self) -> set[tuple[str, str | None, bool, bool, str | None]]:
        return {
            (each.server_id, each.job_id, each.launched, each.live, each.instance_id) for each in self.servers
        }


class CheckResult(Record):
    """The result of one check of one launched server."""

    check: str
    """The kind of check and what it looks at, such as ``http :80/health``."""
    server_id: str
    instance_id: str | None
    passed: bool
    optional: bool = False
    """If this check fails, that is only a warning."""
    seen: str
    """What the check saw, as a text that can be read alone."""
    at: dt.datetime
    seconds: float
    """Seconds since the wave's validation began."""
    output: str = ""
    """The output of a command or the body of an answer, cut to a readable length."""


class WaveValidation(Record):
    """The results of all checks of one wave, in the order of its servers."""

    began_at: dt.datetime
    ended_at: dt.datetime
    results: tuple[CheckResult, ...]


class ValidationBegin(Record):
    """When the validation of a wave's instances began. A task that resumes it gets no extra time."""

    began_at: dt.datetime
    instances: dict[str, str]
    """Instance ids, by source server."""


class InstanceRecord(Record):
    """A drill instance that this run launched, as clean-up first saw it."""

    recovery_instance_id: str
    ec2_instance_id: str
    server_id: str
    job_id: str
    point_in_time: dt.datetime | None = None
    """The moment of the data on the instance (pointInTimeSnapshotDateTime)."""
    instance_type: str | None = None
    launched_at: dt.datetime | None = None
    """EC2's launch time."""
    state: str | None = None
    """EC2's state when clean-up first saw it. EC2 does not charge the hours of a stopped instance."""
    lost: str | None = None
    """Why it was no longer there when clean-up came, in words; ``None`` if it was there."""


class Loss(Record):
    """An instance that this run launched and that was ended, stopped or replaced by somebody else."""

    wave: str
    server_id: str
    name: str
    optional: bool
    instance_id: str
    what: str
    """What was seen, as the end of a sentence about the instance: ``is gone``, ``is stopped``."""
    last_seen: dt.datetime
    """When the run last saw the instance as it should be."""
    found_at: dt.datetime
    by: str
    """Which job or person ended it, as far as AWS shows."""


class Losses(Record):
    """Every loss that the run has found so far."""

    losses: tuple[Loss, ...] = ()


class Stood(Record):
    """A look at what the run has launched that found nothing wrong."""

    at: dt.datetime
    instances: tuple[str, ...]
    final: bool = False
    """It was made after the last wave had ended. What is ended later is no loss."""


class Stop(Record):
    """A person's request to end the run before its time."""

    by: str
    at: dt.datetime
    reason: str = ""


class TerminateCall(Record):
    """One call of clean-up for a TERMINATE job. It is written before it is made."""

    job_id: str = ""
    """Empty until DRS has answered with a job. Without an answer DRS may have made one."""
    instances: tuple[str, ...]
    at: dt.datetime | None = None
    """When DRS made the job, or else when the call was about to be made, by AWS's clock."""


class CleanupRecord(Record):
    """What clean-up did. ``proven`` is true only if both DRS and EC2 show that every instance is gone."""

    started_at: dt.datetime
    jobs: tuple[str, ...] = ()
    """The run's LAUNCH jobs that the proof covers."""
    unsure: tuple[str, ...] = ()
    """Untagged jobs that a call of this run without a reply may have made. They are never touched."""
    instances: tuple[InstanceRecord, ...] = ()
    terminate_calls: tuple[TerminateCall, ...] = ()
    try_number: int = 0
    """The try of the task ``terminate`` that owns this record: the newest."""
    earlier_calls: int = 0
    """How many of these calls were made before the task was retried or cleared: they no longer count."""
    ec2_looks: int = 0
    """How often EC2 still showed a running instance that DRS no longer lists."""
    kept: bool = False
    """The instances were kept; ``why_kept`` says why."""
    proven: bool = False
    ended_at: dt.datetime | None = None
    why_kept: str = ""
    """The run's parameter, the plan's rule, a person's answer, or that this is a real recovery."""


class FailureRecord(Record):
    """Why a task failed. Evidence and verdict read it."""

    code: str
    message: str
    remedy: str = ""
    details: str = ""
    """What the task's log shows below the message: the wave's servers, and an explanation of each failure."""
