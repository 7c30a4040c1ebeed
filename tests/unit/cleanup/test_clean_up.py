"""Clean-up terminates everything that the run launched, proves it, and touches nothing else."""

from __future__ import annotations

import contextlib
import datetime as dt
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any
from unittest import mock

import boto3
import pytest
from botocore.exceptions import ClientError

from drs.aws.states import JobType
from drs.cleanup.clean_up import Proven, WaitForJobs
from drs.cleanup.prices import prices
from drs.cleanup.rule import Keep, Terminate, decide
from drs.cleanup.situation import SETTLE
from drs.errors import AccessDenied, CleanupIncomplete, DrillError
from drs.run.ledger import SupersededError
from drs.run.records import (
    CLEANUP_APPROVAL,
    ApprovalRecord,
    Call,
    CleanupRecord,
    Loss,
    Resolution,
    ServerRecord,
    WaveOutcome,
    WaveResolution,
)
from drs.run.standing import LISTING_DELAY
from simulator.engine.faults import AccessDenied as AccessDeniedFault
from simulator.engine.faults import (
    ForeignJob,
    InternalError,
    NoRecoveryInstanceId,
    StuckConversion,
    StuckPending,
    TerminationSurvivor,
    Throttle,
)
from simulator.engine.model import Job
from tests.unit.drill import APPLICATION, DATABASE, NOW, make_job, make_plan
from tests.unit.simulated import OTHERS, REGION, SimulatedDrill, describe_ec2

Drill = Callable[..., SimulatedDrill]
A, B = DATABASE
TERMINATE = ("TerminateRecoveryInstances",)


def ec2_state(instance: str) -> str:
    (item,) = describe_ec2([{"Name": "instance-id", "Values": [instance]}])
    return str(item["State"]["Name"])


def launched(drill: Drill, *waves: str, **run: Any) -> SimulatedDrill:
    """A run that has launched these waves and whose jobs have ended."""
    drilled = drill(make_plan(launch={"jobs": "per_wave"}), **run)
    for wave in waves or ("database",):
        drilled.launch(wave)
    drilled.finish_jobs()
    return drilled


def lose_reply(run: SimulatedDrill, *, tagged: bool = True) -> Call:
    """The task of a wave was killed in the middle of its call for the first server."""
    launch = run.start_launch()
    intent = Call(at=run.clock.now(), servers=(A,), tagged=tagged)
    run.ledger.save_launch("database", launch.record.model_copy(update={"calls": (intent,)}))
    return intent


def terminations(run: SimulatedDrill) -> list[Job]:
    return [job for job in run.drs.jobs.values() if job.type is JobType.TERMINATE]


def foreign(run: SimulatedDrill, *servers: str, seconds: float) -> Job:
    """Somebody else's job, which holds these servers from now on."""
    fault = ForeignJob(kind="foreign_job", servers=servers, seconds=dt.timedelta(seconds=seconds))
    run.simulation.arm(fault)
    return list(run.drs.jobs.values())[-1]


def assert_clean(run: SimulatedDrill, record: CleanupRecord) -> None:
    """The clean-up is proven, and neither DRS nor EC2 has anything of the run left."""
    assert record.proven
    assert run.instances() == set()
    assert {ec2_state(item.ec2_instance_id) for item in record.instances} <= {"terminated"}


# --- what is touched, and what is not ---------------------------------------------------------------------


def test_everything_that_the_run_launched_is_terminated_and_proven_gone(drill: Drill) -> None:
    """One job terminates the instances of all waves, and the record names each with its server and its
    launch job.
    """
    run = launched(drill, "database", "application")
    record = run.clean_up()
    assert_clean(run, record)
    assert len(terminations(run)) == 1
    assert {item.server_id for item in record.instances} == {*DATABASE, *APPLICATION}
    assert {item.job_id for item in record.instances} == {job.id for job in run.drills()}


def test_a_run_that_launched_nothing_has_nothing_to_clean_up(drill: Drill) -> None:
    """Clean-up proves that nothing is there and makes no TERMINATE call."""
    run = drill()
    assert_clean(run, run.clean_up())
    assert terminations(run) == []


def test_other_people_s_instances_stay(drill: Drill) -> None:
    """Somebody else's drill and a real recovery exist in the same account at the same time."""
    run = launched(drill)
    run.drs.start_recovery([(OTHERS[0], None)], is_drill=True, tags={"drs-drills:run": "another"})
    run.drs.start_recovery([(OTHERS[1], None)], is_drill=False, tags={})
    run.finish_jobs()
    record = run.clean_up()
    assert {item.server_id for item in record.instances} == set(DATABASE)
    left = {instance.server_id for instance in run.drs.recovery_instances.values()}
    assert left == {OTHERS[0], OTHERS[1]}
    assert {ec2_state(instance) for instance in run.instances()} == {"running"}


@pytest.mark.parametrize("is_drill", [True, False], ids=["a drill", "a real recovery"])
def test_what_replaced_the_run_s_instance_stays(drill: Drill, is_drill: bool) -> None:
    """Somebody launched the same server again, and DRS replaced this run's instance by theirs."""
    run = launched(drill)
    run.drs.start_recovery([(A, None)], is_drill=is_drill, tags={})
    run.finish_jobs()
    record = run.clean_up()
    assert record.proven
    assert {item.server_id for item in record.instances} == {B}
    (left,) = run.drs.recovery_instances.values()
    assert (left.server_id, left.is_drill, ec2_state(left.id)) == (A, is_drill, "running")


def test_an_instance_that_is_no_drill_is_never_terminated(drill: Drill) -> None:
    """DRS does not mark the instance as a drill, although a job of this run launched it."""
    run = launched(drill)
    for instance in run.drs.recovery_instances.values():
        instance.is_drill = instance.server_id != A
    with pytest.raises(CleanupIncomplete):
        run.clean_up()
    assert {instance.server_id for instance in run.drs.recovery_instances.values()} == {A}


def test_instances_are_found_whose_job_does_not_name_them(drill: Drill) -> None:
    """They are found by server and job among the instances that DRS lists."""
    run = drill(make_plan(launch={"jobs": "per_wave"}))
    run.simulation.arm(NoRecoveryInstanceId(kind="no_recovery_instance_id"))
    run.launch()
    run.finish_jobs()
    record = run.clean_up()
    assert len(record.instances) == 2
    assert_clean(run, record)


def test_a_kept_run_terminates_nothing(drill: Drill, caplog: pytest.LogCaptureFixture) -> None:
    """It waits for its jobs, lists what keeps costing money, and does not claim that everything is gone."""
    run = drill(make_plan(launch={"jobs": "per_wave"}), keep_instances=True)
    run.launch()
    record = run.clean_up()
    assert (record.kept, record.proven) == (True, False)
    assert record.why_kept == "the run was asked to keep them (keep_instances)"
    assert record.ended_at == run.clock.now()
    assert terminations(run) == []
    assert {item.recovery_instance_id for item in record.instances} == run.instances()
    assert all(instance in caplog.text for instance in run.instances())
    assert "2 drill instance(s) are kept: the run was asked to keep them" in caplog.text
    assert "USD a day" in caplog.text


