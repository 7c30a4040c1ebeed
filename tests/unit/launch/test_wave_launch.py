"""Launching a wave: whatever happens, no server is launched twice."""

from __future__ import annotations

import contextlib
import datetime as dt
from collections.abc import Callable, Iterable, Sequence
from typing import Any
from unittest import mock

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from drs.aws.jobs import Job
from drs.errors import (
    AccessDenied,
    ConcurrentJobsLimitExceeded,
    DrillFailed,
    DrsUnavailable,
    RecoveryInstanceExists,
    SourceServerNotFound,
)
from drs.launch.wave_launch import WaveLaunch
from drs.run.ownership import RUN_TAG
from drs.run.records import RECOVERY_APPROVAL, ApprovalRecord, LaunchRecord
from drs.run.timeline import Finished, WaitUntil
from simulator.engine.faults import AccessDenied as AccessDeniedFault
from simulator.engine.faults import ForeignJob, InternalError, LaunchFailed, TagsRefused, Throttle
from simulator.engine.fleet import Fleet
from simulator.engine.timings import Timings
from simulator.registration import add
from tests.unit.drill import APPLICATION, DATABASE, MemoryStore, make_plan
from tests.unit.simulated import ACCOUNT, OTHERS, REGION, SimulatedDrill, make_hook

Drill = Callable[..., SimulatedDrill]
A, B = DATABASE
START = ("StartRecovery",)


def per_wave(**launch: Any) -> Any:
    """A plan that launches each wave in one job."""
    return make_plan(launch={"jobs": "per_wave", **launch})


def foreign(*servers: str, seconds: float, **fields: Any) -> ForeignJob:
    return ForeignJob(kind="foreign_job", servers=servers, seconds=dt.timedelta(seconds=seconds), **fields)


def hurry(run: SimulatedDrill) -> None:
    """Let jobs end within seconds, so that what comes after them still falls into the time of their call."""
    for server in run.drs.servers.values():
        server.timings = Timings(conversion_wait=0, conversion=0, launch=5)


def outcomes(record: LaunchRecord) -> list[str | None]:
    """How each call ended; a call that made a job is given as ``job``, without the job's id."""
    return ["job" if call.job_id else "not-made" if call.not_made else call.error for call in record.calls]


def started_after(drill: SimulatedDrill, *servers: str) -> list[float]:
    """When the drill jobs of these servers were made, in seconds since the run began."""
    return [round((job.created - drill.run.began_at).total_seconds(), 3) for job in drill.drills(*servers)]


# --- the plain way ----------------------------------------------------------------------------------------


def test_servers_are_launched_a_delay_apart(drill: Drill) -> None:
    """Each server gets its own job, which is a drill and has the run's tags."""
    run = drill()
    record = run.launch()
    first, second = run.drills()
    assert record.jobs == {first.id: (A,), second.id: (B,)}
    assert started_after(run) == [0, 15]
    assert {job.tags[RUN_TAG] for job in (first, second)} == {run.run.token}
    assert outcomes(record) == ["job", "job"]


def test_a_wave_may_be_launched_in_one_job(drill: Drill) -> None:
    """One call launches all of its servers."""
    run = drill(per_wave())
    record = run.launch()
    (job,) = run.drills()
    assert record.jobs == {job.id: (A, B)}


def test_a_task_that_resumes_goes_on_where_it_was(drill: Drill) -> None:
    """After a deferral the task is another process, and everything it knows is in the ledger."""
    run = drill()
    step = run.start_launch().advance()
    assert step == WaitUntil(at=run.clock.now() + dt.timedelta(seconds=15))
    run.pass_time(15)
    assert run.start_launch().advance() == Finished()
    assert len(run.drills()) == 2


def test_a_server_is_launched_from_the_snapshot_that_preflight_chose(drill: Drill) -> None:
    """The other one from its latest state."""
    run = drill(per_wave())
    oldest = min(run.hook.recovery_snapshots(A), key=lambda item: item["timestamp"])
    first, second = run.resolved("database")
    servers = [first.model_copy(update={"snapshot_id": oldest["snapshotID"]}), second]
    launch = run.start_launch()
    launch.begin(servers, run.clock.now())
    run.finish_launch(launch)
    run.finish_jobs()
    at = {
        item["sourceServerID"]: item["pointInTimeSnapshotDateTime"]
        for item in run.hook.recovery_instances(DATABASE)
    }
    assert dt.datetime.fromisoformat(at[A]) == dt.datetime.fromisoformat(oldest["expectedTimestamp"])
    assert dt.datetime.fromisoformat(at[B]) > dt.datetime.fromisoformat(at[A])


def test_waves_have_their_records_apart(drill: Drill) -> None:
    """Each wave's record has only its own jobs."""
    run = drill(per_wave())
    assert set(run.launch("database").jobs) != set(run.launch("application").jobs)
    assert [job.server_ids for job in run.drills()] == [list(DATABASE), list(APPLICATION)]


# --- never twice ------------------------------------------------------------------------------------------


