"""One server, one drill: a launch waits for the drill of somebody else, and looks whether its own stands."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from drs.errors import RecoveryInstanceLost
from drs.run.other_drills import OtherDrill
from drs.run.records import RECOVERY_APPROVAL, ApprovalRecord
from drs.run.timeline import WaitUntil
from simulator.engine.model import Job
from tests.unit.drill import DATABASE, make_plan
from tests.unit.simulated import SimulatedDrill

Drill = Callable[..., SimulatedDrill]
A, B = DATABASE
THEIRS = "drill instance i-1 belongs to run scheduled__2 of plan billing, which is active"


def drilled(run: SimulatedDrill, *servers: str, ended: bool = True) -> Job:
    """Somebody else drills these servers."""
    job = run.drs.start_recovery([(server, None) for server in servers], is_drill=True, tags={"run": "2"})
    if ended:
        run.finish_jobs()
    return job


def hold(run: SimulatedDrill, *, seconds: float) -> list[OtherDrill]:
    """Let the drills of others hold their servers for so long from now on.

    :return: receives each drill that the launch asks about
    """
    until = run.clock.now() + dt.timedelta(seconds=seconds)
    asked: list[OtherDrill] = []

    def why_held(drill: OtherDrill) -> str | None:
        asked.append(drill)
        return THEIRS if run.clock.now() < until else None

    run.why_held = why_held
    return asked


def of(run: SimulatedDrill, server: str, job: Job) -> list[Job]:
    """This run's drills of the server; ``job`` is that of somebody else."""
    return [each for each in run.drills(server) if each is not job]


def since(run: SimulatedDrill, began: dt.datetime, at: dt.datetime) -> float:
    return round((at - began).total_seconds(), 3)


# --- the drills of others ---------------------------------------------------------------------------------


@pytest.mark.parametrize("jobs", ["per_server", "per_wave"])
def test_a_server_with_another_drill_s_instance_waits_and_the_others_do_not(
    drill: Drill, caplog: pytest.LogCaptureFixture, jobs: str
) -> None:
    """Once nobody needs the instance any more, the launch replaces it. The log names what holds it."""
    run = drill(make_plan(launch={"jobs": jobs}))
    theirs = drilled(run, A)
    began = run.clock.now()
    asked = hold(run, seconds=80)
    with caplog.at_level("INFO"):
        record = run.launch()
    assert [since(run, began, job.created) for job in of(run, B, theirs)] == [0]
    (mine,) = of(run, A, theirs)
    assert since(run, began, mine.created) == 90  # after 30 s it is still held, after 60 s more it is not
    assert set(record.jobs) == {mine.id, of(run, B, theirs)[0].id}
    assert f"Server {A} (db-1) is not launched yet: {THEIRS}." in caplog.text
    assert "refused or held 1 time(s). The next try is at" in caplog.text
    (first, *_) = asked
    assert (first.job and first.job.job_id, first.launched) == (theirs.id, theirs.created)
    assert first.instance_id in run.instances()
    run.finish_jobs()
    assert first.instance_id not in run.instances()


def test_no_call_is_made_for_a_server_that_another_drill_holds(drill: Drill) -> None:
    """DRS would accept it, and terminate the other drill's instance."""
    run = drill()
    drilled(run, A, B)
    hold(run, seconds=100)
    before = run.instances()
    launch = run.start_launch()
    assert isinstance(launch.advance(), WaitUntil)
    assert launch.record.calls == ()
    assert run.instances() == before
    assert {slot.held_by for slot in launch.record.timeline.servers} == {THEIRS}


def test_a_server_that_another_drill_never_leaves_is_given_up(drill: Drill) -> None:
    """After ``conflict_timeout``, as for a job that never ends. The slot says what holds it."""
    run = drill(make_plan(launch={"jobs": "per_wave", "conflict_timeout": "4m"}))
    theirs = drilled(run, A)
    began = run.clock.now()
    hold(run, seconds=86400)
    record = run.launch()
    slot = record.timeline.slot(A)
    assert slot.given_up == "still refused 240 s after the first refusal"
    assert (slot.held_by, slot.holder) == (THEIRS, None)
    assert since(run, began, run.clock.now()) == 240
    assert of(run, A, theirs) == []
    assert record.timeline.slot(B).job_id


