"""Who calls: from the access key of a request to its account and principal; and what IAM knows of them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, Final

from moto.core.exceptions import ServiceException
from moto.iam.models import AccessKey, IAMBackend, iam_backends
from moto.iam.policy_validation import IAMPolicyDocumentValidator
from moto.sts.models import sts_backends

USER_NAME: Final = "simulator"
ALLOW_ALL: Final = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}],
}


def problem_of(policy: dict[str, Any]) -> str | None:
    """Why IAM would not take this policy, if it would not."""
    try:
        IAMPolicyDocumentValidator(_document(policy)).validate()
    except ServiceException as error:
        return str(error.message)
    return None


def register_user(account: str, policies: Iterable[dict[str, Any]] | None) -> None:
    """Make sure that an account has its user, with these inline policies.

    :param policies: None leaves those of a user that is there already; a new one may do everything.
    """
    iam = _iam(account)
    if USER_NAME not in iam.users:
        iam.create_user("us-east-1", USER_NAME)
        policies = policies or [ALLOW_ALL]
    if policies is not None:
        documents = {f"policy-{n}": _document(policy) for n, policy in enumerate(policies, 1)}
        iam.get_user(USER_NAME).policies = documents


def register_access_key(access_key_id: str, account: str) -> None:
    """Make an access key belong to an account's user, in moto's IAM, where all of its services look."""
    iam = _iam(account)
    if access_key_id in iam.access_keys:
        return
    key: AccessKey = iam.get_user(USER_NAME).create_access_key(prefix="AKIA")
    # moto draws the id at random; here it is the fleet's to say.
    key.access_key_id = access_key_id
    iam.access_keys[access_key_id] = key


def forget_user(account: str) -> None:
    """Remove an account's user with its policies and access keys."""
    iam = _iam(account)
    user = iam.users.pop(USER_NAME, None)
    for key in user.access_keys if user else ():
        iam.access_keys.pop(key.access_key_id, None)


def account_of(access_key_id: str | None) -> str | None:
    """The account of an access key that IAM or STS knows."""
    if access_key_id is None:
        return None
    for account, partitions in list(iam_backends.items()):
        if access_key_id in partitions["aws"].access_keys:
            return account
    return None


def caller_arn(access_key_id: str, account: str) -> str:
    """The principal as GetCallerIdentity names it."""
    _, arn, _ = sts_backends[account]["aws"].get_caller_identity(access_key_id, "us-east-1")
    return str(arn)


def _iam(account: str) -> IAMBackend:
    return iam_backends[account]["aws"]


def _document(policy: dict[str, Any]) -> str:
    # YAML reads a policy's version, 2012-10-17, as a date.
    return json.dumps(policy, default=str)
