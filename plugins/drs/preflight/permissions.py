"""The permission rehearsal: asks IAM, before anything is launched, whether the caller may do all it needs to.

Otherwise what DRS does with the caller's permissions fails inside the job, minutes into a launch.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterable, Sequence
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from drs.aws.call_errors import DENIED, error_code
from drs.aws.clients import AwsClients
from drs.errors import Code
from drs.preflight.actions import Grant, document
from drs.preflight.findings import Finding
from drs.preflight.inputs import PreflightInputs
from drs.preflight.trials import Denial, denials_of, trials_of

_CALLER = re.compile(
    r"arn:(?P<partition>[^:]+):(iam|sts)::(?P<account>\d{12}):"
    r"((?P<root>root)|(?P<user>user/.+)|assumed-role/(?P<role>[^/]+)/.+)"
)


def rehearse(clients: AwsClients, question: PreflightInputs, caller_arn: str) -> list[Finding]:
    """What the caller may not do of all that this run needs: one error, with the policy to paste.

    This is the one check of preflight that does not fail closed. Where IAM cannot be asked (many roles may
    not ask, and some networks do not reach it) or cannot decide, there is a warning: what was not rehearsed
    is met by the calls themselves, which fail with ACCESS_DENIED and the missing action.

    .. seealso:: https://docs.aws.amazon.com/IAM/latest/APIReference/API_SimulatePrincipalPolicy.html

    :param caller_arn: from STS: a user, an assumed role, or an account's root, which may do everything
    """
    caller = _CALLER.fullmatch(caller_arn)
    if caller is None:
        return [_not_rehearsed(f"IAM rehearses users and roles, not {caller_arn}.")]
    if caller["root"]:
        return []
    partition, role = caller["partition"], caller["role"]
    entities = f"arn:{partition}:iam::{caller['account']}:"
    principal = f"{entities}role/{role}" if role else f"{entities}{caller['user']}"
    trials = list(trials_of(question, partition, caller["account"]))
    asked = ("iam:SimulatePrincipalPolicy", principal)
    try:
        try:
            denials = denials_of(clients.iam, principal, trials)
        except clients.iam.exceptions.NoSuchEntityException:
            if not role:
                raise
            # The ARN of an assumed role leaves out the path that the role's own ARN has.
            asked = ("iam:GetRole", f"{entities}role/*/{role}")
            principal = clients.iam.get_role(RoleName=role)["Role"]["Arn"]
            asked = ("iam:SimulatePrincipalPolicy", principal)
            denials = denials_of(clients.iam, principal, trials)
    except (ClientError, BotoCoreError) as error:
        return [_not_rehearsed(f"IAM was asked about {principal} and answered: {error}.", error, asked)]
    return _findings(principal, partition, denials)


def _findings(principal: str, partition: str, denials: Sequence[Denial]) -> list[Finding]:
    certain = [denial for denial in denials if not denial.depends_on]
    found = []
    if stops := [denial for denial in certain if denial.trial.grant.required]:
        found.append(
            _denied(principal, partition, stops, f"{principal} lacks permissions that this run needs.")
        )
    if spared := [denial for denial in certain if not denial.trial.grant.required]:
        why = "; ".join(sorted({denial.trial.grant.why for denial in spared}))
        what = f"{principal} lacks permissions that a run can do without ({why})."
        found.append(_denied(principal, partition, spared, what).as_warning())
    if unsure := [denial for denial in denials if denial.depends_on]:
        keys = sorted({key for denial in unsure for key in denial.depends_on})
        found.append(
            Finding(
                code=Code.CHECK_UNAVAILABLE,
                seen=f"IAM cannot say for certain that {principal} may do what this run needs. "
                f"{_listed(unsure)} It depends on: {', '.join(keys)}.",
                remedy="See that these conditions hold for the calls of a drill. If one does not, the call "
                "fails with ACCESS_DENIED.",
                severity="warning",
            )
        )
    return found


def _denied(principal: str, partition: str, denials: Sequence[Denial], what: str) -> Finding:
    forbidden = [denial for denial in denials if denial.explicit]
    missing = [denial for denial in denials if not denial.explicit]
    remedies = []
    if forbidden:
        remedies.append(
            f"A Deny in the policies of {principal} forbids {_names(forbidden)}: no Allow outweighs it, so "
            "take it away or except these calls from it."
        )
    if missing:
        remedies.append(
            f"Add this policy to {principal} (and see that its permissions boundary, if it has one, allows "
            f"the same), then trigger a new run:\n{json.dumps(_policy(missing, partition))}"
        )
    return Finding(code=Code.ACCESS_DENIED, seen=f"{what} {_listed(denials)}", remedy=" ".join(remedies))


def _listed(denials: Sequence[Denial]) -> str:
    """The actions, told apart by who calls them."""
    own = [denial for denial in denials if denial.trial.grant.by == "us"]
    forwarded = [denial for denial in denials if denial.trial.grant.by == "DRS"]
    told = [f"Called by drs-drills: {_names(own)}."] if own else []
    told += [f"Called by DRS with the caller's permissions: {_names(forwarded)}."] if forwarded else []
    return " ".join(told)


def _names(denials: Iterable[Denial]) -> str:
    return ", ".join(sorted({str(denial.trial) for denial in denials}))


def _policy(denials: Iterable[Denial], partition: str) -> dict[str, Any]:
    """The policy that allows what is missing, under the conditions that AWS's own has."""
    missing: dict[Grant, dict[str, set[str]]] = {}
    for denial in denials:
        parts = missing.setdefault(denial.trial.grant, {"actions": set(), "on": set()})
        parts["actions"].add(denial.trial.action)
        parts["on"].add(denial.trial.kind)
    return document(
        (
            dataclasses.replace(grant, actions=tuple(sorted(parts["actions"])), on=tuple(sorted(parts["on"])))
            for grant, parts in missing.items()
        ),
        partition,
    )


def _not_rehearsed(
    why: str, error: ClientError | BotoCoreError | None = None, asked: tuple[str, str] | None = None
) -> Finding:
    """The warning that nothing was rehearsed.

    :param asked: the action that met the error, and on what
    """
    remedy = "Compare the caller's policies with include/iam/drill.json, which has all that a drill needs."
    if asked and error and error_code(error) in DENIED:
        statement = {"Effect": "Allow", "Action": asked[0], "Resource": asked[1]}
        policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        remedy = f"To have them rehearsed, add this policy to the caller:\n{policy}"
    return Finding(
        code=Code.CHECK_UNAVAILABLE,
        seen=f"The caller's permissions were not rehearsed. {why} A permission that is missing will show as "
        "ACCESS_DENIED when it is used: ours at the call, DRS's minutes later inside the job.",
        remedy=remedy,
        severity="warning",
    )