def test_a_live_drill_of_somebody_else_is_waited_for_to_its_end(drill: Drill) -> None:
    """Then its instance holds the server. No call is made before that, although DRS would only refuse it."""
    run = drill(make_plan(launch={"jobs": "per_wave", "conflict_timeout": "60m"}))
    theirs = drilled(run, A, B, ended=False)
    hold(run, seconds=3000)
    record = run.launch()
    assert theirs.ended is not None
    assert [call.error for call in record.calls] == [None]
    (mine,) = of(run, A, theirs)
    assert mine.created >= run.run.began_at + dt.timedelta(seconds=3000)


def test_an_instance_of_the_run_itself_holds_nothing(drill: Drill) -> None:
    """Its servers are the run's own."""
    run = drill()
    run.launch()
    run.finish_jobs()
    asked = hold(run, seconds=3600)
    run.launch(retry=True)
    assert asked == []
    assert [len(run.drills(server)) for server in DATABASE] == [1, 1]


def test_a_real_recovery_does_not_wait_for_drills(drill: Drill) -> None:
    """It replaces their instances at once: a disaster does not wait."""
    run = drill(make_plan(allow_recovery=True, launch={"jobs": "per_wave"}), execution_type="RECOVERY")
    answer = ApprovalRecord(approved=True, answered="by a person", by="ada", at=run.clock.now())
    run.ledger.save_approval(RECOVERY_APPROVAL, answer)
    drilled(run, A, B)
    began = run.clock.now()
    asked = hold(run, seconds=3600)
    (job_id,) = run.launch().jobs
    assert asked == []
    assert (run.drs.jobs[job_id].is_drill, run.drs.jobs[job_id].created) == (False, began)


# --- what the run itself launched -------------------------------------------------------------------------


def lost() -> None:
    raise RecoveryInstanceLost("Wave database: instance i-1 is gone.")


def test_a_launch_looks_before_every_call_whether_the_run_s_instances_stand(drill: Drill) -> None:
    """Before the first server all is well. Before the second it is not: that is not launched."""
    run = drill()
    looks: list[int] = []

    def look() -> None:
        looks.append(len(run.drills()))
        if run.drills():
            lost()

    run.still_standing = look
    with pytest.raises(RecoveryInstanceLost):
        run.launch()
    assert looks == [0, 1]
    assert [job.server_ids for job in run.drills()] == [[A]]
    record = run.ledger.launch("database")
    assert record is not None
    assert [call.job_id for call in record.calls] == [run.drills()[0].id]


def test_a_look_that_aws_does_not_answer_is_repeated_before_anything_is_launched(drill: Drill) -> None:
    """EC2 throttles for a moment."""
    run = drill(make_plan(launch={"jobs": "per_wave"}))
    throttled: Any = {"Error": {"Code": "RequestLimitExceeded", "Message": "slow down"}}
    refusals = [ClientError(throttled, "DescribeInstances")] * 2

    def look() -> None:
        if refusals:
            raise refusals.pop()

    run.still_standing = look
    run.launch()
    (job,) = run.drills()
    assert since(run, run.run.began_at, job.created) == 5 + 10


def test_a_look_that_aws_refuses_ends_the_launch(drill: Drill) -> None:
    """The role may not read the instances: nothing is launched unseen."""
    run = drill()
    denied: Any = {"Error": {"Code": "UnauthorizedOperation", "Message": "no"}}

    def look() -> None:
        raise ClientError(denied, "DescribeInstances")

    run.still_standing = look
    with pytest.raises(ClientError, match="UnauthorizedOperation"):
        run.launch()
    assert run.drills() == []
