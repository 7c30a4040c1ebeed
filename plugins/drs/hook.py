"""DRS through boto3 and aiobotocore, and what its refusals mean."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.providers.amazon.aws.hooks.base_aws import AwsGenericHook
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as BotoConnectionError

from drs.errors import AccessDenied, DrillError, DrsNotInitialized, DrsUnavailable, SourceServerNotFound
from drs.jobs import Job, LogEvent

if TYPE_CHECKING:
    from mypy_boto3_drs.client import DrsClient  # noqa: F401  # named in the base class, as a string
    from mypy_boto3_drs.type_defs import StartRecoveryRequestSourceServerTypeDef

PAGE = 200
"""Ids in one request: the API's own limit for server and recovery instance ids."""
LOOK_BACK = dt.timedelta(hours=24)
"""How far back a live job can have begun; no DRS job lasts as long."""

CONFLICT = "ConflictException"
QUOTA = "ServiceQuotaExceededException"
NOT_FOUND = "ResourceNotFoundException"
THROTTLED = frozenset(
    {"ThrottlingException", "Throttling", "RequestLimitExceeded", "TooManyRequestsException"}
)
CREDENTIALS = frozenset(
    {
        "ExpiredToken",
        "ExpiredTokenException",
        "InvalidClientTokenId",
        "NoCredentialsError",
        "UnrecognizedClientException",
    }
)
DENIED = frozenset({"AccessDeniedException", "AccessDenied", "UnauthorizedOperation"})


class DrsHook(AwsGenericHook["DrsClient"]):
    """Interact with AWS Elastic Disaster Recovery.

    Additional arguments (such as ``aws_conn_id``) are passed down to the underlying AwsGenericHook.

    .. seealso::
        - `DRS API reference <https://docs.aws.amazon.com/drs/latest/APIReference/Welcome.html>`__
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs["client_type"] = "drs"
        super().__init__(*args, **kwargs)

    @property
    def config(self) -> Config:
        """The connection's botocore configuration over an explicit retry mode.

        botocore's default retry mode differs between its minor versions; it never retries a conflict.
        """
        return Config(retries={"mode": "standard", "total_max_attempts": 4}).merge(super().config)

    @cached_property
    def waiter_path(self) -> PathLike[str]:
        return Path(__file__).parent / "waiters" / "drs.json"

    def start_recovery(self, server_ids: Sequence[str], *, tags: Mapping[str, str]) -> Job:
        """Start one drill job for all of these servers; ``isDrill`` is always true.

        .. seealso:: https://docs.aws.amazon.com/drs/latest/APIReference/API_StartRecovery.html

        :param server_ids: at most 100; DRS refuses the whole call when a live job holds any of them
        :param tags: tags of the job; empty where the account refuses them
        :return: the job, PENDING
        """
        servers: list[StartRecoveryRequestSourceServerTypeDef] = [
            {"sourceServerID": server_id} for server_id in server_ids
        ]
        if tags:
            reply = self.conn.start_recovery(isDrill=True, sourceServers=servers, tags=tags)
        else:
            reply = self.conn.start_recovery(isDrill=True, sourceServers=servers)
        return Job.from_api(reply["job"])

    def terminate_recovery_instances(self, instance_ids: Sequence[str]) -> Job:
        """Start one TERMINATE job.

        .. seealso:: https://docs.aws.amazon.com/drs/latest/APIReference/API_TerminateRecoveryInstances.html

        :param instance_ids: recovery instance ids, at most 100
        """
        return Job.from_api(
            self.conn.terminate_recovery_instances(recoveryInstanceIDs=list(instance_ids))["job"]
        )

    def describe_jobs(self, job_ids: Iterable[str]) -> list[Job]:
        """The jobs with these ids; a job that DRS no longer knows is absent."""
        ids = sorted(set(job_ids))
        if not ids:
            return []
        pages = self.conn.get_paginator("describe_jobs").paginate(filters={"jobIDs": ids})
        return [Job.from_api(item) for page in pages for item in page["items"]]

    def jobs_since(self, since: dt.datetime) -> list[Job]:
        """Every job of the account and Region created since then."""
        pages = self.conn.get_paginator("describe_jobs").paginate(
            filters={"fromDate": since.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")}
        )
        return [Job.from_api(item) for page in pages for item in page["items"]]

    def live_jobs(self) -> list[Job]:
        """Every job that holds servers now."""
        return [job for job in self.jobs_since(dt.datetime.now(dt.UTC) - LOOK_BACK) if job.live]

    def job_log(self, job_id: str) -> list[LogEvent]:
        """A job's log so far, oldest first."""
        pages = self.conn.get_paginator("describe_job_log_items").paginate(jobID=job_id)
        events = [LogEvent.from_api(item) for page in pages for item in page["items"]]
        return sorted(events, key=lambda event: event.at)

    def source_servers(self) -> Iterator[Mapping[str, Any]]:
        """All source servers of the account and Region; DRS has no filter for tags.

        .. seealso:: https://docs.aws.amazon.com/drs/latest/APIReference/API_DescribeSourceServers.html
        """
        for page in self.conn.get_paginator("describe_source_servers").paginate(filters={}):
            yield from page["items"]

    def recovery_instances(self, server_ids: Iterable[str]) -> list[Mapping[str, Any]]:
        """The recovery instances of these source servers, drills and real ones.

        .. seealso:: https://docs.aws.amazon.com/drs/latest/APIReference/API_DescribeRecoveryInstances.html
        """
        paginator = self.conn.get_paginator("describe_recovery_instances")
        return [
            item
            for chunk in chunks(sorted(set(server_ids)), PAGE)
            for page in paginator.paginate(filters={"sourceServerIDs": chunk})
            for item in page["items"]
        ]


