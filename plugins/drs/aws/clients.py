"""The AWS clients of one account and Region, for blocking code and for the triggerer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from drs.aws.calls import DrsCalls

if TYPE_CHECKING:
    from mypy_boto3_ec2.client import EC2Client
    from mypy_boto3_iam.client import IAMClient
    from mypy_boto3_sts.client import STSClient


@dataclass(frozen=True)
class AwsClients:
    """The clients with which preflight reads. A task makes them from its connection, the command line from a
    boto3 session.

    :param role_seconds: the ``DurationSeconds`` that the connection asks for when its role is assumed
    """

    drs: DrsCalls
    ec2: EC2Client
    sts: STSClient
    iam: IAMClient
    role_seconds: int | None = None


def role_seconds(assume_role: Mapping[Any, Any]) -> int | None:
    """How long a session of a role is to last, by the arguments of AssumeRole in its connection."""
    seconds = assume_role.get("DurationSeconds")
    return seconds if isinstance(seconds, int) else None


class AsyncAwsClients(Protocol):
    """Gives an asynchronous client of the named service, in the account and Region of the run."""

    async def __call__(self, service: str) -> Any: ...
