"""The types of the values in a plan, with the descriptions that editors and error messages show.

Editors also show the ``examples``. Messages never do: nobody should copy an example's account or server.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, JsonValue, StrictBool
from pydantic_core import PydanticCustomError

from drs.plan import regions
from drs.plan.durations import Duration, PositiveDuration
from drs.plan.near import shown
from drs.plan.plan_schedule import checked_schedule, checked_timezone

BAD_REGION = "plan_region"
"""The error type of a Region that does not exist."""
BAD_PARAMETER = "plan_parameter"
"""The error type of a parameter that cannot be written as JSON."""


def checked_json(value: object) -> object:
    """Return the value if it can be written as JSON. The tasks of a run pass the plan on as JSON.

    :raises PydanticCustomError: it cannot, as infinity; the context holds ``message`` and ``remedy``
    """
    try:
        json.dumps(value, allow_nan=False)
    except ValueError:
        context = {"message": "This holds a number that is not finite", "remedy": "Write a finite number."}
        raise PydanticCustomError(BAD_PARAMETER, "{message}", context) from None
    return value


def checked_region(name: str) -> str:
    """Return the name if AWS has, or may have, a Region of that name.

    :raises PydanticCustomError: it has none; the context holds ``message`` and ``remedy``
    """
    if regions.is_known(name) or regions.may_be_new(name):
        return name
    near = regions.nearest_regions(name)
    remedy = "Write the code of a Region, as AWS's console shows it beside the Region's name."
    if near:
        remedy = f"Did you mean region: {' or '.join(near)}?"
    context = {"message": f'There is no Region "{shown(name)}" in AWS', "remedy": remedy}
    raise PydanticCustomError(BAD_REGION, "{message}", context)


PLAN_NAME_PATTERN = r"^[a-z0-9][a-z0-9_-]{0,63}$"
NAME_PATTERN = r"^[a-zA-Z0-9_-]+$"
SERVER_ID_PATTERN = r"^s-[0-9a-f]{17}$"
SUBNET_PATTERN = r"^subnet-[0-9a-f]{8,17}$"
SECURITY_GROUP_PATTERN = r"^sg-[0-9a-f]{8,17}$"
REGION_PATTERN = r"^[a-z]+(-[a-z]+)+-[0-9]+$"
ACCOUNT_PATTERN = r"^[0-9]{12}$"
TOPIC_PATTERN = r"^arn:aws[a-z-]*:sns:[a-z0-9-]+:[0-9]{12}:[A-Za-z0-9_-]{1,256}$"
DOTTED_PATTERN = r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)+$"
PATH_PATTERN = r"^/\S*$"
DOCUMENT_PATTERN = r"^[a-zA-Z0-9_.:/-]{3,128}$"

ServerId = Annotated[
    str,
    Field(
        pattern=SERVER_ID_PATTERN,
        description='The id of a DRS source server: "s-" and 17 hexadecimal digits in lower case.',
        examples=["s-3c1730a9e0771ea14"],
    ),
]
Name = Annotated[
    str,
    Field(
        # A wave's name becomes the id of a task group in Airflow.
        pattern=NAME_PATTERN,
        max_length=64,
        description="A name of letters, digits, - and _, at most 64 characters.",
        examples=["database"],
    ),
]

# The plan
PlanName = Annotated[
    str,
    Field(
        pattern=PLAN_NAME_PATTERN,
        description="The plan's name: the file's name without its suffix. Lower-case letters, digits, - "
        "and _, at most 64 characters.",
        examples=["billing"],
    ),
]
Description = Annotated[
    str,
    Field(description="What the plan recovers, in one line.", examples=["Billing, three tiers"]),
]
Owner = Annotated[
    str, Field(min_length=1, description="The person or team responsible for the plan; Airflow shows it.")
]
DagTags = Annotated[
    tuple[Annotated[str, Field(min_length=1, max_length=100, examples=["tier-1"])], ...],
    Field(description="The DAG's tags in Airflow's list of DAGs.", examples=[["tier-1"]]),
]
Schedule = Annotated[
    str,
    AfterValidator(checked_schedule),
    Field(
        description="When the drill runs by itself: a cron expression of five fields, or a preset such as "
        "@monthly. Without it, drills are only started by hand.",
        examples=["0 6 1 * *"],
    ),
]
TimeZone = Annotated[
    str,
    AfterValidator(checked_timezone),
    Field(description="The IANA time zone in which the schedule is written.", examples=["Europe/Berlin"]),
]

# Its target
Region = Annotated[
    str,
    Field(
        pattern=REGION_PATTERN,
        description="The AWS Region of the drill.",
        examples=["us-east-1"],
    ),
    AfterValidator(checked_region),
]
AccountId = Annotated[
    str,
    Field(
        pattern=ACCOUNT_PATTERN,
        description="The AWS account of the drill: 12 digits, in quotes. The drill refuses to run in any "
        "other account.",
        examples=["111122223333"],
    ),
]
ConnectionId = Annotated[
    str,
    Field(
        min_length=1,
        description="The Airflow connection to AWS. A role in another account is configured in the "
        "connection.",
    ),
]

AllowRecovery = Annotated[
    StrictBool,
    Field(
        description="true: a run that is started by hand may be a real recovery (isDrill false), after "
        "approval.",
        examples=[True],
    ),
]

# Its objectives
Rto = Annotated[
    PositiveDuration,
    Field(
        description="Recovery time objective: the time from the drill's start until its last server is up. A "
        "notification is sent if this time passes before all waves are up.",
        examples=["1h"],
    ),
]
Rpo = Annotated[
    PositiveDuration,
    Field(
        description="Recovery point objective: the greatest age that a recovery point may have.",
        examples=["15m"],
    ),
]
Enforce = Annotated[
    StrictBool,
    Field(
        description="true: a run that misses a measured objective fails, with RTO_MISSED or RPO_MISSED. "
        "Otherwise a missed objective is only reported.",
        examples=[True],
    ),
]

# Its network
SubnetId = Annotated[
    str,
    Field(
        pattern=SUBNET_PATTERN,
        description="The id of an EC2 subnet.",
        examples=["subnet-0a1b2c3d4e5f60718"],
    ),
]
SecurityGroupId = Annotated[
    str,
    Field(
        pattern=SECURITY_GROUP_PATTERN,
        description="The id of an EC2 security group.",
        examples=["sg-0a1b2c3d4e5f60718"],
    ),
]
AllowedSubnets = Annotated[
    tuple[SubnetId, ...],
    Field(
        description="The subnets in which servers may be launched. []: any subnet.",
        examples=[["subnet-0a1b2c3d4e5f60718"]],
    ),
]
AllowedSecurityGroups = Annotated[
    tuple[SecurityGroupId, ...],
    Field(
        description="The security groups that launched servers may have. []: any security group.",
        examples=[["sg-0a1b2c3d4e5f60718"]],
    ),
]

# Its protection groups
SourceServers = Annotated[
    tuple[ServerId, ...],
    Field(
        min_length=1,
        description="The ids of the servers. Give either this or server_tags.",
        examples=[["s-3c1730a9e0771ea14"]],
    ),
]
TagKey = Annotated[str, Field(min_length=1, max_length=128, description="A tag's key: 1 to 128 characters.")]
TagValue = Annotated[str, Field(max_length=256, examples=["web"])]
ServerTags = Annotated[
    Mapping[TagKey, TagValue],
    Field(
        min_length=1,
        description="The tags of the servers: a server belongs to the group if it has all of them. Every run "
        "looks the servers up once. Give either this or source_servers.",
        examples=[{"Application": "billing", "Tier": "web"}],
    ),
]
Optional = Annotated[
    StrictBool,
    Field(
        description="true: a failure of these servers is only a warning and never stops the drill.",
        examples=[True],
    ),
]

# How servers are launched
Jobs = Annotated[
    Literal["per_server", "per_wave"],
    Field(
        description="per_server: one DRS job for each server, started server_delay apart (at most 20 "
        "servers in a wave). per_wave: one DRS job for the whole wave (at most 100 servers)."
    ),
]
ServerDelay = Annotated[
    Duration, Field(description="The pause after the launch of one server of a wave, before the next.")
]
ConflictBackoff = Annotated[
    tuple[PositiveDuration, ...],
    Field(
        min_length=1,
        description="The pauses before each new attempt to launch a server that another job holds. The "
        "last one repeats.",
        examples=[["30s", "60s", "120s"]],
    ),
]
ConflictTimeout = Annotated[
    Duration,
    Field(
        description="How long the launch of a server that another job holds is attempted before the wave "
        "fails."
    ),
]
StartTimeout = Annotated[
    PositiveDuration, Field(description="The time within which a job must leave the status PENDING.")
]
JobTimeout = Annotated[
    PositiveDuration,
    Field(description="The time within which a job must complete, counted from its creation."),
]
ForeignDrillGrace = Annotated[
    Duration,
    Field(
        description="For how long after its launch a drill instance of unknown origin (started in the "
        "console, by another Airflow, or without tags) holds its server. After that a drill replaces it."
    ),
]

# Waves
WaveName = Annotated[Name, Field(description="The wave's name; no other wave of the plan may have it.")]
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
        description="The waves that must come before this one. Default: the wave above in the file. []: no "
        "wave.",
        examples=[["database"]],
    ),
]
DelayBefore = Annotated[
    Duration,
    Field(
        description="The pause before the wave's first launch, counted from the moment at which the waves "
        "that it depends on allow it to begin. Default: 30s; 0s for a wave that depends on no wave."
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
ApprovalTimeout = Annotated[PositiveDuration, Field(description="How long people have to answer.")]
OnTimeout = Annotated[
    Literal["reject", "approve"],
    Field(
        description="What happens when nobody answers in time. A real recovery is never approved this way."
    ),
]
Approvers = Annotated[
    tuple[Annotated[str, Field(min_length=1, examples=["alice"])], ...],
    Field(
        description="The Airflow users who may answer. []: anyone with permission in Airflow.",
        examples=[["alice"]],
    ),
]
Skippable = Annotated[
    StrictBool,
    Field(description="true: the run parameter skip_approvals skips this approval.", examples=[True]),
]

# Clean-up
CleanupWhen = Annotated[
    Literal["always", "on_success", "after_approval", "never"],
    Field(
        description="When the drill's instances are terminated. always: after every run, whatever its "
        "result. on_success: only if every wave passed. after_approval: after a person approves, or when "
        "nobody answers in time. never: they are kept."
    ),
]
KeepFor = Annotated[
    Duration,
    Field(
        description="How long the instances are kept before they are terminated, counted from the end of the "
        "last wave. Only if all waves passed.",
        examples=["10m"],
    ),
]
CleanupTimeout = Annotated[
    PositiveDuration,
    Field(description="The time within which live jobs must end and the instances must be terminated."),
]
CleanupApprovalTimeout = Annotated[
    PositiveDuration,
    Field(
        description="With after_approval: how long people have to answer. Without an answer, the instances "
        "are terminated.",
        examples=["24h"],
    ),
]

# Notifications
TopicArn = Annotated[
    str,
    Field(
        pattern=TOPIC_PATTERN,
        description="The ARN of the SNS topic to which the drill's notifications are sent. Not a FIFO topic.",
        examples=["arn:aws:sns:eu-central-1:111122223333:dr-drills"],
    ),
]
DottedPath = Annotated[
    str,
    Field(
        pattern=DOTTED_PATTERN,
        description="The dotted path of a Python object that Airflow's processes can import.",
        examples=["airflow.providers.slack.notifications.slack_webhook.SlackWebhookNotifier"],
    ),
]
ParameterName = Annotated[str, Field(min_length=1, description="A parameter's name: at least one character.")]
Parameters = Annotated[
    Mapping[
        ParameterName,
        Annotated[JsonValue, AfterValidator(checked_json), Field(examples=["text"])],
    ],
    Field(
        description="The keyword arguments of the notifier or function.",
        examples=[{"text": "{{ drs.message }}"}],
    ),
]
