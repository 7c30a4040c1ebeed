"""What a run has done and what is left of it, in a sentence or two. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from drs.run.fates import InstanceFate, fates
from drs.run.ledger import Ledger
from drs.run.records import RunRecord
from drs.run.scope import part_of_run, scope_of_run
from drs.text import shown
from drs.text.tables import first_of


def passed(ledger: Ledger, run: RunRecord, missed: Sequence[str] = ()) -> str:
    """What a run that passed has done.

    :param missed: the objectives that it missed, each as a clause
    """
    if run.missed:
        return run.missed
    if run.dry_run:
        return f"Dry run of a {run.execution_type}: preflight passed, nothing was launched."
    what = "drill" if run.is_drill else "RECOVERY"
    if scope_of_run(run) == "partial":
        what = f"PARTIAL {what} ({part_of_run(run)})"
    launched = "; ".join(_done(ledger, run))
    if missed:
        return f"The {what} passed, but {' and '.join(missed)}. {launched}."
    return f"The {what} passed: {launched}."


def _done(ledger: Ledger, run: RunRecord) -> Iterator[str]:
    """What was launched, and what became of it."""
    outcomes = [outcome for wave in run.waves if (outcome := ledger.outcome(wave)) is not None]
    counts = [sum(server.launched for server in outcome.servers) for outcome in outcomes]
    yield f"{sum(counts)} server(s) launched in {sum(map(bool, counts))} wave(s)"
    if not run.is_drill:
        yield "none of them is terminated"
        return
    instances = fates(ledger, run)
    cleanup = ledger.cleanup()
    kept = sum(each.fate == "kept" for each in instances)
    terminated = sum(each.fate == "terminated" for each in instances)
    if cleanup is not None and cleanup.kept:
        yield f"{kept} instance(s) are kept and cost money: {shown.line(cleanup.why_kept)}"
    elif terminated == len(instances):
        yield "all of them are terminated"
    else:
        yield f"this run terminated {terminated} of {len(instances)} instances"
    if lost := lost_in_words(instances):
        yield f"lost: {lost}"


def left_in_words(ledger: Ledger, run: RunRecord) -> str:
    """Whether everything that the run launched is terminated, and what to do about the rest."""
    instances, cleanup = fates(ledger, run), ledger.cleanup()
    if not run.is_drill and instances:
        return f"no: this is a real recovery, and its {len(instances)} instance(s) keep running"
    by_fate: dict[str, list[str]] = {}
    for each in instances:
        by_fate.setdefault(each.fate, []).append(each.instance.recovery_instance_id)
    command = f"`python -m drs cleanup {run.read_plan().name} --run {shown.argument(run.run_id)}`"
    if cleanup is not None and cleanup.kept and (kept := by_fate.get("kept")):
        why = shown.line(cleanup.why_kept)
        return f"no: {len(kept)} instance(s) are kept and cost money ({why}). To terminate them: {command}"
    if left := by_fate.get("left"):
        return f"NOT PROVEN: {first_of(left)} may still run and cost money. Look, and terminate: {command}"
    if cleanup is None or not (cleanup.proven or cleanup.kept):
        if any(ledger.launch(wave) for wave in run.waves):
            return (
                f"NOT PROVEN: what was launched may still run and cost money. Look, and terminate: {command}"
            )
        return "nothing was launched"
    if cleanup.unsure:
        return f"NOT PROVEN: job(s) {', '.join(cleanup.unsure)} may be this run's, and were not touched"
    if lost := by_fate.get("lost"):
        return f"yes, but this run did not do it all: somebody else ended {first_of(lost)}"
    return (
        f"yes: all {len(instances)} instance(s), proven in DRS and EC2"
        if instances
        else "nothing was launched"
    )


def lost_in_words(instances: Iterable[InstanceFate]) -> str:
    """The instances that this run lost, and what is known about that; empty if it lost none."""
    groups: dict[str | None, list[str]] = {}
    for each in instances:
        if each.fate == "lost":
            name = f"{each.instance.recovery_instance_id} of {each.instance.server_id}"
            groups.setdefault(each.lost_to, []).append(name)
    return "; ".join(f"{first_of(names)} ({shown.line(why)})" for why, names in groups.items())