class Crash(BaseException):
    """The worker dies here."""


class Steps:
    """Counts the steps of a launch that leave a trace outside of the process, and dies at the chosen one."""

    def __init__(self, crash_at: int | None = None) -> None:
        self.count = 0
        self._crash_at = crash_at

    def __call__(self) -> None:
        if self.count == self._crash_at:
            raise Crash
        self.count += 1


class MortalStore(MemoryStore):
    """Each record that is written is two steps: one before it and one after."""

    def __init__(self, values: dict[str, str], step: Steps) -> None:
        self.values = values
        self._step = step

    def set(self, key: str, value: Any) -> None:
        self._step()
        super().set(key, value)
        self._step()


def launch_and_crash(run: SimulatedDrill, step: Steps) -> None:
    """A launch by a worker that dies at a step. Every StartRecovery call is two steps: one before it is
    made, and one after it, before its reply is read.
    """
    start_recovery, store = run.hook.start_recovery, run.store
    assert isinstance(store, MemoryStore)

    def start(server_ids: Sequence[str], **arguments: Any) -> Job:
        step()
        job = start_recovery(server_ids, **arguments)
        step()
        return job

    run.store = MortalStore(store.values, step)
    with mock.patch.object(run.hook, "start_recovery", start), contextlib.suppress(Crash):
        run.launch()
    run.store = store


# Two for each record: the wave's at first, and for each call its intent and its answer. Two for each call. An
# account that refuses tags refuses one call (one step), and that it does is a record more.
STEPS = {
    ("per_server", "tags"): 2 + 6 + 6,
    ("per_wave", "tags"): 2 + 6,
    ("per_server", "no tags"): 2 + 7 + 6 + 6,
    ("per_wave", "no tags"): 2 + 7 + 6,
}
# At these steps DRS has made a job without tags, and the reply to its call is not on record yet.
UNKNOWN_JOB = {
    ("per_server", "no tags", 2 + 7 + 3),
    ("per_server", "no tags", 2 + 7 + 4),
    ("per_server", "no tags", 2 + 7 + 6 + 3),
    ("per_server", "no tags", 2 + 7 + 6 + 4),
    ("per_wave", "no tags", 2 + 7 + 3),
    ("per_wave", "no tags", 2 + 7 + 4),
}
CRASHES = [(*kind, point) for kind, points in STEPS.items() for point in range(points)]
LATE = pytest.mark.parametrize("late", [10, 3600], ids=["at once", "when the jobs have ended"])


def begin_run(drill: Drill, jobs: str, tags: str) -> SimulatedDrill:
    """A run in an account that accepts tags, or refuses them."""
    run = drill(make_plan(launch={"jobs": jobs}))
    if tags == "no tags":
        run.simulation.arm(TagsRefused(kind="tags_refused"))
    return run


@pytest.mark.parametrize(("jobs", "tags"), STEPS)
def test_these_are_all_the_points_at_which_a_launch_can_die(drill: Drill, jobs: str, tags: str) -> None:
    """The test below covers every one of these steps."""
    step = Steps()
    launch_and_crash(begin_run(drill, jobs, tags), step)
    assert step.count == STEPS[jobs, tags]


@LATE
@pytest.mark.parametrize(("jobs", "tags", "point"), [each for each in CRASHES if each not in UNKNOWN_JOB])
def test_a_worker_that_dies_never_makes_a_second_job(
    drill: Drill, jobs: str, tags: str, point: int, late: float
) -> None:
    """Wherever the worker dies, the next try finds what was launched, by its tag or by the record."""
    run = begin_run(drill, jobs, tags)
    launch_and_crash(run, Steps(crash_at=point))
    run.pass_time(late)
    record = run.launch(retry=True)
    assert [len(run.drills(server)) for server in DATABASE] == [1, 1]
    assert {server: job for job, servers in record.jobs.items() for server in servers} == {
        server: run.drills(server)[0].id for server in DATABASE
    }
    assert record.unanswered == ()


@LATE
@pytest.mark.parametrize(("jobs", "tags", "point"), sorted(UNKNOWN_JOB))
def test_a_job_without_tags_that_a_dead_worker_left_ends_the_launch(
    drill: Drill, jobs: str, tags: str, point: int, late: float
) -> None:
    """Somebody else's drill of the same servers would look the same. So every later try names the job,
    launches nothing again, and never takes the job for the run's own.
    """
    run = begin_run(drill, jobs, tags)
    launch_and_crash(run, Steps(crash_at=point))
    made = run.drills()
    run.pass_time(late)
    for _ in range(2):
        with pytest.raises(DrsUnavailable, match=rf"fit: {made[-1].id} \(.*not launched again"):
            run.launch(retry=True)
    assert run.drills() == made
    record = run.ledger.launch("database")
    assert record is not None
    assert record.all_job_ids == {job.id for job in made[:-1]}


