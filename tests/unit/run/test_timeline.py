"""When each server of a wave is launched next: delays, refusals and pauses."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from pydantic import ValidationError

from drs.run.timeline import CallNow, Finished, ServerSlot, Timeline, WaitUntil
from tests.unit.drill import NOW, after, make_job

A, B, C = (f"s-{letter * 17}" for letter in "abc")


def timeline(*servers: str, opens: float = 0, **settings: Any) -> Timeline:
    """A wave of these servers with the plan's default settings."""
    given: dict[str, Any] = {
        "jobs": "per_server",
        "server_delay": 15,
        "conflict_backoff": (30, 60, 120),
        "conflict_timeout": 1800,
        **settings,
    }
    slots = tuple(ServerSlot(server_id=server, not_before=after(opens)) for server in servers)
    return Timeline(servers=slots, **given)


def seconds(at: dt.datetime) -> float:
    return (at - NOW).total_seconds()


def call(line: Timeline, at: float, job: str) -> Timeline:
    """Make the call that is due then; it succeeds."""
    step = line.next_step(after(at))
    assert isinstance(step, CallNow)
    return line.called(after(at)).started(step.server_ids, job)


def refuse(line: Timeline, at: float, *, holder: str | None = "drsjob-h") -> Timeline:
    """Make the call that is due then; it is refused. If ``holder`` is given, that job holds all of its
    servers.
    """
    step = line.next_step(after(at))
    assert isinstance(step, CallNow)
    holders = {server: make_job(holder, server) for server in step.server_ids} if holder else {}
    return line.called(after(at)).refused(step.server_ids, holders, after(at))


def test_nothing_is_due_before_the_wave_opens() -> None:
    """The delay before a wave is the first retry time of its servers."""
    line = timeline(A, B, opens=30)
    assert line.next_step(after(29)) == WaitUntil(at=after(30))
    assert line.next_step(after(30)) == CallNow(server_ids=(A,))


def test_servers_are_called_one_by_one_a_delay_apart() -> None:
    """The delay counts from the last call, and servers come in the order of the plan."""
    line = call(timeline(A, B, C), 0, "drsjob-1")
    assert line.next_step(after(14)) == WaitUntil(at=after(15))
    line = call(line, 20, "drsjob-2")
    assert line.next_step(after(34)) == WaitUntil(at=after(35))
    assert line.next_step(after(35)) == CallNow(server_ids=(C,))


def test_a_wave_in_one_job_is_one_call_without_spacing() -> None:
    """``server_delay`` applies only to jobs of one server each."""
    line = timeline(A, B, C, jobs="per_wave")
    assert line.next_step(NOW) == CallNow(server_ids=(A, B, C))
    held = {B: make_job("drsjob-h", B)}
    refused = line.called(NOW).refused((A, B, C), held, NOW)
    assert refused.next_step(NOW) == CallNow(server_ids=(A, C))


def test_it_is_finished_when_every_server_has_its_answer() -> None:
    """Each server was started or given up. A wave without servers is finished from the start."""
    line = call(call(timeline(A, B), 0, "drsjob-1"), 15, "drsjob-2")
    assert line.next_step(after(15)) == Finished()
    assert timeline().next_step(NOW) == Finished()


def test_a_held_server_does_not_keep_the_others_waiting() -> None:
    """Its next call comes at its own retry time, and the free servers keep their delay."""
    line = refuse(timeline(A, B, C), 0)
    assert line.next_step(after(15)) == CallNow(server_ids=(B,))
    line = call(call(line, 15, "drsjob-2"), 30, "drsjob-3")
    # Its retry time has come at 30, but the last call is not 15 s past.
    assert line.next_step(after(30)) == WaitUntil(at=after(45), holders=("drsjob-h",))
    assert line.next_step(after(45)) == CallNow(server_ids=(A,))


def test_refusals_back_off_and_the_last_pause_repeats() -> None:
    """The waits are 30, 60 and 120 s, then 120 s each while the holder is live."""
    line, at, pauses = timeline(A), 0.0, []
    for _ in range(6):
        line = refuse(line, at)
        due = seconds(line.slot(A).not_before)
        pauses.append(due - at)
        at = due
    assert pauses == [30, 60, 120, 120, 120, 120]


def test_the_last_try_comes_at_the_timeout_and_then_it_is_given_up() -> None:
    """The last wait is cut short, so that one try comes exactly at the time limit."""
    line = refuse(refuse(refuse(timeline(A, conflict_timeout=100, server_delay=0), 0), 30), 90)
    assert line.next_step(after(90)) == WaitUntil(at=after(100), holders=("drsjob-h",))
    line = refuse(line, 100)
    assert line.next_step(after(100)) == Finished()
    assert line.slot(A).given_up == "still refused 100 s after the first refusal"