def test_a_run_that_keeps_and_launched_nothing_is_proven_clean(drill: Drill) -> None:
    """There is nothing to keep. A call without a reply first gets its time to show a job."""
    run = drill(keep_instances=True)
    lose_reply(run)
    began = run.clock.now()
    record = run.clean_up()
    assert (record.proven, record.kept) == (True, False)
    assert run.clock.now() - began == SETTLE


def test_each_instance_is_recorded_with_what_it_is_and_costs_by(drill: Drill) -> None:
    """EC2 gives type, launch time and state; DRS gives the moment of the instance's data."""
    run = launched(drill)
    listed = {item["recoveryInstanceID"]: item for item in run.hook.recovery_instances(DATABASE)}
    record = run.clean_up()
    assert len(record.instances) == 2
    for item in record.instances:
        assert (item.instance_type, item.state) == ("m5.large", "running")
        assert item.launched_at is not None
        assert run.run.began_at < item.launched_at < record.started_at
        assert item.point_in_time is not None
        told = listed[item.recovery_instance_id]["pointInTimeSnapshotDateTime"]
        assert item.point_in_time == dt.datetime.fromisoformat(told)
    assert record.ended_at == run.clock.now()


def test_an_ec2_that_tells_no_types_does_not_stop_the_termination(
    drill: Drill, caplog: pytest.LogCaptureFixture
) -> None:
    """The cost is then not known, and the instances are terminated all the same."""
    run = launched(drill)
    denied: Any = {"Error": {"Code": "UnauthorizedOperation", "Message": "no"}}

    def refuse_once(filters: list[dict[str, Any]]) -> Any:
        run.describe_ec2 = describe_ec2
        raise ClientError(denied, "DescribeInstances")

    run.describe_ec2 = refuse_once
    record = run.clean_up()
    assert_clean(run, record)
    assert {item.instance_type for item in record.instances} == {None}
    assert "What the instances cost is not known" in caplog.text
    assert "not known" in caplog.text


# --- the plan's rule --------------------------------------------------------------------------------------


def resolved(run: SimulatedDrill, *waves: str) -> None:
    """Record what preflight resolved: the run launches only these waves."""
    names = {
        wave.name: WaveResolution(servers=tuple(run.resolved(wave.name)))
        if wave.name in waves
        else WaveResolution(left_out="not in this test")
        for wave in run.plan.waves
    }
    run.ledger.save_resolution(Resolution(waves=names))


def passed(drill: Drill, *, failed: tuple[str, ...] = (), **cleanup_rule: Any) -> SimulatedDrill:
    """A run whose only wave has ended; the servers in ``failed`` were not launched."""
    run = drill(make_plan(launch={"jobs": "per_wave"}, cleanup=cleanup_rule))
    resolved(run, "database")
    run.end_wave(failed=failed)
    gates = ("failed", "upstream_failed") if failed else ("success", "success")
    run.states = dict(
        zip(("wave_database.wait_until_launched", "wave_database.validate"), gates, strict=True)
    )
    return run


def rule(run: SimulatedDrill) -> Terminate | Keep:
    return decide(run.ledger, run.run, run.states)


def test_on_success_a_drill_that_passed_is_terminated(drill: Drill) -> None:
    """After a success, ``on_success`` does the same as ``always``."""
    run = passed(drill, when="on_success")
    assert_clean(run, run.clean_up())


def test_on_success_a_drill_that_failed_is_kept_and_says_why(
    drill: Drill, caplog: pytest.LogCaptureFixture
) -> None:
    """The log gives the reason and the cost of what is kept."""
    run = passed(drill, failed=(A,), when="on_success")
    record = run.clean_up()
    assert (record.kept, record.proven) == (True, False)
    assert terminations(run) == []
    assert record.why_kept.startswith("the plan terminates only after a success")
    assert "wave_database.wait_until_launched failed" in record.why_kept
    assert record.why_kept in caplog.text
    assert "Total: " in caplog.text


def test_on_success_a_gate_marked_as_failed_by_hand_is_no_success(drill: Drill) -> None:
    """Somebody marked the task as failed, although every record says that the servers were launched."""
    run = passed(drill, when="on_success")
    run.states["wave_database.wait_until_launched"] = "failed"
    assert isinstance(rule(run), Keep)


def test_on_success_the_states_of_an_earlier_end_do_not_count(drill: Drill) -> None:
    """Clean-up failed before and somebody cleared only that task. It still terminates what passed."""
    run = passed(drill, when="on_success")
    run.states |= {"terminate": "failed", "verdict": "failed"}
    assert rule(run) == Terminate()


def test_on_success_a_failed_drill_that_launched_nothing_is_proven_clean(drill: Drill) -> None:
    """There is nothing to keep."""
    run = drill(make_plan(cleanup={"when": "on_success"}))
    resolved(run, "database")
    record = run.clean_up()
    assert (record.proven, record.kept) == (True, False)


def test_never_keeps_whatever_happened(drill: Drill) -> None:
    """The record gives the rule as the reason."""
    run = passed(drill, when="never")
    record = run.clean_up()
    assert (record.kept, record.why_kept) == (True, "the plan says so (cleanup: {when: never})")
    assert terminations(run) == []


@pytest.mark.parametrize("approved", [True, False, None], ids=["terminate", "keep", "no answer"])
def test_after_approval_only_a_person_s_keep_keeps(drill: Drill, approved: bool | None) -> None:
    """If the question was skipped or never asked, there is no answer, and the instances are terminated at
    once.
    """
    run = passed(drill, when="after_approval")
    if approved is not None:
        answer = ApprovalRecord(
            approved=approved, answered="by a person", by="ada", at=run.clock.now(), comment="a look"
        )
        run.ledger.save_approval(CLEANUP_APPROVAL, answer)
    assert isinstance(rule(run), Keep) is (approved is False)
    record = run.clean_up()
    assert record.kept is (approved is False)
    assert record.proven is (approved is not False)
    assert ("ada chose to keep them at" in record.why_kept and "a look" in record.why_kept) is record.kept


def test_keep_for_counts_from_the_end_of_the_last_wave(drill: Drill) -> None:
    """A wave ends when its last server has passed its checks."""
    run = passed(drill, keep_for="10m")
    ended = run.clock.now()
    assert rule(run) == Terminate(not_before=ended + dt.timedelta(minutes=10))
    run.ledger.save_reached("database", "validated", ended + dt.timedelta(minutes=2))
    assert rule(run) == Terminate(not_before=ended + dt.timedelta(minutes=12))


