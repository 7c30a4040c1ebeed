"""The recovery plan: what one DAG rehearses, as frozen and fully validated data."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import timedelta
from functools import cached_property
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictBool, model_validator
from pydantic_core import PydanticCustomError

from drs.plan.calendar import checked_schedule, checked_timezone
from drs.plan.consistency import INCONSISTENT, contradictions
from drs.plan.durations import Duration, PositiveDuration

DELAY_BETWEEN_WAVES = timedelta(seconds=30)

ServerId = Annotated[
    str,
    Field(
        pattern=r"^s-[0-9a-f]{17}$",
        description='The id of a DRS source server: "s-" and 17 hexadecimal digits in lower case.',
        examples=["s-3c1730a9e0771ea14"],
    ),
]
Name = Annotated[
    str,
    Field(
        # Airflow takes a wave's name for the id of a task group.
        pattern=r"^[a-zA-Z0-9_-]+$",
        max_length=64,
        description="A name of letters, digits, - and _, at most 64 of them.",
        examples=["database"],
    ),
]
NonEmpty = Annotated[str, Field(min_length=1)]
TagKey = Annotated[str, Field(min_length=1, max_length=128)]
TagValue = Annotated[str, Field(max_length=256)]

Jobs = Annotated[
    Literal["per_server", "per_wave"],
    Field(
        description="per_server: one DRS job for each server, server_delay apart (at most 20 servers a "
        "wave). per_wave: one DRS job for the whole wave (at most 100)."
    ),
]
ServerDelay = Annotated[Duration, Field(description="Pause between the launches of two servers of a wave.")]
ConflictBackoff = Annotated[
    tuple[PositiveDuration, ...],
    Field(
        min_length=1,
        description="Pauses before a server that another job holds is tried again; the last one repeats.",
        examples=[["30s", "60s", "120s"]],
    ),
]
ConflictTimeout = Annotated[
    Duration, Field(description="How long a server that another job holds is tried before the wave fails.")
]
StartTimeout = Annotated[PositiveDuration, Field(description="A job must leave PENDING within this time.")]
JobTimeout = Annotated[
    PositiveDuration, Field(description="A job must complete within this time, counted from its creation.")
]


class _Part(BaseModel):
    """What every part of a plan is: unchangeable, and without a key that nobody reads."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Target(_Part):
    """The account and Region in which the servers are launched."""

    region: Annotated[
        str,
        Field(
            pattern=r"^[a-z]+(-[a-z]+)+-[0-9]+$",
            description="The AWS Region of the drill.",
            examples=["us-east-1"],
        ),
    ]
    account_id: Annotated[
        str,
        Field(
            pattern=r"^[0-9]{12}$",
            description="The AWS account of the drill: 12 digits, in quotes. Any other is refused.",
            examples=["111122223333"],
        ),
    ]
    aws_conn_id: Annotated[
        NonEmpty,
        Field(description="The Airflow connection; a role in another account is configured there."),
    ] = "aws_default"


class ProtectionGroup(_Part):
    """Servers that recover together, listed by id or found by their tags."""

    model_config = ConfigDict(
        json_schema_extra={"oneOf": [{"required": ["source_servers"]}, {"required": ["server_tags"]}]}
    )

    source_servers: (
        Annotated[
            tuple[ServerId, ...],
            Field(
                min_length=1,
                description="The servers' ids. Either this or server_tags.",
                examples=[["s-3c1730a9e0771ea14"]],
            ),
        ]
        | None
    ) = None
    server_tags: (
        Annotated[
            Mapping[TagKey, TagValue],
            Field(
                min_length=1,
                description="Tags that a server must all carry; looked up once in every run. "
                "Either this or source_servers.",
                examples=[{"Application": "billing", "Tier": "web"}],
            ),
        ]
        | None
    ) = None
    optional: Annotated[
        StrictBool,
        Field(description="What befalls these servers is a warning and never stops the drill."),
    ] = False

    @model_validator(mode="after")
    def _one_way_to_name_servers(self) -> Self:
        if self.source_servers is None and self.server_tags is None:
            raise PydanticCustomError("group_without_servers", "neither source_servers nor server_tags")
        if self.source_servers is not None and self.server_tags is not None:
            raise PydanticCustomError("group_named_twice", "both source_servers and server_tags")
        return self


class Launch(_Part):
    """How the servers of a wave are launched."""

    jobs: Jobs = "per_server"
    server_delay: ServerDelay = timedelta(seconds=15)
    conflict_backoff: ConflictBackoff = (
        timedelta(seconds=30),
        timedelta(seconds=60),
        timedelta(seconds=120),
    )
    conflict_timeout: ConflictTimeout = timedelta(minutes=30)
    start_timeout: StartTimeout = timedelta(minutes=5)
    job_timeout: JobTimeout = timedelta(minutes=60)


class LaunchOverrides(_Part):
    """What one wave launches differently from the rest of its plan."""

    jobs: Jobs | None = None
    server_delay: ServerDelay | None = None
    conflict_backoff: ConflictBackoff | None = None
    conflict_timeout: ConflictTimeout | None = None
    start_timeout: StartTimeout | None = None
    job_timeout: JobTimeout | None = None


