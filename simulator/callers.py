"""Who calls: from the access key of a request to its account and principal."""

from __future__ import annotations

from moto.iam.models import AccessKey, iam_backends
from moto.sts.models import sts_backends

USER_NAME = "simulator"


def register_access_key(access_key_id: str, account: str) -> None:
    """Make an access key belong to an account, in moto's IAM, where all of its services look."""
    iam = iam_backends[account]["aws"]
    if access_key_id in iam.access_keys:
        return
    if USER_NAME not in {user.name for user in iam.users.values()}:
        iam.create_user("us-east-1", USER_NAME)
    key: AccessKey = iam.get_user(USER_NAME).create_access_key(prefix="AKIA")
    # moto draws the id at random; here it is the fleet's to say.
    key.access_key_id = access_key_id
    iam.access_keys[access_key_id] = key


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
