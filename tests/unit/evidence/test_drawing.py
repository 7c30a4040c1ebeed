"""The drawn timeline: everything is drawn at its time."""

from __future__ import annotations

import datetime as dt
import itertools

import pytest

from drs.evidence.axis import LEFT, RIGHT, TICK_ROOM
from drs.evidence.drawing import ROWS_OF_A_PAGE, Figure, Row, draw
from drs.evidence.record import Evidence, Measure
from drs.run.records import ApprovalRecord
from drs.text.times import duration
from tests.unit.drill import after
from tests.unit.evidence.records import (
    LAUNCH_SECONDS,
    copy,
    dry_run_record,
    failed_record,
    large_record,
    make_record,
    make_server,
    make_wave,
    passed_record,
    passed_waves,
    recovery_record,
    wave_name,
)


def row(figure: Figure, label: str) -> Row:
    return next(row for row in figure.rows if row.label == label)


def only_figure(record: Evidence) -> Figure:
    (figure,) = draw(record)
    return figure


def minutes_at(figure: Figure, x: float) -> float:
    """The minute at a position, read from the first two ticks as a reader does."""
    first, second, *_ = figure.ticks
    return first.minutes + (x - first.x) / (second.x - first.x) * (second.minutes - first.minutes)


def test_a_servers_bar_begins_when_it_was_requested_and_ends_when_it_was_launched() -> None:
    """Read off the axis to a few seconds: on an hour's axis, a pixel is 9 s."""
    figure = only_figure(make_record())
    bar = row(figure, "database-02").bar
    assert bar is not None
    assert minutes_at(figure, bar.left) * 60 == pytest.approx(40, abs=1)
    assert minutes_at(figure, bar.right) * 60 == pytest.approx(40 + LAUNCH_SECONDS + 7, abs=1)


def test_the_phases_of_a_launch_stand_at_drs_own_events() -> None:
    """They are in order and within the server's bar."""
    figure = only_figure(make_record())
    drawn = row(figure, "database-01")
    assert [span.kind for span in drawn.spans] == ["snapshot", "conversion", "launch"]
    conversion = drawn.spans[1]
    assert minutes_at(figure, conversion.left) * 60 == pytest.approx(25 + 52, abs=1)
    assert minutes_at(figure, conversion.right) * 60 == pytest.approx(25 + 250, abs=1)
    assert drawn.bar is not None
    assert drawn.spans[-1].right == drawn.bar.right


def test_the_rto_stands_at_its_target_and_the_start_at_the_left_end() -> None:
    """Both have a label."""
    figure = only_figure(make_record())
    assert figure.began_x == LEFT
    assert figure.rto_x is not None
    assert minutes_at(figure, figure.rto_x) == pytest.approx(60, abs=0.05)
    assert (figure.began, figure.rto) == ("run began 06:00:00", "RTO target 1 h")


def test_a_plan_without_an_rto_has_no_line_of_it() -> None:
    """The drawing has no line for a target that does not exist."""
    none = Measure(target_seconds=None, measured_seconds=1.0, met=None)
    record = make_record()
    objectives = copy(record.objectives, rto_launched=none, rto_validated=none)
    assert only_figure(copy(record, objectives=objectives)).rto_x is None


def test_gates_and_approvals_stand_in_the_row_of_their_wave() -> None:
    """The wait for an approval is drawn as a pause, from the gate before it to the wave's first call."""
    figure = only_figure(passed_record())
    web = row(figure, "web")
    assert [mark.shape for mark in web.marks] == ["approved", "started", "launched", "validated"]
    (pause,) = web.spans
    assert pause.kind == "pause"
    assert pause.left == row(figure, "application").marks[-1].x
    assert web.bar is not None
    assert pause.right == web.bar.left
    assert web.marks[0].x == pytest.approx(web.bar.left, abs=0.5)


def test_the_approval_of_a_recovery_is_the_runs_own() -> None:
    """A skipped approval is not drawn."""
    figure = only_figure(recovery_record())
    assert [mark.shape for mark in row(figure, "the run").marks] == ["approved"]
    assert "approved" not in [mark.shape for mark in row(figure, "application").marks]


def test_a_server_that_was_not_launched_is_told_by_hatching_mark_and_word() -> None:
    """Its bar ends at the last event that DRS logged. A server that was never requested has no bar."""
    figure = only_figure(failed_record())
    fallen, invalid, missing = (row(figure, f"application-0{number}") for number in (2, 3, 4))
    assert (fallen.failed, fallen.note, [mark.shape for mark in fallen.marks]) == (
        True,
        "✕ did not launch",
        ["failed"],
    )
    assert fallen.bar is not None
    assert minutes_at(figure, fallen.bar.right) * 60 == pytest.approx(665 + 262, abs=2)
    assert (invalid.failed, invalid.note) == (False, "✕ launched, not valid")
    assert (missing.bar, missing.note) == (None, "△ did not launch")
    assert (row(figure, "web").bar, row(figure, "web").note) == (None, "○ not reached")


