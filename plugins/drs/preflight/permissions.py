"""The permission rehearsal: asks IAM, before anything is launched, whether the caller has every permission.

Without it, a permission that DRS needs from the caller is found missing only inside the job, minutes later.
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
    r"((?P<root>root)|(?P<entity>(user|role)/.+)|assumed-role/(?P<role>[^/]+)/.+)"
)


def rehearse(clients: AwsClients, inputs: PreflightInputs, caller_arn: str) -> list[Finding]:
    """Find the permissions that this run needs and the caller lacks: one error, with the policy to paste.

    This is the only check of preflight that does not fail closed. If IAM cannot be asked (many roles may not
    ask it, and some networks do not reach it) or cannot decide, the finding is a warning. A permission that
    is missing then shows in the call that needs it, which fails with ACCESS_DENIED and names the action.

    .. seealso:: https://docs.aws.amazon.com/IAM/latest/APIReference/API_SimulatePrincipalPolicy.html

    :param caller_arn: the caller's ARN from STS: a user, an assumed role, or the root of an account, which
        may do everything; or the ARN of a role
    """
    caller = _CALLER.fullmatch(caller_arn)
    if caller is None:
        return [_not_rehearsed(f"IAM can rehearse users and roles, but not {caller_arn}.")]
    if caller["root"]:
        return []
    partition, role = caller["partition"], caller["role"]
    entities = f"arn:{partition}:iam::{caller['account']}:"
    principal = f"{entities}role/{role}" if role else f"{entities}{caller['entity']}"
    trials = list(trials_of(inputs, partition, caller["account"]))
    asked = ("iam:SimulatePrincipalPolicy", principal)
    try:
        try:
            denials = denials_of(clients.iam, principal, trials)
        except clients.iam.exceptions.NoSuchEntityException:
            if not role:
                raise
            # A role's ARN may have a path, which the ARN of the assumed role does not contain.
            asked = ("iam:GetRole", f"{entities}role/*/{role}")
            principal = clients.iam.get_role(RoleName=role)["Role"]["Arn"]
            asked = ("iam:SimulatePrincipalPolicy", principal)
            denials = denials_of(clients.iam, principal, trials)
    except (ClientError, BotoCoreError) as error:
        return [_not_rehearsed(f"IAM was asked about {principal}, and answered: {error}.", error, asked)]
    return _findings(principal, partition, denials)


def _findings(principal: str, partition: str, denials: Sequence[Denial]) -> list[Finding]:
    certain = [denial for denial in denials if not denial.depends_on]
    found = []
    if required := [denial for denial in certain if denial.trial.grant.required]:
        found.append(
            _denied(principal, partition, required, f"{principal} lacks permissions that this run needs.")
        )
    if optional := [denial for denial in certain if not denial.trial.grant.required]:
        why = "; ".join(sorted({denial.trial.grant.why for denial in optional}))
        what = f"{principal} lacks permissions that a run can do without ({why})."
        found.append(_denied(principal, partition, optional, what).as_warning())
    if unsure := [denial for denial in denials if denial.depends_on]:
        keys = sorted({key for denial in unsure for key in denial.depends_on})
        found.append(
            Finding(
                code=Code.CHECK_UNAVAILABLE,
                seen=f"IAM cannot say for certain that {principal} may do what this run needs. "
                f"{_listed(unsure)} It depends on: {', '.join(keys)}.",
                remedy="Make sure that these conditions hold for the calls of a drill. If one does not hold, "
                "the call fails with ACCESS_DENIED.",
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
            f"A Deny in the policies of {principal} forbids {_names(forbidden)}. No Allow overrides it: "
            "remove the Deny, or exempt these calls from it."
        )
    if missing:
        remedies.append(
            f"Add this policy to {principal} (and make sure that its permissions boundary, if it has one, "
            f"allows the same), then trigger a new run:\n{json.dumps(_policy(missing, partition))}"
        )
    return Finding(code=Code.ACCESS_DENIED, seen=f"{what} {_listed(denials)}", remedy=" ".join(remedies))


def _listed(denials: Sequence[Denial]) -> str:
    """The denied actions, grouped by who calls them."""
    own = [denial for denial in denials if denial.trial.grant.by == "us"]
    forwarded = [denial for denial in denials if denial.trial.grant.by == "DRS"]
    sentences = [f"Called by drs-drills: {_names(own)}."] if own else []
    sentences += [f"Called by DRS with the caller's permissions: {_names(forwarded)}."] if forwarded else []
    return " ".join(sentences)


def _names(denials: Iterable[Denial]) -> str:
    return ", ".join(sorted({str(denial.trial) for denial in denials}))


def _policy(denials: Iterable[Denial], partition: str) -> dict[str, Any]:
    """The policy that allows what is missing, under the same conditions as AWS's own policy."""
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

    :param asked: the action of the call that failed, and its resource
    """
    remedy = "Compare the caller's policies with include/iam/drill.json, which allows all that a drill needs."
    if asked and error and error_code(error) in DENIED:
        statement = {"Effect": "Allow", "Action": asked[0], "Resource": asked[1]}
        policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        remedy = f"To have the permissions rehearsed, add this policy to the caller:\n{policy}"
    return Finding(
        code=Code.CHECK_UNAVAILABLE,
        seen=f"The caller's permissions were not rehearsed. {why} A missing permission shows "
        "later as ACCESS_DENIED: at the call of drs-drills that needs it, or minutes later inside the job if "
        "DRS needs it.",
        remedy=remedy,
        severity="warning",
    )
