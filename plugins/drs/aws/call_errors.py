"""What AWS's errors mean: which calls may be repeated, the error code of each, and what to do about it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as BotoConnectionError

from drs.aws.refusals import DENIED as DENIED
from drs.aws.refusals import UNKNOWN, Meaning, codes_of, meaning_of_reply
from drs.aws.refusals.aws_side import THROTTLED as THROTTLING
from drs.errors import (
    BEFORE_CLEAN_UP,
    AccessDenied,
    DrillError,
    DrillFailed,
    DrsNotInitialized,
    DrsUnavailable,
    SourceServerNotFound,
)

CONFLICT = "ConflictException"
QUOTA = "ServiceQuotaExceededException"
NOT_FOUND = "ResourceNotFoundException"
THROTTLED = frozenset((*THROTTLING.codes, *THROTTLING.vague_codes))
CREDENTIALS = codes_of("credentials")
OF_SOURCE_SERVERS = frozenset(
    {"DescribeRecoverySnapshots", "GetLaunchConfiguration", "GetReplicationConfiguration", "StartRecovery"}
)
"""The calls that name source servers and nothing else that DRS could miss."""
RETRIES = Config(retries={"mode": "standard", "total_max_attempts": 4})
"""What botocore repeats by itself: up to four attempts, and never after a conflict. We set it because
botocore's default differs between its minor versions.
"""

ONCE = Config(retries={"mode": "standard", "total_max_attempts": 1})
"""botocore repeats nothing."""

ONCE_IT_ANSWERS = f"Airflow tries this task again by itself. If no try is left, {BEFORE_CLEAN_UP}"
"""What to do after AWS could not be reached."""


def error_code(error: Exception) -> str:
    """DRS's error code; the exception's name if there was no reply."""
    if isinstance(error, ClientError):
        return str(error.response.get("Error", {}).get("Code", "Unknown"))
    return type(error).__name__


def retry_after(error: Exception) -> float | None:
    """The seconds that DRS asks to wait; ``None`` if it does not."""
    if not isinstance(error, ClientError):
        return None
    headers = error.response.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    try:
        return float(headers.get("retry-after", ""))
    except ValueError:
        return None


def reply_unknown(error: Exception) -> bool:
    """Whether DRS may have acted although we have no good reply: a 5xx, or the connection was lost."""
    if isinstance(error, ClientError):
        return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)) >= 500
    return isinstance(error, HTTPClientError)


def certainly_refused(error: Exception) -> bool:
    """Whether AWS has not acted: it refused the request, and botocore had not sent the request before."""
    if not isinstance(error, ClientError):
        return False
    return not reply_unknown(error) and not error.response.get("ResponseMetadata", {}).get("RetryAttempts")


def unreached(error: Exception) -> bool:
    """Whether the request never reached DRS: no address, no connection, a proxy or certificate error."""
    return isinstance(error, BotoConnectionError)


def unavailable(error: Exception) -> bool:
    """Whether the same request is likely to be answered later."""
    return error_code(error) in THROTTLED or reply_unknown(error) or unreached(error)


def no_credentials(error: Exception) -> bool:
    """Whether there are no credentials for the call: STS refuses the role, or they are missing, unknown or
    expired. The same call is answered once somebody has corrected the role.
    """
    if isinstance(error, ClientError) and error.operation_name.startswith("AssumeRole"):
        return not unavailable(error)
    return error_code(error) in CREDENTIALS


def refuses_tags(error: Exception) -> bool:
    """Whether the role may not tag DRS jobs; the same call without tags may be allowed."""
    return error_code(error) in DENIED and "TagResource" in str(error)


def meaning(error: ClientError | BotoCoreError) -> Meaning:
    """What an error of a call means, by the same table as the errors inside a job."""
    code = error_code(error)
    if not isinstance(error, ClientError):
        return meaning_of_reply(code, str(error))
    message = str(error.response.get("Error", {}).get("Message", ""))
    found = meaning_of_reply(code, message, operation=error.operation_name)
    return (
        found if found.kind is not UNKNOWN or not reply_unknown(error) else meaning_of_reply("500", message)
    )


def explain(
    error: ClientError | BotoCoreError, doing: str, *, connection: str | None = None, then: str = ""
) -> DrillError | None:
    """The coded failure for an error of AWS; ``None`` if there is no code for it.

    :param doing: what the call was for, for the message: ``to start s-…``
    :param connection: the id of the Airflow connection that was used, if it is known
    :param then: what to do once the cause is fixed, as a sentence
    """
    code = error_code(error)
    text = str(error)
    found = meaning(error)
    if no_credentials(error) or found.kind.family in ("denied", "credentials", "account"):
        return _denied(found, error, doing, connection, then)
    if code == "UninitializedAccountException":
        return DrsNotInitialized(f"DRS is not initialised in this account and Region ({doing}): {text}")
    if code == NOT_FOUND and _about_a_source_server(error):
        return SourceServerNotFound(
            f"DRS does not know a source server that the call names ({doing}): {text}"
        )
    if unavailable(error):
        remedy = found.remedy if found.kind.id == "no_such_endpoint" else None
        return DrsUnavailable(
            f"AWS did not answer ({doing}): {text}", remedy=_joined(remedy, ONCE_IT_ANSWERS)
        )
    return None


def unexplained(error: ClientError | BotoCoreError, doing: str, *, then: str = "") -> DrillFailed:
    """The failure for an error of AWS that has no code of its own. Airflow may try the task again."""
    found = meaning(error)
    return DrillFailed(
        f"AWS refused {doing}: {found.phrase}. AWS's words: {error}",
        remedy=_joined(found.remedy, then),
        retryable=True,
    )


def _about_a_source_server(error: Exception) -> bool:
    """Whether what DRS misses is a source server: by the type or id that it names, else by the call."""
    response: Mapping[str, Any] = error.response if isinstance(error, ClientError) else {}
    fields = {**response, **response.get("Error", {})}
    kind, about = (str(fields.get(name) or "") for name in ("resourceType", "resourceId"))
    if kind:
        return "sourceserver" in re.sub(r"\W", "", kind).lower()
    if re.search(r"(?<![\w-])s-[0-9a-f]{17}\b", f"{about} {error}"):
        return True
    return isinstance(error, ClientError) and error.operation_name in OF_SOURCE_SERVERS


def _denied(
    found: Meaning, error: ClientError | BotoCoreError, doing: str, connection: str | None, then: str
) -> AccessDenied:
    """The failure of a call whose credentials are not accepted, or that somebody's policy denies."""
    by = f"the AWS connection {connection or 'that the plan names in target.aws_conn_id'}"
    if isinstance(error, ClientError) and error.operation_name.startswith("AssumeRole"):
        return AccessDenied(
            f"STS refused the role of {by} ({doing}): {error}",
            remedy=_joined(f"Check {by}: {_for_assuming(found)}", then),
        )
    if found.kind.family == "credentials":
        return AccessDenied(
            f"AWS did not accept the credentials of {by} ({doing}): {error}. {found.cause}",
            remedy=_joined(f"Check {by} and its role. {found.remedy}", then),
        )
    return AccessDenied(
        f"AWS refused {doing}: {found.phrase}. AWS's words: {error}", remedy=_joined(found.remedy, then)
    )


def _for_assuming(found: Meaning) -> str:
    """What to do about a role that STS refuses."""
    own = found.remedy if found.kind.family != "denied" or (found.denial and found.denial.denier) else ""
    return own or (
        "compare role_arn and assume_role_kwargs (ExternalId) in its extra with the role and its trust "
        "policy, and check that the caller may use sts:AssumeRole on that role."
    )


def _joined(first: str | None, then: str) -> str | None:
    return " ".join(filter(None, (first, then))) if first else None
