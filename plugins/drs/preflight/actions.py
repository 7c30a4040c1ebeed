"""Which permissions a run needs, as data: for the calls of drs-drills, and for those that DRS makes itself.

DRS makes its calls with the permissions of its caller. The policies in ``include/iam`` and the permission
rehearsal are both made from these rows. The dependent actions of StartRecovery and
TerminateRecoveryInstances, and the resource types, come from the Service Authorization Reference. The
conditions come from AWS's own policy AWSElasticDisasterRecoveryConsoleFullAccess_v2. An EC2 resource belongs
to DRS if it *has* the tag AWSElasticDisasterRecoveryManaged: a condition on the tag's value breaks launches.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from drs.aws.kms import ACTIONS
from drs.aws.metrics import NAMESPACE
from drs.preflight.inputs import PreflightInputs

MANAGED = "AWSElasticDisasterRecoveryManaged"
EVERYTHING = "*"
"""The resource of actions that IAM cannot restrict to single resources."""


class Condition(NamedTuple):
    """One condition of a statement: operator, context key and value, as IAM writes them."""

    operator: str
    key: str
    value: str


VIA_DRS = Condition("Bool", "aws:ViaAWSService", "true")
TAGGED = Condition("Null", f"aws:ResourceTag/{MANAGED}", "false")
TAGGED_IN_EC2 = Condition("Null", f"ec2:ResourceTag/{MANAGED}", "false")
TO_BE_TAGGED = Condition("Null", f"aws:RequestTag/{MANAGED}", "false")
TO_EC2 = Condition("StringEquals", "iam:PassedToService", "ec2.amazonaws.com")


def _creating(action: str) -> Condition:
    return Condition("StringEquals", "ec2:CreateAction", action)


@dataclass(frozen=True, slots=True)
class Grant:
    """Actions that a run needs. It needs each of them on each kind of resource in ``on``.

    :param why: what the run uses the actions for
    :param actions: the actions, as IAM names them
    :param on: the kinds of resources, as keys of :data:`RESOURCES`
    :param conditions: the conditions of the Allow statement; all of them must be met
    :param by: who makes the calls: ``us`` (drs-drills), or ``DRS`` with the caller's permissions
    :param when: which runs need the actions
    :param required: false if a run can do without the actions
    """

    why: str
    actions: tuple[str, ...]
    on: tuple[str, ...] = (EVERYTHING,)
    conditions: tuple[Condition, ...] = ()
    by: Literal["us", "DRS"] = "us"
    when: Literal["always", "drill", "recovery_point", "instance_status", "ssm"] = "always"
    required: bool = True

    def is_needed(self, inputs: PreflightInputs) -> bool:
        """Whether this run needs the actions."""
        if self.when == "drill":
            return inputs.execution_type == "DRILL"
        if self.when == "recovery_point":
            return inputs.recovery_point is not None
        return self.when == "always" or self.when in inputs.checks


RESOURCES = {
    EVERYTHING: "*",
    "source-server": "arn:aws:drs:*:*:source-server/*",
    "recovery-instance": "arn:aws:drs:*:*:recovery-instance/*",
    "job": "arn:aws:drs:*:*:job/*",
    "key": "arn:aws:kms:*:*:key/*",
    "document": "arn:aws:ssm:*:*:document/*",
    "topic": "arn:aws:sns:*:*:*",
    **{
        kind: f"arn:aws:ec2:*:*:{kind}/*"
        for kind in (
            "image",
            "instance",
            "launch-template",
            "network-interface",
            "security-group",
            "snapshot",
            "subnet",
            "volume",
        )
    },
    **{
        role: f"arn:aws:iam::*:role/service-role/AWSElasticDisasterRecovery{role}"
        for role in ("ConversionServerRole", "RecoveryInstanceRole", "RecoveryInstanceWithLaunchActionsRole")
    },
}
"""How a policy names the resources of each kind."""

IDENTITY = Grant("compares the caller's account with the plan's", ("sts:GetCallerIdentity",))
REHEARSAL = Grant("asks IAM what the caller may do", ("iam:SimulatePrincipalPolicy",))
READS = (
    Grant(
        "finds the servers, and what would stop their launch",
        (
            "drs:DescribeJobs",
            "drs:DescribeRecoveryInstances",
            "drs:DescribeSourceServers",
            "drs:ListRecoveryPlanExecutionSteps",
            "drs:ListRecoveryPlanExecutions",
            "ec2:DescribeLaunchTemplateVersions",
            "ec2:DescribeSecurityGroups",
            "ec2:DescribeSubnets",
        ),
    ),
    Grant("sees where a launch would land", ("drs:GetLaunchConfiguration",), ("source-server",)),
    Grant(
        "finds the snapshots of the time asked for",
        ("drs:DescribeRecoverySnapshots",),
        ("source-server",),
        when="recovery_point",
    ),
    Grant("reads what DRS writes about a job", ("drs:DescribeJobLogItems",), ("job",)),
)
LISTED = Grant("sees which launched instances exist, and which are gone", ("ec2:DescribeInstances",))
WRITES = (
    Grant("launches the servers", ("drs:StartRecovery",), ("source-server",)),
    Grant(
        "tags the jobs of the run; without tags, a run to which a reply of DRS is lost cannot know its own "
        "job, and fails",
        ("drs:TagResource",),
        ("job",),
        required=False,
    ),
    Grant(
        "terminates what the drill launched",
        ("drs:TerminateRecoveryInstances",),
        ("recovery-instance",),
        when="drill",
    ),
    LISTED,
)
STATUS_CHECKS = Grant("sees EC2's status checks", ("ec2:DescribeInstanceStatus",), when="instance_status")
COMMANDS = (
    # Only on instances of DRS: the role must not run commands on other instances of the account.
    Grant("runs commands on launched instances", ("ssm:SendCommand",), ("instance",), (TAGGED,), when="ssm"),
    Grant("runs the documents of these commands", ("ssm:SendCommand",), ("document",), when="ssm"),
    Grant("reads the results of the commands", ("ssm:GetCommandInvocation", "ssm:ListCommands"), when="ssm"),
)
"""What checks of type ``ssm`` call. It is a separate policy, because most roles need not run commands."""
IN_OUR_NAMESPACE = Condition("StringEquals", "cloudwatch:namespace", NAMESPACE)
REPORTS = (
    Grant("writes the drill's metrics", ("cloudwatch:PutMetricData",), conditions=(IN_OUR_NAMESPACE,)),
    Grant("publishes the drill's messages to the plan's topic", ("sns:Publish",), ("topic",)),
)
"""What a drill reports while it runs. It is a separate policy, because IAM limits the length of a policy. It
is not rehearsed: a message or a metric that AWS refuses is logged as a warning and fails nothing, and a topic
may have a connection of its own, which means another caller."""
SIGNING = (Grant("signs the records of runs", ACTIONS, ("key",)),)
"""What signs records, if the setting ``evidence_kms_key_id`` names a key. The caller is the worker or the
connection ``evidence_conn_id``, and not the plan's role, so it is a separate policy."""
DIRECT = (IDENTITY, REHEARSAL, *READS, *WRITES, STATUS_CHECKS, *COMMANDS)
"""The actions that drs-drills itself calls."""


