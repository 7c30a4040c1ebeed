"""Instants and spans of time as people read them, the same in every log, message and page. Always in UTC."""

from __future__ import annotations

import datetime as dt

UNKNOWN = "not known"
SEARCH_CLOCK_SKEW = dt.timedelta(minutes=5)
"""How far a search for something of a known time goes back before that time, since the clocks of two machines
may differ. Large, because what is searched for is recognised by its own mark: going back too far only reads
more, going back too little misses it.
"""
_UNITS = (("d", 86400), ("h", 3600), ("min", 60), ("s", 1))


def utc_now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


def as_utc(at: dt.datetime) -> dt.datetime:
    """The instant in UTC. An instant without a time zone is taken as UTC."""
    return at.replace(tzinfo=dt.UTC) if at.tzinfo is None else at.astimezone(dt.UTC)


def clock_time(at: dt.datetime) -> str:
    """``06:00:15 UTC``, for a log that is read on the same day."""
    return as_utc(at).strftime("%H:%M:%S UTC")


def minute(at: dt.datetime) -> str:
    """``2026-03-01 06:00 UTC``"""
    return as_utc(at).strftime("%Y-%m-%d %H:%M UTC")


def instant(at: dt.datetime | None, none: str = UNKNOWN) -> str:
    """``2026-03-01 06:00:15``, in UTC, for a column whose heading says so; ``none`` for no instant."""
    return none if at is None else as_utc(at).strftime("%Y-%m-%d %H:%M:%S")


def stamp(at: dt.datetime | None, none: str = UNKNOWN) -> str:
    """``2026-03-01 06:00:15 UTC``, for a sentence; ``none`` for no instant."""
    return none if at is None else f"{instant(at)} UTC"


def duration(seconds: float | None, none: str = UNKNOWN) -> str:
    """``8 min 53 s``; below ten seconds with tenths, as in ``4.5 s``; ``none`` for no span."""
    if seconds is None:
        return none
    if seconds < 0:
        return f"−{duration(-seconds)}"
    if seconds < 9.95:
        return f"{round(seconds, 1):g} s"
    rest = round(seconds)
    parts = []
    for unit, size in _UNITS:
        count, rest = divmod(rest, size)
        if count:
            parts.append(f"{count} {unit}")
    return " ".join(parts)


def age(since: dt.datetime | None, now: dt.datetime) -> str:
    """How long something has existed, in its two largest units: ``3 min``, ``2 h 5 min``, ``4 d 3 h``.

    :return: ``-`` if its beginning is not known
    """
    if since is None:
        return "-"
    minutes = max(int((now - since).total_seconds()), 0) // 60
    hours = minutes // 60
    if minutes < 60:
        return f"{minutes} min"
    return f"{hours} h {minutes % 60} min" if hours < 24 else f"{hours // 24} d {hours % 24} h"
