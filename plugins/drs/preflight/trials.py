"""Each action that a run needs, on its own kind of resource, put to IAM's policy simulator."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from drs.preflight.actions import (
    DIRECT,
    EVERYTHING,
    FORWARDED,
    IDENTITY,
    REHEARSAL,
    RESOURCES,
    TAGGED,
    TAGGED_IN_EC2,
    Grant,
)
from drs.preflight.inputs import PreflightInputs

if TYPE_CHECKING:
    from mypy_boto3_iam.client import IAMClient
    from mypy_boto3_iam.type_defs import ContextEntryTypeDef, EvaluationResultTypeDef

_DRS = "drs.amazonaws.com"
_SAMPLES = {
    "source-server": "s-",
    "recovery-instance": "i-",
    "job": "drsjob-",
    "image": "ami-",
    "instance": "i-",
    "launch-template": "lt-",
    "network-interface": "eni-",
    "security-group": "sg-",
    "snapshot": "snap-",
    "subnet": "subnet-",
    "volume": "vol-",
}
"""How the ids of the resources begin; IAM's simulator does not ask whether a resource exists."""
_OF_NO_ACCOUNT = frozenset({"image", "snapshot"})
"""The ARNs of these name no account."""
_UNTRIED = (IDENTITY, REHEARSAL)
"""GetCallerIdentity needs no permission, and SimulatePrincipalPolicy is tried by being called."""

Context = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Trial:
    """One action on one resource, in the context in which the run will call it."""

    grant: Grant
    action: str
    kind: str
    resource: str
    context: Context

    def __str__(self) -> str:
        return self.action if self.kind == EVERYTHING else f"{self.action} on {self.kind}"


@dataclass(frozen=True, slots=True)
class Denial:
    """What IAM does not allow.

    :param explicit: a Deny forbids it; otherwise an Allow is missing
    :param depends_on: what IAM would have to know to be certain
    """

    trial: Trial
    explicit: bool
    depends_on: tuple[str, ...]


def trials_of(question: PreflightInputs, partition: str, account: str) -> Iterator[Trial]:
    """All that this run needs.

    :param partition: of the caller's ARN, ``aws`` for most
    """
    for grant in (*DIRECT, *FORWARDED):
        if grant in _UNTRIED or not grant.is_needed(question):
            continue
        context = _context(grant, question.plan.target.region)
        for kind in grant.on:
            for resource in _arns(grant, kind, question, partition, account):
                for action in grant.actions:
                    yield Trial(grant, action, kind, resource, context)


def _arns(grant: Grant, kind: str, question: PreflightInputs, partition: str, account: str) -> Iterator[str]:
    """Resources of this kind: those that the plan names (of its servers the first: each is a call of IAM),
    else one that is made up.
    """
    if kind == EVERYTHING:
        yield EVERYTHING
        return
    if kind == "document":
        yield from _documents(question, partition, account)
        return
    _, _, service, region, _, name = RESOURCES[kind].split(":", 5)
    where = question.plan.target.region if region else ""
    owner = "" if kind in _OF_NO_ACCOUNT else account
    for resource_id in _ids(grant, kind, question):
        yield f"arn:{partition}:{service}:{where}:{owner}:{name.replace('*', resource_id)}"


def _documents(question: PreflightInputs, partition: str, account: str) -> Iterator[str]:
    """The documents that the plan's checks name; those of AWS, whose names nobody else may use, are of no
    account.
    """
    for name in sorted(question.documents):
        owner = "" if name.lower().startswith(("aws", "amazon", "amzn")) else account
        own = f"arn:{partition}:ssm:{question.plan.target.region}:{owner}:document/{name}"
        yield name if name.startswith("arn:") else own


def _ids(grant: Grant, kind: str, question: PreflightInputs) -> Sequence[str]:
    plan = question.plan
    named: Sequence[str] = ()
    if kind == "source-server":
        named = [server for wave in question.waves for server in plan.listed_servers(wave)][:1]
    elif TAGGED not in grant.conditions:  # DRS's own security groups have the tag; the plan's need not
        named = {
            "subnet": plan.network.allowed_subnets,
            "security-group": plan.network.allowed_security_groups,
        }.get(kind, ())
    return named or [f"{_SAMPLES.get(kind, '')}0123456789abcdef0"]


def _context(grant: Grant, region: str) -> Context:
    """What IAM will know of the call: who makes it, and that the conditions of AWS's own policy are met."""
    by_drs = grant.by == "DRS"
    known = {
        "aws:RequestedRegion": region,
        "aws:ViaAWSService": str(by_drs).lower(),
        **({"aws:CalledVia": _DRS} if by_drs else {}),
    }
    for condition in grant.conditions:
        known[condition.key] = _DRS if condition.operator == "Null" else condition.value
        if condition in (TAGGED, TAGGED_IN_EC2):  # one tag, and two keys to ask for it
            known[TAGGED.key] = known[TAGGED_IN_EC2.key] = _DRS
    return tuple(sorted(known.items()))


def denials_of(iam: IAMClient, principal: str, trials: Iterable[Trial]) -> list[Denial]:
    """Ask for all actions of one resource and context at once.

    One resource a call: an answer about several has one decision for all of them. IAM sets no limit to the
    actions of a call; there are at most a dozen.
    """
    together: dict[tuple[str, Context], dict[str, Trial]] = {}
    for trial in trials:
        together.setdefault((trial.resource, trial.context), {})[trial.action] = trial
    denials = []
    for (resource, context), by_action in together.items():
        pages = iam.get_paginator("simulate_principal_policy").paginate(
            PolicySourceArn=principal,
            ActionNames=list(by_action),
            ResourceArns=[resource],
            ContextEntries=[_entry(key, value) for key, value in context],
        )
        for page in pages:
            for result in page["EvaluationResults"]:
                if result["EvalDecision"] != "allowed":
                    trial = by_action[result["EvalActionName"]]
                    explicit = result["EvalDecision"] == "explicitDeny"
                    denials.append(Denial(trial, explicit, _depends_on(result)))
    return denials


def _entry(key: str, value: str) -> ContextEntryTypeDef:
    if key == "aws:CalledVia":
        return {"ContextKeyName": key, "ContextKeyValues": [value], "ContextKeyType": "stringList"}
    if key == "aws:ViaAWSService":
        return {"ContextKeyName": key, "ContextKeyValues": [value], "ContextKeyType": "boolean"}
    return {"ContextKeyName": key, "ContextKeyValues": [value], "ContextKeyType": "string"}


def _depends_on(result: EvaluationResultTypeDef) -> tuple[str, ...]:
    """The context keys that IAM missed for its decision. It does not name those of an organisation's
    policies, so a denial of theirs is never certain.
    """
    keys = set(result.get("MissingContextValues", ()))
    for each in result.get("ResourceSpecificResults", ()):
        keys |= set(each.get("MissingContextValues", ()))
    if not result.get("OrganizationsDecisionDetail", {}).get("AllowedByOrganizations", True):
        keys.add("the service control policies of the organisation")
    return tuple(sorted(keys))