def test_the_clean_up_is_drawn_from_start_to_end() -> None:
    """A note says how it ended."""
    figure = only_figure(failed_record())
    cleanup = row(figure, "clean-up")
    assert cleanup.bar is not None
    assert minutes_at(figure, cleanup.bar.left) * 60 == pytest.approx(1260, abs=2)
    assert minutes_at(figure, cleanup.bar.right) * 60 == pytest.approx(1800, abs=2)
    assert (cleanup.failed, cleanup.note) == (True, "✕ not proven")


def test_a_clean_up_that_lost_an_instance_does_not_say_that_all_went_well() -> None:
    """All are gone, but one was not terminated by the run."""
    record = passed_record()
    assert record.cleanup is not None
    lost = copy(record.cleanup.instances[0], fate="lost", lost_to="it is gone")
    cleanup = copy(record.cleanup, instances=(lost, *record.cleanup.instances[1:]))
    assert row(only_figure(record), "clean-up").note == "✓ all gone"
    assert row(only_figure(copy(record, cleanup=cleanup)), "clean-up").note == "△ gone, 1 lost"


@pytest.mark.parametrize(("waves", "servers"), [(1, 1), (3, 30), (20, 4), (100, 1), (1, 100)])
def test_every_wave_and_server_is_drawn_on_figures_that_fit_a_page(waves: int, servers: int) -> None:
    """A large run first has a figure of its waves alone, and then every server once."""
    figures = draw(make_record(passed_waves(waves, servers)))
    assert all(len(figure.rows) <= ROWS_OF_A_PAGE + 1 and figure.height < 950 for figure in figures)
    labels = [row.label for figure in figures for row in figure.rows if row.kind == "server"]
    assert labels == [
        f"{wave_name(wave)}-{number + 1:02}" for wave in range(waves) for number in range(servers)
    ]
    if len(figures) > 1:
        named = [row.label for figure in figures if figure.caption == "The waves" for row in figure.rows]
        assert named == [*map(wave_name, range(waves)), "clean-up"]


def test_a_wave_that_goes_on_on_the_next_page_is_named_there() -> None:
    """Every server is below the name of its own wave."""
    figures = draw(large_record(1, 100))
    assert [figure.rows[0].label for figure in figures] == ["database", "database", "database, continued"]


def test_hours_in_which_nothing_happened_are_left_out_and_said_so() -> None:
    """An RTO of two days, or an approval overnight, must not shrink the launches to a pixel."""
    record = make_record()
    late = Measure(target_seconds=172_800, measured_seconds=1.0, met=True)
    figure = only_figure(copy(record, objectives=copy(record.objectives, rto_launched=late)))
    (gap,) = figure.breaks
    assert record.cleanup is not None
    assert record.cleanup.ended_at is not None
    assert gap.label == duration((after(172_800) - record.cleanup.ended_at).total_seconds())
    assert figure.rto_x == RIGHT
    bar = row(figure, "database-01").bar
    assert bar is not None
    assert bar.width > 60
    xs = [tick.x for tick in figure.ticks]
    assert all(right - left >= TICK_ROOM for left, right in itertools.pairwise(xs))


def test_a_clean_up_after_midnight_has_the_date_at_its_ticks() -> None:
    """A clock time alone would look like one of the first day."""
    record = make_record()
    assert record.cleanup is not None
    cleanup = copy(record.cleanup, started_at=after(100_000), ended_at=after(100_600))
    figure = only_figure(copy(record, cleanup=cleanup))
    assert figure.ticks[0].clock == "06:00"
    assert figure.ticks[-1].clock.startswith("03-02 ")


def test_nothing_is_drawn_of_a_run_that_launched_nothing() -> None:
    """There is not even an empty axis."""
    assert draw(dry_run_record()) == ()


def test_odd_times_are_drawn_within_the_axis() -> None:
    """No duration, an end before the start, an event before the job, a request without an end, or no time
    zone.
    """
    servers = (
        make_server(0, 0, 30, launched_at=after(30), launch_seconds=0.0),
        make_server(0, 1, 30, launched_at=after(10)),
        make_server(0, 2, 700),
        make_server(0, 3, 30, launched=False, launched_at=None, events=(), requested_at=after(30)),
        make_server(0, 4, 30, requested_at=None, launched_at=None, events=(), job_id=None),
        make_server(0, 5, 30, requested_at=dt.datetime(2026, 3, 1, 6, 0, 30), events=()),  # noqa: DTZ001
        make_server(0, 6, -300),
    )
    wave = make_wave(0, 25, servers=servers, launched_at=None, validated_at=None)
    figure = only_figure(make_record((wave,), cleanup=None))
    spans = [span for row in figure.rows for span in (row.bar, *row.spans) if span]
    assert all(LEFT <= span.left <= span.right <= RIGHT for span in spans)
    assert row(figure, "database-05").bar is None


def test_an_answer_that_came_by_time_out_says_so() -> None:
    """It is not a person's approval."""
    answer = ApprovalRecord(approved=False, answered="by time-out", at=after(640))
    figure = only_figure(make_record(approvals={"application": answer}))
    mark = row(figure, "application").marks[0]
    assert (mark.shape, mark.title) == ("rejected", "rejected by time-out 2026-03-01 06:10:40")
