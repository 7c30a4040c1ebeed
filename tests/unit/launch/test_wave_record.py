"""A wave's launch record: the newest try owns it, and no job that DRS made is ever lost from it."""

from __future__ import annotations

import datetime as dt

import pytest

from drs.launch.wave_record import WaveRecord
from drs.plan import Launch
from drs.run.ledger import Ledger, SupersededError
from drs.run.records import Call, LaunchRecord, ResolvedServer
from simulator.engine.clock import ManualClock
from tests.unit.drill import DATABASE, NOW, MemoryStore, after, make_job

A, B = DATABASE
SERVERS = tuple(ResolvedServer(server_id=server, name=server, group="database") for server in DATABASE)


class Wave:
    """The record of one wave in a ledger, and the tries of its task."""

    def __init__(self) -> None:
        self.ledger = Ledger(MemoryStore())
        self.clock = ManualClock(NOW)

    def begin(self, try_number: int) -> WaveRecord:
        """The record as a try of the task opens it."""
        record = self.make(try_number)
        record.open(SERVERS, self.clock.now())
        return record

    def make(self, try_number: int) -> WaveRecord:
        return WaveRecord(self.ledger, "database", Launch(), try_number, self.clock.now)

    @property
    def saved(self) -> LaunchRecord:
        record = self.ledger.launch("database")
        assert record is not None
        return record


@pytest.fixture
def wave() -> Wave:
    return Wave()


# --- two tries at once ------------------------------------------------------------------------------------


def test_a_later_try_takes_the_record_over(wave: Wave) -> None:
    """It keeps what the earlier try has written."""
    first = wave.begin(1)
    first.answer(first.intend([A]), first.timeline.started([A], "drsjob-1"), job_id="drsjob-1")
    before = wave.saved
    second = wave.begin(2)
    assert wave.saved == before.model_copy(update={"try_number": 2})
    assert second.saved == wave.saved


def test_a_try_that_was_overtaken_does_not_begin(wave: Wave) -> None:
    """Its worker was frozen before it had opened the record."""
    wave.begin(2)
    before = wave.saved
    with pytest.raises(SupersededError, match="Try 2 of this task has taken over"):
        wave.begin(1)
    assert wave.saved == before


def test_a_try_that_was_overtaken_writes_no_timeline(wave: Wave) -> None:
    """The newer try has launched a server since. The record stays as that try has left it."""
    first = wave.begin(1)
    second = wave.begin(2)
    second.answer(second.intend([A]), second.timeline.started([A], "drsjob-2"), job_id="drsjob-2")
    before = wave.saved
    with pytest.raises(SupersededError):
        first.move_to(first.timeline.given_up([A], "refused"))
    assert wave.saved == before


def test_a_try_that_was_overtaken_makes_no_intent(wave: Wave) -> None:
    """So it makes no call either. An intent of it would be a call without a reply for ever."""
    first = wave.begin(1)
    wave.begin(2)
    with pytest.raises(SupersededError):
        first.intend([A])
    with pytest.raises(SupersededError):
        first.check_owned()
    assert wave.saved.calls == ()


def test_a_job_of_a_try_that_was_overtaken_is_added(wave: Wave) -> None:
    """DRS made it for a call that was under way. The newer try knew of the call and not of its job."""
    first = wave.begin(1)
    call = first.intend([A])
    second = wave.begin(2)
    with pytest.raises(SupersededError):
        first.answer(call, first.timeline.started([A], "drsjob-1"), job_id="drsjob-1")
    assert wave.saved.calls == (call.model_copy(update={"job_id": "drsjob-1"}),)
    assert wave.saved.try_number == 2
    assert wave.saved.timeline == second.timeline
    assert wave.saved.timeline.slot(A).waiting


@pytest.mark.parametrize("ends", ["its timeline moves", "it takes the call for not made"])
def test_the_newer_try_keeps_the_job_of_the_older_one(wave: Wave, ends: str) -> None:
    """It had read the record before the older try added the job."""
    first = wave.begin(1)
    call = first.intend([A])
    second = wave.begin(2)
    with pytest.raises(SupersededError):
        first.answer(call, job_id="drsjob-1")
    if ends == "its timeline moves":
        second.move_to(second.timeline.started([B], "drsjob-2"))
    else:
        second.answer(call, not_made=True)
    assert wave.saved.all_job_ids >= {"drsjob-1"}
    assert [made.job_id for made in wave.saved.calls] == ["drsjob-1"]
    assert second.saved == wave.saved
    wave.clock.advance(1)
    second.intend([B])
    assert [made.job_id for made in wave.saved.calls] == ["drsjob-1", None]


