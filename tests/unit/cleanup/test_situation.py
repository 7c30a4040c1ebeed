"""What clean-up concludes from one look at DRS, without a simulated one."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from drs.aws.jobs import Job
from drs.cleanup.situation import LOOK_AGAIN, Situation
from drs.run.records import CleanupRecord, InstanceRecord, TerminateCall
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
    *left: InstanceRecord, jobs: Sequence[Job] = (), calls: Sequence[TerminateCall] = ()
) -> Situation:
    record = CleanupRecord(started_at=NOW, terminate_calls=tuple(calls))
    return Situation(at=after(5), record=record, launches=(), jobs=jobs, own_launch_jobs=(), left=left)


def test_an_instance_is_looked_at_again_only_after_its_own_termination() -> None:
    """A job that terminated another instance does not delay this one, nor does a job that DRS forgot."""
    calls = (
        TerminateCall(job_id="drsjob-2", instances=("i-1",)),
        TerminateCall(job_id="drsjob-3", instances=("i-2",)),
    )
    ended = terminate_job("drsjob-2", A, ended=NOW)
    assert situation(instance("i-1", A), jobs=[ended], calls=calls).look_again_at == NOW + LOOK_AGAIN
    assert situation(instance("i-2", B), jobs=[ended], calls=calls).look_again_at is None


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
