"""The check that is made for every launched server."""

from __future__ import annotations

from typing import Any

import pytest

from drs.plan.model import Network
from drs.run.records import CheckResult
from tests.unit.drill import after
from tests.unit.validation.aws import (
    GROUP,
    JOB,
    SUBNET,
    A,
    FakeAws,
    instance,
    make_wave,
    recovery_instance,
    validate,
)


def check(aws: FakeAws, **fields: Any) -> CheckResult:
    (result,) = validate(aws, make_wave(servers=1, **fields))
    return result


def test_an_instance_of_the_run_s_own_job_passes(aws: FakeAws) -> None:
    """The text names the instance, its job, its state and its subnet."""
    result = check(aws)
    assert (result.passed, result.seconds) == (True, 0)
    assert result.seen == f"i-a, a drill instance of {JOB}, is running in {SUBNET}"


@pytest.mark.parametrize("listed", [[], [recovery_instance(A, jobID="drsjob-9")]], ids=["none", "other job"])
def test_an_instance_of_another_job_does_not_count(aws: FakeAws, listed: list[dict[str, Any]]) -> None:
    """DRS may list the instance late, so the check is repeated for five minutes."""
    aws.recovery_instances = listed
    result = check(aws)
    assert (result.passed, round(result.seconds)) == (False, 300)
    assert f"DRS lists no recovery instance of {A} that {JOB} launched" in result.seen


@pytest.mark.parametrize("is_drill", [True, False])
def test_a_drill_launches_drill_instances_and_a_recovery_real_ones(aws: FakeAws, is_drill: bool) -> None:
    """An instance of the other kind fails at once."""
    aws.recovery_instances = [recovery_instance(A, isDrill=is_drill)]
    assert check(aws, is_drill=is_drill).passed
    result = check(aws, is_drill=not is_drill)
    assert (result.passed, result.seconds) == (False, 0)
    assert f"DRS says isDrill {str(is_drill).lower()} for i-a" in result.seen


@pytest.mark.parametrize(("starts", "wanted"), [(True, "running"), (False, "stopped")])
def test_the_instance_is_in_the_state_of_its_launch_disposition(
    aws: FakeAws, starts: bool, wanted: str
) -> None:
    """STARTED means running, STOPPED means stopped. The check is repeated for five minutes, then fails."""
    aws.instances = [instance(A, wanted)]
    assert check(aws, starts=starts).passed
    result = check(aws, starts=not starts)
    assert (result.passed, round(result.seconds)) == (False, 300)
    assert f"EC2 shows i-a {wanted}, but the server's launch disposition wants it " in result.seen


def test_a_pending_instance_is_waited_for(aws: FakeAws) -> None:
    """The check passes when the instance is running."""
    aws.instances = [instance(A, "pending")]

    def start(seconds: float) -> None:
        FakeAws.pass_time(aws, seconds)
        if aws.now >= after(100):
            aws.instances = [instance(A)]

    aws.pass_time = start  # type: ignore[method-assign]
    result = check(aws)
    assert result.passed
    assert 100 <= result.seconds <= 103


@pytest.mark.parametrize("state", ["shutting-down", "terminated"])
def test_an_instance_that_is_gone_is_not_waited_for(aws: FakeAws, state: str) -> None:
    """The check fails at once."""
    aws.instances = [instance(A, state)]
    result = check(aws)
    assert (result.passed, result.seconds) == (False, 0)


def test_an_instance_that_ec2_does_not_show_does_not_pass(aws: FakeAws) -> None:
    """The text says that EC2 does not show it."""
    aws.instances = []
    assert "EC2 shows no instance i-a" in check(aws).seen


@pytest.mark.parametrize(
    ("network", "seen"),
    [
        ({"allowed_subnets": [SUBNET], "allowed_security_groups": [GROUP]}, None),
        (
            {"allowed_subnets": ["subnet-0a1b2c3d4e5f60718"]},
            f"i-a is in subnet {SUBNET}; the plan allows subnet-0a1b2c3d4e5f60718",
        ),
        (
            {"allowed_security_groups": ["sg-0a1b2c3d4e5f60718"]},
            f"i-a is in security group {GROUP}; the plan allows sg-0a1b2c3d4e5f60718",
        ),
    ],
    ids=["allowed", "subnet", "group"],
)
def test_the_instance_is_where_the_plan_allows(
    aws: FakeAws, network: dict[str, Any], seen: str | None
) -> None:
    """Somebody may have changed a launch template after preflight."""
    result = check(aws, network=Network.model_construct(**network))
    assert result.passed is (seen is None)
    assert seen is None or (result.seen, result.seconds) == (seen, 0)


def test_every_interface_of_the_instance_counts(aws: FakeAws) -> None:
    """An interface outside the plan's network fails the check, too."""
    attached = {"SubnetId": "subnet-production", "Groups": [{"GroupId": "sg-production"}]}
    aws.instances = [instance(A, NetworkInterfaces=[attached])]
    allowed = Network.model_construct(allowed_subnets=(SUBNET,), allowed_security_groups=(GROUP,))
    assert check(aws, network=allowed).seen == (
        f"i-a is in subnet subnet-production; the plan allows {SUBNET} and in security group sg-production; "
        f"the plan allows {GROUP}"
    )
