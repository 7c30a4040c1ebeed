"""The data of a simulated DRS: source servers, jobs with their logs, recovery instances."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from drs.aws.states import LIVE_JOB, InitiatedBy, JobStatus, JobType, LaunchDisposition, LaunchStatus
from simulator.engine.fleet import Replication
from simulator.engine.launched import Commands, LaunchAction, Listener
from simulator.engine.timings import OperatingSystem, Timings


def new_id(prefix: Literal["drsjob", "i", "rp", "rpe"]) -> str:
    """Return a new identifier in DRS's form: the prefix, a hyphen, 17 hexadecimal digits."""
    return f"{prefix}-{secrets.token_hex(9)[:17]}"


@dataclass
class LaunchConfiguration:
    """A server's launch configuration, as GetLaunchConfiguration shows it."""

    name: str
    ec2_launch_template_id: str
    launch_disposition: LaunchDisposition
    copy_tags: bool
    recovery_mode: Literal["FAST", "OPTIMAL"]
    target_instance_type_right_sizing_method: str = "BASIC"
    copy_private_ip: bool = False
    os_byol: bool = False
    post_launch_enabled: bool = False


@dataclass(frozen=True)
class LastLaunch:
    job_id: str
    api_call: datetime
    is_drill: bool
    status: LaunchStatus


@dataclass
class SourceServer:
    id: str
    arn: str
    hostname: str
    os: OperatingSystem
    tags: dict[str, str]
    replication: Replication
    timings: Timings
    launch_configuration: LaunchConfiguration
    added: datetime
    address: str | None
    listeners: tuple[Listener, ...]
    commands: Commands
    launch_actions: tuple[LaunchAction, ...]
    last_launch: LastLaunch | None = None
    recovery_instance_id: str | None = None


@dataclass(frozen=True)
class JobLogItem:
    """One line of a job's log. The event may be any string, because DRS may write unknown ones too."""

    at: datetime
    event: str
    server_id: str | None = None
    conversion_server_id: str | None = None
    target_instance_id: str | None = None
    raw_error: str | None = None


@dataclass
class ActionRun:
    """One post-launch action on one instance. :param order: its number; like DRS, from 1001 on"""

    id: str
    action: LaunchAction
    order: int
    status: Literal["IN_PROGRESS", "SUCCEEDED", "FAILED"] = "IN_PROGRESS"
    failure_reason: str | None = None


@dataclass
class ActionsStatus:
    """:param agent_discovered: when DRS discovered the agent of Systems Manager on the instance"""

    agent_discovered: datetime | None = None
    runs: list[ActionRun] = field(default_factory=list)


@dataclass
class Participant:
    """One server within one job.

    :param done: whether the job need not wait for this server any more
    """

    server_id: str
    launch_status: LaunchStatus = LaunchStatus.PENDING
    recovery_instance_id: str | None = None
    snapshot_id: str | None = None
    point_in_time: datetime | None = None
    actions: ActionsStatus | None = None
    done: bool = False


@dataclass
class Job:
    id: str
    arn: str
    type: JobType
    initiated_by: InitiatedBy
    created: datetime
    participants: list[Participant]
    tags: dict[str, str]
    status: JobStatus = JobStatus.PENDING
    ended: datetime | None = None
    log: list[JobLogItem] = field(default_factory=list)

    @property
    def live(self) -> bool:
        return self.status in LIVE_JOB

    @property
    def is_drill(self) -> bool:
        return self.initiated_by is InitiatedBy.START_DRILL

    @property
    def server_ids(self) -> list[str]:
        return [participant.server_id for participant in self.participants]

    def write(self, at: datetime, event: str, **details: str | None) -> None:
        """Add a line to the job's log."""
        self.log.append(JobLogItem(at, event, **details))


@dataclass
class RecoveryInstance:
    """An instance that DRS launched. Its id is the id of the EC2 instance."""

    id: str
    arn: str
    server_id: str
    job_id: str
    is_drill: bool
    point_in_time: datetime
    launched: datetime
    tags: dict[str, str]


@dataclass(frozen=True)
class Snapshot:
    """A point in time to which a server can be recovered."""

    id: str
    server_id: str
    at: datetime
