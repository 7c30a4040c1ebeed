"""Explains with the patterns why a server was not launched."""

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
    :param pattern: the id of the pattern that fits
    :param phrase: the cause in a few words
    :param action: the action that was denied, if the error names one
    """

    cause: str
    remedy: str
    retry_is_safe: bool
    pattern: str
    phrase: str
    action: str | None = None

    @property
    def retry(self) -> str:
        """The answer to the question whether to launch the server again."""
        if self.retry_is_safe:
            return "safe, the server may be launched again as it is"
        return "only after the cause is fixed; before that, the launch would fail in the same way or do harm"


def explain_failure(
    raw_error: str | None,
    events: Sequence[LogEvent],
    *,
    job_status: str | None = None,
    launch_status: str | None = None,
    silent_for: dt.timedelta | None = None,
) -> LaunchExplanation:
    """Explain why a server was not launched.

    :param raw_error: the error in DRS's own words, if there is one
    :param events: the server's events in the job log, and the events of the job itself
    :param job_status: the job's status, if it is known
    :param launch_status: the server's launch status, if it is known
    :param silent_for: the time since the job's last event, if the job is live
    """
    seen = LaunchSymptoms(raw_error, events, job_status, launch_status, silent_for)
    pattern = next((each for each in (*RAW_ERRORS, *SIGNS) if each.fits(seen)), UNKNOWN)
    return _filled_in(pattern, raw_error)


def _filled_in(pattern: Pattern, raw_error: str | None) -> LaunchExplanation:
    """The pattern's texts, with the denied action and its statement in their places."""
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
    """The last raw error about a server in this part of a job log, or else the last one about the job."""
    with_error = [event for event in events if event.raw_error]
    about_server = [event for event in with_error if event.server_id]
    return (about_server or with_error)[-1].raw_error if with_error else None