def test_calls_of_two_tries_are_in_the_order_of_their_times(wave: Wave) -> None:
    """Evidence lists them so."""
    first = wave.begin(1)
    early = first.intend([A])
    wave.clock.advance(30)
    second = wave.begin(2)
    second.answer(early, not_made=True)
    wave.clock.advance(30)
    late = second.intend([A])
    with pytest.raises(SupersededError):
        first.answer(early, job_id="drsjob-1")
    second.answer(late, job_id="drsjob-2")
    assert [(call.at, call.job_id) for call in wave.saved.calls] == [
        (NOW, "drsjob-1"),
        (after(60), "drsjob-2"),
    ]


def test_a_try_owns_its_own_record(wave: Wave) -> None:
    """A task that resumes after a deferral is the same try."""
    wave.begin(1).intend([A])
    resumed = wave.begin(1)
    resumed.check_owned()
    assert resumed.saved.unanswered == wave.saved.unanswered != ()


# --- a job of the run that the record does not know -------------------------------------------------------


def test_an_adopted_job_is_that_of_the_newest_call_without_an_answer(wave: Wave) -> None:
    """An earlier call for the same server and one for another server stay as they are."""
    record = wave.begin(1)
    earlier = record.intend([A])
    wave.clock.advance(30)
    call = record.intend([A])
    wave.clock.advance(30)
    other = record.intend([B])
    wave.clock.advance(30)
    record.adopt(make_job("drsjob-1", A), [A])
    assert wave.saved.calls == (earlier, call.model_copy(update={"job_id": "drsjob-1"}), other)
    assert wave.saved.timeline.slot(A).job_id == "drsjob-1"
    assert wave.saved.timeline.slot(B).waiting
    assert wave.saved.called_at("drsjob-1") == call.at == after(30)


def test_an_adopted_job_shows_that_a_call_was_made_after_all(wave: Wave) -> None:
    """The launch had taken it for not made."""
    record = wave.begin(1)
    call = record.intend([A])
    record.answer(call, not_made=True)
    record.adopt(make_job("drsjob-1", A), [A])
    assert wave.saved.calls == (call.model_copy(update={"job_id": "drsjob-1"}),)


def test_an_adopted_job_is_never_that_of_a_refused_call(wave: Wave) -> None:
    """A call that DRS refused has made no job. The adopted one gets a call of its own, at the same time."""
    record = wave.begin(1)
    call = record.intend([A])
    record.answer(call, error="ConflictException")
    wave.clock.advance(30)
    record.adopt(make_job("drsjob-1", A), [A])
    refused, adopted = wave.saved.calls
    assert (refused.error, refused.job_id) == ("ConflictException", None)
    assert adopted == Call(at=call.at, servers=(A,), job_id="drsjob-1")
    assert wave.saved.called_at("drsjob-1") == call.at


def test_a_job_is_adopted_even_if_the_record_has_lost_its_call(wave: Wave) -> None:
    """Its time is then that of the adoption, so that the gates can count from it."""
    record = wave.begin(1)
    wave.clock.advance(30)
    record.adopt(make_job("drsjob-1", A, B), [A, B])
    assert wave.saved.calls == (Call(at=after(30), servers=(A, B), job_id="drsjob-1"),)
    assert wave.saved.jobs == {"drsjob-1": (A, B)}
    assert wave.saved.called_at("drsjob-1") == after(30)


def test_a_job_that_is_on_record_is_adopted_without_a_second_call(wave: Wave) -> None:
    """Only its servers' slots had lost it."""
    record = wave.begin(1)
    record.answer(record.intend([A]), job_id="drsjob-1")
    assert wave.saved.timeline.slot(A).waiting
    before = wave.saved.calls
    record.adopt(make_job("drsjob-1", A), [A])
    assert (wave.saved.calls, wave.saved.jobs) == (before, {"drsjob-1": (A,)})


def test_an_adopted_server_is_no_longer_refused(wave: Wave) -> None:
    """The holder for which it waited was the run's own job."""
    record = wave.begin(1)
    job = make_job("drsjob-1", A)
    record.move_to(record.timeline.refused([A], {A: job}, NOW))
    assert wave.saved.timeline.slot(A).holder == "drsjob-1"
    record.adopt(job, [A])
    slot = wave.saved.timeline.slot(A)
    assert (slot.job_id, slot.holder, slot.refused_since, slot.waiting) == ("drsjob-1", None, None, False)


def test_the_delay_counts_from_the_answer_of_a_call(wave: Wave) -> None:
    """DRS may have received the call as late as that."""
    record = wave.begin(1)
    call = record.intend([A])
    assert wave.saved.timeline.last_call == NOW
    wave.clock.advance(8)
    record.answer(call, record.timeline.started([A], "drsjob-1"), job_id="drsjob-1")
    assert wave.saved.timeline.last_call == NOW + dt.timedelta(seconds=8)
