"""Who calls: from the access key of a request to its account and principal."""

from __future__ import annotations

from moto.iam.models import iam_backends
from moto.sts.models import sts_backends


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
