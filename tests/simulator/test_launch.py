"""A LAUNCH job from its creation to its end."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from drs.aws.states import InitiatedBy, JobStatus, LaunchStatus
from simulator.engine.errors import ConflictError, ResourceNotFoundError, ValidationError
from tests.simulator.conftest import ACCOUNT, REGION, Engine, fleet, server_id, servers


def test_a_job_is_pending_then_started_then_completed(engine: Any) -> None:
    """DRS has three states of a job, and no failure among them."""
    world = engine()
    job = world.drill(1)
    seen = [job.status]
    for seconds in (1, 599):
        world.pass_time(seconds)
        seen.append(job.status)
    assert seen == [JobStatus.PENDING, JobStatus.STARTED, JobStatus.COMPLETED]


def test_a_server_is_pending_until_its_launch_begins(engine: Any) -> None:
    """During snapshot and conversion a server stays PENDING; IN_PROGRESS comes with the launch."""
    world = engine()
    job = world.drill(1)
    seen = []
    for seconds in (200, 100, 300):
        world.pass_time(seconds)
        seen.append(job.participants[0].launch_status)
    assert seen == [LaunchStatus.PENDING, LaunchStatus.IN_PROGRESS, LaunchStatus.LAUNCHED]


def test_speed_shortens_durations_only(engine: Any) -> None:
    """At 100 times the speed a drill takes 5.3 s of the same clock."""
    world = engine(speed=100)
    job = world.drill(1)
    world.pass_time(6)
    assert timedelta(seconds=5.3) == pytest.approx(job.ended - job.created, abs=timedelta(seconds=0.1))
    assert job.created == world.drs.servers[server_id(1)].last_launch.api_call


def test_a_late_look_finds_events_at_their_own_times(engine: Any) -> None:
    """What happened between two looks is dated when it happened, not when it was seen."""
    early, late = engine(), engine()
    first, second = early.drill(1, 2), late.drill(1, 2)
    for _ in range(100):
        early.pass_time(6)
    late.pass_time(600)
    assert [(item.at, item.event) for item in first.log] == [(item.at, item.event) for item in second.log]


def test_an_instance_carries_the_tags_of_drs(engine: Any) -> None:
    """Three tags of DRS, the server's Name, and no other tag of the server unless tags are copied."""
    world = Engine(fleet(servers(1, tags={"Name": "db", "Tier": "database"})), speed=1)
    job = world.drilled(1)
    (tags,) = world.ec2.tags.values()
    assert {
        "AWSElasticDisasterRecoveryManaged": "drs.amazonaws.com",
        "drs.amazonaws.com-job": job.id,
        "drs.amazonaws.com-source-server": server_id(1),
        "Name": "db",
    } == tags


def test_copied_tags_come_along() -> None:
    """With copy_tags the instance has all the server's tags."""
    world = Engine(fleet(servers(1, tags={"Tier": "database"}, launch={"copy_tags": True})), speed=1)
    world.drilled(1)
    (tags,) = world.ec2.tags.values()
    assert tags["Tier"] == "database"


def test_disposition_stopped_gives_a_stopped_instance() -> None:
    """The launch configuration decides whether an instance runs."""
    world = Engine(fleet(servers(1, launch={"disposition": "STOPPED"})), speed=1)
    world.drilled(1)
    assert list(world.ec2.states.values()) == ["stopped"]


def test_fast_mode_has_no_conversion() -> None:
    """A FAST recovery goes from the snapshot to the launch."""
    world = Engine(fleet(servers(1, launch={"fast": True})), speed=1)
    job = world.drilled(1)
    events = [item.event for item in job.log]
    assert events == ["JOB_START", "SNAPSHOT_START", "SNAPSHOT_END", "LAUNCH_START", "LAUNCH_END", "JOB_END"]


def test_a_launch_replaces_earlier_instances_real_ones_included() -> None:
    """A drill of a server terminates the recovery instance that a real recovery left."""
    world = Engine(fleet(servers(1, recovery_instance={"is_drill": False})), speed=1)
    (before,) = world.drs.recovery_instances.values()
    assert not before.is_drill
    earlier = world.drs.jobs[before.job_id]
    world.drilled(1)
    (after,) = world.drs.recovery_instances.values()
    assert after.is_drill
    assert world.ec2.states == {before.id: "terminated", after.id: "running"}
    assert earlier.participants[0].launch_status is LaunchStatus.TERMINATED


def test_a_protected_earlier_instance_blocks_its_clean_up_only() -> None:
    """EC2 termination protection leaves the earlier instance, and the job log says so."""
    world = Engine(fleet(servers(1, recovery_instance={"is_drill": True})), speed=1)
    (before,) = world.drs.recovery_instances
    world.ec2.protected.add(before)
    job = world.drilled(1)
    assert [before] == [item.raw_error.split()[0] for item in job.log if item.event == "CLEANUP_FAIL"]
    assert len(world.drs.recovery_instances) == 2


