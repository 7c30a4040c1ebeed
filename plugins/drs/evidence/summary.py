"""A record in short: what it is the record of, its result, and its measures as numbers. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from drs.evidence.objectives import Unmet, missed, unmet
from drs.evidence.record import Evidence, Measure
from drs.run.scope import part_of, run_kind
from drs.text.times import duration


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


def objectives_in_words(told: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Each measure with its target, by what the task ``evidence`` returned; each with a name for people."""
    rto, rpo = told.get("rto_target_seconds"), told.get("rpo_target_seconds")
    return [
        ("RTO, to the last server launched", _against(told.get("rto_launched_seconds"), rto)),
        ("RTO, to the last wave validated", _against(told.get("rto_validated_seconds"), rto)),
        ("RPO, of the worst server", _against(told.get("rpo_seconds"), rpo)),
    ]


def _against(measured: float | None, target: float | None) -> str:
    value = duration(measured, none="not measured")
    if target is None:
        return f"{value} (the plan has no target)"
    if measured is None:
        return f"{value} (target {duration(target)})"
    return f"{value} (target {duration(target)}: {'met' if measured <= target else 'MISSED'})"


def mark(measure: Measure) -> str:
    """A measure for a table's cell, with a mark if it exceeds its target."""
    return seconds(measure.measured_seconds) + (" !" if measure.met is False else "")


def seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.0f} s"


def kind(record: Evidence) -> str:
    """The kind of run, in words."""
    return run_kind(record.run.execution_type, record.scope)


def part(record: Evidence) -> str:
    """What a partial run covered: ``2 of 3 waves, 1 server excluded``."""
    return part_of(plan_waves=len(record.waves), waves=len(record.run.waves), excluded=len(record.excluded))


def passed_in_full(record: Evidence) -> bool:
    """Whether the run passed every wave and server of its plan. Nothing less is a pass of the plan."""
    return record.result == "passed" and record.scope == "full"


def not_met(record: Evidence) -> tuple[Unmet, ...]:
    """The objectives that the run missed. If its plan enforces them, also those that failed it because they
    could not be measured.
    """
    every = unmet(record.objectives, doubted=False)
    known = missed(record.objectives)
    return tuple(each for each in every if each in known or each.says in record.reasons)


def codes(record: Evidence) -> list[str]:
    """The error codes of the run, each once. Tasks that were cut off have no code of their own."""
    failed = [failure.code or "no code" for failure in record.failures if failure.state == "failed"]
    enforced = [each.code.value for each in not_met(record) if each.says in record.reasons]
    return list(dict.fromkeys([*failed, *enforced]))
