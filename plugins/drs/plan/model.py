"""The recovery plan of one DAG, as frozen and fully validated data."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import timedelta
from functools import cached_property
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from drs.plan import fields
from drs.plan.checks import Check, Validation
from drs.plan.consistency import APPROVAL_OF_CLEANUP, INCONSISTENT, contradictions

DELAY_BETWEEN_WAVES = timedelta(seconds=30)


class _Part(BaseModel):
    """The base of every part of a plan: it cannot be changed, and unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Target(_Part):
    """The account and Region in which the servers are launched."""

    region: fields.Region
    account_id: fields.AccountId
    aws_conn_id: fields.ConnectionId = "aws_default"


class RecoveryObjectives(_Part):
    """The objectives that the plan promises.

    Preflight refuses a server whose replication lag exceeds the RPO.
    """

    rto: fields.Rto | None = None
    rpo: fields.Rpo | None = None
    enforce: fields.Enforce = False


class Network(_Part):
    """Where a drill may launch servers: a drill in the production network is the classic accident.

    An empty list allows everything.
    """

    allowed_subnets: fields.AllowedSubnets = ()
    allowed_security_groups: fields.AllowedSecurityGroups = ()


class Approval(_Part):
    """A person who must agree before the wave is launched."""

    timeout: fields.ApprovalTimeout = timedelta(hours=4)
    on_timeout: fields.OnTimeout = "reject"
    approvers: fields.Approvers = ()
    skippable: fields.Skippable = False


class ProtectionGroup(_Part):
    """Servers that recover together: listed by id, or found by their tags."""

    model_config = ConfigDict(
        json_schema_extra={
            "oneOf": [{"required": ["source_servers"]}, {"required": ["server_tags"]}],
            "examples": [{"source_servers": ["s-3c1730a9e0771ea14"]}],
        }
    )

    source_servers: fields.SourceServers | None = None
    server_tags: fields.ServerTags | None = None
    optional: fields.Optional = False
    validation: Validation = ()

    @model_validator(mode="after")
    def _one_way_to_name_servers(self) -> Self:
        if self.source_servers is None and self.server_tags is None:
            raise PydanticCustomError("group_without_servers", "neither source_servers nor server_tags")
        if self.source_servers is not None and self.server_tags is not None:
            raise PydanticCustomError("group_named_twice", "both source_servers and server_tags")
        return self


class Launch(_Part):
    """How the servers of a wave are launched."""

    jobs: fields.Jobs = "per_server"
    server_delay: fields.ServerDelay = timedelta(seconds=15)
    conflict_backoff: fields.ConflictBackoff = (
        timedelta(seconds=30),
        timedelta(seconds=60),
        timedelta(seconds=120),
    )
    conflict_timeout: fields.ConflictTimeout = timedelta(minutes=30)
    start_timeout: fields.StartTimeout = timedelta(minutes=5)
    job_timeout: fields.JobTimeout = timedelta(minutes=60)
    foreign_drill_grace: fields.ForeignDrillGrace = timedelta(hours=12)


class LaunchOverrides(_Part):
    """The launch settings of one wave that differ from those of its plan."""

    jobs: fields.Jobs | None = None
    server_delay: fields.ServerDelay | None = None
    conflict_backoff: fields.ConflictBackoff | None = None
    conflict_timeout: fields.ConflictTimeout | None = None
    start_timeout: fields.StartTimeout | None = None
    job_timeout: fields.JobTimeout | None = None
    foreign_drill_grace: fields.ForeignDrillGrace | None = None


class Wave(_Part):
    """Servers that are launched together, after the waves that this wave depends on."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"name": "database", "protection_groups": ["database"]}]}
    )

    name: fields.WaveName
    protection_groups: fields.WaveGroups
    depends_on: fields.DependsOn | None = None
    delay_before: fields.DelayBefore | None = None
    next_wave_when: fields.NextWaveWhen = "started"
    approval: Annotated[
        Approval | None,
        Field(
            description="A person must approve before this wave is launched.",
            examples=[{"timeout": "4h", "on_timeout": "reject"}],
        ),
    ] = None
    launch: LaunchOverrides = Field(
        default_factory=LaunchOverrides,
        description="Settings that differ from the plan's launch section.",
        examples=[{"job_timeout": "90m"}],
    )
    validation: Validation = ()


class Cleanup(_Part):
    """When and how the instances that the drill launched are terminated."""

    when: fields.CleanupWhen = "always"
    keep_for: fields.KeepFor = timedelta(0)
    timeout: fields.CleanupTimeout = timedelta(hours=2)
    approval_timeout: fields.CleanupApprovalTimeout = APPROVAL_OF_CLEANUP
    approvers: fields.Approvers = ()


class Notifier(_Part):
    """An Airflow notifier that sends the drill's notifications."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"notifier": "my_team.notifiers.Pager", "parameters": {}}]}
    )

    notifier: fields.DottedPath
    parameters: fields.Parameters = {}


