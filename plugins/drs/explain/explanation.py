"""Explains why a server was not launched, by the patterns."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from drs.aws.access_denied import denied_action, statement
from drs.aws.jobs import LogEvent
from drs.explain.pattern import LaunchSymptoms, Pattern
from drs.explain.raw_errors import RAW_ERRORS
from drs.explain.signs import SIGNS, UNKNOWN


@dataclass(frozen=True)
class LaunchExplanation:
    """What a failure means in plain words.

    :param cause: what went wrong
    :param remedy: what to do about it
    :param retry_is_safe: whether the server may be launched again as it is
    :param pattern: the id of the pattern
    :param phrase: the cause in a few words
    :param action: the action that was denied, where one is named
    """

    cause: str
    remedy: str
    retry_is_safe: bool
    pattern: str
    phrase: str
    action: str | None = None

    @property
    def retry(self) -> str:
        """Whether to try again, as an answer."""
        if self.retry_is_safe:
            return "safe, the server may be launched again as it is"
        return "not before the cause is gone, for it would fail in the same way or do harm"


def explain_failure(
    raw_error: str | None,
    events: Sequence[LogEvent],
    *,
    job_status: str | None = None,
    launch_status: str | None = None,
    silent_for: dt.timedelta | None = None,
) -> LaunchExplanation:
    """Explain why a server was not launched.

    :param raw_error: DRS's own words, where there are any
    :param events: the server's part of the job log, and the job's own events
    :param job_status: the job's status, where it is known
    :param launch_status: the server's launch status, where it is known
    :param silent_for: since the job's last event, for a live job
    """
    seen = LaunchSymptoms(raw_error, events, job_status, launch_status, silent_for)
    pattern = next((each for each in (*RAW_ERRORS, *SIGNS) if each.fits(seen)), UNKNOWN)
    return _told(pattern, raw_error)


def _told(pattern: Pattern, raw_error: str | None) -> LaunchExplanation:
    action = denied_action(raw_error or "") if pattern.needs_action else None
    names = {
        "{action}": action or "an action that the error does not name",
        "{statement}": statement([action or "the action that is missing"]),
    }
    texts = [pattern.phrase, pattern.cause, pattern.remedy]
    for name, value in names.items():
        texts = [text.replace(name, value) for text in texts]
    phrase, cause, remedy = texts
    return LaunchExplanation(cause, remedy, pattern.retry_is_safe, pattern.id, phrase, action)


def raw_error_of(events: Sequence[LogEvent]) -> str | None:
    """DRS's own words in a part of a job log: the last ones about a server, else those about the job."""
    told = [event for event in events if event.raw_error]
    own = [event for event in told if event.server_id]
    return (own or told)[-1].raw_error if told else None