def _drs(
    why: str, actions: Sequence[str], on: Sequence[str] = (EVERYTHING,), *conditions: Condition
) -> Grant:
    return Grant(why, tuple(actions), tuple(on), conditions, by="DRS")


FORWARDED = (
    _drs("copies a server's tags", ["drs:ListTagsForResource"]),
    _drs("records the recovery instance", ["drs:CreateRecoveryInstanceForDrs"], ["source-server"]),
    _drs(
        "reads the account's EC2 resources",
        [
            "ec2:DescribeAccountAttributes",
            "ec2:DescribeAvailabilityZones",
            "ec2:DescribeImages",
            "ec2:DescribeInstanceAttribute",
            "ec2:DescribeInstanceStatus",
            "ec2:DescribeInstanceTypes",
            "ec2:DescribeInstances",
            "ec2:DescribeLaunchTemplateVersions",
            "ec2:DescribeLaunchTemplates",
            "ec2:DescribeSecurityGroups",
            "ec2:DescribeSnapshots",
            "ec2:DescribeSubnets",
            "ec2:DescribeVolumes",
        ],
    ),
    _drs("creates launch templates", ["ec2:CreateLaunchTemplate"], ["launch-template"], TO_BE_TAGGED),
    _drs(
        "tags its launch templates",
        ["ec2:CreateTags"],
        ["launch-template"],
        _creating("CreateLaunchTemplate"),
    ),
    _drs(
        "changes its launch templates",
        ["ec2:CreateLaunchTemplateVersion", "ec2:DeleteLaunchTemplateVersions", "ec2:ModifyLaunchTemplate"],
        ["launch-template"],
        TAGGED,
    ),
    _drs(
        "changes its security groups",
        [
            "ec2:AuthorizeSecurityGroupEgress",
            "ec2:AuthorizeSecurityGroupIngress",
            "ec2:RevokeSecurityGroupEgress",
        ],
        ["security-group"],
        VIA_DRS,
        TAGGED,
    ),
    _drs("creates snapshots", ["ec2:CreateSnapshot"], ["snapshot"], VIA_DRS, TO_BE_TAGGED),
    _drs("takes snapshots of its volumes", ["ec2:CreateSnapshot"], ["volume"], VIA_DRS, TAGGED_IN_EC2),
    _drs(
        "tags its snapshots",
        ["ec2:CreateTags"],
        ["snapshot"],
        VIA_DRS,
        _creating("CreateSnapshot"),
    ),
    _drs("deletes its snapshots", ["ec2:DeleteSnapshot"], ["snapshot"], VIA_DRS, TAGGED),
    _drs("creates volumes", ["ec2:CreateVolume"], ["volume"], VIA_DRS, TO_BE_TAGGED),
    _drs("creates volumes from its snapshots", ["ec2:CreateVolume"], ["snapshot"], VIA_DRS, TAGGED),
    _drs("tags its volumes", ["ec2:CreateTags"], ["volume"], VIA_DRS, _creating("CreateVolume")),
    _drs("deletes its volumes", ["ec2:DeleteVolume"], ["volume"], VIA_DRS, TAGGED),
    _drs(
        "attaches and detaches disks",
        ["ec2:AttachVolume", "ec2:DetachVolume"],
        ["instance"],
        VIA_DRS,
        TAGGED_IN_EC2,
    ),
    _drs("attaches its volumes", ["ec2:AttachVolume"], ["volume"], VIA_DRS, TAGGED_IN_EC2),
    _drs("detaches volumes", ["ec2:DetachVolume"], ["volume"], VIA_DRS),
    _drs("launches instances", ["ec2:RunInstances"], ["instance"], VIA_DRS, TO_BE_TAGGED),
    _drs(
        "launches instances from these resources",
        ["ec2:RunInstances"],
        ["image", "launch-template", "network-interface", "security-group", "subnet", "volume"],
        VIA_DRS,
    ),
    _drs(
        "tags them at the launch",
        ["ec2:CreateTags"],
        ["instance", "volume"],
        VIA_DRS,
        _creating("RunInstances"),
    ),
    _drs(
        "changes, starts, stops and terminates its instances",
        ["ec2:ModifyInstanceAttribute", "ec2:StartInstances", "ec2:StopInstances", "ec2:TerminateInstances"],
        ["instance"],
        VIA_DRS,
        TAGGED,
    ),
    _drs(
        "gives its instances their roles",
        ["iam:PassRole"],
        ["ConversionServerRole", "RecoveryInstanceRole", "RecoveryInstanceWithLaunchActionsRole"],
        TO_EC2,
    ),
)
"""What DRS does with the caller's permissions during a launch. A termination needs only some of it.
A missing permission shows only minutes later, inside the job."""

