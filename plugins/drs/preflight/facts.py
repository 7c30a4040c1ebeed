"""What preflight has read from AWS, as frozen values. Pure.

Source of the shapes: DescribeSourceServers, DescribeRecoveryInstances, DescribeRecoverySnapshots,
GetLaunchConfiguration and ListRecoveryPlanExecutionSteps in the DRS API reference, and
DescribeLaunchTemplateVersions in the EC2 API reference.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic_core import PydanticCustomError

from drs.aws.jobs import Job, parse_time
from drs.aws.states import LaunchDisposition, ReplicationState
from drs.plan.durations import parse
from drs.run.resolution import server_name
from drs.text.times import minute


@dataclass(frozen=True, slots=True)
class SourceServer:
    """A source server and how it replicates.

    :param lag: the time since its data was last up to date; ``None`` if DRS gives none, or none that is valid
    :param error: DRS's name for what stops the replication, with the raw error if there is one
    :param last_seen: when its agent last contacted DRS
    """

    server_id: str
    name: str
    state: str
    lag: dt.timedelta | None
    error: str | None
    last_seen: dt.datetime | None

    @classmethod
    def from_api(cls, item: Mapping[str, Any]) -> SourceServer:
        replication = item.get("dataReplicationInfo", {})
        failure = replication.get("dataReplicationError", {})
        error = ": ".join(failure[key] for key in ("error", "rawError") if failure.get(key))
        seen = item.get("lifeCycle", {}).get("lastSeenByServiceDateTime")
        return cls(
            server_id=item["sourceServerID"],
            name=server_name(item),
            state=replication.get("dataReplicationState", "unknown"),
            lag=_duration(replication.get("lagDuration")),
            error=error or None,
            last_seen=parse_time(seen) if seen else None,
        )

    @property
    def is_continuous(self) -> bool:
        return self.state == ReplicationState.CONTINUOUS


@dataclass(frozen=True, slots=True)
class RecoveryInstance:
    """An instance that an earlier launch of a server left behind."""

    instance_id: str
    state: str
    server_id: str
    job_id: str | None
    is_drill: bool
    point_in_time: dt.datetime | None

    @classmethod
    def from_api(cls, item: Mapping[str, Any]) -> RecoveryInstance:
        at = item.get("pointInTimeSnapshotDateTime")
        return cls(
            instance_id=item.get("ec2InstanceID") or item["recoveryInstanceID"],
            state=str(item.get("ec2InstanceState", "state unknown")).lower(),
            server_id=item["sourceServerID"],
            job_id=item.get("jobID"),
            # Fails safe: an instance counts as real unless DRS says that it is a drill.
            is_drill=bool(item.get("isDrill")),
            point_in_time=parse_time(at) if at else None,
        )


@dataclass(frozen=True, slots=True)
class PlanExecution:
    """A running execution of one of AWS's own recovery plans, and all the servers of its steps."""

    plan_arn: str
    mode: str
    status: str
    started: dt.datetime
    server_ids: frozenset[str]

    @classmethod
    def from_api(cls, item: Mapping[str, Any], steps: Iterable[Mapping[str, Any]]) -> PlanExecution:
        return cls(
            plan_arn=item["recoveryPlanArn"],
            mode=item["mode"],
            status=item["status"],
            started=parse_time(item["startedAt"]),
            server_ids=frozenset(
                server["serverArn"].rsplit("/", 1)[-1]
                for step in steps
                for server in step["configuration"]
                .get("executionServerStepConfiguration", {})
                .get("servers", ())
            ),
        )

    def describe(self) -> str:
        """``arn:… (DRILL, IN_PROGRESS since 2026-03-01 06:00 UTC)``"""
        return f"{self.plan_arn} ({self.mode}, {self.status} since {minute(self.started)})"


@dataclass(frozen=True, slots=True)
class LaunchSettings:
    """A server's launch settings in DRS.

    :param into_instance: an existing EC2 instance that DRS launches into, instead of into a new one
    """

    template_id: str | None
    starts: bool
    into_instance: str | None = None

    @classmethod
    def from_api(cls, item: Mapping[str, Any]) -> LaunchSettings:
        return cls(
            template_id=item.get("ec2LaunchTemplateID") or None,
            starts=item.get("launchDisposition") != LaunchDisposition.STOPPED,
            into_instance=item.get("launchIntoInstanceProperties", {}).get("launchIntoEC2InstanceID") or None,
        )


@dataclass(frozen=True, slots=True)
class Interface:
    """The place of a network interface. EC2 uses its defaults if the subnet or the groups are not given."""

    subnet_id: str | None = None
    group_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Template:
    """The default version of an EC2 launch template, which is the one that DRS uses."""

    version: int
    interfaces: tuple[Interface, ...]

    @classmethod
    def from_api(cls, item: Mapping[str, Any]) -> Template:
        data = item.get("LaunchTemplateData", {})
        interfaces = tuple(
            Interface(each.get("SubnetId"), tuple(each.get("Groups", ())))
            for each in data.get("NetworkInterfaces", ())
        )
        implied = Interface(group_ids=tuple(data.get("SecurityGroupIds", ())))
        return cls(version=item["VersionNumber"], interfaces=interfaces or (implied,))


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A point in time that a server can be recovered to."""

    snapshot_id: str
    at: dt.datetime

    @classmethod
    def from_api(cls, item: Mapping[str, Any]) -> Snapshot:
        return cls(item["snapshotID"], parse_time(item.get("timestamp") or item["expectedTimestamp"]))


@dataclass(frozen=True, slots=True)
class Facts:
    """What AWS answered. ``None`` means that it did not answer: then a finding of the reader says why, and
    the checks that need the answer are not made.

    :param looked_at: when AWS was read
    :param servers: every source server of the account and Region, by id
    :param jobs: every job of the last 24 hours; no older job can still be live
    :param executions: the running executions of AWS's own recovery plans
    :param instances: the recovery instances of this run's servers
    :param launched_by: the jobs that launched these instances, by id, as far as DRS still lists them
    :param settings: launch settings by server id; a server whose settings could not be read is absent
    :param templates: default versions by launch template id; a template that does not exist is absent
    :param subnets: the VPC of each subnet that the templates name and that exists
    :param groups: the VPC of each security group that the templates name and that exists
    :param snapshots: by server id; empty unless the run has a recovery point
    """

    looked_at: dt.datetime
    servers: Mapping[str, SourceServer]
    jobs: tuple[Job, ...] | None
    executions: tuple[PlanExecution, ...] | None
    instances: tuple[RecoveryInstance, ...] | None
    launched_by: Mapping[str, Job]
    settings: Mapping[str, LaunchSettings]
    templates: Mapping[str, Template] | None
    subnets: Mapping[str, str] | None
    groups: Mapping[str, str] | None
    snapshots: Mapping[str, tuple[Snapshot, ...]]


def _duration(text: str | None) -> dt.timedelta | None:
    if text is None:
        return None
    try:
        return parse(text)
    except PydanticCustomError:
        return None
