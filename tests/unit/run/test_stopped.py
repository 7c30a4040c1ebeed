"""STOPPED_BY_HAND: a run that a person ended is told apart from one that failed by itself."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from drs.errors import Code, error_class
from drs.run.ledger import Ledger
from drs.run.proof import (
    STOPPED_IN_AIRFLOW,
    TELLING_CODES,
    WITHOUT_CODE,
    cut_off_by_hand,
    failed_tasks,
    stopped,
    verdict_code,
)
from drs.run.records import CleanupRecord, FailureRecord, Resolution, RunRecord, Stop, WaveResolution
from tests.unit.drill import NOW, MemoryStore, make_plan, make_run

States = dict[str, str | None]
WAVE_TASKS = ("start_recovery", "wait_until_started", "wait_until_launched", "validate")
SUCCEEDED: States = {
    "open": "success",
    "begin": "success",
    "preflight": "success",
    **{f"wave_{wave}.{task}": "success" for wave in ("database", "application") for task in WAVE_TASKS},
    "terminate": "success",
    "evidence": "success",
    "verdict": "running",
}
DATABASE = [f"wave_database.{task}" for task in WAVE_TASKS]
APPLICATION = [f"wave_application.{task}" for task in WAVE_TASKS]
BY_ADA = "ada stopped the run at 2026-03-01 06:00:00 UTC: the wrong fleet"


def states(**groups: str | list[str]) -> States:
    """The states of a run that succeeded, except for these tasks, by state."""
    changed = {name: state for state, names in groups.items() for name in names}
    return SUCCEEDED | changed


@pytest.fixture
def ledger() -> Ledger:
    """The records of a run of two waves, which is cleaned up."""
    ledger = Ledger(MemoryStore())
    ledger.save_run(make_run())
    ledger.save_resolution(Resolution(waves={"database": WaveResolution(), "application": WaveResolution()}))
    ledger.save_cleanup(CleanupRecord(started_at=NOW, proven=True))
    return ledger


def stop_by_command(ledger: Ledger, reason: str = "the wrong fleet") -> None:
    ledger.save_stop(Stop(by="ada", at=NOW, reason=reason))


MARKED = states(failed=DATABASE[2:3], skipped=[*DATABASE[3:], *APPLICATION])
"""A person marked the run as failed while it waited for the launch of the first wave."""


def test_a_run_that_was_marked_as_failed_is_stopped_by_someone(ledger: Ledger) -> None:
    """Airflow skips what has not begun; who did it is in Airflow's audit log."""
    assert stopped(ledger, MARKED) == STOPPED_IN_AIRFLOW
    assert verdict_code(ledger, make_run(), MARKED) == Code.STOPPED_BY_HAND


def test_a_run_that_was_marked_as_success_is_stopped_as_well(ledger: Ledger) -> None:
    """The task that ran is then a success, and what has not begun is skipped."""
    marked = states(skipped=[*DATABASE[3:], *APPLICATION])
    assert verdict_code(ledger, make_run(), marked) == Code.STOPPED_BY_HAND


def test_the_command_says_who_when_and_why(ledger: Ledger) -> None:
    stop_by_command(ledger)
    assert list(failed_tasks(ledger, MARKED)) == [BY_ADA, f"{DATABASE[2]} was cut off by that"]
    stop_by_command(ledger, reason="")
    assert stopped(ledger, MARKED) == BY_ADA.removesuffix(": the wrong fleet")


def test_the_command_s_record_is_enough_where_nothing_was_left_to_skip(ledger: Ledger) -> None:
    """The last task of the last wave was running."""
    last = states(failed=APPLICATION[-1:])
    assert stopped(ledger, last) is None
    stop_by_command(ledger)
    assert stopped(ledger, last) == BY_ADA
    assert verdict_code(ledger, make_run(), last) == Code.STOPPED_BY_HAND


def test_a_stop_that_came_too_late_to_cut_anything_off_is_none(ledger: Ledger) -> None:
    """Every task had succeeded: the drill has passed, whatever a person asked for."""
    stop_by_command(ledger)
    assert stopped(ledger, SUCCEEDED) is None
    assert list(failed_tasks(ledger, SUCCEEDED)) == []


def test_each_task_that_was_cut_off_has_the_code(ledger: Ledger) -> None:
    """Not so clean-up, evidence and verdict: a person's stop does not end them."""
    failure = FailureRecord(
        code="STOPPED_BY_HAND",
        message=f"It was cut off: {STOPPED_IN_AIRFLOW}.",
        remedy="Nothing to fix if that was intended. Start a new run to drill the plan.",
    )
    assert cut_off_by_hand(ledger, MARKED | {"terminate": "failed"}) == {DATABASE[2]: failure}
    assert cut_off_by_hand(ledger, SUCCEEDED) == {}


# --- not stopped ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("task", ["begin", "preflight", DATABASE[2], APPLICATION[3]])
def test_a_failed_task_without_a_code_is_no_sign(ledger: Ledger, task: str) -> None:
    """Its process died, or somebody marked this one task as failed: what follows is upstream_failed."""
    order = list(SUCCEEDED)
    after = [name for name in order[order.index(task) + 1 :] if name.startswith(("wave_", "preflight"))]
    died = states(failed=[task], upstream_failed=after)
    assert stopped(ledger, died) is None
    assert cut_off_by_hand(ledger, died) == {}
    assert next(failed_tasks(ledger, died)) == f"{task} failed: {WITHOUT_CODE}"
    assert verdict_code(ledger, make_run(), died) == Code.DRILL_FAILED