@pytest.mark.parametrize("jobs", ["per_server", "per_wave"])
def test_a_lost_reply_does_not_become_a_second_job(drill: Drill, jobs: str) -> None:
    """DRS made the job and answered 500. The launch finds the job by its tag and goes on."""
    run = begin_run(drill, jobs, "tags")
    run.simulation.arm(InternalError(kind="internal_error", operations=START, when="after", count=1))
    record = run.launch()
    assert [len(run.drills(server)) for server in DATABASE] == [1, 1]
    assert set(record.jobs) == {job.id for job in run.drills()}
    # Found by asking for it, not by a second call that DRS would have had to refuse.
    assert set(outcomes(record)) == {"job"}


@pytest.mark.parametrize("jobs", ["per_server", "per_wave"])
def test_a_lost_reply_in_an_account_without_tags_ends_the_launch(drill: Drill, jobs: str) -> None:
    """One job fits, which is no proof: it is named, and nothing is launched again."""
    run = begin_run(drill, jobs, "no tags")
    run.simulation.arm(InternalError(kind="internal_error", operations=START, when="after", count=1))
    with pytest.raises(DrsUnavailable, match=r"1 job\(s\) without tags would fit: drsjob-") as failed:
        run.launch()
    (job,) = run.drills()
    assert job.id in failed.value.message
    assert not failed.value.retryable
    assert "drs:TagResource" in failed.value.remedy
    record = run.ledger.launch("database")
    assert record is not None
    assert (record.all_job_ids, len(record.unanswered)) == (frozenset(), 1)


def test_a_call_that_was_not_made_is_made_again(drill: Drill) -> None:
    """DRS answered 500 and did nothing. The call is repeated after a pause."""
    run = drill(per_wave())
    run.simulation.arm(InternalError(kind="internal_error", operations=START, when="before", count=1))
    assert outcomes(run.launch()) == ["not-made", "job"]
    assert started_after(run) == [5]


@pytest.mark.parametrize(("jobs", "tags"), STEPS)
@pytest.mark.parametrize("then", ["throttled", "conflict"])
def test_botocore_never_repeats_a_launch(drill: Drill, jobs: str, tags: str, then: str) -> None:
    """DRS made the job and answered 500. If botocore repeated the call, that would end in another answer,
    of throttling or of a conflict with the run's own job, which would hide that the first call made a
    job.
    """
    run = begin_run(drill, jobs, tags)
    run.hook = make_hook(attempts=4)
    run.simulation.arm(InternalError(kind="internal_error", operations=START, when="after", count=1))
    if then == "throttled":
        run.simulation.arm(Throttle(kind="throttle", operations=START, count=2, retry_after=0))
    if tags == "no tags":
        with pytest.raises(DrsUnavailable, match=r"The reply to starting .* was lost"):
            run.launch()
        assert len(run.drills()) == 1
        return
    record = run.launch()
    assert [len(run.drills(server)) for server in DATABASE] == [1, 1]
    assert set(record.jobs) == {job.id for job in run.drills()}
    assert record.unanswered == ()


def test_a_lost_reply_stays_unanswered_until_a_call_shows_what_became_of_it(drill: Drill) -> None:
    """It may have made its job. Only a later call that DRS accepts shows that it did not."""
    run = drill(per_wave())
    run.simulation.arm(InternalError(kind="internal_error", operations=START, when="before", count=1))
    run.simulation.arm(Throttle(kind="throttle", operations=START, count=1, retry_after=0))
    launch = run.start_launch()
    for answered in ([None], [None, "ThrottlingException"]):
        step = launch.advance()
        assert isinstance(step, WaitUntil)
        assert outcomes(launch.record) == answered
        run.pass_time((step.at - run.clock.now()).total_seconds())
    assert launch.advance() == Finished()
    assert outcomes(launch.record) == ["not-made", "ThrottlingException", "job"]


def lose_a_reply_and_the_list(run: SimulatedDrill) -> WaveLaunch:
    """A launch to which the reply of its first call was lost, and to which DRS did not list the job yet."""
    run.simulation.arm(InternalError(kind="internal_error", operations=START, when="after", count=1))
    launch = run.start_launch()
    with mock.patch.object(run.hook, "jobs_since", return_value=[]):
        assert isinstance(launch.advance(), WaitUntil)
    assert len(launch.record.unanswered) == 1
    return launch


def test_a_job_that_drs_lists_late_is_found_before_the_next_call(drill: Drill) -> None:
    """It has the run's token, so it is kept and no second call is made."""
    run = drill(per_wave())
    launch = lose_a_reply_and_the_list(run)
    record = run.finish_launch(launch)
    (job,) = run.drills()
    assert record.jobs == {job.id: (A, B)}
    assert outcomes(record) == ["job"]


def test_a_job_without_tags_that_drs_lists_late_ends_the_launch(drill: Drill) -> None:
    """It is seen before the next call, which is not made: the job may be the run's or somebody else's."""
    run = begin_run(drill, "per_wave", "no tags")
    launch = lose_a_reply_and_the_list(run)
    with pytest.raises(DrsUnavailable, match="without tags would fit: drsjob-"):
        run.finish_launch(launch)
    assert len(run.drills()) == 1
    assert outcomes(launch.record) == ["AccessDeniedException", None]


