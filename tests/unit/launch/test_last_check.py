"""The last look before a launch is sent: nothing leaves a process that was frozen, overtaken or closed."""

from __future__ import annotations

import contextlib
import datetime as dt
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from drs.errors import DrillFailed, DrsUnavailable
from drs.launch.wave_launch import AWAY, TIMES_AWAY
from drs.run.ledger import SupersededError
from drs.run.ownership import job_tags
from drs.run.records import LaunchRecord
from drs.run.timeline import WaitUntil
from simulator.engine.model import Job
from tests.unit.drill import DATABASE, make_plan
from tests.unit.simulated import OTHERS, SimulatedDrill, make_hook

Drill = Callable[..., SimulatedDrill]
A, B = DATABASE
LONG = AWAY.total_seconds() + 1
LOG = "This process was away for more than 15 s"


def per_wave(**launch: Any) -> Any:
    """A plan that launches each wave in one job."""
    return make_plan(launch={"jobs": "per_wave", **launch})


def outcomes(record: LaunchRecord) -> list[str | None]:
    """How each call ended; a call that made a job is given as ``job``, without the job's id."""
    return ["job" if call.job_id else "not-made" if call.not_made else call.error for call in record.calls]


def saved(run: SimulatedDrill) -> LaunchRecord:
    record = run.ledger.launch("database")
    assert record is not None
    return record


def jobs(run: SimulatedDrill) -> list[Job]:
    """Every job in DRS."""
    return list(run.drs.jobs.values())


@contextlib.contextmanager
def before_signing(run: SimulatedDrill, act: Callable[[], object]) -> Iterator[list[int]]:
    """Do something while botocore prepares a StartRecovery request, which is after the launch has looked at
    DRS: it may fetch credentials, and the worker may be frozen there.

    :return: counts the requests that botocore prepares
    """
    events, prepared = run.hook.unrepeated.meta.events, [0]

    def handler(**_: object) -> None:
        prepared[0] += 1
        act()

    events.register("before-sign.drs.StartRecovery", handler)
    try:
        yield prepared
    finally:
        events.unregister("before-sign.drs.StartRecovery", handler)


# --- away -------------------------------------------------------------------------------------------------


def test_a_process_that_was_frozen_looks_again_before_it_sends(
    drill: Drill, caplog: pytest.LogCaptureFixture
) -> None:
    """The request was complete and signed, and was not sent. The second one is."""
    run = drill(per_wave())
    frozen = iter([LONG])
    with before_signing(run, lambda: run.pass_time(next(frozen, 0))) as prepared:
        record = run.launch()
    assert prepared == [2]
    assert outcomes(record) == ["not-made", "job"]
    assert len(jobs(run)) == 1
    assert LOG in caplog.text
    assert f"{A} (db-1), {B} (db-2)" in caplog.text


@pytest.mark.parametrize(("seconds", "sent"), [(AWAY.total_seconds(), True), (LONG, False)])
def test_fifteen_seconds_are_not_away(drill: Drill, seconds: float, sent: bool) -> None:
    """They are the longest time between the decision and the send. Clean-up waits longer than that."""
    run = drill(per_wave())
    with before_signing(run, lambda: None if jobs(run) else run.pass_time(seconds)):
        launch = run.start_launch()
        with contextlib.suppress(DrsUnavailable):
            launch.advance()
    assert bool(jobs(run)) is sent


def test_what_others_have_begun_in_the_meantime_is_seen(drill: Drill) -> None:
    """While the process was frozen, somebody recovered the server for real, and DRS would accept the call
    again.
    """
    run = drill(make_plan(launch={"conflict_timeout": "60m"}))
    drills = iter([True])

    def freeze() -> None:
        if next(drills, False):
            run.hook.conn.start_recovery(isDrill=False, sourceServers=[{"sourceServerID": A}])
            run.finish_jobs()

    with before_signing(run, freeze), pytest.raises(Exception, match="RECOVERY_INSTANCE_EXISTS"):
        run.launch()
    assert run.drills(A) == []
    assert [item.is_drill for item in run.drs.recovery_instances.values() if item.server_id == A] == [False]


def test_a_worker_that_is_always_too_late_gives_up(drill: Drill) -> None:
    """Four times in a row is no accident. The failure names the servers and what to look at."""
    run = drill(per_wave())
    with (
        before_signing(run, lambda: run.pass_time(LONG)) as prepared,
        pytest.raises(DrsUnavailable, match=r"4 times in a row more than 15 s passed") as failed,
    ):
        run.launch()
    assert prepared == [TIMES_AWAY] == [4]
    assert jobs(run) == []
    assert outcomes(saved(run)) == ["not-made"] * TIMES_AWAY
    assert all(server in failed.value.message for server in DATABASE)
    assert "Look at the worker" in failed.value.remedy


