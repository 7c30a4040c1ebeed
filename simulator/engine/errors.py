"""The refusals of the simulated DRS, with the names and codes that DRS uses.

The HTTP status of each comes from DRS's API model; the engine knows only code, message and fields.
"""

from __future__ import annotations


class DrsError(Exception):
    """One refusal: ``code`` is the name of DRS's exception, ``fields`` are its other members."""

    code = "InternalServerException"

    def __init__(self, message: str, **fields: str) -> None:
        super().__init__(message)
        self.message = message
        self.fields = fields


class ConflictError(DrsError):
    code = "ConflictException"


class QuotaExceededError(DrsError):
    code = "ServiceQuotaExceededException"

    def __init__(self, message: str, quota_code: str) -> None:
        super().__init__(message, quotaCode=quota_code, serviceCode="drs")


class ResourceNotFoundError(DrsError):
    code = "ResourceNotFoundException"

    def __init__(self, resource_type: str, resource_id: str) -> None:
        super().__init__(
            f"{resource_type} {resource_id} does not exist.",
            resourceType=resource_type,
            resourceId=resource_id,
        )


class ValidationError(DrsError):
    code = "ValidationException"


class UninitializedAccountError(DrsError):
    code = "UninitializedAccountException"

    def __init__(self) -> None:
        super().__init__("Account is not initialized for Elastic Disaster Recovery in this Region.")


class AccessDeniedError(DrsError):
    code = "AccessDeniedException"


class ThrottlingError(DrsError):
    code = "ThrottlingException"

    def __init__(self, retry_after: int) -> None:
        super().__init__("Rate exceeded", serviceCode="drs", retryAfterSeconds=str(retry_after))


class InternalServerError(DrsError):
    code = "InternalServerException"


class ConnectionDroppedError(ConnectionError):
    """No reply: the connection closes. Because it is a ConnectionError, the WSGI server sends no answer.

    :param silence: for how many seconds the connection stays open before it closes
    """

    def __init__(self, message: str, silence: float = 0.0) -> None:
        super().__init__(message)
        self.silence = silence
