"""TERMINATE jobs, and the quotas that jobs count against."""

from __future__ import annotations

from typing import Any

import pytest

from drs.aws.states import InitiatedBy, JobStatus, JobType, LaunchStatus
from simulator.engine.errors import ConflictError, QuotaExceededError, ResourceNotFoundError
from tests.simulator.conftest import Engine, fleet, server_id, servers


def _terminate(world: Engine) -> Any:
    return world.drs.terminate_recovery_instances(list(world.drs.recovery_instances))


def test_a_terminate_job_removes_instances_in_ec2_and_in_drs(engine: Any) -> None:
    """Its participating servers are empty after completion; the LAUNCH job's are TERMINATED."""
    world = engine()
    launch = world.drilled(1, 2)
    job = _terminate(world)
    assert [server_id(1), server_id(2)] == job.server_ids
    world.pass_time(61)
    assert (job.status, job.participants) == (JobStatus.COMPLETED, [])
    assert (job.type, job.initiated_by) == (JobType.TERMINATE, InitiatedBy.TERMINATE_RECOVERY_INSTANCES)
    assert {"terminated"} == set(world.ec2.states.values())
    assert not world.drs.recovery_instances
    assert [each.launch_status for each in launch.participants] == [LaunchStatus.TERMINATED] * 2
    assert world.drs.servers[server_id(1)].recovery_instance_id is None


def test_its_duration_is_an_option_of_the_fleet() -> None:
    """How long a TERMINATE job takes is not documented: 60 s unless the fleet says otherwise."""
    world = Engine(fleet(servers(1), unknowns={"terminate_seconds": 300}), speed=1)
    world.drilled(1)
    job = _terminate(world)
    world.pass_time(299)
    assert job.live
    world.pass_time(2)
    assert not job.live


def test_a_terminate_job_holds_its_servers(engine: Any) -> None:
    """Neither a launch nor another termination is accepted."""
    world = engine()
    world.drilled(1)
    _terminate(world)
    with pytest.raises(ConflictError):
        world.drill(1)
    with pytest.raises(ConflictError):
        _terminate(world)


def test_the_text_of_a_termination_conflict_is_an_option() -> None:
    """It is not documented."""
    world = Engine(fleet(servers(1), unknowns={"terminate_conflict_message": "busy"}), speed=1)
    world.drilled(1)
    _terminate(world)
    with pytest.raises(ConflictError, match=r"^busy$"):
        _terminate(world)


def test_a_live_launch_refuses_termination(engine: Any) -> None:
    """Of an earlier instance of the same server."""
    world = Engine(fleet(servers(1, recovery_instance={"is_drill": True})), speed=1)
    (earlier,) = world.drs.recovery_instances
    world.drill(1)
    with pytest.raises(ConflictError):
        world.drs.terminate_recovery_instances([earlier])


def test_an_unknown_instance_is_not_found(engine: Any) -> None:
    """And nothing is terminated."""
    world = engine()
    world.drilled(1)
    with pytest.raises(ResourceNotFoundError):
        world.drs.terminate_recovery_instances([*world.drs.recovery_instances, "i-0123456789abcdef0"])
    assert {"running"} == set(world.ec2.states.values())


def test_a_protected_instance_survives_a_completed_job(engine: Any) -> None:
    """EC2's termination protection is stronger than DRS."""
    world = engine()
    world.drilled(1)
    world.ec2.protected.update(world.drs.recovery_instances)
    job = _terminate(world)
    world.pass_time(61)
    assert job.status is JobStatus.COMPLETED
    assert len(world.drs.recovery_instances) == 1


def test_an_instance_that_is_gone_from_ec2_can_still_be_terminated(engine: Any) -> None:
    """Somebody else was faster."""
    world = engine()
    world.drilled(1)
    world.ec2.terminate(next(iter(world.drs.recovery_instances)))
    _terminate(world)
    world.pass_time(61)
    assert not world.drs.recovery_instances


def test_the_twenty_first_job_is_refused(engine: Any) -> None:
    """20 jobs may be in progress."""
    world = engine(21)
    for number in range(1, 21):
        world.drill(number)
    with pytest.raises(QuotaExceededError) as refusal:
        world.drill(21)
    assert refusal.value.fields == {"quotaCode": "L-D88FAC3A", "serviceCode": "drs"}
    world.pass_time(600)
    world.drill(21)


def test_a_job_holds_at_most_100_servers(engine: Any) -> None:
    """Though the API's shape admits 200."""
    world = engine(101)
    with pytest.raises(QuotaExceededError) as refusal:
        world.drill(*range(1, 102))
    assert refusal.value.fields["quotaCode"] == "L-B827C881"
    world.drill(*range(1, 101))


def test_all_jobs_together_hold_at_most_500_servers(engine: Any) -> None:
    """Five full jobs, and not one server more."""
    world = engine(501)
    for first in range(1, 501, 100):
        world.drill(*range(first, first + 100))
    with pytest.raises(QuotaExceededError) as refusal:
        world.drill(501)
    assert refusal.value.fields["quotaCode"] == "L-05AFA8C6"


@pytest.mark.parametrize("counted", [True, False])
def test_whether_terminate_jobs_count_is_an_option(counted: bool) -> None:
    """It is not documented whether they count against the 20 jobs."""
    world = Engine(fleet(servers(21), unknowns={"terminate_jobs_count": counted}), speed=1)
    for number in range(1, 21):
        world.drill(number)
    world.pass_time(600)
    for instance_id in list(world.drs.recovery_instances):
        world.drs.terminate_recovery_instances([instance_id])
    if counted:
        with pytest.raises(QuotaExceededError):
            world.drill(21)
    else:
        world.drill(21)