class Notifications(_Part):
    """Who is notified of the drill's progress."""

    sns_topic_arn: fields.TopicArn | None = None
    aws_conn_id: Annotated[
        fields.ConnectionId | None,
        Field(
            description="The connection that publishes to the topic. Default: the connection of the target.",
            examples=["aws_default"],
        ),
    ] = None
    notifiers: Annotated[
        tuple[Notifier, ...],
        Field(
            description="Additional notifiers: from Airflow's providers, or allowed by the setting "
            "allowed_notifiers.",
            examples=[[{"notifier": "my_team.notifiers.Pager", "parameters": {"text": "{{ drs.message }}"}}]],
        ),
    ] = ()


class Plan(_Part):
    """A recovery plan for AWS Elastic Disaster Recovery. Each plan gets a DAG, whose runs are its drills."""

    name: fields.PlanName
    description: fields.Description = ""
    owner: fields.Owner = "drs-drills"
    dag_tags: fields.DagTags = ()
    schedule: fields.Schedule | None = None
    timezone: fields.TimeZone = "UTC"
    allow_recovery: fields.AllowRecovery = False
    target: Annotated[
        Target,
        Field(
            description="The account and Region of the drill.",
            examples=[{"region": "us-east-1", "account_id": "111122223333"}],
        ),
    ]
    objectives: Annotated[
        RecoveryObjectives,
        Field(description="Recovery objectives.", examples=[{"rto": "1h", "rpo": "15m"}]),
    ] = RecoveryObjectives()
    network: Annotated[
        Network,
        Field(
            description="Where servers may be launched. Preflight refuses any other subnet or security "
            "group.",
            examples=[{"allowed_subnets": ["subnet-0a1b2c3d4e5f60718"]}],
        ),
    ] = Network()
    protection_groups: Annotated[
        Mapping[fields.Name, ProtectionGroup],
        Field(
            description="Groups of servers, by name.",
            examples=[{"database": {"source_servers": ["s-3c1730a9e0771ea14"]}}],
            json_schema_extra={"additionalProperties": False},
        ),
    ]
    launch: Annotated[
        Launch, Field(description="How servers are launched. A wave may override these settings.")
    ] = Launch()
    waves: Annotated[
        tuple[Wave, ...],
        Field(
            min_length=1,
            description="The waves, in the order in which they are launched.",
            examples=[[{"name": "database", "protection_groups": ["database"]}]],
        ),
    ]
    cleanup: Annotated[
        Cleanup, Field(description="How the drill ends: when its instances are terminated.")
    ] = Cleanup()
    notifications: Annotated[
        Notifications,
        Field(
            description="Who is notified of the drill's progress.",
            examples=[{"sns_topic_arn": "arn:aws:sns:eu-central-1:111122223333:dr-drills"}],
        ),
    ] = Notifications()

    @model_validator(mode="after")
    def _without_contradictions(self) -> Self:
        findings = list(contradictions(self))
        if findings:
            text = "; ".join(f"{finding.code}: {finding.message}" for finding in findings)
            raise PydanticCustomError(INCONSISTENT, "{findings}", {"findings": text})
        return self

    @cached_property
    def digest(self) -> str:
        """SHA-256 (hex) of the plan's content with all defaults. It does not depend on the file's layout."""
        content = self.model_dump(mode="json")
        canonical = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        return hashlib.sha256(canonical.encode()).hexdigest()

    def wave(self, name: str) -> Wave:
        """The wave of that name.

        :raises KeyError: if the plan has no such wave
        """
        return self.waves[self._position(name)]

    def launch_for(self, wave_name: str) -> Launch:
        """The launch settings of the wave: its own, and the plan's for everything else."""
        overrides = self.wave(wave_name).launch.model_dump(exclude_none=True)
        return self.launch.model_copy(update=overrides)

    def dependencies(self, wave_name: str) -> tuple[str, ...]:
        """The waves that this wave depends on: those that it names, else the one above it in the file."""
        position = self._position(wave_name)
        named = self.waves[position].depends_on
        if named is not None:
            return named
        return (self.waves[position - 1].name,) if position else ()

    def delay_for(self, wave_name: str) -> timedelta:
        """The pause before the wave: its own, or else 30 s, or none if it depends on no wave."""
        own = self.wave(wave_name).delay_before
        if own is not None:
            return own
        return DELAY_BETWEEN_WAVES if self.dependencies(wave_name) else timedelta(0)

    def listed_servers(self, wave_name: str) -> tuple[str, ...]:
        """The servers that the plan lists by id for this wave; servers found by tags are not included."""
        groups = (self.protection_groups[name] for name in self.wave(wave_name).protection_groups)
        return tuple(server for group in groups for server in group.source_servers or ())

    def checks_for(self, wave_name: str, group_name: str) -> tuple[Check, ...]:
        """The checks that servers of this group must pass in this wave: the wave's and the group's."""
        return (*self.wave(wave_name).validation, *self.protection_groups[group_name].validation)

    def _position(self, wave_name: str) -> int:
        for position, wave in enumerate(self.waves):
            if wave.name == wave_name:
                return position
        raise KeyError(wave_name)