def test_keep_for_is_for_drills_that_passed(drill: Drill) -> None:
    """The instances of a drill that failed are terminated at once."""
    assert rule(passed(drill, failed=(A,), keep_for="10m")) == Terminate()


@pytest.mark.parametrize("optional", [False, True])
def test_a_drill_that_lost_an_instance_has_not_passed(drill: Drill, optional: bool) -> None:
    """So it is kept to be looked at, or not kept for a while, as after every failure. An optional server
    makes no difference.
    """
    loss = Loss(
        wave="database",
        server_id=A,
        name="db-1",
        optional=optional,
        instance_id="i-1",
        what="is gone",
        last_seen=NOW,
        found_at=NOW,
        by="somebody",
    )
    looked_at = passed(drill, when="on_success")
    looked_at.ledger.save_losses((loss,))
    decided = rule(looked_at)
    assert isinstance(decided, Keep) is not optional
    if isinstance(decided, Keep):
        assert "RECOVERY_INSTANCE_LOST" in decided.why
    kept_for = passed(drill, keep_for="10m")
    kept_for.ledger.save_losses((loss,))
    assert (rule(kept_for) == Terminate()) is not optional


# --- waiting ----------------------------------------------------------------------------------------------


def test_live_jobs_are_waited_for(drill: Drill) -> None:
    """DRS cannot cancel a job, so what it launches is terminated once it has ended."""
    run = drill(make_plan(launch={"jobs": "per_wave"}))
    run.launch()
    (job,) = run.drills()
    step = run.start_clean_up().advance()
    assert step == WaitForJobs((job.id,), run.clock.now() + dt.timedelta(hours=2))
    record = run.clean_up()
    assert len(record.instances) == 2
    assert_clean(run, record)


def test_a_job_that_has_ended_does_not_wait_for_one_that_has_not(drill: Drill) -> None:
    """The instances of the ended job are terminated at once."""
    run = launched(drill)
    run.simulation.arm(StuckConversion(kind="stuck_conversion", servers=APPLICATION))
    run.launch("application")
    run.start_clean_up().advance()
    assert [job.server_ids for job in terminations(run)] == [list(DATABASE)]


def test_a_call_without_reply_is_given_time_to_show_its_job(drill: Drill) -> None:
    """The task was killed in the middle of its call, and the job appears after clean-up has begun."""
    run = drill()
    lose_reply(run)
    clean_up = run.start_clean_up()
    assert clean_up.advance() == WaitForJobs((), run.clock.now() + SETTLE)
    run.pass_time(80)
    run.drs.start_recovery([(A, None)], is_drill=True, tags={"drs-drills:run": run.run.token})
    run.pass_time(15)
    record = run.clean_up()
    assert [item.server_id for item in record.instances] == [A]
    assert_clean(run, record)


def test_a_job_without_tags_that_shows_late_stays(drill: Drill, caplog: pytest.LogCaptureFixture) -> None:
    """It may be somebody else's. Clean-up names it in log and record, and does not touch its instance."""
    run = drill()
    lose_reply(run, tagged=False)
    run.start_clean_up().advance()
    run.pass_time(5)
    theirs = run.drs.start_recovery([(A, None)], is_drill=True, tags={})
    with caplog.at_level("INFO"):
        record = run.clean_up()
    run.finish_jobs()
    assert (record.jobs, record.unsure, record.instances) == ((), (theirs.id,), ())
    assert terminations(run) == []
    assert [item.job_id for item in run.drs.recovery_instances.values()] == [theirs.id]
    assert f"Job {theirs.id} (LAUNCH by START_DRILL" in caplog.text


def test_a_call_that_never_shows_a_job_is_not_waited_for_longer(drill: Drill) -> None:
    """The call was never made, so clean-up waits for it only once."""
    run = drill()
    lose_reply(run)
    began = run.clock.now()
    assert_clean(run, run.clean_up())
    assert run.clock.now() - began == SETTLE


def test_a_call_made_long_before_is_given_its_time_from_the_clean_up_s_beginning(drill: Drill) -> None:
    """The call's task may have lived until then, in the middle of the call."""
    run = drill()
    intent = lose_reply(run)
    run.pass_time(300)
    step = run.start_clean_up().advance()
    assert step == WaitForJobs((), intent.at + dt.timedelta(seconds=300 + 90))


@contextlib.contextmanager
def not_listed(run: SimulatedDrill, *, until: dt.datetime) -> Iterator[None]:
    """Neither DRS nor EC2 lists any instance before that time."""
    listed = run.hook.recovery_instances

    def late(server_ids: Iterable[str]) -> list[Mapping[str, Any]]:
        return listed(server_ids) if run.clock.now() >= until else []

    def unseen(filters: list[dict[str, Any]]) -> Iterable[Mapping[str, Any]]:
        return describe_ec2(filters) if run.clock.now() >= until else []

    run.describe_ec2 = unseen
    with mock.patch.object(run.hook, "recovery_instances", late):
        yield


