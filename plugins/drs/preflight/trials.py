"""Asks IAM's policy simulator about each action that a run needs, on each kind of resource."""

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
"""How the ids of resources begin. IAM's simulator does not check whether a resource exists."""
_OF_NO_ACCOUNT = frozenset({"image", "snapshot"})
"""Kinds of resources whose ARNs contain no account."""
_NOT_TRIED = (IDENTITY, REHEARSAL)
"""GetCallerIdentity needs no permission, and the rehearsal itself calls SimulatePrincipalPolicy."""

Context = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Trial:
    """One action on one resource, in the context in which the run will make the call."""

    grant: Grant
    action: str
    kind: str
    resource: str
    context: Context

    def __str__(self) -> str:
        return self.action if self.kind == EVERYTHING else f"{self.action} on {self.kind}"


@dataclass(frozen=True, slots=True)
class Denial:
    """A trial that IAM does not allow.

    :param explicit: whether a Deny forbids it; otherwise an Allow is missing
    :param depends_on: the context keys that IAM would need to know in order to be certain
    """

    trial: Trial
    explicit: bool
    depends_on: tuple[str, ...]


def trials_of(inputs: PreflightInputs, partition: str, account: str) -> Iterator[Trial]:
    """The trials of everything that this run needs.

    :param partition: the partition of the caller's ARN: ``aws``, ``aws-us-gov``, ``aws-cn``
    """
    for grant in (*DIRECT, *FORWARDED):
        if grant in _NOT_TRIED or not grant.is_needed(inputs):
            continue
        context = _context(grant, inputs.plan.target.region)
        for kind in grant.on:
            for resource in _arns(grant, kind, inputs, partition, account):
                for action in grant.actions:
                    yield Trial(grant, action, kind, resource, context)


def _arns(grant: Grant, kind: str, inputs: PreflightInputs, partition: str, account: str) -> Iterator[str]:
    """The resources of this kind that the plan names, or an invented one if it names none.

    Of the servers in the plan only the first is tried, because each resource costs a call of IAM.
    """
    if kind == EVERYTHING:
        yield EVERYTHING
        return
    if kind == "document":
        yield from _documents(inputs, partition, account)
        return
    _, _, service, region, _, name = RESOURCES[kind].split(":", 5)
    where = inputs.plan.target.region if region else ""
    owner = "" if kind in _OF_NO_ACCOUNT else account
    for resource_id in _ids(grant, kind, inputs):
        yield f"arn:{partition}:{service}:{where}:{owner}:{name.replace('*', resource_id)}"


def _documents(inputs: PreflightInputs, partition: str, account: str) -> Iterator[str]:
    """The documents that the plan's checks name.

    The ARNs of AWS's own documents contain no account. Only AWS may use names that begin like theirs.
    """
    for name in sorted(inputs.documents):
        owner = "" if name.lower().startswith(("aws", "amazon", "amzn")) else account
        own = f"arn:{partition}:ssm:{inputs.plan.target.region}:{owner}:document/{name}"
        yield name if name.startswith("arn:") else own


def _ids(grant: Grant, kind: str, inputs: PreflightInputs) -> Sequence[str]:
    plan = inputs.plan
    named: Sequence[str] = ()
    if kind == "source-server":
        named = [server for wave in inputs.waves for server in plan.listed_servers(wave)][:1]
    elif TAGGED not in grant.conditions:  # the plan's security groups need not have the tag of DRS
        named = {
            "subnet": plan.network.allowed_subnets,
            "security-group": plan.network.allowed_security_groups,
        }.get(kind, ())
    return named or [f"{_SAMPLES.get(kind, '')}0123456789abcdef0"]


def _context(grant: Grant, region: str) -> Context:
    """What IAM knows about the call: who makes it, and that the conditions of AWS's own policy are met."""
    by_drs = grant.by == "DRS"
    known = {
        "aws:RequestedRegion": region,
        "aws:ViaAWSService": str(by_drs).lower(),
        **({"aws:CalledVia": _DRS} if by_drs else {}),
    }
    for condition in grant.conditions:
        known[condition.key] = _DRS if condition.operator == "Null" else condition.value
        if condition in (TAGGED, TAGGED_IN_EC2):  # IAM and EC2 each have a context key for this tag
            known[TAGGED.key] = known[TAGGED_IN_EC2.key] = _DRS
    return tuple(sorted(known.items()))


def denials_of(iam: IAMClient, principal: str, trials: Iterable[Trial]) -> list[Denial]:
    """Ask IAM, with one call for all actions on the same resource in the same context.

    A call names one resource, because IAM gives one decision for all resources of a call. IAM does not limit
    the number of actions in a call; a run needs at most a dozen.
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
    """The context keys that IAM needed for its decision and did not have.

    IAM does not name the keys of an organisation's policies, so a denial by these is never certain.
    """
    keys = set(result.get("MissingContextValues", ()))
    for each in result.get("ResourceSpecificResults", ()):
        keys |= set(each.get("MissingContextValues", ()))
    if not result.get("OrganizationsDecisionDetail", {}).get("AllowedByOrganizations", True):
        keys.add("the service control policies of the organisation")
    return tuple(sorted(keys))
