"""Which ticks of a plan's schedule may launch a drill, and what is said of the others."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from drs.run.ticks import KnownSchedule, MissedTick, make_up, schedule_of, why_missed, without_run
from tests.unit.drill import NOW, after, make_plan

MONTHLY = make_plan(schedule="0 6 1 * *", timezone="Europe/Berlin")
FIVE_MINUTES = dt.timedelta(minutes=5)


def known(since: float, schedule: str = "0 6 1 * *", timezone: str = "Europe/Berlin") -> KnownSchedule:
    """A schedule that the DAG processor first read that many seconds after the tick."""
    return KnownSchedule(schedule=schedule, timezone=timezone, since=after(since))


def why(late: float = 5, *, run_type: str = "scheduled", **seen: Any) -> str | None:
    """What becomes of a run whose tick was at NOW and that begins that many seconds later."""
    return why_missed(
        MONTHLY, run_type=run_type, due=NOW, began_at=after(late), late_start=FIVE_MINUTES, **seen
    )


@pytest.mark.parametrize(
    ("late", "seen"),
    [
        (5, {}),
        (300, {}),
        (5, {"known": known(-3600)}),
        (5, {"known": known(0)}),
        (5, {"unpaused_at": after(0)}),
        (299, {"known": known(-1), "unpaused_at": after(-1)}),
    ],
)
def test_a_tick_that_came_while_the_plan_was_ready_for_it_fires(late: float, seen: dict[str, Any]) -> None:
    """Also if Airflow was down or busy for up to five minutes."""
    assert why(late, **seen) is None


@pytest.mark.parametrize(
    ("late", "seen", "says"),
    [
        (301, {}, ", and began 5 min 1 s later; the most is 5 min ([drs] late_start)"),
        (
            65,
            {"unpaused_at": after(60)},
            ", but its DAG was unpaused only after that, at 2026-03-01 06:01:00 UTC.",
        ),
        (86400, {"unpaused_at": after(86395)}, "was unpaused only after that, at 2026-03-02 05:59:55 UTC."),
        (
            65,
            {"known": known(60)},
            '"0 6 1 * *" (Europe/Berlin) only since 2026-03-01 06:01:00 UTC, when it read the new or edited',
        ),
        (
            5,
            {"known": known(-60, "0 5 1 * *")},
            'edited since: its schedule is now "0 6 1 * *" (Europe/Berlin)',
        ),
        (5, {"known": known(-60, timezone="UTC")}, "edited since: its schedule is now"),
    ],
    ids=[
        "late",
        "paused",
        "paused for a day",
        "new schedule",
        "edited after the tick",
        "time zone edited after the tick",
    ],
)
def test_any_other_tick_is_missed_and_says_why(late: float, seen: dict[str, Any], says: str) -> None:
    """With its time, so that a person knows which drill did not take place."""
    found = why(late, **seen)
    assert found is not None
    assert found.startswith("This scheduled run was due at 2026-03-01 06:00:00 UTC, ")
    assert says in found
    assert found.endswith("It launches nothing.")


def test_a_schedule_that_was_removed_fires_no_more() -> None:
    """The run was made by the schedule that the file had before."""
    found = why_missed(
        make_plan(),
        run_type="scheduled",
        due=NOW,
        began_at=after(5),
        late_start=FIVE_MINUTES,
        known=known(-60),
    )
    assert found is not None
    assert "no longer has a schedule" in found


@pytest.mark.parametrize("run_type", ["backfill", "operator_triggered"])
def test_other_runs_are_only_judged_by_their_lateness(run_type: str) -> None:
    """Somebody asked for them; they do not wait for a tick of the schedule."""
    assert why(60, run_type=run_type, known=known(30), unpaused_at=after(30)) is None
    assert f"This {run_type} run was due at" in str(why(86400, run_type=run_type))


@pytest.mark.parametrize(
    ("since", "previous", "says"),
    [
        (-86400 * 30, -86400 * 4, "Airflow made no run for 3 earlier ticks after 2026-02-25 06:00:00 UTC."),
        (-86400 * 2, -86400 * 4, "Airflow made no run for 1 earlier tick after 2026-02-27 06:00:00 UTC."),
        (-86400 * 3, None, "Airflow made no run for 2 earlier ticks after 2026-02-26 06:00:00 UTC."),
        (-86400 * 30, -86400, ""),
        (60, None, ""),
    ],
)
def test_ticks_for_which_there_was_no_run_are_counted(
    since: float, previous: float | None, says: str
) -> None:
    """Since the run before, or since the schedule is known."""
    before = None if previous is None else after(previous)
    assert without_run(known(since, "0 6 * * *", "UTC"), before, NOW) == says


def test_ticks_are_counted_to_a_thousand() -> None:
    """Counting takes time, and nobody needs the number."""
    every_minute = known(-86400 * 30, "* * * * *", "UTC")
    assert "no run for more than 1000 earlier ticks" in without_run(every_minute, None, NOW)
    assert without_run(None, None, NOW) == ""


def test_how_to_make_up_for_it_is_a_command() -> None:
    """It can be copied."""
    command = 'python -m drs drill orders --reason "makes up for 2026-03-01 06:00 UTC"'
    assert make_up("orders", NOW) == f"To make up for it, trigger a run by hand: `{command}`."


def test_a_plan_without_a_schedule_has_no_ticks() -> None:
    """It runs by hand."""
    assert schedule_of(make_plan(), NOW) is None
    assert schedule_of(MONTHLY, NOW) == known(0)


def test_ticks_are_sorted_by_the_names_of_their_files() -> None:
    """Two runs of one time have two files."""
    ticks = [
        MissedTick(run_id=f"run-{number}", run_type="scheduled", due=after(seconds), at=NOW, why="")
        for number, seconds in enumerate((86400, 0, 0))
    ]
    names = sorted(tick.file_name for tick in ticks)
    assert len(set(names)) == 3
    assert [name[:8] for name in names] == ["20260301", "20260301", "20260302"]
