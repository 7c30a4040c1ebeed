"""A job of this run is the run's own, whatever its record says: it is kept, and nothing is launched twice."""

from __future__ import annotations

import contextlib
import datetime as dt
from collections.abc import Callable, Sequence
from typing import Any
from unittest import mock

import pytest

from drs.aws.jobs import Job
from drs.run.ledger import SupersededError
from drs.run.ownership import job_tags
from drs.run.records import RECOVERY_APPROVAL, ApprovalRecord, Call, LaunchRecord
from drs.run.timeline import WaitUntil
from simulator.engine.faults import InternalError, TagsRefused
from tests.unit.drill import DATABASE, MemoryStore, make_plan
from tests.unit.simulated import SimulatedDrill

Drill = Callable[..., SimulatedDrill]
A, B = DATABASE
START = ("StartRecovery",)


def per_wave() -> Any:
    """A plan that launches each wave in one job."""
    return make_plan(launch={"jobs": "per_wave"})


def start(run: SimulatedDrill, *servers: str, is_drill: bool = True) -> Job:
    """Another process of this run launches these servers, and the record does not know."""
    return run.hook.start_recovery(servers, tags=job_tags(run.run, "database"), is_drill=is_drill)


class Crash(BaseException):
    """The worker dies here."""


def at_most_one_each(run: SimulatedDrill) -> bool:
    return all(len(run.drills(server)) <= 1 for server in DATABASE)


def saved(run: SimulatedDrill) -> LaunchRecord:
    record = run.ledger.launch("database")
    assert record is not None
    return record


# --- seen before the call ---------------------------------------------------------------------------------