@pytest.mark.parametrize("keep", [False, True], ids=["terminated", "kept"])
def test_an_instance_that_was_launched_and_is_not_listed_is_waited_for(
    drill: Drill, keep: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """Its job says LAUNCHED, so it exists. That a list lacks it proves nothing for a minute and a half."""
    run = launched(drill, keep_instances=keep)
    began = run.clock.now()
    ids = run.instances()
    with caplog.at_level("INFO"), not_listed(run, until=began + LISTING_DELAY - dt.timedelta(seconds=1)):
        record = run.clean_up()
    assert {item.recovery_instance_id for item in record.instances} == ids
    assert {item.lost for item in record.instances} == {None}
    if keep:
        assert record.kept
        assert run.instances() == ids
    else:
        assert_clean(run, record)
        (job,) = run.drills()
        assert f"lists no instance of them: {A} (job {job.id}), {B} (job {job.id})" in caplog.text


def test_an_instance_that_is_never_listed_is_not_waited_for_longer(drill: Drill) -> None:
    """Somebody terminated it before clean-up. The wait is counted from the beginning of clean-up."""
    run = launched(drill)
    began = run.clock.now()
    with not_listed(run, until=began + dt.timedelta(days=1)):
        record = run.clean_up()
    assert record.proven
    assert run.clock.now() - began == LISTING_DELAY


def test_a_job_on_record_that_is_not_listed_yet_is_waited_for(drill: Drill) -> None:
    """Clean-up begins right after the launch, and DescribeJobs is behind. The job's instances come later."""
    run = drill(make_plan(launch={"jobs": "per_wave"}))
    (job_id,) = run.launch().jobs
    job = run.drs.jobs.pop(job_id)
    began = run.clock.now()
    assert run.start_clean_up().advance() == WaitForJobs((), began + SETTLE)
    run.pass_time(30)
    run.drs.jobs[job_id] = job
    record = run.clean_up()
    assert len(record.instances) == 2
    assert_clean(run, record)


def test_a_job_on_record_that_drs_has_forgotten_is_not_waited_for_longer(drill: Drill) -> None:
    """DRS removes old jobs. Their instances are found by the job's id."""
    run = launched(drill)
    (job,) = run.drills()
    read = run.hook._read_jobs
    began = run.clock.now()

    def forgetful(filters: Any) -> list[Any]:
        return [each for each in read(filters) if each.job_id != job.id]

    with mock.patch.object(run.hook, "_read_jobs", forgetful):
        record = run.clean_up()
    assert len(record.instances) == 2
    assert_clean(run, record)
    assert run.clock.now() - began == SETTLE


def test_a_job_that_drs_dates_before_the_run_is_covered(drill: Drill) -> None:
    """DRS's clock is further behind than it should be, but the run's own record names the job."""
    run = drill(make_plan(launch={"jobs": "per_wave"}))
    (job_id,) = run.launch().jobs
    run.finish_jobs()
    run.drs.jobs[job_id].created -= dt.timedelta(hours=1)
    record = run.clean_up()
    assert record.jobs == (job_id,)
    assert len(record.instances) == 2
    assert_clean(run, record)


def test_a_job_that_drs_dates_before_the_run_is_waited_for(drill: Drill) -> None:
    """The run's own record names the job, and it is live."""
    run = drill(make_plan(launch={"jobs": "per_wave"}))
    (job_id,) = run.launch().jobs
    run.drs.jobs[job_id].created -= dt.timedelta(hours=1)
    step = run.start_clean_up().advance()
    assert isinstance(step, WaitForJobs)
    assert step.job_ids == (job_id,)


@pytest.mark.parametrize("operation", ["DescribeJobs", "DescribeRecoveryInstances"])
@pytest.mark.parametrize(
    "fault",
    [
        Throttle(kind="throttle", count=3),
        InternalError(kind="internal_error", count=3),
    ],
    ids=["throttled", "internal error"],
)
def test_a_drs_that_cannot_be_read_is_waited_for(
    drill: Drill, caplog: pytest.LogCaptureFixture, fault: Throttle | InternalError, operation: str
) -> None:
    """Clean-up tries again every 30 s, because hours are left and instances cost money."""
    run = launched(drill)
    run.simulation.arm(fault.model_copy(update={"operations": (operation,)}))
    began = run.clock.now()
    assert_clean(run, run.clean_up())
    (job,) = terminations(run)
    assert job.created - began == dt.timedelta(seconds=90)
    assert caplog.text.count("Clean-up looks again every 30 s until") == 3


def test_a_held_instance_does_not_keep_the_others_running(drill: Drill) -> None:
    """DRS would refuse the whole call for one held server. So clean-up terminates the free ones at once,
    and the held one when its holder has ended.
    """
    run = launched(drill, "database", "application")
    holder = foreign(run, A, seconds=300)
    step = run.start_clean_up().advance()
    (first,) = terminations(run)
    assert set(first.server_ids) == {B, *APPLICATION}
    assert isinstance(step, WaitForJobs)
    assert set(step.job_ids) == {first.id, holder.id}
    assert_clean(run, run.clean_up())


@pytest.mark.parametrize(
    "fault",
    [
        Throttle(kind="throttle", operations=TERMINATE, count=2),
        InternalError(kind="internal_error", operations=TERMINATE, when="before", count=2),
    ],
    ids=["throttled", "internal error"],
)
def test_a_refusal_for_now_is_tried_again(drill: Drill, fault: Any) -> None:
    """Clean-up repeats the call every 30 s."""
    run = launched(drill)
    run.simulation.arm(fault)
    began = run.clock.now()
    record = run.clean_up()
    assert_clean(run, record)
    (job,) = terminations(run)
    assert job.created - began == dt.timedelta(seconds=60)


def test_a_used_up_quota_of_jobs_is_waited_for(drill: Drill) -> None:
    """The whole call is repeated, because a call for each instance would need even more jobs."""
    run = launched(drill)
    terminate = run.hook.terminate_recovery_instances
    asked: list[list[str]] = []
    quota: Any = {"Error": {"Code": "ServiceQuotaExceededException", "Message": "20 jobs"}}

    def refuse_twice(instance_ids: list[str]) -> Any:
        asked.append(list(instance_ids))
        if len(asked) <= 2:
            raise ClientError(quota, "TerminateRecoveryInstances")
        return terminate(instance_ids)

    began = run.clock.now()
    with mock.patch.object(run.hook, "terminate_recovery_instances", refuse_twice):
        assert_clean(run, run.clean_up())
    assert [len(ids) for ids in asked] == [2, 2, 2]
    (job,) = terminations(run)
    assert job.created - began == dt.timedelta(seconds=60)


def test_a_hundred_instances_go_in_one_job(drill: Drill) -> None:
    """DRS takes at most 100 in one job; the rest go in another."""
    run = launched(drill)
    (job_id,) = (job.id for job in run.drills())
    listed = [
        {
            "recoveryInstanceID": f"i-{number:017x}",
            "sourceServerID": f"s-{number:017x}",
            "jobID": job_id,
            "isDrill": True,
        }
        for number in range(101)
    ]
    asked: list[int] = []

    def note(instance_ids: list[str]) -> Any:
        asked.append(len(instance_ids))
        return make_job(f"drsjob-{len(asked):017x}")

    run.describe_ec2 = lambda filters: ()
    with (
        mock.patch.object(run.hook, "recovery_instances", return_value=listed),
        mock.patch.object(run.hook, "terminate_recovery_instances", note),
    ):
        run.start_clean_up().advance()
    assert asked == [100, 1]


def test_a_live_termination_is_not_started_again(drill: Drill) -> None:
    """The TERMINATE job is live, although DRS may list it without its servers."""
    run = launched(drill)
    run.start_clean_up().advance()
    (job,) = terminations(run)
    job.participants.clear()
    step = run.start_clean_up(resumed=True).advance()
    assert isinstance(step, WaitForJobs)
    assert step.job_ids == (job.id,)
    assert terminations(run) == [job]


def test_one_held_instance_does_not_keep_the_others_running(drill: Drill) -> None:
    """A job that DRS does not list holds one of two. The other is terminated at once, the held one later."""
    run = launched(drill)
    foreign(run, A, seconds=70)
    listed = run.hook.jobs_since
    with mock.patch.object(
        run.hook,
        "jobs_since",
        lambda since: [job for job in listed(since) if job.initiated_by != "DIAGNOSTIC"],
    ):
        assert_clean(run, run.clean_up())
    first, second = terminations(run)
    assert second.created - first.created >= dt.timedelta(seconds=60)


def test_one_instance_that_drs_refuses_does_not_keep_the_others_running(drill: Drill) -> None:
    """DRS refuses the whole call for one instance, for example because it fails back. So each is tried
    alone, and that one again later.
    """
    run = launched(drill)
    terminate = run.hook.terminate_recovery_instances
    (stubborn,) = [each.id for each in run.drs.recovery_instances.values() if each.server_id == A]
    refusal: Any = {"Error": {"Code": "ValidationException", "Message": "is in failback"}}
    heals_at = run.clock.now() + dt.timedelta(minutes=5)

    def refuse(instance_ids: list[str]) -> Any:
        if stubborn in instance_ids and run.clock.now() < heals_at:
            raise ClientError(refusal, "TerminateRecoveryInstances")
        return terminate(instance_ids)

    began = run.clock.now()
    with mock.patch.object(run.hook, "terminate_recovery_instances", refuse):
        run.start_clean_up().advance()
        (first,) = terminations(run)
        assert (first.created, first.server_ids) == (began, [B])
        record = run.clean_up()
    assert_clean(run, record)
    made = {call.job_id: call.instances for call in record.terminate_calls if call.job_id}
    assert made[terminations(run)[-1].id] == (stubborn,)
    assert terminations(run)[-1].created >= heals_at


def test_one_instance_that_drs_refuses_for_good_is_named(drill: Drill) -> None:
    """When the time is over, the error names it; the other instance is gone."""
    run = drill(make_plan(launch={"jobs": "per_wave"}, cleanup={"timeout": "10m"}))
    run.launch()
    run.finish_jobs()
    terminate = run.hook.terminate_recovery_instances
    (stubborn,) = [each.id for each in run.drs.recovery_instances.values() if each.server_id == A]

    def refuse(instance_ids: list[str]) -> Any:
        if stubborn in instance_ids:
            error: Any = {"Error": {"Code": "ValidationException", "Message": "is in failback"}}
            raise ClientError(error, "TerminateRecoveryInstances")
        return terminate(instance_ids)

    with (
        mock.patch.object(run.hook, "terminate_recovery_instances", refuse),
        pytest.raises(CleanupIncomplete, match=r"1 drill instance\(s\) still exist") as failed,
    ):
        run.clean_up()
    assert stubborn in failed.value.message
    assert run.instances() == {stubborn}


def test_a_lost_reply_to_a_termination_is_no_harm(drill: Drill) -> None:
    """The job runs all the same: the next look finds it, waits for it, and sees that the instances are
    gone.
    """
    run = launched(drill)
    run.simulation.arm(InternalError(kind="internal_error", operations=TERMINATE, when="after", count=1))
    assert_clean(run, run.clean_up())
    assert len(terminations(run)) == 1


def test_an_instance_that_somebody_terminates_meanwhile_is_no_harm(drill: Drill) -> None:
    """The instance was listed and is gone when clean-up terminates it. DRS refuses that call, and the
    next one leaves it out.
    """
    run = launched(drill)
    terminate = run.hook.terminate_recovery_instances
    gone: list[str] = []

    def interfere(instance_ids: list[str]) -> Any:
        if not gone:
            instance = next(each for each in run.drs.recovery_instances.values() if each.server_id == A)
            gone.append(instance.id)
            run.drs.ec2.terminate(instance.id)
            run.drs.forget_instance(instance)
        return terminate(instance_ids)

    with mock.patch.object(run.hook, "terminate_recovery_instances", interfere):
        record = run.clean_up()
    assert_clean(run, record)
    assert [job.server_ids for job in terminations(run)] == [[]]
    (made,) = [call for call in record.terminate_calls if call.job_id]
    assert made.instances == tuple(
        item.recovery_instance_id for item in record.instances if item.server_id == B
    )


# --- what is left -----------------------------------------------------------------------------------------


def test_a_survivor_is_named_after_two_tries(drill: Drill) -> None:
    """The error gives its server, job and cost, and the command that terminates it. The others are gone."""
    run = launched(drill)
    run.simulation.arm(TerminationSurvivor(kind="termination_survivor", servers=(A,)))
    with pytest.raises(CleanupIncomplete, match="2 TERMINATE jobs for each instance") as failed:
        run.clean_up()
    (survivor,) = run.instances()
    assert "1 drill instance(s) still exist and cost money" in failed.value.message
    assert survivor in failed.value.message
    assert re.search(
        rf"{survivor}  {survivor}  {A}  m5\.large +\d+ min +0\.\d\d USD +2\.30 USD", failed.value.message
    )
    assert "USD so far, 0.10 USD an hour, 2.30 USD a day" in failed.value.message
    assert f"as of {prices().as_of}; EBS volumes" in failed.value.message
    assert A in failed.value.message
    assert (
        f"aws drs terminate-recovery-instances --region us-east-1 --recovery-instance-ids {survivor}"
        in failed.value.remedy
    )
    assert len(terminations(run)) == 2
    record = run.ledger.cleanup()
    assert record is not None
    assert not record.proven


def test_an_instance_is_not_given_a_second_job_before_another_look(drill: Drill) -> None:
    """DRS may still list the instance shortly after its TERMINATE job, so clean-up looks again 10 s later."""
    run = launched(drill)
    run.simulation.arm(TerminationSurvivor(kind="termination_survivor", servers=(A,), count=1))
    assert_clean(run, run.clean_up())
    first, second = terminations(run)
    assert first.ended is not None
    assert second.server_ids == []  # as DRS lists a TERMINATE job that has ended
    assert (second.created - first.ended) == dt.timedelta(seconds=10)


def test_an_instance_that_drs_lists_a_little_longer_is_no_survivor(drill: Drill) -> None:
    """At the second look it is gone, so one job was enough."""
    run = launched(drill)
    recovery_instances = run.hook.recovery_instances
    listed = recovery_instances(DATABASE)

    def late(server_ids: Iterable[str]) -> list[Mapping[str, Any]]:
        ended = [job.ended for job in terminations(run) if job.ended]
        if ended and run.clock.now() < ended[0] + dt.timedelta(seconds=5):
            return listed
        return recovery_instances(server_ids)

    with mock.patch.object(run.hook, "recovery_instances", late):
        assert_clean(run, run.clean_up())
    assert len(terminations(run)) == 1


def test_at_the_bound_an_unreadable_drs_leaves_the_known_instances_named(drill: Drill) -> None:
    """They may still run, and DRS cannot be read to find out."""
    run = launched(drill)
    run.start_clean_up().advance()
    known = run.instances()
    run.simulation.arm(Throttle(kind="throttle"))
    clean_up = run.start_clean_up(resumed=True)
    assert isinstance(clean_up.advance(), WaitForJobs)
    run.pass_time(7200)
    with pytest.raises(CleanupIncomplete, match="AWS cannot be asked what is left") as failed:
        run.start_clean_up(resumed=True).advance()
    assert "ThrottlingException" in failed.value.message
    assert all(instance in failed.value.message for instance in known)
    assert all(instance in failed.value.remedy for instance in known)


@pytest.mark.parametrize("fault", ["throttle", "access_denied"])
def test_where_nothing_can_be_read_the_run_s_own_records_name_what_it_launched(
    drill: Drill, fault: str
) -> None:
    """The error lists servers and jobs, and the instances that a gate recorded, so that a person can look
    for them.
    """
    run = launched(drill, "database", "application")
    (first, second) = [job.id for job in run.drills()]
    server = ServerRecord(
        server_id=A, name="db-1", optional=False, job_id=first, launched=True, instance_id="i-0123"
    )
    run.ledger.save_outcome("database", WaveOutcome(servers=(server,)))
    code = None
    if fault == "throttle":
        run.simulation.arm(Throttle(kind="throttle"))
        code = "CLEANUP_INCOMPLETE"
        assert isinstance(run.start_clean_up().advance(), WaitForJobs)
        run.pass_time(7200)
        attempt = run.start_clean_up(resumed=True)
    else:
        run.simulation.arm(AccessDeniedFault(kind="access_denied", operations=("DescribeJobs",)))
        code = "ACCESS_DENIED"
        attempt = run.start_clean_up()
    with pytest.raises(DrillError) as failed:
        attempt.advance()
    assert failed.value.code == code
    rows = [line.split("  ") for line in failed.value.message.splitlines()]
    assert [A, first, "i-0123"] in rows
    assert [B, first, "not known"] in rows
    assert all([server, second, "not known"] in rows for server in APPLICATION)


def test_a_cleared_clean_up_tries_a_survivor_again(drill: Drill) -> None:
    """It has its whole time again, and two more jobs for the survivor."""
    run = launched(drill)
    fault = run.simulation.arm(TerminationSurvivor(kind="termination_survivor", servers=(A,)))
    with pytest.raises(CleanupIncomplete):
        run.clean_up()
    run.simulation.disarm(fault.id)
    run.pass_time(86400)
    record = run.clean_up()
    assert_clean(run, record)
    # Two that the survivor outlived, and the one that ended it: who terminated what stays on record.
    assert [call.job_id for call in record.terminate_calls] == [job.id for job in terminations(run)]
    assert len(record.terminate_calls) == 3


def test_an_instance_protected_against_termination_is_a_survivor(drill: Drill) -> None:
    """EC2 refuses, but the TERMINATE job is COMPLETED all the same."""
    run = launched(drill)
    instance = next(iter(run.instances()))
    ec2 = boto3.client("ec2", region_name=REGION)
    ec2.modify_instance_attribute(InstanceId=instance, DisableApiTermination={"Value": True})
    with pytest.raises(CleanupIncomplete, match=instance) as failed:
        run.clean_up()
    assert "EC2 termination protection" in failed.value.remedy
    assert run.instances() == {instance}


def test_a_job_that_outlives_the_bound_is_named(drill: Drill) -> None:
    """It may still launch an instance, so a person has to know of it."""
    run = drill(make_plan(launch={"jobs": "per_wave"}, cleanup={"timeout": "30m"}))
    run.simulation.arm(StuckPending(kind="stuck_pending"))
    run.launch()
    began = run.clock.now()
    with pytest.raises(CleanupIncomplete, match="the time for clean-up is over") as failed:
        run.clean_up()
    (job,) = run.drills()
    assert f"may still launch instances: {job.id} (LAUNCH by START_DRILL, PENDING" in failed.value.message
    assert f", servers {A}, {B}." in failed.value.message
    assert run.clock.now() - began == dt.timedelta(minutes=30)


def test_a_kept_run_does_not_wait_for_its_jobs_for_ever(drill: Drill) -> None:
    """Its clean-up has the same time limit."""
    run = drill(make_plan(launch={"jobs": "per_wave"}, cleanup={"timeout": "30m"}), keep_instances=True)
    run.simulation.arm(StuckPending(kind="stuck_pending"))
    run.launch()
    with pytest.raises(CleanupIncomplete, match="the time for clean-up is over"):
        run.clean_up()


def test_an_end_that_comes_with_the_bound_is_still_an_end(drill: Drill) -> None:
    """The task was resumed after its deadline. Everything is gone, so nothing is incomplete."""
    run = launched(drill)
    run.start_clean_up().advance()
    run.pass_time(86400)
    assert run.start_clean_up(resumed=True).advance() == Proven()


def test_a_missing_permission_names_what_is_left(drill: Drill) -> None:
    """Waiting would not help. The error lists what still runs and the IAM statement to add."""
    run = launched(drill)
    run.simulation.arm(AccessDeniedFault(kind="access_denied", operations=TERMINATE))
    with pytest.raises(AccessDenied) as failed:
        run.clean_up()
    assert all(instance in failed.value.message for instance in run.instances())
    assert '"Action": ["drs:TerminateRecoveryInstances"]' in failed.value.remedy


def test_clean_up_is_cleared_once_it_has_the_permission(drill: Drill) -> None:
    """As the remedy says: then everything is terminated."""
    run = launched(drill)
    run.simulation.arm(AccessDeniedFault(kind="access_denied", operations=TERMINATE, count=1))
    with pytest.raises(AccessDenied) as failed:
        run.clean_up()
    assert failed.value.remedy.endswith("Then clear the task 'terminate'.")
    assert_clean(run, run.clean_up(try_number=2))


def live_launch(run: SimulatedDrill) -> Job:
    """Launch the other wave, whose job never ends."""
    run.simulation.arm(StuckConversion(kind="stuck_conversion", servers=APPLICATION))
    run.launch("application")
    return run.drills(*APPLICATION)[0]


def test_a_missing_permission_names_what_is_still_to_come(drill: Drill) -> None:
    """A live LAUNCH job may still launch instances. The error names the job and its servers."""
    run = launched(drill)
    live = live_launch(run)
    run.simulation.arm(AccessDeniedFault(kind="access_denied", operations=TERMINATE))
    with pytest.raises(AccessDenied) as failed:
        run.start_clean_up().advance()
    assert all(instance in failed.value.message for instance in run.instances())
    assert f"may still launch instances: {live.id} (LAUNCH by START_DRILL" in failed.value.message
    assert f"servers {', '.join(APPLICATION)}." in failed.value.message


@pytest.mark.parametrize("answers", [True, False], ids=["the time is over", "DRS does not answer"])
def test_every_failure_names_what_is_left_and_what_is_still_to_come(drill: Drill, answers: bool) -> None:
    """A person who reads only this message can end all of it."""
    run = launched(drill)
    live = live_launch(run)
    left = run.instances()
    foreign(run, *DATABASE, seconds=86400)
    clean_up = run.start_clean_up()
    assert isinstance(clean_up.advance(), WaitForJobs)
    if not answers:
        run.simulation.arm(Throttle(kind="throttle"))
    run.pass_time(7200)
    with pytest.raises(CleanupIncomplete) as failed:
        clean_up.advance()
    assert all(instance in failed.value.message for instance in left)
    assert f"{live.id} (LAUNCH by START_DRILL" in failed.value.message
    assert f"servers {', '.join(APPLICATION)}" in failed.value.message


def test_a_proof_says_which_jobs_it_does_not_cover(drill: Drill, caplog: pytest.LogCaptureFixture) -> None:
    """They may be the run's, and their instances cost money."""
    run = drill()
    lose_reply(run, tagged=False)
    theirs = run.drs.start_recovery([(A, None)], is_drill=True, tags={})
    assert run.clean_up().proven
    assert f"The proof does not cover job(s) {theirs.id}" in caplog.text


def test_a_job_of_which_it_is_certain_is_no_longer_unsure(drill: Drill) -> None:
    """The frozen task of the launch thaws while clean-up waits, and writes down the job that it made."""
    run = drill()
    intent = lose_reply(run, tagged=False)
    job = run.drs.start_recovery([(A, None)], is_drill=True, tags={})
    run.finish_jobs()
    run.start_clean_up().advance()
    cleanup = run.ledger.cleanup()
    assert cleanup is not None
    assert cleanup.unsure == (job.id,)
    record = run.ledger.launch("database")
    assert record is not None
    answered = intent.model_copy(update={"job_id": job.id})
    run.ledger.save_launch("database", record.model_copy(update={"calls": (answered,)}))
    cleaned = run.clean_up()
    assert (cleaned.unsure, cleaned.jobs) == ((), (job.id,))
    assert [item.server_id for item in cleaned.instances] == [A]
    assert_clean(run, cleaned)


def test_every_job_that_may_be_the_run_s_is_named_and_not_touched(
    drill: Drill, caplog: pytest.LogCaptureFixture
) -> None:
    """Two untagged drills fit a call without a reply: no instance is touched, and the log names both jobs."""
    run = drill()
    intent = lose_reply(run, tagged=False)
    jobs = []
    for _ in range(2):
        jobs.append(run.drs.start_recovery([(A, None)], is_drill=True, tags={}))
        run.finish_jobs()
        jobs[-1].created = run.clock.now()
    for job in jobs:
        job.created = intent.at
    with caplog.at_level("INFO"):
        record = run.clean_up()
    assert terminations(run) == []
    assert len(run.instances()) == 1
    assert set(record.unsure) == {job.id for job in jobs}
    assert all(f"Job {job.id} (LAUNCH by START_DRILL" in caplog.text for job in jobs)


# --- the proof --------------------------------------------------------------------------------------------


def test_what_drs_forgot_and_ec2_still_runs_is_not_proven(drill: Drill) -> None:
    """DRS lists nothing any more, but EC2 shows the instance. The remedy has the command that terminates
    it.
    """
    run = launched(drill)
    instance = run.drs.recovery_instances[next(iter(run.instances()))]
    run.start_clean_up()
    run.drs.forget_instance(instance)
    with pytest.raises(CleanupIncomplete, match=rf"EC2 still shows: {instance.id} \(running\)") as failed:
        run.clean_up()
    assert f"aws ec2 terminate-instances --region us-east-1 --instance-ids {instance.id}" in (
        failed.value.remedy
    )


def test_an_instance_that_is_going_is_waited_for(drill: Drill) -> None:
    """EC2 takes its time to shut an instance down, and a look that finds it shutting down does not count
    as a try.
    """
    run = launched(drill)
    looks = 0

    def describe(filters: list[dict[str, Any]]) -> list[dict[str, Any]]:
        nonlocal looks
        looks += filters[0]["Name"] == "instance-id"
        return [{"InstanceId": "i-1", "State": {"Name": "shutting-down" if looks <= 5 else "terminated"}}]

    run.describe_ec2 = describe
    assert run.clean_up().proven
    assert looks == 6


# --- crashes ----------------------------------------------------------------------------------------------


class Crash(BaseException):
    """The worker dies here."""


@pytest.mark.parametrize("point", ["before", "after"])
def test_a_clean_up_that_dies_at_its_call_is_taken_up_again(drill: Drill, point: str) -> None:
    """Whether the call was made or not, the next try waits for the job that exists, or starts one."""
    run = launched(drill)
    terminate = run.hook.terminate_recovery_instances

    def die(instance_ids: list[str]) -> Any:
        if point == "after":
            terminate(instance_ids)
        raise Crash

    with mock.patch.object(run.hook, "terminate_recovery_instances", die), pytest.raises(Crash):
        run.clean_up()
    run.pass_time(10)
    assert_clean(run, run.clean_up())
    assert len(terminations(run)) == 1


def test_a_clean_up_that_was_overtaken_writes_nothing(drill: Drill) -> None:
    """Its worker was frozen. The newer try has proved that everything is gone."""
    run = launched(drill)
    older = run.start_clean_up()
    run.clean_up(try_number=2)
    proven = run.ledger.cleanup()
    with pytest.raises(SupersededError):
        older.advance()
    assert run.ledger.cleanup() == proven
    assert len(terminations(run)) == 1


def test_a_try_that_resumes_before_it_has_begun_has_its_whole_time(drill: Drill) -> None:
    """It was cleared a day later, and waited for ``keep_for`` without a triggerer."""
    run = launched(drill)
    run.simulation.arm(TerminationSurvivor(kind="termination_survivor", servers=(A,)))
    with pytest.raises(CleanupIncomplete):
        run.clean_up()
    run.simulation.disarm()
    run.pass_time(86400)
    step = run.start_clean_up(resumed=True, try_number=2).advance()
    assert isinstance(step, WaitForJobs)
    assert_clean(run, run.clean_up(try_number=2))


def test_a_clean_up_that_was_overtaken_makes_no_call(drill: Drill) -> None:
    """It writes the intent first, and may not."""
    run = launched(drill)
    older = run.start_clean_up()
    run.start_clean_up(try_number=2)
    with pytest.raises(SupersededError):
        older.advance()
    assert terminations(run) == []


def test_a_lost_reply_of_a_termination_is_the_run_s_own_doing(drill: Drill) -> None:
    """The worker died with the call under way. Its intent is on record, so the instances are not lost."""
    run = launched(drill)
    terminate = run.hook.terminate_recovery_instances

    def die(instance_ids: list[str]) -> Any:
        terminate(instance_ids)
        raise Crash

    with mock.patch.object(run.hook, "terminate_recovery_instances", die), pytest.raises(Crash):
        run.clean_up()
    run.finish_jobs()
    record = run.clean_up()
    assert_clean(run, record)
    assert {item.lost for item in record.instances} == {None}


@pytest.mark.parametrize("repeated", [0, 1], ids=["refused", "refused when it was repeated"])
def test_an_instance_that_somebody_ends_after_a_refused_call_is_lost(drill: Drill, repeated: int) -> None:
    """DRS refused to terminate it, and it went away all the same. If botocore had sent the request twice, the
    first one may have been this run's own doing, and the second one was refused because of it.
    """
    run = launched(drill)
    refusal: Any = {"Error": {"Code": "ConflictException", "Message": "held"}}
    refusal["ResponseMetadata"] = {"HTTPStatusCode": 409, "RetryAttempts": repeated}
    refused = ClientError(refusal, "TerminateRecoveryInstances")
    clean_up = run.start_clean_up()
    with mock.patch.object(run.hook, "terminate_recovery_instances", side_effect=refused):
        assert isinstance(clean_up.advance(), WaitForJobs)
    run.hook.terminate_recovery_instances(sorted(run.instances()))  # somebody else's call
    run.finish_jobs()
    run.pass_time(60)
    record = run.clean_up()
    assert_clean(run, record)
    assert [item.lost is None for item in record.instances] == [bool(repeated)] * 2


def test_clean_up_again_is_proven_again(drill: Drill) -> None:
    """Somebody cleared it after it succeeded. Nothing is there, and no TERMINATE call is made."""
    run = launched(drill)
    run.clean_up()
    assert_clean(run, run.clean_up())
    assert len(terminations(run)) == 1


def test_an_instance_that_drs_does_not_call_a_drill_s_is_never_terminated(drill: Drill) -> None:
    """Without ``isDrill`` nobody knows: it may be a real recovery instance."""
    run = launched(drill)
    listed, before = run.hook.recovery_instances, run.instances()

    def unmarked(server_ids: Iterable[str]) -> list[dict[str, Any]]:
        return [{key: item[key] for key in item if key != "isDrill"} for item in listed(server_ids)]

    with (
        mock.patch.object(run.hook, "recovery_instances", unmarked),
        pytest.raises(CleanupIncomplete),
    ):
        run.clean_up()
    assert run.instances() == before
    assert terminations(run) == []


def test_a_run_that_keeps_its_instances_waits_for_a_lost_reply_first(drill: Drill) -> None:
    """What the call launched belongs on the list of what costs money."""
    run = launched(drill, keep_instances=True)
    record = run.ledger.launch("database")
    assert record is not None
    lost = Call(at=run.clock.now(), servers=(A,))
    run.ledger.save_launch("database", record.model_copy(update={"calls": (*record.calls, lost)}))
    clean_up = run.start_clean_up()
    assert clean_up.advance() == WaitForJobs((), run.clock.now() + SETTLE)
    run.pass_time(SETTLE.total_seconds())
    assert clean_up.advance() == Proven()
    assert clean_up.record.kept


def test_an_instance_that_ec2_shows_running_a_little_longer_is_looked_at_again(drill: Drill) -> None:
    """DRS lists it no more. Ten seconds later EC2 agrees."""
    run = launched(drill)
    gone: list[dt.datetime] = []

    def describe(filters: list[dict[str, Any]]) -> Iterable[Mapping[str, Any]]:
        if not run.instances():
            gone.append(run.clock.now())
        late = bool(gone) and run.clock.now() == gone[0]
        return [{**item, "State": {"Name": "running"}} if late else item for item in describe_ec2(filters)]

    run.describe_ec2 = describe
    assert_clean(run, run.clean_up())
    assert gone[-1] - gone[0] == dt.timedelta(seconds=10)


def test_a_look_without_permission_names_the_statement_to_add(drill: Drill) -> None:
    """A person at night knows which role to change, and how."""
    run = launched(drill)
    run.simulation.arm(AccessDeniedFault(kind="access_denied", operations=("DescribeJobs",)))
    with pytest.raises(AccessDenied) as failed:
        run.clean_up()
    assert '"Action": ["drs:DescribeJobs"]' in failed.value.remedy


NO_CREDENTIALS = {
    "the role is refused": ("AccessDenied", "AssumeRole"),
    "the role is refused for a reason of STS's own": ("RegionDisabledException", "AssumeRole"),
    "expired": ("ExpiredTokenException", "DescribeJobs"),
}


@pytest.mark.parametrize(("code", "operation"), NO_CREDENTIALS.values(), ids=NO_CREDENTIALS)
def test_clean_up_waits_for_credentials_and_then_ends_what_was_launched_meanwhile(
    drill: Drill, caplog: pytest.LogCaptureFixture, code: str, operation: str
) -> None:
    """Its job goes on while nobody can look at it. The log names the connection to correct."""
    run = drill(make_plan(launch={"jobs": "per_wave"}))
    run.launch()
    refused = ClientError({"Error": {"Code": code, "Message": "no"}}, operation)
    with mock.patch.object(run.hook, "jobs_since", side_effect=refused):
        for _ in range(20):
            step = run.start_clean_up(resumed=True).advance()
            assert isinstance(step, WaitForJobs)
            run.pass_time((step.until - run.clock.now()).total_seconds())
    assert "Clean-up looks again every 30 s until" in caplog.text
    assert run.plan.target.aws_conn_id in caplog.text
    assert_clean(run, run.clean_up())


@pytest.mark.parametrize(("code", "operation"), NO_CREDENTIALS.values(), ids=NO_CREDENTIALS)
def test_without_credentials_to_the_end_everything_is_named(drill: Drill, code: str, operation: str) -> None:
    """What was seen, and every job by the run's own records: more may have been launched since."""
    run = launched(drill)
    clean_up = run.start_clean_up()
    foreign(run, *DATABASE, seconds=86400)
    assert isinstance(clean_up.advance(), WaitForJobs)
    later = live_launch(run)
    run.pass_time(7200)
    refused = ClientError({"Error": {"Code": code, "Message": "no"}}, operation)
    with (
        mock.patch.object(run.hook, "jobs_since", side_effect=refused),
        pytest.raises(CleanupIncomplete) as failed,
    ):
        run.start_clean_up(resumed=True).advance()
    assert all(instance in failed.value.message for instance in run.instances())
    assert later.id in failed.value.message
    assert run.plan.target.aws_conn_id in failed.value.remedy


def test_a_run_that_called_nothing_does_not_wait_for_credentials(drill: Drill) -> None:
    """Its role never worked: preflight has ended the run. Nobody waits two hours for that."""
    run = drill(make_plan())
    refused = ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "AssumeRole")
    with (
        mock.patch.object(run.hook, "jobs_since", side_effect=refused),
        pytest.raises(AccessDenied) as failed,
    ):
        run.start_clean_up().advance()
    assert run.plan.target.aws_conn_id in failed.value.remedy


def test_a_kept_run_names_the_jobs_that_outlive_its_time(drill: Drill) -> None:
    """They may still launch something."""
    run = drill(make_plan(launch={"jobs": "per_wave"}, cleanup={"timeout": "30m"}), keep_instances=True)
    run.simulation.arm(StuckPending(kind="stuck_pending"))
    (job,) = run.launch().jobs
    with pytest.raises(CleanupIncomplete, match=f"may still launch instances: {job} "):
        run.clean_up()