def test_only_times_in_a_row_count(drill: Drill) -> None:
    """Three for the first server and three for the second one are no reason to give up."""
    run = drill()
    frozen = iter([LONG, LONG, LONG, 0, LONG, LONG, LONG, 0])
    with before_signing(run, lambda: run.pass_time(next(frozen))):
        record = run.launch()
    assert outcomes(record) == [*["not-made"] * 3, "job", *["not-made"] * 3, "job"]
    assert [len(run.drills(server)) for server in DATABASE] == [1, 1]


# --- clean-up has begun -----------------------------------------------------------------------------------


def test_a_clean_up_that_begins_while_the_process_is_frozen_is_seen(drill: Drill) -> None:
    """The state of the clean-up is read after the request is signed. Nothing is sent after it."""
    run = drill(per_wave())
    begun: list[bool] = []
    run.closed = lambda: bool(begun)
    with (
        before_signing(run, lambda: begun.append(True)),
        pytest.raises(DrillFailed, match="Clean-up of this run has begun; wave database starts no further"),
    ):
        run.launch()
    assert jobs(run) == []
    assert outcomes(saved(run)) == ["not-made"]


def test_a_frozen_process_whose_run_is_cleaned_up_says_that(drill: Drill) -> None:
    """It was also away for too long, which nobody has to look into."""
    run = drill(per_wave())
    run.closed = lambda: True
    with before_signing(run, lambda: run.pass_time(3600)), pytest.raises(DrillFailed, match="Clean-up"):
        run.launch()
    assert jobs(run) == []


# --- another try ------------------------------------------------------------------------------------------


def test_a_process_that_was_overtaken_sends_nothing(drill: Drill) -> None:
    """It was frozen when its request was signed. The newer try has launched the servers and ended."""
    run = drill(per_wave())
    newer: list[LaunchRecord] = []

    def overtake() -> None:
        run.hook = make_hook()  # another process has a client of its own
        newer.append(run.launch(retry=True, try_number=2))

    launch = run.start_launch()
    with before_signing(run, overtake), pytest.raises(SupersededError):
        launch.advance()
    assert len(jobs(run)) == 1
    assert saved(run) == newer[0]


def test_an_overtaken_process_whose_newer_try_has_ended_says_that_clean_up_has_begun(drill: Drill) -> None:
    """Clean-up is looked for first. The record stays that of the newer try."""
    run = drill(per_wave())
    run.closed = lambda: True
    launch = run.start_launch()
    newer: list[LaunchRecord] = []

    def overtake() -> None:
        run.start_launch(try_number=2)
        newer.append(saved(run))

    with before_signing(run, overtake), pytest.raises((DrillFailed, SupersededError)):
        launch.advance()
    assert jobs(run) == []
    assert saved(run).try_number == 2
    assert saved(run).timeline == newer[0].timeline


# --- the order --------------------------------------------------------------------------------------------


def test_the_time_that_the_other_looks_take_counts(drill: Drill) -> None:
    """Airflow answers slowly. The clock is read last, so that the send follows within the bound."""
    run = drill(per_wave())
    slow = iter([LONG])

    def closed() -> bool:
        run.pass_time(next(slow, 0))
        return False

    run.closed = closed
    assert outcomes(run.launch()) == ["not-made", "job"]
    assert len(jobs(run)) == 1


def test_the_check_comes_once_the_request_is_signed(drill: Drill) -> None:
    """And it is made once for each request, after the intent is written."""
    run = drill()
    order: list[str] = []

    def closed() -> bool:
        order.append(f"check with {len(saved(run).unanswered)} intent")
        return False

    run.closed = closed
    with before_signing(run, lambda: order.append("sign")):
        run.launch()
    assert order == ["sign", "check with 1 intent"] * 2


def test_the_check_is_for_one_call_only(drill: Drill) -> None:
    """The client is shared: the check of an earlier call, sent or not, does not stop a later one."""
    run = drill(per_wave())
    run.closed = lambda: True
    with pytest.raises(DrillFailed):
        run.launch()
    run.hook.start_recovery([OTHERS[0]], tags=job_tags(run.run, "database"))
    assert [job.server_ids for job in jobs(run)] == [[OTHERS[0]]]
    run.closed = lambda: False
    run.launch(retry=True)
    run.closed = lambda: True
    run.hook.start_recovery([OTHERS[1]], tags={})
    assert len(jobs(run)) == 3


def test_a_call_that_was_not_sent_waits_its_turn(drill: Drill) -> None:
    """Servers stay ``server_delay`` apart, counted from the moment at which nothing was sent."""
    run = drill()
    frozen = iter([LONG])
    launch = run.start_launch()
    with before_signing(run, lambda: run.pass_time(next(frozen, 0))):
        step = launch.advance()
    assert step == WaitUntil(at=run.clock.now() + dt.timedelta(seconds=15))
    assert jobs(run) == []