def test_a_job_without_tags_that_drs_lists_after_a_conflict_ends_the_launch(drill: Drill) -> None:
    """DRS did not list the job before the next call either, and refused that call."""
    run = begin_run(drill, "per_wave", "no tags")
    launch = lose_a_reply_and_the_list(run)
    run.pass_time(10)
    live = run.hook.live_jobs()
    with (
        mock.patch.object(run.hook, "jobs_since", return_value=[]),
        mock.patch.object(run.hook, "live_jobs", return_value=live),
        pytest.raises(DrsUnavailable, match="without tags would fit: drsjob-"),
    ):
        run.finish_launch(launch)
    assert len(run.drills()) == 1
    assert outcomes(launch.record) == ["AccessDeniedException", None, "ConflictException"]


def test_a_lost_reply_that_two_jobs_would_fit_names_both(drill: Drill) -> None:
    """Without tags, somebody else's drill of the same servers looks the same, so neither job is taken for
    this run's.
    """
    run = begin_run(drill, "per_wave", "no tags")
    hurry(run)
    launch_and_crash(run, Steps(crash_at=2 + 7 + 3))  # the call without tags is made, its answer unread
    run.finish_jobs()
    run.hook.start_recovery(DATABASE, tags={})
    with pytest.raises(DrsUnavailable, match=r"2 job\(s\) without tags would fit") as failed:
        run.launch(retry=True)
    assert len(run.drills()) == 2
    assert all(job.id in failed.value.message for job in run.drills())


# --- conflicts --------------------------------------------------------------------------------------------


def test_held_servers_wait_and_free_ones_do_not(drill: Drill, caplog: pytest.LogCaptureFixture) -> None:
    """DRS refuses the whole wave for one held server. The free one is launched at once, the held one as
    soon as its holder ends. The log names the server, the holder and what happens next.
    """
    run = drill(per_wave())
    run.simulation.arm(foreign(A, seconds=45))
    (holder,) = run.drs.jobs.values()
    with caplog.at_level("INFO"):
        record = run.launch()
    assert started_after(run, B) == [0]
    assert started_after(run, A) == [45]
    assert outcomes(record) == ["ConflictException", "job", "ConflictException", "job"]
    text = caplog.text
    assert f"job {holder.id} (LAUNCH by DIAGNOSTIC, STARTED" in text
    assert f") holds {A} (db-1)." in text
    assert "refused or held 1 time(s). The next try is at" in text
    assert "or earlier if the job that holds the server ends. Planned waits: 30 s, 60 s, 120 s, then" in text
    assert f"No job holds these servers, so they are started at once: {B} (db-2)." in text
    assert f"Job {holder.id} has ended; the servers that it held are tried now." in text


@pytest.mark.parametrize("seen", [True, False], ids=["seen before the call", "begun since"])
def test_somebody_s_drill_of_the_same_servers_is_not_taken_for_our_own(drill: Drill, seen: bool) -> None:
    """Without tags it looks the same. If it is live before the call, no call is made; if it has begun since,
    DRS refuses the call, and a call that was sent once and refused has made no job.
    """
    run = begin_run(drill, "per_wave", "no tags")
    theirs = run.hook.start_recovery(DATABASE, tags={})
    recent_jobs = run.hook.recent_jobs
    unseen: list[list[Job]] = [] if seen else [[], []]

    def look() -> list[Job]:
        return unseen.pop() if unseen else recent_jobs()

    with mock.patch.object(run.hook, "recent_jobs", look):
        record = run.launch()
    assert theirs.job_id not in record.all_job_ids
    first, second = run.drills()
    assert (first.id, list(record.jobs)) == (theirs.job_id, [second.id])
    assert first.ended is not None
    assert second.created >= first.ended
    refused = [] if seen else ["ConflictException"]
    assert sorted(outcomes(record), key=str) == ["AccessDeniedException", *refused, "job"]


def test_somebody_s_drill_is_not_taken_for_our_own_by_the_next_try_either(drill: Drill) -> None:
    """The launch records that the call was refused before it asks DRS who holds the servers."""
    run = begin_run(drill, "per_wave", "no tags")
    theirs = run.hook.start_recovery(DATABASE, tags={})
    with (
        mock.patch.object(run.hook, "recent_jobs", side_effect=[[], [], ConnectionError]),
        pytest.raises(ConnectionError),
    ):
        run.launch()
    interrupted = run.ledger.launch("database")
    assert interrupted is not None
    assert outcomes(interrupted)[-1] == "ConflictException"
    record = run.launch(retry=True)
    assert theirs.job_id not in record.all_job_ids
    run.finish_jobs()
    cleaned = run.clean_up()
    assert theirs.job_id not in cleaned.jobs