def chunks(ids: Sequence[str], size: int) -> Iterator[list[str]]:
    for start in range(0, len(ids), size):
        yield list(ids[start : start + size])


def error_code(error: Exception) -> str:
    """DRS's error code, or the exception's name where no reply came."""
    if isinstance(error, ClientError):
        return str(error.response.get("Error", {}).get("Code", "Unknown"))
    return type(error).__name__


def retry_after(error: Exception) -> float | None:
    """Seconds that DRS asks to wait, where it does."""
    if not isinstance(error, ClientError):
        return None
    headers = error.response.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    try:
        return float(headers.get("retry-after", ""))
    except ValueError:
        return None


def reply_unknown(error: Exception) -> bool:
    """Whether DRS may have acted although no good reply came: a 5xx, or a connection lost on the way."""
    if isinstance(error, ClientError):
        return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)) >= 500
    return isinstance(error, HTTPClientError)


def was_retried(error: Exception) -> bool:
    """Whether botocore had sent the request before: the reply to the first may be what was lost."""
    if not isinstance(error, ClientError):
        return False
    return int(error.response.get("ResponseMetadata", {}).get("RetryAttempts", 0)) > 0


def unreached(error: Exception) -> bool:
    """Whether the request never got to DRS: no address, no connection, a proxy or certificate in the way."""
    return isinstance(error, BotoConnectionError)


def unavailable(error: Exception) -> bool:
    """Whether the same request may well be answered later."""
    return error_code(error) in THROTTLED or reply_unknown(error) or unreached(error)


def explain(error: ClientError | BotoCoreError, doing: str) -> DrillError | None:
    """The coded failure that a refusal of DRS stands for; ``None`` where there is no code for it.

    :param doing: what was being done, for the message: ``starting the recovery of s-…``
    """
    code = error_code(error)
    text = str(error)
    if code in CREDENTIALS:
        return AccessDenied(
            f"The credentials are missing, unknown or expired ({doing}): {text}",
            remedy="Look at the AWS connection that the plan names in target.aws_conn_id, and at its role.",
        )
    if code in DENIED:
        action = denied_action(text)
        return AccessDenied(
            f"DRS refused {doing}: {text}", remedy=allow([action] if action else ["the action named above"])
        )
    if code == "UninitializedAccountException":
        return DrsNotInitialized(f"DRS is not initialised in this account and Region ({doing}): {text}")
    if code == NOT_FOUND:
        return SourceServerNotFound(f"DRS does not know what was named ({doing}): {text}")
    if unavailable(error):
        return DrsUnavailable(f"DRS did not answer ({doing}): {text}")
    return None


def allow(actions: Sequence[str]) -> str:
    """What to do about denied actions: the statement to paste."""
    named = ", ".join(f'"{action}"' for action in actions)
    return (
        "Add this statement to the policy of the role that the plan's connection uses, then clear this task: "
        f'{{"Effect": "Allow", "Action": [{named}], "Resource": "*"}}'
    )


def denied_action(message: str) -> str | None:
    """The action that an access error names, such as ``drs:StartRecovery``."""
    found = re.search(r"not authorized to perform:? ([a-z0-9-]+:[A-Za-z]+)", message)
    if found:
        return found.group(1)
    called = re.search(r"\((\w+)\) when calling the (\w+) operation", message)
    if not called:
        return None
    service = "ec2" if called.group(1) == "UnauthorizedOperation" else "drs"
    return f"{service}:{called.group(2)}"
