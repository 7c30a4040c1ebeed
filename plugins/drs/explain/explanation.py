"""Explains why a server was not launched: by DRS's raw error, else by the signs in the job log."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from drs.aws.jobs import LogEvent
from drs.aws.refusals import UNKNOWN, Meaning, meaning_of
from drs.explain.pattern import LaunchSymptoms, Pattern
from drs.explain.signs import SIGNS, UNEXPLAINED


@dataclass(frozen=True)
class LaunchExplanation:
    """What a failure means in plain words.

    :param cause: what went wrong
    :param remedy: what to do about it
    :param retry_is_safe: whether the server may be launched again as it is
    :param pattern: the id of the pattern that fits
    :param phrase: the cause in a few words
    :param action: the action that was denied, if the error names one
    :param denied: whether a permission is missing or a policy denies something
    :param denied_by: whose policy denies it, if AWS says
    """

    cause: str
    remedy: str
    retry_is_safe: bool
    pattern: str
    phrase: str
    action: str | None = None
    denied: bool = False
    denied_by: str | None = None

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
    meaning = meaning_of(raw_error) if raw_error else None
    if meaning and meaning.kind is not UNKNOWN:
        return _of_error(meaning)
    seen = LaunchSymptoms(raw_error, events, job_status, launch_status, silent_for)
    sign = next((each for each in SIGNS if each.fits(seen)), None)
    if sign:
        return _of_sign(sign, meaning)
    return _of_error(meaning) if meaning else _of_sign(UNEXPLAINED, None)


def _of_error(meaning: Meaning) -> LaunchExplanation:
    denial = meaning.denial
    return LaunchExplanation(
        cause=meaning.cause,
        remedy=meaning.remedy,
        retry_is_safe=meaning.kind.retry_is_safe,
        pattern=meaning.kind.id,
        phrase=meaning.phrase,
        action=meaning.action,
        denied=denial is not None,
        denied_by=str(denial.denier) if denial and denial.denier else None,
    )


def _of_sign(sign: Pattern, unknown: Meaning | None) -> LaunchExplanation:
    """The explanation by a sign. An error that nobody knows comes first, in its own words."""
    cause = f"{unknown.cause} The job log shows: {sign.cause}" if unknown else sign.cause
    return LaunchExplanation(cause, sign.remedy, sign.retry_is_safe, sign.id, sign.phrase)


def raw_error_of(events: Sequence[LogEvent]) -> str | None:
    """The last raw error about a server in this part of a job log, or else the last one about the job."""
    with_error = [event for event in events if event.raw_error]
    about_server = [event for event in with_error if event.server_id]
    return (about_server or with_error)[-1].raw_error if with_error else None