def test_a_wave_that_is_held_throughout_backs_off_as_planned(drill: Drill) -> None:
    """The waits are 30, 60, 120 s and then 120 s each, up to the time limit. Then the servers are given
    up, without a job.
    """
    run = drill(make_plan(launch={"jobs": "per_wave", "conflict_timeout": "8m"}))
    run.simulation.arm(foreign(A, B, seconds=7200))
    record = run.launch()
    calls = [round((call.at - run.run.began_at).total_seconds()) for call in record.calls]
    assert calls == [0, 30, 90, 210, 330, 450, 480]
    assert outcomes(record) == ["ConflictException"] * 7
    assert run.drills() == []
    assert {slot.given_up for slot in record.timeline.servers} == {
        "still refused 480 s after the first refusal"
    }
    assert {slot.holder for slot in record.timeline.servers} == set(run.drs.jobs)


def test_a_refusal_without_a_visible_holder_is_retried_on_the_backoff(
    drill: Drill, caplog: pytest.LogCaptureFixture
) -> None:
    """DRS may not list the job that holds a server. Then every server of the call waits."""
    run = drill(per_wave())
    run.simulation.arm(foreign(A, seconds=40))
    with mock.patch.object(run.hook, "live_jobs", list):
        record = run.launch()
    assert started_after(run) == [90]
    assert outcomes(record) == ["ConflictException", "ConflictException", "job"]
    assert "though no live job holds any of them" in caplog.text


# --- throttling, quota, permissions -----------------------------------------------------------------------


def test_throttling_is_waited_out(drill: Drill) -> None:
    """The pauses grow, and none is shorter than DRS asks for."""
    run = drill(per_wave())
    run.simulation.arm(Throttle(kind="throttle", operations=START, count=3, retry_after=8))
    assert outcomes(run.launch()) == [*["ThrottlingException"] * 3, "job"]
    assert started_after(run) == [8 + 10 + 20]


def test_throttling_without_end_is_an_unavailable_drs(drill: Drill) -> None:
    """The launch fails after ten minutes. If a person clears the task later, it has ten minutes again."""
    run = drill(per_wave())
    fault = run.simulation.arm(Throttle(kind="throttle", operations=START))
    with pytest.raises(DrsUnavailable, match=r"throttles this account, for 1\d min( \d+ s)? now"):
        run.launch()
    run.pass_time(7200)
    run.simulation.disarm(fault.id)
    run.simulation.arm(Throttle(kind="throttle", operations=START, count=1))
    run.launch(retry=True)
    assert len(run.drills()) == 1


def test_a_drs_out_of_reach_is_waited_for(drill: Drill) -> None:
    """Without a connection no call was made, so there is no job to look for."""
    run = drill(per_wave())
    unreached = EndpointConnectionError(endpoint_url="https://drs")
    job = run.hook.start_recovery([*DATABASE], tags={})
    with mock.patch.object(run.hook, "start_recovery", side_effect=[unreached, job]):
        assert outcomes(run.launch()) == ["EndpointConnectionError", "job"]


def test_a_used_up_quota_is_waited_for(drill: Drill, caplog: pytest.LogCaptureFixture) -> None:
    """20 jobs are in progress. The log names them, and the launch goes on as soon as the first has ended."""
    run = drill(per_wave())
    for number, server in enumerate(OTHERS):
        run.simulation.arm(foreign(server, seconds=100 if number else 80))
    record = run.launch()
    # Calls after 0, 5, 15, 35 and 75 s; the next one would be due after 135 s. It looks at jobs every 3 s.
    (after,) = started_after(run)
    assert 80 <= after <= 83
    assert outcomes(record) == [*["ServiceQuotaExceededException"] * 5, "job"]
    assert "Jobs in progress (20): drsjob-" in caplog.text
    assert "has ended; DRS's quota has room again." in caplog.text


def test_five_hundred_servers_in_jobs_are_waited_for(drill: Drill, caplog: pytest.LogCaptureFixture) -> None:
    """Five jobs of somebody else use the quota up. The launch goes on when they have ended."""
    run = drill(per_wave())
    crowd = {"count": 500, "id_prefix": "s-0123456789ac", "hostname": "crowd-{n}"}
    more = {"accounts": {ACCOUNT: {"regions": {REGION: {"servers": [crowd]}}}}}
    add(run.simulation, Fleet.parse(more, "the crowd"))
    names = [f"s-0123456789ac{number:05x}" for number in range(1, 501)]
    for position in range(0, 500, 100):
        run.simulation.arm(foreign(*names[position : position + 100], seconds=100))
    run.launch()
    (after,) = started_after(run)
    assert 100 <= after <= 103
    assert "500 source servers are in jobs already" in caplog.text
    assert "Jobs in progress (5): drsjob-" in caplog.text


def test_a_quota_used_up_for_good_names_the_jobs(drill: Drill) -> None:
    """The launch fails once the time limit for conflicts is over."""
    run = drill(per_wave(conflict_timeout="2m"))
    for server in OTHERS:
        run.simulation.arm(foreign(server, seconds=7200))
    with pytest.raises(ConcurrentJobsLimitExceeded) as failed:
        run.launch()
    assert all(job in str(failed.value) for job in run.drs.jobs)
    assert run.drills() == []


