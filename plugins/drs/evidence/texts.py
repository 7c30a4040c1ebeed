"""How the values of a record are told to a reader: instants, spans and results in words. Pure."""

from __future__ import annotations

import datetime as dt

from drs.evidence.record import Measure, ServerEvidence, WaveState

UNKNOWN = "not known"
MARKS = {"passed": "✓", "failed": "✕", "warned": "△", "left_out": "–", "not_reached": "○"}
"""A state's mark: told apart by its shape, also on a black-and-white print."""
WAVE_STATES: dict[WaveState, str] = {
    "passed": "passed",
    "failed": "failed",
    "left_out": "left out",
    "not_reached": "not reached",
}
_UNITS = (("d", 86400), ("h", 3600), ("min", 60), ("s", 1))


def as_utc(at: dt.datetime) -> dt.datetime:
    """The instant in UTC; one without a time zone is taken for UTC."""
    return at.replace(tzinfo=dt.UTC) if at.tzinfo is None else at.astimezone(dt.UTC)


def instant(at: dt.datetime | None, none: str = UNKNOWN) -> str:
    """``2026-03-01 06:00:15``, in UTC; ``none`` for no instant."""
    return none if at is None else as_utc(at).strftime("%Y-%m-%d %H:%M:%S")


def duration(seconds: float | None, none: str = UNKNOWN) -> str:
    """``8 min 53 s``; below ten seconds with a tenth, as in ``4.5 s``; ``none`` for no span."""
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


def objective(measure: Measure) -> tuple[str, str]:
    """The mark and the words of an objective's outcome, with what was to spare."""
    if measure.target_seconds is None:
        return "", "no target"
    if measure.met is None or measure.measured_seconds is None:
        return MARKS["not_reached"], "not measured"
    spare = measure.target_seconds - measure.measured_seconds
    if measure.met:
        return MARKS["passed"], f"met, {duration(spare)} to spare"
    return MARKS["failed"], f"missed by {duration(-spare)}"


def is_failed(server: ServerEvidence) -> bool:
    """Whether a server was not launched, or failed a check, the optional ones included."""
    return not server.launched or server.valid is False


def is_remarkable(server: ServerEvidence) -> bool:
    """Whether there is more to tell of a server than its row: it failed, or DRS wrote of an error."""
    return is_failed(server) or bool(server.error) or any(event.raw_error for event in server.events)


def server_result(server: ServerEvidence) -> tuple[str, str]:
    """The mark and the words of a server's result."""
    if not server.launched:
        words = "not launched"
    elif server.valid is None:
        words = "launched, not checked"
    else:
        words = "launched, valid" if server.valid else "launched, not valid"
    if not is_failed(server):
        return MARKS["passed"], words
    return (MARKS["warned"], f"{words} (optional)") if server.optional else (MARKS["failed"], words)
