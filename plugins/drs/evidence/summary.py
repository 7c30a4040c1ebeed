"""A record in short: its measures as numbers, and as a person reads them. Pure."""

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
    """A measure against its target."""
    if measure.measured_seconds is None:
        told = "not measured, for it is not known of every server"
    else:
        told = seconds(measure.measured_seconds)
    if measure.target_seconds is None:
        return f"{told} (the plan has no target)"
    target = seconds(measure.target_seconds)
    if measure.met is None:
        return f"{told} (target {target})"
    return f"{told}, {'within' if measure.met else 'beyond'} the target of {target}"


def mark(measure: Measure) -> str:
    """A measure in a table's cell; one that is beyond its target is marked."""
    return seconds(measure.measured_seconds) + (" !" if measure.met is False else "")


def seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.0f} s"


def kind(record: Evidence) -> str:
    """What sort of run it was."""
    return f"{record.run.execution_type} (dry run)" if record.run.dry_run else record.run.execution_type


def codes(record: Evidence) -> list[str]:
    """The codes of what failed, each once; tasks that were cut off have none of their own."""
    failed = (failure.code or "no code" for failure in record.failures if failure.state == "failed")
    return list(dict.fromkeys(failed))
