"""A sign of a failure in the job log, as data: how it is recognised, what it means, what to do about it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from drs.aws.jobs import LogEvent
from drs.aws.states import LIVE_JOB, JobStatus
from drs.explain.events import OF_THE_JOB

JOB_SILENT_AFTER = dt.timedelta(minutes=10)
"""A live job is called silent if its log has had no new event for this long."""


@dataclass(frozen=True)
class LaunchSymptoms:
    """What is known about a server that was not launched.

    :param raw_error: the error in DRS's own words, if there is one
    :param events: the server's events in the job log and those of the job itself, oldest first
    :param job_status: PENDING, STARTED or COMPLETED; ``None`` if it is not known
    :param launch_status: the server's launch status; ``None`` if it is not known
    :param silent_for: the time since the job's last event, if the job is live
    """

    raw_error: str | None = None
    events: Sequence[LogEvent] = ()
    job_status: str | None = None
    launch_status: str | None = None
    silent_for: dt.timedelta | None = None

    @property
    def last(self) -> str | None:
        """The name of the last event about the server itself."""
        return next((e.event for e in reversed(self.events) if e.event not in OF_THE_JOB), None)

    @property
    def trouble(self) -> str | None:
        """The last event that means trouble."""
        return next((e.event for e in reversed(self.events) if _is_trouble(e.event)), None)

    @property
    def live(self) -> bool:
        return self.job_status in LIVE_JOB

    @property
    def ended(self) -> bool:
        return self.job_status == JobStatus.COMPLETED or any(e.event == "JOB_END" for e in self.events)

    @property
    def silent(self) -> bool:
        return self.live and self.silent_for is not None and self.silent_for >= JOB_SILENT_AFTER


def _is_trouble(event: str) -> bool:
    return event.endswith(("_FAIL", "_FAILED")) or event in {
        "SERVER_SKIPPED",
        "JOB_CANCEL",
        "USING_PREVIOUS_SNAPSHOT",
    }


@dataclass(frozen=True)
class Example:
    """A case that the pattern must explain. A test checks that no other pattern explains it first.

    :param events: the names of the events, in their order
    :param silent_minutes: the minutes since the last event of a live job
    """

    raw_error: str | None = None
    events: tuple[str, ...] = ()
    job_status: str | None = None
    launch_status: str | None = None
    silent_minutes: int | None = None


@dataclass(frozen=True)
class Pattern:
    """A sign in the job log, or the absence of one. It matches by exactly one of ``events`` and ``when``.

    :param id: the pattern's name, which never changes
    :param phrase: the cause in a few words, for use in a sentence
    :param cause: the cause in plain words
    :param remedy: what to do
    :param retry_is_safe: whether the server may be launched again as it is: it harms nothing and may succeed
    :param examples: cases that the pattern must explain
    :param events: the pattern fits if the last event that means trouble is one of these
    :param when: a condition on all symptoms
    :param matches: the condition ``when`` in words, for the reader
    """

    id: str
    phrase: str
    cause: str
    remedy: str
    retry_is_safe: bool
    examples: tuple[Example, ...]
    events: frozenset[str] = frozenset()
    when: Callable[[LaunchSymptoms], bool] | None = None
    matches: str = ""

    def fits(self, seen: LaunchSymptoms) -> bool:
        """Whether the pattern explains what was seen."""
        if self.events:
            return seen.trouble in self.events
        return self.when is not None and self.when(seen)