def test_without_a_timeout_the_first_refusal_is_the_last() -> None:
    """``conflict_timeout: 0s`` means no retry."""
    assert refuse(timeline(A, conflict_timeout=0), 0).next_step(NOW) == Finished()


def test_a_refusal_without_a_holder_is_held_against_every_server_of_the_call() -> None:
    """DRS does not name the held server, so it may be any of them."""
    line = refuse(timeline(A, B, jobs="per_wave"), 0, holder=None)
    assert line.next_step(NOW) == WaitUntil(at=after(30))


def test_a_server_that_nobody_seems_to_hold_is_given_up_after_the_backoff() -> None:
    """There are four calls, the last three after 30, 60 and 120 s. Then there is nothing to wait for."""
    line = timeline(A)
    for at in (0, 30, 90, 210):
        line = refuse(line, at, holder=None)
    assert line.slot(A).given_up == "refused 4 times in a row, though no live job holds it"


def test_a_holder_that_was_seen_before_leaves_the_whole_backoff() -> None:
    """A job that has just ended may hold its servers a moment longer, so one refusal without a holder
    does not use up all four.
    """
    line, at = timeline(A), 0.0
    for _ in range(5):
        line = refuse(line, at)
        at = seconds(line.slot(A).not_before)
    line = refuse(line.released(["drsjob-h"], after(at - 60)), at - 60, holder=None)
    assert line.slot(A).given_up is None
    assert line.next_step(after(at - 60)) == WaitUntil(at=after(at + 60))


def test_a_server_is_due_as_soon_as_its_holder_ends() -> None:
    """The servers of another holder still wait."""
    line = timeline(A, B, jobs="per_wave").called(NOW)
    held = {A: make_job("drsjob-1", A), B: make_job("drsjob-2", B)}
    line = line.refused((A, B), held, NOW)
    assert line.next_step(after(5)) == WaitUntil(at=after(30), holders=("drsjob-1", "drsjob-2"))
    assert line.released(["drsjob-2"], after(5)).next_step(after(5)) == CallNow(server_ids=(B,))


def test_a_started_server_has_no_refusals_left() -> None:
    """The number, the time and the holder of earlier refusals are removed."""
    slot = call(refuse(timeline(A), 0), 30, "drsjob-1").slot(A)
    assert (slot.job_id, slot.refusals, slot.refused_since, slot.holder) == ("drsjob-1", 0, None, None)


def test_a_server_that_another_drill_s_instance_holds_backs_off_as_for_a_job() -> None:
    """The waits are the same, to the same time limit. The others go on, and the slot says what holds it. It
    is never given up as a server that nobody seems to hold.
    """
    line, at, pauses = timeline(A, B, conflict_timeout=700), 0.0, []
    while line.slot(A).given_up is None:
        line = line.held({A: "drill instance i-1 belongs to run r"}, after(at))
        assert line.next_step(after(at)) == CallNow(server_ids=(B,))
        due = seconds(line.slot(A).not_before)
        pauses.append(due - at)
        at = due
    assert pauses == [30, 60, 120, 120, 120, 120, 120, 10, 0]
    slot = line.slot(A)
    assert (slot.held_by, slot.holder, slot.refusals) == ("drill instance i-1 belongs to run r", None, 9)
    assert slot.given_up == "still refused 700 s after the first refusal"


def test_what_holds_a_server_is_forgotten_once_it_is_launched() -> None:
    """Or once a live job holds it instead."""
    line = timeline(A).held({A: "drill instance i-1 belongs to run r"}, NOW)
    assert call(line, 30, "drsjob-1").slot(A).held_by is None
    held = refuse(line, 30).slot(A)
    assert (held.held_by, held.holder) == (None, "drsjob-h")


@pytest.mark.parametrize(
    ("retry_after", "pauses"),
    [(None, [5, 10, 20, 40, 60, 60]), (25, [25, 25, 25, 40, 60, 60])],
)
def test_pauses_grow_and_are_never_shorter_than_drs_asks(
    retry_after: float | None, pauses: list[float]
) -> None:
    """While DRS throttles, it is called less and less often, and never before its Retry-After is over."""
    line, at, seen = timeline(A), 0.0, []
    for _ in pauses:
        line = line.paused(after(at), "throttled", retry_after=retry_after)
        step = line.next_step(after(at))
        assert isinstance(step, WaitUntil)
        seen.append(seconds(step.at) - at)
        at = seconds(step.at)
    assert seen == pauses
    assert line.paused_for(after(at)) == sum(pauses)