POLICIES = {
    "drill": (IDENTITY, REHEARSAL, *READS, *WRITES, STATUS_CHECKS, *FORWARDED),
    "ssm-checks": COMMANDS,
    "reporting": REPORTS,
    "evidence-signing": SIGNING,
    "readonly": (IDENTITY, REHEARSAL, *READS, LISTED),
}
"""The policies in ``include/iam``. A real recovery needs the same as a drill: no condition key of IAM
distinguishes the two. ``readonly`` has everything that ``doctor`` calls."""


def document(grants: Iterable[Grant], partition: str = "aws") -> dict[str, Any]:
    """A complete IAM policy that allows these grants.

    Grants with the same caller, resources and conditions become one statement, because IAM limits the
    length of a policy.

    :param partition: the partition of the ARNs: ``aws``, ``aws-us-gov``, ``aws-cn``
    """
    actions: dict[tuple[str, tuple[str, ...], tuple[Condition, ...]], list[str]] = {}
    for grant in grants:
        actions.setdefault((grant.by, grant.on, grant.conditions), []).extend(grant.actions)
    statements = []
    for number, ((by, on, conditions), named) in enumerate(actions.items(), start=1):
        resources = [RESOURCES[kind].replace("arn:aws:", f"arn:{partition}:") for kind in on]
        condition: dict[str, dict[str, str]] = {}
        for operator, key, value in conditions:
            condition.setdefault(operator, {})[key] = value
        statements.append(
            {
                "Sid": f"{'Drill' if by == 'us' else 'DrsForDrill'}{number}",
                "Effect": "Allow",
                "Action": named,
                "Resource": resources[0] if len(resources) == 1 else resources,
                **({"Condition": condition} if condition else {}),
            }
        )
    return {"Version": "2012-10-17", "Statement": statements}