def test_an_account_that_refuses_tags_is_drilled_without(
    drill: Drill, caplog: pytest.LogCaptureFixture
) -> None:
    """Tags are tried once. The message names the permission that would allow them."""
    run = drill()
    fault = run.simulation.arm(TagsRefused(kind="tags_refused"))
    run.launch()
    assert fault.struck == 1
    assert [job.tags for job in run.drills()] == [{}, {}]
    assert "Allow drs:TagResource" in caplog.text


def test_a_missing_permission_ends_the_launch(drill: Drill) -> None:
    """Waiting would not help. The remedy has the IAM statement to add."""
    run = drill(per_wave())
    run.simulation.arm(AccessDeniedFault(kind="access_denied", operations=START))
    with pytest.raises(AccessDenied, match=r"to start .*db-1") as failed:
        run.launch()
    assert '"Action": ["drs:StartRecovery"]' in failed.value.remedy
    record = run.ledger.launch("database")
    assert record is not None
    assert outcomes(record) == ["AccessDeniedException"]


@pytest.mark.parametrize(
    "fault",
    [
        AccessDeniedFault(kind="access_denied", operations=START, count=1),
        Throttle(kind="throttle", operations=START, count=100),
    ],
    ids=["ACCESS_DENIED", "DRS_UNAVAILABLE"],
)
def test_a_launch_that_was_refused_is_repeated_as_its_remedy_says(drill: Drill, fault: Any) -> None:
    """Before clean-up the task is cleared, once the cause is fixed."""
    run = drill(per_wave())
    run.simulation.arm(fault)
    with pytest.raises((AccessDenied, DrsUnavailable)) as failed:
        run.launch()
    assert "before clean-up: clear this task with all tasks after it" in failed.value.remedy
    run.simulation.disarm()
    run.launch(retry=True, try_number=2)
    assert [job.server_ids for job in run.drills()] == [[A, B]]


def test_an_optional_server_that_drs_no_longer_knows_is_given_up(drill: Drill) -> None:
    """It was removed after preflight, and the others are launched."""
    groups = {
        "spare": {"source_servers": [A], "optional": True},
        "main": {"source_servers": [B]},
    }
    waves = [{"name": "database", "protection_groups": ["spare", "main"]}]
    run = drill(make_plan(protection_groups=groups, waves=waves))
    launch = run.start_launch()
    del run.drs.servers[A]
    record = run.finish_launch(launch)
    assert outcomes(record) == ["ResourceNotFoundException", "job"]
    assert str(record.timeline.slot(A).given_up).startswith("DRS does not know this server (")
    assert [job.server_ids for job in run.drills(B)] == [[B]]


def test_a_required_server_that_drs_no_longer_knows_ends_the_launch(drill: Drill) -> None:
    """The error names the server."""
    run = drill()
    launch = run.start_launch()
    del run.drs.servers[A]
    with pytest.raises(SourceServerNotFound, match=rf"to start {A} \(db-1\)"):
        run.finish_launch(launch)


def test_what_nobody_expects_is_raised_as_it_is(drill: Drill) -> None:
    """The error keeps DRS's own words, and Airflow may retry the task."""
    run = drill(per_wave())
    refusal = ClientError({"Error": {"Code": "ValidationException", "Message": "no"}}, "StartRecovery")
    with (
        mock.patch.object(run.hook, "start_recovery", side_effect=refusal),
        pytest.raises(ClientError, match="ValidationException"),
    ):
        run.launch()


# --- the end of the run -----------------------------------------------------------------------------------


def test_a_run_that_is_being_cleaned_up_launches_nothing(drill: Drill) -> None:
    """A task that outlives its run checks for clean-up before every call, and records the call's intent
    as not made.
    """
    run = drill()
    run.closed = lambda: bool(run.drills())
    with pytest.raises(DrillFailed, match="Clean-up of this run has begun"):
        run.launch()
    assert len(run.drills()) == 1
    record = run.ledger.launch("database")
    assert record is not None
    assert outcomes(record) == ["job", "not-made"]


def test_the_intent_is_written_before_the_run_s_end_is_looked_for(drill: Drill) -> None:
    """Clean-up does it the other way round, so that one of the two sees the other."""
    run = drill()
    seen: list[int] = []

    def closed() -> bool:
        record = run.ledger.launch("database")
        assert record is not None
        seen.append(len(record.unanswered))
        return False

    run.closed = closed
    run.launch()
    assert seen == [1, 1]


# --- again ------------------------------------------------------------------------------------------------


def test_a_cleared_wave_launches_just_the_servers_that_failed(drill: Drill) -> None:
    """The servers that were launched are kept."""
    run = drill()
    run.simulation.arm(LaunchFailed(kind="launch_failed", servers=(B,), count=1))
    first = run.launch()
    run.finish_jobs()
    second = run.launch(retry=True)
    assert [len(run.drills(server)) for server in DATABASE] == [1, 2]
    assert second.timeline.slot(A) == first.timeline.slot(A)
    assert second.timeline.slot(B).job_id != first.timeline.slot(B).job_id
    assert set(second.all_job_ids) == {job.id for job in run.drills()}