def test_a_refusal_of_ec2_fails_the_server_and_not_the_job(engine: Any) -> None:
    """A job in which every server failed still ends COMPLETED."""
    world = engine()
    world.ec2.refusal = "UnauthorizedOperation"
    job = world.drilled(1, 2)
    assert [each.launch_status for each in job.participants] == [LaunchStatus.FAILED] * 2
    assert [item.raw_error for item in job.log if item.raw_error] == ["UnauthorizedOperation"] * 2
    assert job.status is JobStatus.COMPLETED


def test_a_drill_and_a_recovery_are_told_apart(engine: Any) -> None:
    """The job's initiator and the instance's isDrill say which it was."""
    world = engine()
    drill = world.drilled(1)
    recovery = world.drs.start_recovery([(server_id(2), None)], is_drill=False, tags={})
    world.pass_time(600)
    assert (
        drill.initiated_by,
        recovery.initiated_by,
    ) == (InitiatedBy.START_DRILL, InitiatedBy.START_RECOVERY)
    assert {drill.id: True, recovery.id: False} == {
        each.job_id: each.is_drill for each in world.drs.recovery_instances.values()
    }


def test_the_point_in_time_is_the_snapshot_less_the_lag() -> None:
    """What is recovered is as old as the replication's lag."""
    world = Engine(fleet(servers(1, replication={"lag": "90s"})), speed=1)
    job = world.drilled(1)
    (instance,) = world.drs.recovery_instances.values()
    (snapshot,) = (item for item in job.log if item.event == "SNAPSHOT_END")
    assert snapshot.at - timedelta(seconds=90) == instance.point_in_time


def test_a_chosen_snapshot_is_what_is_recovered(engine: Any) -> None:
    """With a recovery snapshot no new one is taken."""
    world = engine()
    oldest = world.drs.snapshots(server_id(1))[0]
    job = world.drs.start_recovery([(server_id(1), oldest.id)], is_drill=True, tags={})
    world.pass_time(600)
    (instance,) = world.drs.recovery_instances.values()
    assert oldest.at == instance.point_in_time
    assert "SNAPSHOT_START" not in [item.event for item in job.log]


def test_snapshots_are_kept_by_the_default_retention(engine: Any) -> None:
    """Six within the hour, some thirty more within the week, none newer than the lag allows."""
    world = engine()
    times = [each.at for each in world.drs.snapshots(server_id(1))]
    assert times == sorted(times)
    assert times[-1] <= world.clock.now() < times[0] + timedelta(days=7)
    assert len([at for at in times if at > world.clock.now() - timedelta(hours=1)]) == 6


def test_an_unknown_snapshot_is_refused(engine: Any) -> None:
    """A snapshot of another server is not one of this server."""
    world = engine()
    other = world.drs.snapshots(server_id(2))[0].id
    with pytest.raises(ValidationError, match="does not exist"):
        world.drs.start_recovery([(server_id(1), other)], is_drill=True, tags={})


def test_one_busy_server_refuses_the_whole_call(engine: Any) -> None:
    """All or nothing, and the message does not name the server."""
    world = engine(3)
    world.drill(1)
    with pytest.raises(ConflictError, match="currently being processed by a Job") as refusal:
        world.drill(1, 2, 3)
    assert server_id(1) not in refusal.value.message
    assert len(world.drs.jobs) == 1
    world.drill(2, 3)


def test_a_server_is_free_when_its_job_has_completed(engine: Any) -> None:
    """Not before the job's last server is done."""
    world = Engine(fleet([*servers(1), *servers(2, os="windows")[1:]]), speed=1)
    world.drill(1, 2)
    world.pass_time(1430)
    with pytest.raises(ConflictError):
        world.drill(1)
    world.pass_time(10)
    world.drill(1)


@pytest.mark.parametrize("numbers", [(1, 9), (9,)])
def test_an_unknown_server_refuses_the_call(engine: Any, numbers: tuple[int, ...]) -> None:
    """Nothing is started for the known ones."""
    world = engine()
    with pytest.raises(ResourceNotFoundError, match=server_id(9)):
        world.drill(*numbers)
    assert not world.drs.jobs


def test_a_server_given_twice_is_refused(engine: Any) -> None:
    """A job holds a server once."""
    with pytest.raises(ValidationError, match="more than once"):
        engine().drill(1, 1)


def test_the_source_server_tells_of_its_last_launch(engine: Any) -> None:
    """Job, type and outcome; the recovery instance as long as it exists."""
    world = engine()
    job = world.drill(1)
    server = world.drs.servers[server_id(1)]
    assert (job.id, LaunchStatus.PENDING) == (server.last_launch.job_id, server.last_launch.status)
    world.pass_time(600)
    assert server.last_launch.status is LaunchStatus.LAUNCHED
    assert server.recovery_instance_id in world.drs.recovery_instances


def test_arns_are_of_the_account_and_region(engine: Any) -> None:
    """Jobs and instances alike."""
    world = engine()
    job = world.drilled(1)
    (instance,) = world.drs.recovery_instances.values()
    assert f"arn:aws:drs:{REGION}:{ACCOUNT}:job/{job.id}" == job.arn
    assert f"arn:aws:drs:{REGION}:{ACCOUNT}:recovery-instance/{instance.id}" == instance.arn
