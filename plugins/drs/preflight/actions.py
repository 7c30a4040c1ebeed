"""Which permissions a run needs, as data: what drs-drills calls itself, and what DRS does with the caller's.

The policies in ``include/iam`` and the rehearsal are both made of these rows. What StartRecovery and
TerminateRecoveryInstances depend on, and the resource types, are those of the Service Authorization
Reference; the conditions are those of AWS's own policy AWSElasticDisasterRecoveryConsoleFullAccess_v2. An EC2
resource of DRS is known by *having* the tag AWSElasticDisasterRecoveryManaged: a condition on its value
breaks launches.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from drs.aws.metrics import NAMESPACE
from drs.preflight.inputs import PreflightInputs

MANAGED = "AWSElasticDisasterRecoveryManaged"
EVERYTHING = "*"
"""The resource of actions that IAM does not narrow."""


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
    """Some actions that a run needs, each of them on each of these resources.

    :param why: what for
    :param actions: IAM's names
    :param on: kinds of resources: keys of :data:`RESOURCES`
    :param conditions: all must be met
    :param by: who makes the calls: we, or DRS with the caller's own permissions
    :param when: which runs need it
    :param required: a run can do without one that is not
    """

    why: str
    actions: tuple[str, ...]
    on: tuple[str, ...] = (EVERYTHING,)
    conditions: tuple[Condition, ...] = ()
    by: Literal["us", "DRS"] = "us"
    when: Literal["always", "drill", "recovery_point", "instance_status", "ssm"] = "always"
    required: bool = True

    def is_needed(self, question: PreflightInputs) -> bool:
        """Whether the run that is asked about needs it."""
        if self.when == "drill":
            return question.execution_type == "DRILL"
        if self.when == "recovery_point":
            return question.recovery_point is not None
        return self.when == "always" or self.when in question.checks


RESOURCES = {
    EVERYTHING: "*",
    "source-server": "arn:aws:drs:*:*:source-server/*",
    "recovery-instance": "arn:aws:drs:*:*:recovery-instance/*",
    "job": "arn:aws:drs:*:*:job/*",
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
"""The resources of policies, by their kind."""

IDENTITY = Grant("compares the caller's account with the plan's", ("sts:GetCallerIdentity",))
REHEARSAL = Grant("asks IAM what the caller may do", ("iam:SimulatePrincipalPolicy",))
READS = (
    Grant(
        "finds the servers, and whatever stands in their way",
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
    Grant("tells what DRS writes about a job", ("drs:DescribeJobLogItems",), ("job",)),
)
WRITES = (
    Grant("launches the servers", ("drs:StartRecovery",), ("source-server",)),
    Grant(
        "marks the run's jobs as its own, which are otherwise told by their servers and time",
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
    Grant("sees launched instances in their place, and terminated ones gone", ("ec2:DescribeInstances",)),
)
STATUS_CHECKS = Grant("sees EC2's status checks", ("ec2:DescribeInstanceStatus",), when="instance_status")
COMMANDS = (
    # On instances of DRS alone: the same role must not run commands on whatever else there is.
    Grant("runs commands on launched instances", ("ssm:SendCommand",), ("instance",), (TAGGED,), when="ssm"),
    Grant("by their documents", ("ssm:SendCommand",), ("document",), when="ssm"),
    Grant("reads how they went", ("ssm:GetCommandInvocation", "ssm:ListCommands"), when="ssm"),
)
"""What the checks of type ``ssm`` call: a policy of its own, since most roles need not run commands."""
NAMED = Condition("StringEquals", "cloudwatch:namespace", NAMESPACE)
REPORTS = (
    Grant("puts the drill's measures", ("cloudwatch:PutMetricData",), conditions=(NAMED,)),
    Grant("tells the plan's topic of the drill", ("sns:Publish",), ("topic",)),
)
"""What is done beside a drill: a policy of its own, since IAM counts a policy's characters. It is not
rehearsed: a message or a measure that is refused is remarked and fails nothing, and a topic may have a
connection, so another caller, of its own."""
DIRECT = (IDENTITY, REHEARSAL, *READS, *WRITES, STATUS_CHECKS, *COMMANDS)
"""What our own code calls."""


def _drs(
    why: str, actions: Sequence[str], on: Sequence[str] = (EVERYTHING,), *conditions: Condition
) -> Grant:
    return Grant(why, tuple(actions), tuple(on), conditions, by="DRS")


FORWARDED = (
    _drs("copies a server's tags", ["drs:ListTagsForResource"]),
    _drs("records the recovery instance", ["drs:CreateRecoveryInstanceForDrs"], ["source-server"]),
    _drs(
        "looks around",
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
    _drs("makes launch templates", ["ec2:CreateLaunchTemplate"], ["launch-template"], TO_BE_TAGGED),
    _drs("tags them", ["ec2:CreateTags"], ["launch-template"], _creating("CreateLaunchTemplate")),
    _drs(
        "keeps launch templates",
        ["ec2:CreateLaunchTemplateVersion", "ec2:DeleteLaunchTemplateVersions", "ec2:ModifyLaunchTemplate"],
        ["launch-template"],
        TAGGED,
    ),
    _drs(
        "keeps its security groups",
        [
            "ec2:AuthorizeSecurityGroupEgress",
            "ec2:AuthorizeSecurityGroupIngress",
            "ec2:RevokeSecurityGroupEgress",
        ],
        ["security-group"],
        VIA_DRS,
        TAGGED,
    ),
    _drs("makes snapshots", ["ec2:CreateSnapshot"], ["snapshot"], VIA_DRS, TO_BE_TAGGED),
    _drs("of its volumes", ["ec2:CreateSnapshot"], ["volume"], VIA_DRS, TAGGED_IN_EC2),
    _drs("tags them", ["ec2:CreateTags"], ["snapshot"], VIA_DRS, _creating("CreateSnapshot")),
    _drs("deletes its snapshots", ["ec2:DeleteSnapshot"], ["snapshot"], VIA_DRS, TAGGED),
    _drs("makes volumes", ["ec2:CreateVolume"], ["volume"], VIA_DRS, TO_BE_TAGGED),
    _drs("of its snapshots", ["ec2:CreateVolume"], ["snapshot"], VIA_DRS, TAGGED),
    _drs("tags them", ["ec2:CreateTags"], ["volume"], VIA_DRS, _creating("CreateVolume")),
    _drs("deletes its volumes", ["ec2:DeleteVolume"], ["volume"], VIA_DRS, TAGGED),
    _drs("moves volumes", ["ec2:AttachVolume", "ec2:DetachVolume"], ["instance"], VIA_DRS, TAGGED_IN_EC2),
    _drs("attaches its volumes", ["ec2:AttachVolume"], ["volume"], VIA_DRS, TAGGED_IN_EC2),
    _drs("detaches volumes", ["ec2:DetachVolume"], ["volume"], VIA_DRS),
    _drs("launches instances", ["ec2:RunInstances"], ["instance"], VIA_DRS, TO_BE_TAGGED),
    _drs(
        "with what they are made of",
        ["ec2:RunInstances"],
        ["image", "launch-template", "network-interface", "security-group", "subnet", "volume"],
        VIA_DRS,
    ),
    _drs("tags them", ["ec2:CreateTags"], ["instance", "volume"], VIA_DRS, _creating("RunInstances")),
    _drs(
        "keeps its instances, and terminates them",
        ["ec2:ModifyInstanceAttribute", "ec2:StartInstances", "ec2:StopInstances", "ec2:TerminateInstances"],
        ["instance"],
        VIA_DRS,
        TAGGED,
    ),
    _drs(
        "gives instances their roles",
        ["iam:PassRole"],
        ["ConversionServerRole", "RecoveryInstanceRole", "RecoveryInstanceWithLaunchActionsRole"],
        TO_EC2,
    ),
)
"""What DRS does with the caller's own permissions during a launch; a termination needs a part of the same.
One that is missing shows minutes later, inside the job."""

POLICIES = {
    "drill": (IDENTITY, REHEARSAL, *READS, *WRITES, STATUS_CHECKS, *FORWARDED),
    "ssm-checks": COMMANDS,
    "reporting": REPORTS,
    "readonly": (IDENTITY, *READS),
}
"""The policies in ``include/iam``. A real recovery needs nothing beyond a drill: IAM has no condition key for
the difference. Who only reads has no launch to rehearse."""


def document(grants: Iterable[Grant], partition: str = "aws") -> dict[str, Any]:
    """A whole policy, as IAM takes it: one statement for all that the same caller does to the same
    resources under the same conditions, since IAM counts a policy's characters.

    :param partition: of the ARNs: ``aws``, ``aws-us-gov``, ``aws-cn``
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
