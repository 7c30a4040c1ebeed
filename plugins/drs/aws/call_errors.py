"""What the refusals of AWS mean: which may be repeated, which code each stands for, what to do about it."""

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
"""What botocore repeats by itself; its default mode differs between its minor versions. It never repeats a
conflict."""

ONCE = Config(retries={"mode": "standard", "total_max_attempts": 1})


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


def unreached(error: Exception) -> bool:
    """Whether the request never got to DRS: no address, no connection, a proxy or certificate in the way."""
    return isinstance(error, BotoConnectionError)


def unavailable(error: Exception) -> bool:
    """Whether the same request may well be answered later."""
    return error_code(error) in THROTTLED or reply_unknown(error) or unreached(error)


def explain(
    error: ClientError | BotoCoreError, doing: str, *, connection: str | None = None
) -> DrillError | None:
    """The coded failure that a refusal of DRS stands for; ``None`` where there is no code for it.

    :param doing: what was being done, for the message: ``starting the recovery of s-…``
    :param connection: the id of the Airflow connection that was used, where it is known
    """
    code = error_code(error)
    text = str(error)
    by = f"the AWS connection {connection or 'that the plan names in target.aws_conn_id'}"
    if code in CREDENTIALS:
        return AccessDenied(
            f"The credentials are missing, unknown or expired ({doing}): {text}",
            remedy=f"Look at {by}, and at its role.",
        )
    if code in DENIED and isinstance(error, ClientError) and error.operation_name.startswith("AssumeRole"):
        return AccessDenied(
            f"STS refused the role of {by} ({doing}): {text}",
            remedy=(
                f"Look at {by}: compare role_arn and assume_role_kwargs (ExternalId) in its extra with the "
                "role and its trust policy, and see that the caller may use sts:AssumeRole on that role."
            ),
        )
    if code in DENIED:
        action = denied_action(text)
        return AccessDenied(
            f"AWS refused {doing}: {text}", remedy=allow([action] if action else ["the action named above"])
        )
    if code == "UninitializedAccountException":
        return DrsNotInitialized(f"DRS is not initialised in this account and Region ({doing}): {text}")
    if code == NOT_FOUND:
        return SourceServerNotFound(f"DRS does not know what was named ({doing}): {text}")
    if unavailable(error):
        return DrsUnavailable(f"AWS did not answer ({doing}): {text}")
    return None