def test_a_cleared_wave_leaves_a_live_job_alone(drill: Drill) -> None:
    """The servers of a live job may still launch."""
    run = drill()
    first = run.launch()
    assert run.launch(retry=True).jobs == first.jobs


def test_a_wave_cleared_after_clean_up_is_launched_again(drill: Drill) -> None:
    """Its instances are gone, so there is nothing to keep."""
    run = drill(per_wave())
    first = run.launch()
    run.finish_jobs()
    run.clean_up()
    second = run.launch(retry=True)
    assert len(run.drills()) == 2
    assert not set(first.jobs) & set(second.jobs)


def test_a_server_whose_instance_is_gone_is_launched_again(drill: Drill) -> None:
    """Somebody terminated the instance, although its job still says LAUNCHED. DRS may list the instance of a
    job that has just ended late, so the launch relies on the list only two minutes after the job's end.
    """
    run = drill()
    run.launch()
    run.finish_jobs()
    del run.drs.recovery_instances[
        next(i.id for i in run.drs.recovery_instances.values() if i.server_id == A)
    ]
    run.launch(retry=True)
    assert [len(run.drills(server)) for server in DATABASE] == [1, 1]
    run.pass_time(121)
    run.launch(retry=True)
    assert [len(run.drills(server)) for server in DATABASE] == [2, 1]


def test_a_relaunch_does_not_take_its_first_job_for_its_second(drill: Drill) -> None:
    """The first job has the same tags and the same server, but it failed and its call has its reply."""
    one = {"database": {"source_servers": [A]}, "application": {"source_servers": APPLICATION}}
    run = drill(make_plan(protection_groups=one))
    hurry(run)
    run.simulation.arm(LaunchFailed(kind="launch_failed", servers=(A,), count=1))
    first = run.launch().timeline.slot(A).job_id
    run.finish_jobs()
    run.simulation.arm(InternalError(kind="internal_error", operations=START, when="before", count=1))
    assert run.launch(retry=True).timeline.slot(A).job_id not in (first, None)
    assert len(run.drills(A)) == 2


def test_a_server_given_up_is_tried_again_when_the_wave_is_cleared(drill: Drill) -> None:
    """The job that held it may have ended by then, as the remedy says."""
    run = drill(make_plan(launch={"conflict_timeout": "0s"}))
    run.simulation.arm(foreign(A, seconds=3600))
    assert run.launch().timeline.slot(A).given_up
    run.pass_time(3600)
    assert run.launch(retry=True).timeline.slot(A).job_id
    assert [len(run.drills(server)) for server in DATABASE] == [1, 1]


def test_a_preflight_that_resolved_other_servers_is_followed(drill: Drill) -> None:
    """Somebody changed tags, and cleared preflight and the wave. Launched servers are kept, new ones are
    launched, and a server that left the wave stays on record for clean-up.
    """
    run = drill()
    first = run.launch()
    run.finish_jobs()
    groups = {"database": {"source_servers": [A, OTHERS[0]]}, "application": {"source_servers": APPLICATION}}
    run.plan = make_plan(protection_groups=groups)
    second = run.launch(retry=True)
    assert [slot.server_id for slot in second.timeline.servers] == [A, OTHERS[0]]
    assert second.timeline.slot(A) == first.timeline.slot(A)
    assert [job.server_ids for job in run.drills()] == [[A], [B], [OTHERS[0]]]
    assert second.all_job_ids == {job.id for job in run.drills()}


def test_what_is_launched_again_waits_for_the_wave_to_open(drill: Drill) -> None:
    """The wave before it was cleared too, and has just reached its gate again."""
    run = drill()
    run.simulation.arm(LaunchFailed(kind="launch_failed", servers=(B,), count=1))
    run.launch()
    run.finish_jobs()
    opens_at = run.clock.now() + dt.timedelta(seconds=30)
    launch = run.start_launch(retry=True, opens_at=opens_at)
    assert launch.advance() == WaitUntil(at=opens_at)


def test_what_was_not_launched_yet_waits_for_the_wave_to_open(drill: Drill) -> None:
    """The launch was interrupted half-way, and the wave before it has just reached its gate again."""
    run = drill()
    run.start_launch().advance()
    run.finish_jobs()
    opens_at = run.clock.now() + dt.timedelta(seconds=30)
    launch = run.start_launch(retry=True, opens_at=opens_at)
    assert launch.advance() == WaitUntil(at=opens_at)
    assert len(run.drills()) == 1


# --- a real recovery that came in between -----------------------------------------------------------------


def recover(run: SimulatedDrill, server: str) -> None:
    """Somebody recovers the server for real."""
    run.hook.conn.start_recovery(isDrill=False, sourceServers=[{"sourceServerID": server}])


