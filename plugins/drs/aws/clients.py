"""The AWS clients of one account and Region, for blocking code and for the triggerer."""

from __future__ import annotations

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
    """

    drs: DrsCalls
    ec2: EC2Client
    sts: STSClient
    iam: IAMClient


class AsyncAwsClients(Protocol):
    """Gives an asynchronous client of the named service, in the account and Region of the run."""

    async def __call__(self, service: str) -> Any: ...