@pytest.mark.parametrize("ended", [False, True], ids=["it is live", "it has launched the server"])
def test_a_job_with_the_run_s_token_is_kept(
    drill: Drill, ended: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """The server is not launched again, and its job is not waited out. The other one is launched at once."""
    run = drill()
    job = start(run, A)
    if ended:
        run.finish_jobs()
    began = run.clock.now()
    with caplog.at_level("INFO"):
        record = run.launch()
    assert at_most_one_each(run)
    assert record.jobs == {job.job_id: (A,), run.drills(B)[0].id: (B,)}
    assert run.drills(B)[0].created == began
    assert record.called_at(job.job_id) == began
    assert f"Job {job.job_id} (LAUNCH by START_DRILL" in caplog.text
    assert "this run's own" in caplog.text


def test_a_job_that_launches_one_server_of_a_call_leaves_the_other(drill: Drill) -> None:
    """The call is made without the server that the run launches already."""
    run = drill(per_wave())
    job = start(run, A)
    record = run.launch()
    assert [sorted(made.server_ids) for made in run.drills()] == [[A], [B]]
    assert record.jobs == {job.job_id: (A,), run.drills(B)[0].id: (B,)}


@pytest.mark.parametrize("jobs", ["per_server", "per_wave"])
@pytest.mark.parametrize("ended", [False, True], ids=["live", "ended"])
def test_a_run_that_has_lost_its_record_finds_its_launch(drill: Drill, jobs: str, ended: bool) -> None:
    """Somebody deleted its XComs. Every job has a call again, from whose time the gates count."""
    run = drill(make_plan(launch={"jobs": jobs}))
    before = run.launch()
    if ended:
        run.finish_jobs()
    run.store = MemoryStore()
    began = run.clock.now()
    record = run.launch()
    assert at_most_one_each(run)
    assert record.jobs == before.jobs
    assert {record.called_at(job_id) for job_id in record.jobs} == {began}
    assert record.unanswered == ()


def test_a_real_recovery_finds_its_own_launch_too(drill: Drill) -> None:
    """Its instances may carry production by then."""
    run = drill(make_plan(allow_recovery=True), execution_type="RECOVERY")
    answer = ApprovalRecord(approved=True, answered="by a person", by="ada", at=run.clock.now())
    run.ledger.save_approval(RECOVERY_APPROVAL, answer)
    job = start(run, A, B, is_drill=False)
    run.finish_jobs()
    assert set(run.launch().jobs) == {job.job_id}
    assert len(run.drs.jobs) == 1


def test_a_job_of_another_run_of_the_plan_is_not_its_own(drill: Drill) -> None:
    """Two Airflows may run one plan with one run id, but their tokens differ. The job is waited out."""
    run = drill(per_wave())
    other = run.run.model_copy(update={"token": "another"})
    theirs = run.hook.start_recovery(DATABASE, tags=job_tags(other, "database"))
    record = run.launch()
    assert theirs.job_id not in record.all_job_ids
    assert run.drs.jobs[theirs.job_id].ended is not None


# --- seen at a conflict -----------------------------------------------------------------------------------


def unseen_before_the_call(run: SimulatedDrill) -> Any:
    """DRS does not list any job before the next call. It lists them when it has refused the call."""
    live = run.hook.live_jobs()
    return mock.patch.multiple(
        run.hook,
        recent_jobs=mock.DEFAULT,
        live_jobs=mock.Mock(return_value=live),
        jobs_since=mock.Mock(return_value=[]),
    )


def test_a_holder_with_the_run_s_token_is_kept(drill: Drill) -> None:
    """DRS refused the call because of the run's own job. The job is neither waited out nor repeated."""
    run = drill(per_wave())
    job = start(run, A, B)
    with unseen_before_the_call(run) as patched:
        patched["recent_jobs"].return_value = []
        record = run.launch()
    assert record.jobs == {job.job_id: (A, B)}
    assert len(run.drs.jobs) == 1
    assert run.clock.now() == run.run.began_at
    assert [call.error or call.job_id for call in record.calls] == ["ConflictException", job.job_id]
    assert record.called_at(job.job_id) == run.run.began_at


def test_a_holder_with_the_run_s_token_frees_the_others_of_the_call(drill: Drill) -> None:
    """They are due at once: nobody else holds them."""
    run = drill(per_wave())
    job = start(run, A)
    with unseen_before_the_call(run) as patched:
        patched["recent_jobs"].return_value = []
        record = run.launch()
    assert record.jobs == {job.job_id: (A,), run.drills(B)[0].id: (B,)}
    assert run.drills(B)[0].created == run.run.began_at
    assert record.timeline.slot(B).refusals == 0


def test_a_holder_on_record_is_kept_in_an_account_without_tags(drill: Drill) -> None:
    """The record has the job for the server, though the server's slot has lost it."""
    run = drill(per_wave())
    run.simulation.arm(TagsRefused(kind="tags_refused"))
    record = run.launch()
    (job_id,) = record.jobs
    forgotten = record.timeline.relaunched([A, B], run.clock.now())
    run.ledger.save_launch("database", record.model_copy(update={"timeline": forgotten}))
    assert run.launch().jobs == {job_id: (A, B)}
    assert len(run.drs.jobs) == 1


# --- clocks -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("minutes", [-14, 14])
@pytest.mark.parametrize("dies", [False, True], ids=["at once", "by the next try"])
def test_a_lost_reply_is_found_whatever_the_worker_s_clock_says(
    drill: Drill, minutes: int, dies: bool
) -> None:
    """The job has the run's token. DRS dates it many minutes before or after the run's beginning."""
    run = drill(per_wave())
    run.now = lambda: run.clock.now() + dt.timedelta(minutes=minutes)
    run.run = run.run.model_copy(update={"began_at": run.now()})
    run.simulation.arm(InternalError(kind="internal_error", operations=START, when="after", count=1))
    if dies:
        jobs_since = run.hook.jobs_since

        def die_after_the_call(since: dt.datetime) -> list[Job]:
            if run.drills():
                raise Crash
            return jobs_since(since)

        with mock.patch.object(run.hook, "jobs_since", die_after_the_call), contextlib.suppress(Crash):
            run.launch()
        assert len(saved(run).unanswered) == 1
    record = run.launch(retry=dies)
    (job,) = run.drills()
    assert record.jobs == {job.id: (A, B)}
    assert record.unanswered == ()


# --- two tries at once ------------------------------------------------------------------------------------


def freeze(run: SimulatedDrill, point: str, meanwhile: Callable[[], None]) -> Any:
    """Freeze the next StartRecovery call before or after DRS receives it."""
    start_recovery = run.hook.start_recovery
    calls: list[Sequence[str]] = []

    def frozen(server_ids: Sequence[str], **arguments: Any) -> Job:
        calls.append(server_ids)
        if len(calls) > 1:
            return start_recovery(server_ids, **arguments)
        if point == "before":
            meanwhile()
            return start_recovery(server_ids, **arguments)
        job = start_recovery(server_ids, **arguments)
        meanwhile()
        return job

    return mock.patch.object(run.hook, "start_recovery", frozen)


@pytest.mark.parametrize("jobs", ["per_server", "per_wave"])
def test_a_try_that_was_overtaken_sends_nothing(drill: Drill, jobs: str) -> None:
    """Its worker was frozen before the send. The newer try has launched everything since."""
    run = drill(make_plan(launch={"jobs": jobs}))
    records: list[LaunchRecord] = []
    launch = run.start_launch()
    with (
        freeze(run, "before", lambda: records.append(run.launch(retry=True, try_number=2))),
        pytest.raises(SupersededError),
    ):
        launch.advance()
    assert [len(run.drills(server)) for server in DATABASE] == [1, 1]
    assert saved(run) == records[0]
    assert saved(run).try_number == 2


@pytest.mark.parametrize("tags", ["tags", "no tags"])
def test_a_job_that_an_overtaken_try_made_is_on_record(drill: Drill, tags: str) -> None:
    """Its worker was frozen between the send and the reply. With tags the newer try has found the job.
    Without them, it learns of the job when the older try thaws.
    """
    run = drill(per_wave())
    if tags == "no tags":
        run.simulation.arm(TagsRefused(kind="tags_refused"))
        launch = run.start_launch()
        refused = launch.record.model_copy(update={"tags_refused": True})
        run.ledger.save_launch("database", refused)
        launch = run.start_launch()
    else:
        launch = run.start_launch()

    def overtake() -> None:
        newer = run.start_launch(try_number=2)
        if tags == "tags":
            newer.reconcile()
            assert newer.record.unanswered == ()

    with freeze(run, "after", overtake), pytest.raises(SupersededError):
        launch.advance()
    (job,) = run.drills()
    assert saved(run).all_job_ids == {job.id}
    assert saved(run).unanswered == ()
    assert saved(run).called_at(job.id) == run.run.began_at
    record = run.launch(retry=True, try_number=2)
    assert record.jobs == {job.id: (A, B)}
    assert len(run.drills()) == 1


def test_a_try_that_was_overtaken_while_it_waited_ends(drill: Drill) -> None:
    """Airflow may resume a task whose newer try is at work. It changes nothing."""
    run = drill()
    older = run.start_launch()
    assert isinstance(older.advance(), WaitUntil)
    newer = run.launch(retry=True, try_number=2)
    run.pass_time(60)
    run.ledger.save_launch(
        "database", newer.model_copy(update={"timeline": newer.timeline.relaunched([B], run.clock.now())})
    )
    before = saved(run)
    with pytest.raises(SupersededError):
        older.advance()
    with pytest.raises(SupersededError):
        run.start_launch(try_number=1)
    assert saved(run) == before
    assert at_most_one_each(run)


# --- a guess is never taken for the run's own -------------------------------------------------------------


def test_an_untagged_job_that_fits_ends_the_launch_before_any_call(drill: Drill) -> None:
    """The call of an earlier try is on record without a reply. The job is named, and no call is made."""
    run = drill(per_wave())
    launch = run.start_launch()
    intent = Call(at=run.clock.now(), servers=(A, B), tagged=False)
    run.ledger.save_launch(
        "database", launch.record.model_copy(update={"calls": (intent,), "tags_refused": True})
    )
    theirs = run.hook.start_recovery(DATABASE, tags={})
    with pytest.raises(Exception, match=rf"DRS_UNAVAILABLE.*fit: {theirs.job_id}"):
        run.launch()
    assert [job.id for job in run.drills()] == [theirs.job_id]
    assert saved(run).all_job_ids == frozenset()
