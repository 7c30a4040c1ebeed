"""Every failure of a drill: its code, what it means, and what to do about it.

    DrillError
    ├── one class for each code of the table below, named after it
    └── raised anywhere below the operators; the operators turn it into a task failure

A message is complete on its own: what happened, to which server or job, why; the remedy follows it.
Whether Airflow may retry the task is part of the error: ``retryable`` is false where the same call would
meet the same refusal.
"""

from __future__ import annotations

import enum
from typing import ClassVar


class Code(enum.StrEnum):
    """The codes that a task log, the verdict and the command line name."""

    MISSING_FIELD = "MISSING_FIELD"
    INVALID_FIELD = "INVALID_FIELD"
    RECOVERY_PLAN_NOT_FOUND = "RECOVERY_PLAN_NOT_FOUND"
    PLAN_HAS_NO_WAVES = "PLAN_HAS_NO_WAVES"
    PLAN_ALREADY_EXECUTING = "PLAN_ALREADY_EXECUTING"
    PLAN_CHANGED = "PLAN_CHANGED"
    ACCOUNT_MISMATCH = "ACCOUNT_MISMATCH"
    DRS_NOT_INITIALIZED = "DRS_NOT_INITIALIZED"
    DRS_UNAVAILABLE = "DRS_UNAVAILABLE"
    ACCESS_DENIED = "ACCESS_DENIED"
    SOURCE_SERVER_NOT_FOUND = "SOURCE_SERVER_NOT_FOUND"
    TAG_RESOLUTION_EMPTY = "TAG_RESOLUTION_EMPTY"
    SERVER_CONFLICT = "SERVER_CONFLICT"
    WAVE_SIZE_LIMIT_EXCEEDED = "WAVE_SIZE_LIMIT_EXCEEDED"
    CONCURRENT_JOBS_LIMIT_EXCEEDED = "CONCURRENT_JOBS_LIMIT_EXCEEDED"
    JOB_START_TIMEOUT = "JOB_START_TIMEOUT"
    JOB_TIMEOUT = "JOB_TIMEOUT"
    SERVER_LAUNCH_FAILED = "SERVER_LAUNCH_FAILED"
    CLEANUP_INCOMPLETE = "CLEANUP_INCOMPLETE"
    DRILL_FAILED = "DRILL_FAILED"


class DrillError(Exception):
    """A failure with a code, a message and a remedy.

    :param message: what happened, to which server or job, and why
    :param remedy: what the reader should do now; defaults to the class's own
    """

    code: ClassVar[Code]
    remedy: str = ""
    retryable: ClassVar[bool] = False

    def __init__(self, message: str, *, remedy: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        if remedy is not None:
            self.remedy = remedy

    def __str__(self) -> str:
        text = f"[{self.code}] {self.message}"
        return f"{text}\nWhat to do: {self.remedy}" if self.remedy else text
