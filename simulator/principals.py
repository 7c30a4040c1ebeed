"""Creates each account's user and role in moto's IAM, and checks who assumes which role."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from moto.core.exceptions import ServiceException
from moto.iam.models import AccessKey, IAMBackend, User, iam_backends
from moto.iam.models import Role as IamRole
from moto.iam.policy_validation import IAMPolicyDocumentValidator

from simulator.engine.errors import AccessDeniedError
from simulator.engine.fleet import Role

USER_NAME: Final = "simulator"
ALLOW_ALL: Final = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}],
}


def problem_of(policy: dict[str, Any]) -> str | None:
    """Say why IAM would refuse this policy, or return None if it would accept it."""
    try:
        IAMPolicyDocumentValidator(_document(policy)).validate()
    except ServiceException as error:
        return str(error.message)
    return None


def register(account: str, role: Role | None, policies: Sequence[dict[str, Any]] | None) -> None:
    """Make sure that an account has its user and its role, with these inline policies.

    :param policies: None keeps the policies of an existing principal; a new principal may do everything.
    """
    iam = _iam(account)
    if USER_NAME not in iam.users:
        _give(iam.create_user("us-east-1", USER_NAME), [ALLOW_ALL])
    principals: list[User | IamRole] = [iam.get_user(USER_NAME)]
    if role:
        principals.append(_role(iam, role))
    if policies is not None:
        for principal in principals:
            _give(principal, policies)


def register_access_key(access_key_id: str, account: str) -> None:
    """Give an access key to an account's user in moto's IAM, where all of moto's services look it up."""
    iam = _iam(account)
    if access_key_id in iam.access_keys:
        return
    key: AccessKey = iam.get_user(USER_NAME).create_access_key(prefix="AKIA")
    # moto would choose a random id; here the fleet chooses it.
    key.access_key_id = access_key_id
    iam.access_keys[access_key_id] = key


def forget(account: str, role: Role | None) -> None:
    """Remove an account's user with its access keys, and its role."""
    iam = _iam(account)
    user = iam.users.pop(USER_NAME, None)
    for key in user.access_keys if user else ():
        iam.access_keys.pop(key.access_key_id, None)
    if role:
        iam.roles.pop(_role(iam, role).id)


def check_assumption(roles: Mapping[str, Role], caller: str, role_arn: str, external_id: str | None) -> None:
    """Check an AssumeRole call against the fleet. moto itself allows any role to be assumed.

    :param roles: the role of each account; in an account without one, any role may be assumed
    :raises AccessDeniedError: it is another role, or the external id is wrong.
    """
    account, _, name = role_arn.partition("::")[2].partition(":role/")
    role = roles.get(account)
    if role and (name != role.name or role.external_id not in (None, external_id)):
        raise AccessDeniedError(
            f"User: {caller} is not authorized to perform: sts:AssumeRole on resource: {role_arn}"
        )


def _iam(account: str) -> IAMBackend:
    return iam_backends[account]["aws"]


def _give(principal: User | IamRole, policies: Sequence[dict[str, Any]]) -> None:
    principal.policies = {f"policy-{n}": _document(policy) for n, policy in enumerate(policies, 1)}


def _role(iam: IAMBackend, role: Role) -> IamRole:
    """Return the account's role in IAM. If there is none, create one that may do everything."""
    known = next((each for each in iam.roles.values() if each.name == role.name), None)
    if known:
        return known
    condition = {"StringEquals": {"sts:ExternalId": role.external_id}}
    trust = {
        "Effect": "Allow",
        "Principal": {"AWS": "*"},
        "Action": "sts:AssumeRole",
        **({"Condition": condition} if role.external_id else {}),
    }
    document = _document({"Version": "2012-10-17", "Statement": [trust]})
    new = iam.create_role(role.name, document, "/", None, "", [], None)
    _give(new, [ALLOW_ALL])
    return new


def _document(policy: dict[str, Any]) -> str:
    # YAML reads a policy's version, 2012-10-17, as a date, so dates are written as text.
    return json.dumps(policy, default=str)