def left_out(ledger: Ledger) -> RunRecord:
    waves = {"database": WaveResolution(left_out="all excluded"), "application": WaveResolution()}
    ledger.save_resolution(Resolution(waves=waves))
    return make_run()


SKIPPED_BY_ITSELF: dict[str, tuple[Callable[[Ledger], RunRecord], States]] = {
    "a wave that was not chosen": (lambda _: make_run(waves=["application"]), states(skipped=DATABASE)),
    "a wave that preflight left out": (left_out, states(skipped=DATABASE)),
    "a dry run": (
        lambda _: make_run(dry_run=True),
        states(skipped=[*DATABASE, *APPLICATION, "terminate", "approve_cleanup"]),
    ),
    "a missed run": (
        lambda _: make_run(run_type="scheduled", missed="Missed."),
        states(skipped=[*list(SUCCEEDED)[1:-1], "approve_recovery"]),
    ),
    "an approval that was skipped": (
        lambda _: make_run(skip_approvals=True),
        states(skipped=["wave_database.approve"]),
    ),
    "the approval of a recovery, in a drill": (lambda _: make_run(), states(skipped=["approve_recovery"])),
    "the question about clean-up, if there is none": (
        lambda _: make_run(make_plan(allow_recovery=True), execution_type="RECOVERY", reason="fire"),
        states(skipped=["approve_cleanup"]),
    ),
}


@pytest.mark.parametrize("case", SKIPPED_BY_ITSELF)
def test_what_skips_itself_is_no_sign(ledger: Ledger, case: str) -> None:
    """Also not if another task of the run failed by itself."""
    make, skipped = SKIPPED_BY_ITSELF[case]
    ledger.save_run(make(ledger))
    assert stopped(ledger, skipped) is None
    assert stopped(ledger, skipped | {APPLICATION[2]: "failed", APPLICATION[3]: "upstream_failed"}) is None


def test_without_a_resolution_nobody_knows_which_waves_are_left_out(ledger: Ledger) -> None:
    """Somebody deleted the record: no guess is made."""
    store = MemoryStore()
    bare = Ledger(store)
    bare.save_run(make_run())
    assert stopped(bare, states(skipped=DATABASE)) is None
    assert stopped(bare, states(failed=["preflight"], skipped=DATABASE)) == STOPPED_IN_AIRFLOW


def test_a_wave_that_only_a_later_version_of_the_plan_has_is_no_sign(ledger: Ledger) -> None:
    assert stopped(ledger, SUCCEEDED | {"wave_new.start_recovery": "skipped"}) is None


# --- stopped before it began ------------------------------------------------------------------------------


def test_a_run_that_was_stopped_while_it_began_never_began() -> None:
    """Nothing is on record, and preflight was skipped."""
    nothing = Ledger(MemoryStore())
    marked = states(failed=["begin"], skipped=["preflight", *DATABASE, *APPLICATION, "terminate"])
    assert stopped(nothing, marked) == STOPPED_IN_AIRFLOW
    assert verdict_code(nothing, None, marked) == Code.STOPPED_BY_HAND


def test_a_run_that_was_refused_is_not_stopped() -> None:
    """Begin failed with a code, and clean-up and evidence skipped themselves."""
    refused = Ledger(MemoryStore())
    refused.save_failure("begin", FailureRecord(code="PLAN_ALREADY_EXECUTING", message="Run r is active."))
    ended = states(
        failed=["begin"],
        upstream_failed=["preflight", *DATABASE, *APPLICATION],
        skipped=["terminate", "evidence"],
    )
    assert stopped(refused, ended) is None
    assert verdict_code(refused, None, ended) == Code.DRILL_FAILED


# --- stopped, and something went wrong as well -------------------------------------------------------------


def test_what_failed_by_itself_weighs_more_than_the_stop(ledger: Ledger) -> None:
    """The remedy of STOPPED_BY_HAND is "Nothing to fix": that must be true."""
    stop_by_command(ledger)
    ledger.save_failure(DATABASE[2], FailureRecord(code="SERVER_LAUNCH_FAILED", message="No capacity."))
    both = states(failed=DATABASE[2:3], skipped=APPLICATION)
    assert verdict_code(ledger, make_run(), both) == Code.DRILL_FAILED
    assert list(failed_tasks(ledger, both)) == [
        BY_ADA,
        f"{DATABASE[2]} failed: [SERVER_LAUNCH_FAILED] No capacity.",
    ]


@pytest.mark.parametrize("terminate", ["success", "failed"])
def test_a_stop_that_leaves_an_instance_is_no_mere_stop(ledger: Ledger, terminate: str) -> None:
    """The cause may be any: a survivor, a process that died, a task that a person marked."""
    proven = terminate == "failed"
    ledger.save_cleanup(CleanupRecord(started_at=NOW, proven=proven))
    assert verdict_code(ledger, make_run(), MARKED | {"terminate": terminate}) == Code.DRILL_FAILED


def test_every_code_of_a_verdict_has_a_remedy() -> None:
    """The verdict gives none of its own."""
    assert all(error_class(code).remedy for code, _ in [*TELLING_CODES, (Code.DRILL_FAILED, None)])
