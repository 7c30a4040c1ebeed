"""Puts the results in a record into words. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from drs.evidence.record import (
    CleanupEvidence,
    Evidence,
    InstanceEvidence,
    Measure,
    ServerEvidence,
    WaveState,
)
from drs.evidence.summary import not_met, part
from drs.run import records
from drs.run.records import launch_in_words
from drs.text.times import duration

MARKS = {"passed": "✓", "failed": "✕", "warned": "△", "left_out": "–", "not_reached": "○"}
"""The mark of a state. The marks differ in shape, so that a print in black and white shows the difference."""
WAVE_STATES: dict[WaveState, str] = {
    "passed": "passed",
    "failed": "failed",
    "left_out": "left out",
    "not_reached": "not reached",
}


def headline(record: Evidence) -> str:
    """The kind of run, unless it is a full drill, and its result: ``PARTIAL DRILL PASSED``."""
    kinds = {"full": "", "partial": f"PARTIAL {record.run.execution_type} ", "dry_run": "DRY RUN "}
    return f"{kinds[record.scope]}{record.result.upper()}"


def reservations(record: Evidence) -> Iterator[str]:
    """What a reader must know with the result: what the run did not cover, and which objectives it missed."""
    if record.scope == "partial":
        yield part(record)
    if record.scope == "dry_run":
        yield "nothing was launched"
    for each in not_met(record):
        other = record.result == "failed" and each.says not in record.reasons
        yield f"and {each.says}" if other else each.says


def started_by(record: Evidence) -> str:
    """Who or what started the run: a person, or the schedule that made it."""
    return records.started_by(record.run.initiator, record.run.run_type, record.plan.content)


def verdict(record: Evidence) -> Literal["yes", "part", "no"]:
    """How the headline looks: only a full pass without reservations looks like a pass."""
    if record.result == "failed":
        return "no"
    return "part" if any(reservations(record)) else "yes"


def fate(instance: InstanceEvidence, cleanup: CleanupEvidence) -> tuple[str, str]:
    """The mark and the words for what became of an instance."""
    if instance.fate == "lost":
        return MARKS["failed"], f"lost: {instance.lost_to}"
    if instance.fate == "terminated":
        return MARKS["passed"], "terminated by this run, gone"
    if instance.gone:  # a record of a version that did not tell these two apart
        return MARKS["passed"], "gone"
    return (MARKS["left_out"], "kept") if cleanup.kept else (MARKS["failed"], "not proven gone")


def fates(cleanup: CleanupEvidence) -> str:
    """How many instances were launched, and what became of them: ``4 launched: 3 terminated, 1 lost``."""
    known = [each.fate or ("gone" if each.gone else "left") for each in cleanup.instances]
    words = {"left": "not proven gone"}
    counts = [f"{known.count(one)} {words.get(one, one)}" for one in dict.fromkeys(known)]
    return f"{len(known)} launched: {', '.join(counts)}" if known else "none launched"


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
        words = launch_in_words(launched=False, live=server.live)
    elif server.valid is None:
        words = "launched, was not checked"
    else:
        words = "launched, valid" if server.valid else "launched, not valid"
    if not is_failed(server):
        return MARKS["passed"], words
    return (MARKS["warned"], f"{words} (optional)") if server.optional else (MARKS["failed"], words)
