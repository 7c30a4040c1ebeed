"""The kinds of values in a plan: what is allowed, and the words with which editors and messages explain it.

The first of a field's ``examples`` is what an error message suggests to write.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, JsonValue, StrictBool
from pydantic_core import PydanticCustomError

from drs.plan.durations import Duration, PositiveDuration
from drs.plan.schedule import checked_schedule, checked_timezone

BAD_PARAMETER = "plan_parameter"
"""The error type of a parameter that JSON cannot hold."""


def checked_json(value: object) -> object:
    """The value, if JSON can hold it: between the tasks of a run a plan is JSON, which knows no infinity.

    :raises PydanticCustomError: it cannot; the context holds ``message`` and ``remedy``
    """
    try:
        json.dumps(value, allow_nan=False)
    except ValueError:
        context = {"message": "This holds a number that is not finite", "remedy": "Write a finite number."}
        raise PydanticCustomError(BAD_PARAMETER, "{message}", context) from None
    return value


PLAN_NAME_PATTERN = r"^[a-z0-9][a-z0-9_-]{0,63}$"

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

# The plan
PlanName = Annotated[
    str,
    Field(
        pattern=PLAN_NAME_PATTERN,
        description="The plan's name, the same as the file's without its ending: lower-case letters, digits, "
        "- and _, at most 64 of them.",
        examples=["billing"],
    ),
]
Description = Annotated[
    str,
    Field(description="What the plan recovers, in a line.", examples=["Billing, three tiers"]),
]
Owner = Annotated[str, Field(min_length=1, description="Who answers for the plan; Airflow shows it.")]
DagTags = Annotated[
    tuple[Annotated[str, Field(min_length=1, max_length=100, examples=["tier-1"])], ...],
    Field(description="Tags of the DAG in Airflow's list.", examples=[["tier-1"]]),
]
Schedule = Annotated[
    str,
    AfterValidator(checked_schedule),
    Field(
        description="When the drill runs by itself: cron with five fields, or @monthly and its like. "
        "Absent: only by hand.",
        examples=["0 6 1 * *"],
    ),
]
TimeZone = Annotated[
    str,
    AfterValidator(checked_timezone),
    Field(description="The IANA time zone of the schedule.", examples=["Europe/Berlin"]),
]

# Its target
Region = Annotated[
    str,
    Field(
        pattern=r"^[a-z]+(-[a-z]+)+-[0-9]+$",
        description="The AWS Region of the drill.",
        examples=["us-east-1"],
    ),
]
AccountId = Annotated[
    str,
    Field(
        pattern=r"^[0-9]{12}$",
        description="The AWS account of the drill: 12 digits, in quotes. Any other account is refused.",
        examples=["111122223333"],
    ),
]
ConnectionId = Annotated[
    str,
    Field(
        min_length=1,
        description="The Airflow connection; a role in another account is configured there.",
    ),
]

AllowRecovery = Annotated[
    StrictBool,
    Field(
        description="Whether a run started by hand may be a real recovery (isDrill false), once approved.",
        examples=[True],
    ),
]

# Its objectives
Rto = Annotated[
    PositiveDuration,
    Field(
        description="Recovery time objective: from the drill's start to its last server. People are told if "
        "it goes by before all waves are up.",
        examples=["1h"],
    ),
]
Rpo = Annotated[
    PositiveDuration,
    Field(description="Recovery point objective: how old a recovery point may be.", examples=["15m"]),
]

# Its network
SubnetId = Annotated[
    str,
    Field(
        pattern=r"^subnet-[0-9a-f]{8,17}$",
        description="The id of an EC2 subnet.",
        examples=["subnet-0a1b2c3d4e5f60718"],
    ),
]
SecurityGroupId = Annotated[
    str,
    Field(
        pattern=r"^sg-[0-9a-f]{8,17}$",
        description="The id of an EC2 security group.",
        examples=["sg-0a1b2c3d4e5f60718"],
    ),
]
AllowedSubnets = Annotated[
    tuple[SubnetId, ...],
    Field(
        description="The subnets in which servers may be launched; []: any.",
        examples=[["subnet-0a1b2c3d4e5f60718"]],
    ),
]
AllowedSecurityGroups = Annotated[
    tuple[SecurityGroupId, ...],
    Field(
        description="The security groups that launched servers may have; []: any.",
        examples=[["sg-0a1b2c3d4e5f60718"]],
    ),
]

# Its protection groups
SourceServers = Annotated[
    tuple[ServerId, ...],
    Field(
        min_length=1,
        description="The servers' ids. Either this or server_tags.",
        examples=[["s-3c1730a9e0771ea14"]],
    ),
]
TagKey = Annotated[
    str, Field(min_length=1, max_length=128, description="A tag's key, of 1 to 128 characters.")
]
TagValue = Annotated[str, Field(max_length=256, examples=["web"])]
ServerTags = Annotated[
    Mapping[TagKey, TagValue],
    Field(
        min_length=1,
        description="Tags that a server must all carry; looked up once in every run. "
        "Either this or source_servers.",
        examples=[{"Application": "billing", "Tier": "web"}],
    ),
]
Optional = Annotated[
    StrictBool,
    Field(description="What befalls these servers is a warning and never stops the drill.", examples=[True]),
]

# How servers are launched
Jobs = Annotated[
    Literal["per_server", "per_wave"],
    Field(
        description="per_server: one DRS job for each server, server_delay apart (at most 20 servers). "
        "per_wave: one DRS job for the whole wave (at most 100)."
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

# Waves
WaveName = Annotated[Name, Field(description="The wave's name, unlike any other's in the plan.")]
WaveGroups = Annotated[
    tuple[Name, ...],
    Field(
        min_length=1,
        description="The protection groups that this wave launches.",
        examples=[["database"]],
    ),
]
DependsOn = Annotated[
    tuple[Name, ...],
    Field(
        description="The waves that come before. Default: the wave above in the file; []: none.",
        examples=[["database"]],
    ),
]
DelayBefore = Annotated[
    Duration,
    Field(
        description="Pause before the first launch, counted from the moment when the waves before it let "
        "it pass. Default: 30s, and 0s for a wave with none before it."
    ),
]
NextWaveWhen = Annotated[
    Literal["started", "launched", "validated"],
    Field(
        description="The next wave may begin when all jobs of this one have left PENDING (started), when "
        "all its servers are launched (launched), or when they have passed their checks (validated)."
    ),
]

# A wave's approval
ApprovalTimeout = Annotated[PositiveDuration, Field(description="How long somebody has to answer.")]
OnTimeout = Annotated[
    Literal["reject", "approve"],
    Field(description="What an unanswered question means. A real recovery is never approved by silence."),
]
Approvers = Annotated[
    tuple[Annotated[str, Field(min_length=1, examples=["alice"])], ...],
    Field(
        description="The Airflow users who may answer; []: whoever Airflow lets.",
        examples=[["alice"]],
    ),
]
Skippable = Annotated[
    StrictBool,
    Field(description="Whether the run parameter skip_approvals may pass this approval by.", examples=[True]),
]

# Clean-up
CleanupWhen = Annotated[
    Literal["always", "on_success", "after_approval", "never"],
    Field(
        description="When the drill's instances are terminated. always: whatever happened. on_success: only "
        "if every wave passed. after_approval: once a person agrees, or nobody answers. never: not at all."
    ),
]
KeepFor = Annotated[
    Duration,
    Field(
        description="How long the instances of a drill whose waves all passed are kept before they are "
        "terminated, counted from the end of the last wave.",
        examples=["10m"],
    ),
]
CleanupTimeout = Annotated[
    PositiveDuration,
    Field(description="Time for live jobs to end and for the instances to be terminated."),
]
CleanupApprovalTimeout = Annotated[
    PositiveDuration,
    Field(
        description="With after_approval: how long somebody has to answer. Without an answer the instances "
        "are terminated.",
        examples=["24h"],
    ),
]

# Notifications
TopicArn = Annotated[
    str,
    Field(
        pattern=r"^arn:aws[a-z-]*:sns:[a-z0-9-]+:[0-9]{12}:[A-Za-z0-9_-]{1,256}$",
        description="The ARN of the SNS topic that is told of the drill's course; no FIFO topic.",
        examples=["arn:aws:sns:eu-central-1:111122223333:dr-drills"],
    ),
]
DottedPath = Annotated[
    str,
    Field(
        pattern=r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)+$",
        description="The dotted path of a Python object that Airflow's processes can import.",
        examples=["airflow.providers.slack.notifications.slack_webhook.SlackWebhookNotifier"],
    ),
]
ParameterName = Annotated[str, Field(min_length=1, description="A parameter's name, at least one character.")]
Parameters = Annotated[
    Mapping[
        ParameterName,
        Annotated[JsonValue, AfterValidator(checked_json), Field(examples=["text"])],
    ],
    Field(description="Its keyword arguments.", examples=[{"text": "{{ drs.message }}"}]),
]
