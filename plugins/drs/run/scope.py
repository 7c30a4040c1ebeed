"""How much of its plan a run covers: all of it, a part that somebody chose, or preflight alone. Pure.

Only a person's choice makes a run partial: waves that were not chosen, and servers in ``exclude_servers``. An
optional server or group that preflight leaves out does not, because the plan itself allows that in every run.
"""

from __future__ import annotations

from typing import Literal

from drs.run.records import RunRecord

Scope = Literal["full", "partial", "dry_run"]


def scope_of(*, plan_waves: int, waves: int, excluded: int, dry_run: bool) -> Scope:
    """The scope of a run.

    :param plan_waves: how many waves the plan has
    :param waves: how many of them were chosen for the run
    :param excluded: how many servers the run excluded
    """
    if dry_run:
        return "dry_run"
    return "full" if waves == plan_waves and not excluded else "partial"


def run_kind(execution_type: str, scope: Scope) -> str:
    """``DRILL``, ``DRILL (partial)``, ``RECOVERY (dry run)``: what kind of run it is, for tables."""
    more = {"full": "", "partial": " (partial)", "dry_run": " (dry run)"}
    return f"{execution_type}{more[scope]}"


def part_of(*, plan_waves: int, waves: int, excluded: int) -> str:
    """``2 of 3 waves, 1 server excluded``: what a partial run covers."""
    part = f"{waves} of {plan_waves} waves"
    if waves == plan_waves:
        part = "the only wave" if waves == 1 else f"all {waves} waves"
    if not excluded:
        return part
    return f"{part}, {excluded} server{'' if excluded == 1 else 's'} excluded"


def scope_in_words(run: RunRecord) -> str:
    """How much of its plan the run covers."""
    waves = len(run.waves)
    match scope_of_run(run):
        case "dry_run":
            return "dry run: preflight alone, nothing was launched"
        case "partial":
            return f"partial: {part_of_run(run)}"
        case "full":
            return f"full: {'the only wave' if waves == 1 else f'all {waves} waves'} of the plan"


def scope_of_run(run: RunRecord) -> Scope:
    return scope_of(
        plan_waves=len(run.plan["waves"]),
        waves=len(run.waves),
        excluded=len(run.exclude_servers),
        dry_run=run.dry_run,
    )


def part_of_run(run: RunRecord) -> str:
    """What the run covers, in words."""
    return part_of(plan_waves=len(run.plan["waves"]), waves=len(run.waves), excluded=len(run.exclude_servers))
