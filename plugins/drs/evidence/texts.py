"""Puts the results in a record into words. Pure."""

from __future__ import annotations

from drs.evidence.record import Measure, ServerEvidence, WaveState
from drs.times import duration

MARKS = {"passed": "✓", "failed": "✕", "warned": "△", "left_out": "–", "not_reached": "○"}
"""The mark of a state. The marks differ in shape, so that they can be told apart in black and white."""
WAVE_STATES: dict[WaveState, str] = {
    "passed": "passed",
    "failed": "failed",
    "left_out": "left out",
    "not_reached": "not reached",
}


def objective(measure: Measure) -> tuple[str, str]:
    """The mark and the words for how an objective was met, with the time to spare."""
    if measure.target_seconds is None:
        return "", "no target"
    if measure.met is None or measure.measured_seconds is None:
        return MARKS["not_reached"], "not measured"
    spare = measure.target_seconds - measure.measured_seconds
    if measure.met:
        return MARKS["passed"], f"met, {duration(spare)} to spare"
    return MARKS["failed"], f"missed by {duration(-spare)}"


def is_failed(server: ServerEvidence) -> bool:
    """Whether a server did not launch, or failed a check. Optional servers and checks count too."""
    return not server.launched or server.valid is False


def is_remarkable(server: ServerEvidence) -> bool:
    """Whether a server needs more than its row: it failed, or DRS logged an error."""
    return is_failed(server) or bool(server.error) or any(event.raw_error for event in server.events)


def server_result(server: ServerEvidence) -> tuple[str, str]:
    """The mark and the words of a server's result."""
    if not server.launched:
        words = "did not launch"
    elif server.valid is None:
        words = "launched, was not checked"
    else:
        words = "launched, valid" if server.valid else "launched, not valid"
    if not is_failed(server):
        return MARKS["passed"], words
    return (MARKS["warned"], f"{words} (optional)") if server.optional else (MARKS["failed"], words)
