"""What AWS's errors mean: which calls may be repeated, the error code of each, and what to do about it."""

from __future__ import annotations

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as BotoConnectionError

from drs.aws.access_denied import allow, denied_action
from drs.errors import AccessDenied, DrillError, DrsNotInitialized, DrsUnavailable, SourceServerNotFound

CONFLICT = "ConflictException"
QUOTA = "ServiceQuotaExceededException"
NOT_FOUND = "ResourceNotFoundException"
THROTTLED = frozenset(
    {"ThrottlingException", "Throttling", "RequestLimitExceeded", "TooManyRequestsException"}
)
CREDENTIALS = frozenset(
    {
        "AuthFailure",
        "CredentialRetrievalError",
        "ExpiredToken",
        "ExpiredTokenException",
        "InvalidClientTokenId",
        "InvalidSignatureException",
        "NoCredentialsError",
        "PartialCredentialsError",
        "RequestExpired",
        "SSOTokenLoadError",
        "SignatureDoesNotMatch",
        "TokenRetrievalError",
        "UnauthorizedSSOTokenError",
        "UnrecognizedClientException",
    }
)
DENIED = frozenset({"AccessDeniedException", "AccessDenied", "UnauthorizedOperation"})
RETRIES = Config(retries={"mode": "standard", "total_max_attempts": 4})
"""What botocore repeats by itself: up to four attempts, and never after a conflict. We set it because
botocore's default differs between its minor versions.
"""

ONCE = Config(retries={"mode": "standard", "total_max_attempts": 1})
"""botocore repeats nothing."""


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


def explain(
    error: ClientError | BotoCoreError, doing: str, *, connection: str | None = None
) -> DrillError | None:
    """The coded failure for an error of AWS; ``None`` if there is no code for it.

    :param doing: what the call was for, for the message: ``to start s-…``
    :param connection: the id of the Airflow connection that was used, if it is known
    """
    code = error_code(error)
    text = str(error)
    if no_credentials(error) or code in DENIED:
        return _denied(error, doing, connection)
    if code == "UninitializedAccountException":
        return DrsNotInitialized(f"DRS is not initialised in this account and Region ({doing}): {text}")
    if code == NOT_FOUND:
        return SourceServerNotFound(f"DRS does not know a resource that the call names ({doing}): {text}")
    if unavailable(error):
        return DrsUnavailable(f"AWS did not answer ({doing}): {text}")
    return None


def _denied(error: ClientError | BotoCoreError, doing: str, connection: str | None) -> AccessDenied:
    """The failure of a call whose credentials are not accepted, or whose role may not do this."""
    code = error_code(error)
    text = str(error)
    by = f"the AWS connection {connection or 'that the plan names in target.aws_conn_id'}"
    if code in CREDENTIALS:
        return AccessDenied(
            f"The credentials are missing, unknown or expired ({doing}): {text}",
            remedy=f"Check {by} and its role.",
        )
    if isinstance(error, ClientError) and error.operation_name.startswith("AssumeRole"):
        return AccessDenied(
            f"STS refused the role of {by} ({doing}): {text}",
            remedy=(
                f"Check {by}: compare role_arn and assume_role_kwargs (ExternalId) in its extra with the "
                "role and its trust policy, and check that the caller may use sts:AssumeRole on that role."
            ),
        )
    action = denied_action(text)
    return AccessDenied(
        f"AWS refused {doing}: {text}", remedy=allow([action] if action else ["the action named above"])
    )