def test_a_pause_holds_every_server_back() -> None:
    """DRS throttles the account, not one server."""
    line = timeline(A, B, jobs="per_wave").paused(NOW, "throttled", retry_after=7)
    assert line.next_step(after(6)) == WaitUntil(at=after(7))
    assert line.next_step(after(7)) == CallNow(server_ids=(A, B))


def test_an_answer_ends_the_pauses() -> None:
    """A refusal because of a conflict is an answer too, and the next pause is short again."""
    line = refuse(timeline(A).paused(NOW, "throttled").paused(after(5), "throttled"), 15)
    assert line.paused_for(after(15)) == 0
    assert line.paused(after(45), "throttled").next_step(after(45)) == WaitUntil(
        at=after(50), holders=("drsjob-h",)
    )


def test_servers_put_back_start_from_scratch() -> None:
    """A server that was given up or whose launch failed is launched again, with its whole time."""
    line = refuse(call(timeline(A, B, conflict_timeout=0), 0, "drsjob-1"), 15).relaunched([A, B], after(600))
    assert line.next_step(after(600)) == CallNow(server_ids=(A,))
    assert line.slot(B) == ServerSlot(server_id=B, not_before=after(600))


def test_a_new_try_has_its_whole_time_again() -> None:
    """What was refused or throttled before a person cleared the task does not count. A server whose time
    is still to come stays where it is.
    """
    line = refuse(timeline(A, B), 0).paused(after(5), "throttled").task_retried(after(3600))
    assert line.paused_for(after(3600)) == 0
    assert line.next_step(after(3600)) == CallNow(server_ids=(B,))
    assert line.slot(A).refused_since is None
    assert timeline(A, opens=30).task_retried(NOW).next_step(NOW) == WaitUntil(at=after(30))


def test_a_timeline_survives_json() -> None:
    """It is stored in XCom between the calls."""
    line = refuse(call(timeline(A, B, C), 0, "drsjob-1"), 15).paused(after(16), "throttled", retry_after=3)
    assert Timeline.model_validate_json(line.model_dump_json()) == line


def test_each_reason_for_a_pause_has_a_span_of_its_own() -> None:
    """A throttled call after a long wait for quota starts with the shortest pause."""
    line = timeline(A).paused(NOW, "quota").paused(after(900), "quota")
    assert line.paused_for(after(900)) == 900
    throttled = line.paused(after(901), "throttled")
    assert (throttled.paused_for(after(901)), throttled.paused_until) == (0, after(906))


def test_a_used_up_quota_is_waited_for_until_a_job_ends() -> None:
    """The pause ends with the first of the jobs that were in progress. The next pause is longer."""
    line = timeline(A).paused(NOW, "quota", until_one_of=["drsjob-2", "drsjob-1"])
    assert line.next_step(after(1)) == WaitUntil(at=after(5), holders=("drsjob-1", "drsjob-2"))
    assert line.released(["drsjob-9"], after(2)) == line
    released = line.released(["drsjob-1"], after(2))
    assert released.next_step(after(2)) == CallNow(server_ids=(A,))
    assert released.waits_for(after(2)) == frozenset()
    again = released.paused(after(2), "quota", until_one_of=["drsjob-2"])
    assert again.paused_until == after(12)
    assert again.paused_for(after(12)) == 12
    assert line.waits_for(after(6)) == frozenset()
    assert line.started([A], "drsjob-3").paused_by == ()
    assert line.paused(after(3), "throttled").paused_by == ()


def test_an_absurd_retry_after_is_cut_to_the_bound() -> None:
    assert timeline(A).paused(NOW, "throttled", retry_after=86400).paused_until == after(600)


def test_a_server_given_up_is_not_called_for() -> None:
    line = timeline(A, B).given_up([A], "unknown to DRS")
    assert line.next_step(NOW) == CallNow(server_ids=(B,))


def test_a_refusal_with_a_holder_ends_the_row_of_those_without_one() -> None:
    """Only refusals in a row that no live job explains make a server hopeless."""
    line, at = timeline(A), 0.0
    for holder in (None, None, None, "drsjob-h", None, None, None):
        line = refuse(line, at, holder=holder)
        at = seconds(line.slot(A).not_before)
    assert line.slot(A).given_up is None
    assert refuse(line, at, holder=None).slot(A).given_up


def test_a_timeline_is_never_changed_in_place_and_holds_nothing_else() -> None:
    """Every step makes a new one, and a record with a field that nobody knows is refused."""
    line = timeline(A)
    with pytest.raises(ValidationError, match="frozen"):
        line.pauses = 1  # type: ignore[misc]
    with pytest.raises(ValidationError, match="extra"):
        Timeline.model_validate({**line.model_dump(), "surprise": 1})