class Wave(_Part):
    """Servers that are launched together, after the waves that they depend on."""

    name: Annotated[Name, Field(description="The wave's name, unlike any other's in the plan.")]
    protection_groups: Annotated[
        tuple[Name, ...],
        Field(
            min_length=1,
            description="The protection groups that this wave launches.",
            examples=[["database"]],
        ),
    ]
    depends_on: (
        Annotated[
            tuple[Name, ...],
            Field(
                description="The waves that come before. Default: the wave above in the file; []: none.",
                examples=[["database"]],
            ),
        ]
        | None
    ) = None
    delay_before: (
        Annotated[
            Duration,
            Field(
                description="Pause before the first launch, counted from the moment the waves before it let it "
                "pass. Default: 30s, and 0s for a wave with none before it."
            ),
        ]
        | None
    ) = None
    next_wave_when: Annotated[
        Literal["started", "launched"],
        Field(
            description="The next wave may begin when all jobs of this one have left PENDING (started), or "
            "when all its servers are launched (launched)."
        ),
    ] = "started"
    launch: Annotated[
        LaunchOverrides,
        Field(
            description="Settings that differ from the plan's launch section.",
            examples=[{"job_timeout": "90m"}],
        ),
    ] = Field(default_factory=LaunchOverrides)


class Cleanup(_Part):
    """How what the drill launched is terminated again."""

    when: Annotated[
        Literal["always"],
        Field(description="always: whatever happened, the drill's instances are terminated."),
    ] = "always"
    timeout: Annotated[
        PositiveDuration,
        Field(description="Time for live jobs to end and for the instances to be terminated."),
    ] = timedelta(hours=2)


class Plan(_Part):
    """A recovery plan for AWS Elastic Disaster Recovery; one DAG rehearses it."""

    name: Annotated[
        str,
        Field(
            pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$",
            description="The plan's name, the same as the file's without its ending: lower-case letters, "
            "digits, - and _, at most 64 of them.",
            examples=["billing"],
        ),
    ]
    description: Annotated[str, Field(description="What the plan recovers, in a line.")] = ""
    owner: Annotated[NonEmpty, Field(description="Who answers for the plan, in Airflow too.")] = "drs-drills"
    dag_tags: Annotated[
        tuple[Annotated[str, Field(min_length=1, max_length=100)], ...],
        Field(description="Tags of the DAG in Airflow's list.", examples=[["tier-1"]]),
    ] = ()
    schedule: (
        Annotated[
            str,
            AfterValidator(checked_schedule),
            Field(
                description="When the drill runs by itself: cron with five fields, or @monthly and its like. "
                "Absent: only by hand.",
                examples=["0 6 1 * *"],
            ),
        ]
        | None
    ) = None
    timezone: Annotated[
        str,
        AfterValidator(checked_timezone),
        Field(description="The IANA time zone of the schedule.", examples=["Europe/Berlin"]),
    ] = "UTC"
    target: Annotated[
        Target,
        Field(
            description="The account and Region of the drill.",
            examples=[{"region": "us-east-1", "account_id": "111122223333"}],
        ),
    ]
    protection_groups: Annotated[
        Mapping[Name, ProtectionGroup],
        Field(
            description="Groups of servers, by name.",
            examples=[{"database": {"source_servers": ["s-3c1730a9e0771ea14"]}}],
            json_schema_extra={"additionalProperties": False},
        ),
    ]
    launch: Annotated[Launch, Field(description="How servers are launched; a wave may differ.")] = Launch()
    waves: Annotated[
        tuple[Wave, ...],
        Field(
            min_length=1,
            description="The waves, in the order in which they are launched.",
            examples=[[{"name": "database", "protection_groups": ["database"]}]],
        ),
    ]
    cleanup: Annotated[Cleanup, Field(description="The end of the drill.")] = Cleanup()

    @model_validator(mode="after")
    def _without_contradictions(self) -> Self:
        findings = list(contradictions(self))
        if findings:
            text = "; ".join(f"{finding.code}: {finding.message}" for finding in findings)
            raise PydanticCustomError(INCONSISTENT, "{findings}", {"findings": text})
        return self

    @cached_property
    def digest(self) -> str:
        """SHA-256 (hex) of what the plan says, defaults filled in: the same for the same drill, however
        the file is laid out.
        """
        content = self.model_dump(mode="json")
        canonical = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        return hashlib.sha256(canonical.encode()).hexdigest()

    def wave(self, name: str) -> Wave:
        """The wave of that name.

        :raises KeyError: if the plan has no such wave
        """
        return self.waves[self._position(name)]

    def launch_for(self, wave_name: str) -> Launch:
        """The plan's launch settings with the wave's own laid over them."""
        overrides = self.wave(wave_name).launch.model_dump(exclude_none=True)
        return self.launch.model_copy(update=overrides)

    def dependencies(self, wave_name: str) -> tuple[str, ...]:
        """The waves directly before this one: those it names, else the one above it in the file."""
        position = self._position(wave_name)
        named = self.waves[position].depends_on
        if named is not None:
            return named
        return (self.waves[position - 1].name,) if position else ()

    def delay_for(self, wave_name: str) -> timedelta:
        """The pause before the wave: its own, else 30 s, and none for a wave that nothing comes before."""
        own = self.wave(wave_name).delay_before
        if own is not None:
            return own
        return DELAY_BETWEEN_WAVES if self.dependencies(wave_name) else timedelta(0)

    def listed_servers(self, wave_name: str) -> tuple[str, ...]:
        """The servers that the plan itself names for this wave; those found by tags are not among them."""
        groups = (self.protection_groups[name] for name in self.wave(wave_name).protection_groups)
        return tuple(server for group in groups for server in group.source_servers or ())

    def _position(self, wave_name: str) -> int:
        for position, wave in enumerate(self.waves):
            if wave.name == wave_name:
                return position
        raise KeyError(wave_name)
