"""What a fault does, to which calls and servers, how often, and what happens when it is disarmed."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from drs.aws.states import InitiatedBy, JobStatus, JobType, LaunchStatus
from simulator.engine.errors import (
    AccessDeniedError,
    ConflictError,
    ConnectionDroppedError,
    DrsError,
    InternalServerError,
    ThrottlingError,
)
from simulator.engine.fault_plan import Call
from simulator.engine.faults import FAULT
from simulator.engine.simulation import FaultError
from tests.simulator.conftest import ACCOUNT, REGION, server_id


def _arm(world: Any, kind: str, **members: Any) -> str:
    return str(world.simulation.arm(FAULT.validate_python({"kind": kind, **members})).id)


def _call(
    operation: str = "StartRecovery",
    *numbers: int,
    tags: bool = False,
    account: str = ACCOUNT,
    region: str = REGION,
) -> Call:
    named = frozenset(server_id(number) for number in numbers)
    return Call(operation, account, region, f"arn:aws:iam::{account}:user/simulator", named, tags)


def _strikes(world: Any, call: Call, when: Any = "before") -> bool:
    try:
        world.simulation.world.faults.strike(call, when)
    except (DrsError, ConnectionDroppedError):
        return True
    return False


# Faults of calls


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("throttle", ThrottlingError),
        ("internal_error", InternalServerError),
        ("connection_drop", ConnectionDroppedError),
        ("access_denied", AccessDeniedError),
    ],
)
def test_a_fault_of_calls_refuses_the_call(engine: Any, kind: str, error: type[Exception]) -> None:
    """With the error of its kind."""
    world = engine()
    _arm(world, kind)
    with pytest.raises(error):
        world.simulation.world.faults.strike(_call(), "before")


def test_a_fault_strikes_as_often_as_it_says(engine: Any) -> None:
    """And is spent then."""
    world = engine()
    _arm(world, "throttle", count=2)
    assert [_strikes(world, _call()) for _ in range(3)] == [True, True, False]
    (armed,) = world.simulation.world.faults
    assert (armed.describe()["struck"], armed.describe()["spent"]) == (2, True)


def test_a_fault_reaches_the_operations_it_names_only(engine: Any) -> None:
    """Every operation when it names none."""
    world = engine()
    _arm(world, "throttle", operations=["DescribeJobs"])
    assert [_strikes(world, _call(name)) for name in ("DescribeJobs", "StartRecovery")] == [True, False]


def test_a_fault_reaches_calls_that_name_its_servers_only(engine: Any) -> None:
    """One of them is enough."""
    world = engine(3)
    _arm(world, "throttle", servers=[server_id(1)])
    assert [_strikes(world, _call("StartRecovery", *n)) for n in ((1, 2), (3,), ())] == [True, False, False]


@pytest.mark.parametrize("member", [{"account": "444455556666"}, {"region": "eu-central-1"}])
def test_a_fault_reaches_its_account_and_region_only(engine: Any, member: dict[str, Any]) -> None:
    """Elsewhere calls pass."""
    world = engine()
    _arm(world, "throttle", **member)
    assert [_strikes(world, call) for call in (_call(), _call(**member))] == [False, True]


def test_an_error_after_the_work_is_not_one_before(engine: Any) -> None:
    """``after`` is the lost reply."""
    world = engine()
    _arm(world, "internal_error", when="after")
    assert [_strikes(world, _call(), when) for when in ("before", "after")] == [False, True]


def test_access_denied_names_caller_and_action(engine: Any) -> None:
    """As AWS does."""
    world = engine()
    _arm(world, "access_denied", operations=["StartRecovery"])
    with pytest.raises(AccessDeniedError, match=r"user/simulator is not authorized.*drs:StartRecovery"):
        world.simulation.world.faults.strike(_call(), "before")


def test_refused_tags_refuse_calls_with_tags_only(engine: Any) -> None:
    """The missing action is drs:TagResource."""
    world = engine()
    _arm(world, "tags_refused")
    assert not _strikes(world, _call())
    with pytest.raises(AccessDeniedError, match="drs:TagResource"):
        world.simulation.world.faults.strike(_call(tags=True), "before")


def test_a_disarmed_fault_is_gone(engine: Any) -> None:
    """And a second time there is nothing to disarm."""
    world = engine()
    fault_id = _arm(world, "throttle")
    assert [world.simulation.disarm(fault_id) for _ in range(2)] == [1, 0]
    assert not _strikes(world, _call())


# Faults of servers in jobs


def test_a_stuck_job_stays_pending_until_disarmed(engine: Any) -> None:
    """And then goes on from there."""
    world = engine()
    fault_id = _arm(world, "stuck_pending", servers=[server_id(2)])
    job = world.drill(1, 2)
    world.pass_time(3600)
    assert (job.status, job.log) == (JobStatus.PENDING, [])
    world.simulation.disarm(fault_id)
    assert job.status is JobStatus.STARTED
    world.pass_time(600)
    assert [each.launch_status for each in job.participants] == [LaunchStatus.LAUNCHED] * 2


def test_a_stuck_job_does_not_touch_other_servers_jobs(engine: Any) -> None:
    """The fault names servers."""
    world = engine()
    _arm(world, "stuck_pending", servers=[server_id(2)])
    world.drilled(1)


def test_stuck_seconds_are_wall_seconds(engine: Any) -> None:
    """At any speed: the job starts when they are over, and events are dated from then on."""
    world = engine(speed=100)
    _arm(world, "stuck_pending", seconds=30)
    job = world.drill(1)
    world.pass_time(29)
    assert job.status is JobStatus.PENDING
    world.pass_time(60)
    waited = (job.log[0].at - job.created).total_seconds()
    assert waited == pytest.approx(30, abs=0.01)


def test_a_stuck_conversion_leaves_its_server_pending(engine: Any) -> None:
    """The job stays STARTED, and the other server is launched."""
    world = engine()
    fault_id = _arm(world, "stuck_conversion", servers=[server_id(1)])
    job = world.drill(1, 2)
    world.pass_time(7200)
    status: JobStatus = job.status
    assert status is JobStatus.STARTED
    assert [each.launch_status for each in job.participants] == [LaunchStatus.PENDING, LaunchStatus.LAUNCHED]
    world.simulation.disarm(fault_id)
    world.pass_time(600)
    assert job.status is JobStatus.COMPLETED


def test_a_failed_launch_is_one_servers_own(engine: Any) -> None:
    """LAUNCH_FAILED with the raw error; the other server is launched, the job COMPLETED."""
    world = engine()
    _arm(world, "launch_failed", servers=[server_id(1)], raw_error="no capacity")
    job = world.drilled(1, 2)
    assert [each.launch_status for each in job.participants] == [LaunchStatus.FAILED, LaunchStatus.LAUNCHED]
    assert [(server_id(1), "no capacity")] == [
        (item.server_id, item.raw_error) for item in job.log if item.event == "LAUNCH_FAILED"
    ]
    assert job.status is JobStatus.COMPLETED
    assert len(world.ec2.states) == 1


def test_a_fault_of_servers_is_counted_by_server(engine: Any) -> None:
    """The second drill of the same server succeeds."""
    world = engine()
    _arm(world, "launch_failed", count=1)
    outcomes = [world.drilled(1).participants[0].launch_status for _ in range(2)]
    assert outcomes == [LaunchStatus.FAILED, LaunchStatus.LAUNCHED]


def test_an_instance_may_go_unnamed_by_its_job(engine: Any) -> None:
    """The job log and DescribeRecoveryInstances know it."""
    world = engine()
    _arm(world, "no_recovery_instance_id")
    job = world.drilled(1)
    assert job.participants[0].recovery_instance_id is None
    assert list(world.drs.recovery_instances) == [
        item.target_instance_id for item in job.log if item.event == "LAUNCH_END"
    ]


def test_a_survivor_stays_though_the_job_completes(engine: Any) -> None:
    """In EC2 and in DRS; the other instance is gone."""
    world = engine()
    world.drilled(1, 2)
    _arm(world, "termination_survivor", servers=[server_id(1)])
    job = world.drs.terminate_recovery_instances(list(world.drs.recovery_instances))
    world.pass_time(61)
    assert job.status is JobStatus.COMPLETED
    (survivor,) = world.drs.recovery_instances.values()
    assert (server_id(1), "running") == (survivor.server_id, world.ec2.states[survivor.id])


# Somebody else's job


def test_a_foreign_job_holds_its_servers_for_its_time(engine: Any) -> None:
    """From the moment it is armed, in wall seconds at any speed; it is a live job like any other."""
    world = engine(speed=100)
    _arm(world, "foreign_job", servers=[server_id(1)], seconds=45)
    (job,) = world.drs.jobs.values()
    assert (
        job.status,
        job.type,
        job.initiated_by,
    ) == (JobStatus.STARTED, JobType.LAUNCH, InitiatedBy.DIAGNOSTIC)
    world.pass_time(44)
    with pytest.raises(ConflictError):
        world.drill(1)
    world.pass_time(1)
    assert (JobStatus.COMPLETED, job.created + timedelta(seconds=45)) == (job.status, job.ended)
    world.drill(1)


def test_a_foreign_job_may_count_from_the_first_refused_call(engine: Any) -> None:
    """Before that it holds for as long as it takes."""
    world = engine()
    _arm(world, "foreign_job", servers=[server_id(1)], seconds=45, **{"from": "first_refused_call"})
    world.pass_time(3600)
    for _ in range(2):
        with pytest.raises(ConflictError):
            world.drill(1)
        world.pass_time(40)
    world.drill(1)


def test_a_foreign_job_launches_and_terminates_nothing(engine: Any) -> None:
    """A LAUNCH ends with failed servers, a TERMINATE with none, and instances stay."""
    world = engine()
    world.drilled(1)
    _arm(world, "foreign_job", servers=[server_id(1)], seconds=5, type="TERMINATE")
    _arm(world, "foreign_job", servers=[server_id(2)], seconds=5)
    world.pass_time(6)
    _, terminate, launch = world.drs.jobs.values()
    assert (terminate.status, terminate.participants) == (JobStatus.COMPLETED, [])
    assert [each.launch_status for each in launch.participants] == [LaunchStatus.FAILED]
    assert {"running"} == set(world.ec2.states.values())


def test_a_foreign_job_ends_when_it_is_disarmed(engine: Any) -> None:
    """At once."""
    world = engine()
    fault_id = _arm(world, "foreign_job", servers=[server_id(1)], seconds=3600)
    world.simulation.disarm(fault_id)
    world.drill(1)


def test_a_foreign_job_cannot_hold_a_server_twice(engine: Any) -> None:
    """A server is in one live job at most, so the fault is refused."""
    world = engine()
    world.drill(1)
    with pytest.raises(FaultError, match="being processed"):
        _arm(world, "foreign_job", servers=[server_id(1)], seconds=5)
    assert not list(world.simulation.world.faults)


# What cannot be armed


def test_a_fault_of_an_unknown_server_is_refused(engine: Any) -> None:
    """It would never strike, and a test would prove nothing."""
    with pytest.raises(FaultError, match=server_id(9)):
        _arm(engine(), "launch_failed", servers=[server_id(9)])


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "earthquake"},
        {"kind": "throttle", "often": True},
        {"kind": "throttle", "operations": ["StartRecoverie"]},
        {"kind": "throttle", "count": 0},
        {"kind": "foreign_job", "seconds": 5},
        {"kind": "foreign_job", "servers": [server_id(1)], "seconds": 5, "count": 2},
        {"kind": "launch_failed", "operations": ["StartRecovery"]},
        {"kind": "launch_failed", "servers": ["s-1"]},
        {"kind": "stuck_pending", "seconds": "soon"},
    ],
)
def test_a_fault_that_makes_no_sense_is_refused(fault: dict[str, Any]) -> None:
    """Unknown kinds, keys, operations and values."""
    with pytest.raises(ValidationError):
        FAULT.validate_python(fault)
