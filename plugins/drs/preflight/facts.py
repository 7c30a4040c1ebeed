"""What preflight read of AWS, as frozen values. Pure.

Shapes: DescribeSourceServers, DescribeRecoveryInstances, DescribeRecoverySnapshots, GetLaunchConfiguration,
ListRecoveryPlanExecutionSteps in the DRS API reference; DescribeLaunchTemplateVersions in EC2's.
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
from drs.times import minute


@dataclass(frozen=True, slots=True)
class SourceServer:
    """A source server and how it replicates.

    :param lag: the time since its data was last up to date; ``None`` where DRS names none that can be read
    :param error: DRS's name of what keeps it from replicating, with the raw error where there is one
    :param last_seen: when its agent last spoke to DRS
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
        told = ": ".join(failure[key] for key in ("error", "rawError") if failure.get(key))
        seen = item.get("lifeCycle", {}).get("lastSeenByServiceDateTime")
        return cls(
            server_id=item["sourceServerID"],
            name=server_name(item),
            state=replication.get("dataReplicationState", "unknown"),
            lag=_duration(replication.get("lagDuration")),
            error=told or None,
            last_seen=parse_time(seen) if seen else None,
        )

    @property
    def is_continuous(self) -> bool:
        return self.state == ReplicationState.CONTINUOUS


@dataclass(frozen=True, slots=True)
class RecoveryInstance:
    """What an earlier launch of a server left."""

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
            # Absent is not False here: what is not said to be a drill counts as real.
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

    :param into_instance: an existing EC2 instance that DRS launches into, in the place of a new one
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
    """Where a network interface of an instance stands; without a subnet or groups EC2 takes its defaults."""

    subnet_id: str | None = None
    group_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Template:
    """The default version of an EC2 launch template, which is the one that DRS launches by."""

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
    """What AWS answered. ``None`` stands for what it did not: the findings of the reading tell why, and the
    checks that need it are not made.

    :param looked_at: when
    :param servers: every source server of the account and Region, by id
    :param jobs: every job of the last 24 hours; no live one is older
    :param executions: the running executions of AWS's own recovery plans
    :param instances: the recovery instances of this run's servers
    :param settings: launch settings by server id; a server that could not be read is absent
    :param templates: default versions by launch template id; a template that does not exist is absent
    :param subnets: the VPC of each subnet that is named and exists
    :param groups: the VPC of each security group that is named and exists
    :param snapshots: by server id, where a recovery point was asked for
    """

    looked_at: dt.datetime
    servers: Mapping[str, SourceServer]
    jobs: tuple[Job, ...] | None
    executions: tuple[PlanExecution, ...] | None
    instances: tuple[RecoveryInstance, ...] | None
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
