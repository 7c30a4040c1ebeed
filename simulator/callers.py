"""Finds the caller of a request: its account and its principal, from its access key."""

from __future__ import annotations

from moto.iam.models import iam_backends
from moto.sts.models import sts_backends


def account_of(access_key_id: str | None) -> str | None:
    """Return the account of an access key, if IAM or STS knows the key."""
    if access_key_id is None:
        return None
    for account, partitions in list(iam_backends.items()):
        if access_key_id in partitions["aws"].access_keys:
            return account
    return None


def caller_arn(access_key_id: str, account: str) -> str:
    """Return the principal's ARN, as GetCallerIdentity gives it."""
    _, arn, _ = sts_backends[account]["aws"].get_caller_identity(access_key_id, "us-east-1")
    return str(arn)
