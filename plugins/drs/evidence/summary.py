"""A record in short: its measures as numbers and in words. Pure."""

from __future__ import annotations

from drs.evidence.record import Evidence, Measure


def measured(record: Evidence) -> dict[str, float | None]:
    """The measures and their targets, in seconds."""
    objectives = record.objectives
    return {
        "rto_target_seconds": objectives.rto_launched.target_seconds,
        "rto_launched_seconds": objectives.rto_launched.measured_seconds,
        "rto_validated_seconds": objectives.rto_validated.measured_seconds,
        "rpo_target_seconds": objectives.rpo.target_seconds,
        "rpo_seconds": objectives.rpo.measured_seconds,
    }


def judged(measure: Measure) -> str:
    """A measure and its target, in words."""
    if measure.measured_seconds is None:
        value = "not measured: the value is not known for every server"
    else:
        value = seconds(measure.measured_seconds)
    if measure.target_seconds is None:
        return f"{value} (the plan has no target)"
    target = seconds(measure.target_seconds)
    if measure.met is None:
        return f"{value} (target {target})"
    return f"{value}, {'within' if measure.met else 'exceeds'} the target of {target}"


def mark(measure: Measure) -> str:
    """A measure for a table's cell, with a mark if it exceeds its target."""
    return seconds(measure.measured_seconds) + (" !" if measure.met is False else "")


def seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.0f} s"


def kind(record: Evidence) -> str:
    """The kind of run, in words."""
    return f"{record.run.execution_type} (dry run)" if record.run.dry_run else record.run.execution_type


def codes(record: Evidence) -> list[str]:
    """The error codes of the failed tasks, each once. Tasks that were cut off have no code of their own."""
    failed = (failure.code or "no code" for failure in record.failures if failure.state == "failed")
    return list(dict.fromkeys(failed))