def in_recovery(run: SimulatedDrill) -> list[str]:
    """The servers that have a real recovery instance."""
    return [item.server_id for item in run.drs.recovery_instances.values() if not item.is_drill]


@pytest.mark.parametrize("jobs", ["per_server", "per_wave"])
def test_a_server_that_was_recovered_since_preflight_is_not_launched(drill: Drill, jobs: str) -> None:
    """An approval may take hours. The launch would terminate the real recovery instance."""
    run = drill(make_plan(launch={"jobs": jobs}))
    recover(run, A)
    run.finish_jobs()
    with pytest.raises(RecoveryInstanceExists, match=f"{A} .*i-.* is not a drill's instance"):
        run.launch()
    assert (run.drills(), in_recovery(run)) == ([], [A])


def test_a_holder_that_was_the_servers_real_recovery_leaves_it_alone(drill: Drill) -> None:
    """The launch does not retry the server after its recovery has ended; the free server stays launched."""
    run = drill(make_plan(launch={"conflict_timeout": "60m"}))
    recover(run, A)
    with pytest.raises(RecoveryInstanceExists, match=A):
        run.launch()
    assert ([job.server_ids for job in run.drills()], in_recovery(run)) == ([[B]], [A])


def test_a_real_recovery_that_ends_right_before_the_call_leaves_it_alone(drill: Drill) -> None:
    """After the launch has looked at the instances, no job holds the server any more, and DRS would
    accept the call.
    """
    run = drill(make_plan(launch={"conflict_timeout": "60m"}))
    recover(run, A)
    look = run.hook.recovery_instances

    def look_too_early(server_ids: Sequence[str]) -> Any:
        found = look(server_ids)
        run.finish_jobs()
        return found

    with (
        mock.patch.object(run.hook, "recovery_instances", look_too_early),
        pytest.raises(RecoveryInstanceExists, match=A),
    ):
        run.launch()
    assert in_recovery(run) == [A]


def test_an_optional_server_that_runs_in_recovery_is_given_up(drill: Drill) -> None:
    """The other servers of the job are launched without it."""
    groups = {
        "database": {"source_servers": [A], "optional": True},
        "application": {"source_servers": [B]},
    }
    waves = [{"name": "database", "protection_groups": ["database", "application"]}]
    run = drill(make_plan(protection_groups=groups, waves=waves, launch={"jobs": "per_wave"}))
    recover(run, A)
    run.finish_jobs()
    record = run.launch()
    assert ([job.server_ids for job in run.drills()], in_recovery(run)) == ([[B]], [A])
    assert "runs in a real recovery" in str(record.timeline.slot(A).given_up)


def test_a_cleared_recovery_never_replaces_its_own_instance(drill: Drill) -> None:
    """DRS removes old jobs, and the instance of a real recovery may carry production by then."""
    plan = make_plan(allow_recovery=True)
    run = drill(plan, execution_type="RECOVERY")
    answer = ApprovalRecord(approved=True, answered="by a person", by="ada", at=run.clock.now())
    run.ledger.save_approval(RECOVERY_APPROVAL, answer)
    run.launch()
    run.finish_jobs()
    run.drs.jobs.clear()
    with pytest.raises(RecoveryInstanceExists):
        run.launch(retry=True)
    assert sorted(in_recovery(run)) == [A, B]


def test_instances_that_cannot_be_read_for_the_moment_are_read_again(drill: Drill) -> None:
    """DRS throttles the read of the instances. Nothing is launched until it answers."""
    run = drill()
    run.simulation.arm(Throttle(kind="throttle", operations=("DescribeRecoveryInstances",), count=1))
    record = run.launch()
    assert started_after(run) == [5, 20]
    assert outcomes(record) == ["job", "job"]


def test_an_instance_that_drs_does_not_call_a_drill_s_counts_as_real(drill: Drill) -> None:
    """Without ``isDrill`` nobody knows: the launch could terminate a real recovery instance."""
    run = drill()
    run.hook.start_recovery([A], tags={})
    run.finish_jobs()
    listed = run.hook.recovery_instances

    def unmarked(server_ids: Iterable[str]) -> list[dict[str, Any]]:
        return [{key: item[key] for key in item if key != "isDrill"} for item in listed(server_ids)]

    with (
        mock.patch.object(run.hook, "recovery_instances", unmarked),
        pytest.raises(RecoveryInstanceExists, match=A),
    ):
        run.launch()
    assert len(run.drills()) == 1


def test_the_delay_counts_from_the_answer_of_a_call(drill: Drill) -> None:
    """DRS may see a call as late as it answers it: two launches are never closer than the plan says."""
    run = drill()
    start_recovery = run.hook.start_recovery

    def answer_late(server_ids: Sequence[str], **arguments: Any) -> Job:
        run.pass_time(10)
        return start_recovery(server_ids, **arguments)

    with mock.patch.object(run.hook, "start_recovery", answer_late):
        run.launch()
    assert started_after(run) == [10, 10 + 15 + 10]
