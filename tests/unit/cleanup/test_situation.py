"""What clean-up concludes from one look at DRS, without a simulated one."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

from drs.aws.jobs import Job
from drs.cleanup.situation import LOOK_AGAIN, SETTLE, Situation
from drs.run.records import Call, CleanupRecord, InstanceRecord, LaunchRecord, TerminateCall
from drs.run.standing import LISTING_DELAY
from drs.run.timeline import Timeline
from tests.unit.drill import NOW, after, make_job

A, B = ("s-" + "a" * 17, "s-" + "b" * 17)


def instance(instance_id: str, server_id: str) -> InstanceRecord:
    return InstanceRecord(
        recovery_instance_id=instance_id, ec2_instance_id=instance_id, server_id=server_id, job_id="drsjob-1"
    )


def terminate_job(job_id: str, server_id: str, *, ended: dt.datetime | None) -> Job:
    status = "COMPLETED" if ended else "STARTED"
    return make_job(job_id, server_id, type="TERMINATE", status=status, ended=ended)


def situation(
    *left: InstanceRecord, jobs: Sequence[Job] = (), calls: Sequence[TerminateCall] = (), **fields: Any
) -> Situation:
    record = CleanupRecord(started_at=NOW, terminate_calls=tuple(calls))
    known = {"at": after(5), "launches": (), "own_launch_jobs": ()}
    return Situation(record=record, jobs=jobs, left=left, **{**known, **fields})


def launch(*calls: Call) -> LaunchRecord:
    timeline = Timeline(
        jobs="per_wave", server_delay=0, conflict_backoff=(30,), conflict_timeout=60, servers=()
    )
    return LaunchRecord(timeline=timeline, calls=calls)


def test_an_instance_is_looked_at_again_only_after_its_own_termination() -> None:
    """A job that terminated another instance does not delay this one, nor does a job that DRS forgot."""
    calls = (
        TerminateCall(job_id="drsjob-2", instances=("i-1",)),
        TerminateCall(job_id="drsjob-3", instances=("i-2",)),
    )
    ended = terminate_job("drsjob-2", A, ended=NOW)
    assert situation(instance("i-1", A), jobs=[ended], calls=calls).look_again_at == NOW + LOOK_AGAIN
    assert situation(instance("i-2", B), jobs=[ended], calls=calls).look_again_at is None


def test_the_end_of_a_termination_is_compared_with_the_clock_of_aws() -> None:
    """DRS writes it. The worker's clock is an hour ahead."""
    hour = dt.timedelta(hours=1)
    calls = (TerminateCall(job_id="drsjob-2", instances=("i-1",)),)
    ended = terminate_job("drsjob-2", A, ended=NOW - hour)
    shown = situation(instance("i-1", A), jobs=[ended], calls=calls, clock_ahead=hour)
    assert shown.look_again_at == NOW + LOOK_AGAIN


def test_an_instance_is_no_survivor_before_drs_has_had_time_to_stop_listing_it() -> None:
    """Its last TERMINATE job may have ended it: a list may be a minute old."""
    calls = [TerminateCall(job_id=f"drsjob-{number}", instances=("i-1",)) for number in (2, 3)]
    ended = [terminate_job(call.job_id, A, ended=NOW) for call in calls]
    assert situation(instance("i-1", A), jobs=ended, calls=calls).look_again_at == NOW + LISTING_DELAY
    later = situation(instance("i-1", A), jobs=ended, calls=calls, at=NOW + LISTING_DELAY)
    assert later.look_again_at is None
    assert later.survivors == [instance("i-1", A)]


def test_a_termination_that_is_not_listed_yet_is_waited_for() -> None:
    """DRS answered with the job. Without an answer there may be none, and the next call shows it."""
    listed_by = after(2) + LISTING_DELAY
    call = TerminateCall(job_id="drsjob-2", instances=("i-1",), at=after(2))
    assert situation(instance("i-1", A), calls=[call]).look_again_at == listed_by
    hour = dt.timedelta(hours=1)
    by_aws = call.model_copy(update={"at": after(2) - hour})
    assert situation(instance("i-1", A), calls=[by_aws], clock_ahead=hour).look_again_at == listed_by
    intent = TerminateCall(instances=("i-1",), at=after(2))
    assert situation(instance("i-1", A), calls=[intent]).look_again_at is None


def test_a_call_without_an_answer_is_no_try() -> None:
    """DRS may have refused it. The instance is still due."""
    calls = [TerminateCall(instances=("i-1",)), TerminateCall(job_id="drsjob-2", instances=("i-1",))]
    item = instance("i-1", A)
    assert situation(item, calls=[*calls, calls[0]]).to_terminate == [item]


def test_a_launch_may_show_its_job_late() -> None:
    """A call without a reply, and one whose job DRS does not list. Clean-up gives them their time from its
    own beginning, because the task of the call may have been alive until then.
    """
    lost = Call(at=after(-900), servers=(A,))
    made = Call(at=after(-900), servers=(A,), job_id="drsjob-1")
    refused = Call(at=after(-900), servers=(A,), error="ConflictException")
    not_made = Call(at=after(-900), servers=(A,), not_made=True)
    listed = make_job("drsjob-1", A)
    assert situation(launches=[launch(lost)]).settles_at == NOW + SETTLE
    assert situation(launches=[launch(refused), launch(made)]).settles_at == NOW + SETTLE
    assert situation(launches=[launch(made, refused, not_made)], jobs=[listed]).settles_at is None
    assert situation(launches=[launch(lost)], at=NOW + SETTLE).settles_at is None


def test_a_call_that_was_made_after_clean_up_began_has_its_time_from_then() -> None:
    """Its task had looked for clean-up just before that began."""
    late = Call(at=after(3), servers=(A,))
    assert situation(launches=[launch(late)]).settles_at == after(3) + SETTLE


def test_an_instance_that_a_job_has_launched_may_be_listed_late() -> None:
    """Until a minute and a half after the beginning of clean-up."""
    unlisted = [("drsjob-1", A)]
    assert situation(unlisted=unlisted).listed_by == NOW + LISTING_DELAY
    assert situation().listed_by is None
    assert situation(unlisted=unlisted, at=NOW + LISTING_DELAY).listed_by is None


def test_a_look_that_is_past_is_not_waited_for() -> None:
    calls = (TerminateCall(job_id="drsjob-2", instances=("i-1",)),)
    ended = terminate_job("drsjob-2", A, ended=after(5) - LOOK_AGAIN)
    assert situation(instance("i-1", A), jobs=[ended], calls=calls).look_again_at is None


def test_an_instance_that_a_live_job_holds_or_terminates_is_not_due() -> None:
    """The others are: they go on costing money."""
    first, second = instance("i-1", A), instance("i-2", B)
    call = TerminateCall(job_id="drsjob-2", instances=("i-1",))
    own = terminate_job("drsjob-2", A, ended=None)
    assert situation(first, second, jobs=[own], calls=[call]).to_terminate == [second]
    foreign = make_job("drsjob-9", A)
    assert situation(first, second, jobs=[foreign]).to_terminate == [second]
    assert situation(first, second, jobs=[foreign]).blocking_jobs == [foreign]


def test_an_instance_is_a_survivor_after_its_second_termination() -> None:
    """One job may fail for a reason that passes."""
    calls = [TerminateCall(job_id=f"drsjob-{number}", instances=("i-1",)) for number in (2, 3)]
    item = instance("i-1", A)
    assert situation(item, calls=calls[:1]).to_terminate == [item]
    assert situation(item, calls=calls).to_terminate == []
    assert situation(item, calls=calls).survivors == [item]
