"""All checks of a wave: how long each is repeated, how often AWS is read, and what a refusal means."""

from __future__ import annotations

import asyncio
import datetime as dt

import pytest

from drs.run.records import CheckResult
from drs.validation.runner import Validation, last_deadline
from drs.validation.wave_reader import INSTANCES
from tests.unit.drill import NOW, after
from tests.unit.validation.aws import A, B, FakeAws, instance, make_wave, refusal, validate
from tests.unit.virtual_time import run

STATUS = {"type": "instance_status", "timeout": "10m"}
OK = {"Status": "ok"}


def status(server: str, instance_status: str = "ok") -> dict[str, object]:
    return {
        "InstanceId": instance(server)["InstanceId"],
        "SystemStatus": OK,
        "InstanceStatus": {"Status": instance_status},
    }


def test_results_are_in_the_order_of_servers_and_checks(aws: FakeAws) -> None:
    """The check that is always made comes first. Two checks of the same kind have different labels."""
    aws.statuses = [status(A), status(B)]
    results = validate(aws, make_wave(STATUS, STATUS))
    labels = ["recovery_instance", "instance_status", "instance_status (2)"]
    assert [(result.server_id, result.check) for result in results] == [
        (server, label) for server in (A, B) for label in labels
    ]
    assert all(result.passed for result in results)
    assert {result.instance_id for result in results if result.server_id == A} == {"i-a"}


def test_each_result_is_reported_as_soon_as_it_is_known(aws: FakeAws) -> None:
    """It is not held back until the slowest check has a result."""
    reported: list[CheckResult] = []
    aws.statuses = [status(B), status(A, "initializing")]

    def initialize(seconds: float) -> None:
        FakeAws.pass_time(aws, seconds)
        if aws.now >= after(60):
            aws.statuses = [status(A), status(B)]

    aws.pass_time = initialize  # type: ignore[method-assign]
    results = validate(aws, make_wave(STATUS), reported)
    assert (reported[-1].server_id, reported[-1].check) == (A, "instance_status")
    assert 60 <= reported[-1].seconds <= 63
    assert [result.at for result in reported[:-1]] == [NOW] * 3
    assert sorted(results, key=str) == sorted(reported, key=str)


def test_checks_are_made_in_parallel(aws: FakeAws) -> None:
    """Two checks with a time-out of ten minutes take ten minutes together. Their results say how long."""
    results = validate(aws, make_wave(STATUS))
    lost = [result for result in results if not result.passed]
    assert [result.server_id for result in lost] == [A, B]
    assert all(600 <= result.seconds < 601 for result in lost)
    assert {result.seen for result in lost} == {
        f"EC2 names no status of {name} (tried for 10 min)" for name in ("i-a", "i-b")
    }


def test_each_check_has_its_own_time_out(aws: FakeAws) -> None:
    """A check with a long time-out does not delay one with a short time-out."""
    results = validate(aws, make_wave({**STATUS, "timeout": "1m"}, STATUS, servers=1))
    assert [round(result.seconds) for result in results] == [0, 60, 600]


def test_one_reading_serves_all_servers_and_checks_of_a_round(aws: FakeAws) -> None:
    """EC2 and DRS are not called for each server separately."""
    aws.statuses = [status(A), status(B)]
    validate(aws, make_wave(STATUS, STATUS))
    assert len(aws.called("describe_recovery_instances")) == 1
    assert len(aws.called("describe_instances")) == 1
    assert len(aws.called("describe_instance_status")) == 1


def test_the_time_counts_from_the_beginning_of_the_validation(aws: FakeAws) -> None:
    """If another triggerer takes over nine minutes later, a check of ten minutes has one minute left."""
    aws.now = after(540)
    results = validate(aws, make_wave(STATUS, servers=1))
    assert [round(result.seconds) for result in results] == [540, 600]


def test_a_check_whose_time_out_has_passed_gets_one_more_look(aws: FakeAws) -> None:
    """The triggerer was down in the meantime, so nobody has looked."""
    aws.now = after(3600)
    aws.statuses = [status(A)]
    assert [result.passed for result in validate(aws, make_wave(STATUS, servers=1))] == [True, True]
    assert last_deadline(make_wave(STATUS)) == after(600)
    assert last_deadline(make_wave()) == after(300)


@pytest.mark.parametrize(
    "error",
    [
        refusal("ThrottlingException"),
        refusal("InternalError", 500),
        # A call of EC2 may not know a new instance yet that another call has listed.
        refusal("InvalidInstanceID.NotFound"),
    ],
    ids=str,
)
def test_an_aws_that_does_not_answer_is_asked_again(aws: FakeAws, error: Exception) -> None:
    """The next look passes."""
    aws.refusals["describe_instances"] = [error]
    results = validate(aws, make_wave())
    assert [(result.passed, round(result.seconds)) for result in results] == [(True, 3)] * 2


def test_an_aws_that_never_answers_is_what_was_seen(aws: FakeAws) -> None:
    """The check does not pass, and its result contains AWS's error."""
    aws.refusals["describe_instances"] = [refusal("ThrottlingException") for _ in range(200)]
    (result,) = validate(aws, make_wave(servers=1))
    assert not result.passed
    assert result.seen.startswith("AWS did not answer: An error occurred (ThrottlingException)")


def test_a_denied_call_fails_at_once_and_names_the_action(aws: FakeAws) -> None:
    """Only the check that needs the call fails. The others are made."""
    message = "User: arn:… is not authorized to perform: ec2:DescribeInstanceStatus"
    aws.refusals["describe_instance_status"] = [refusal("UnauthorizedOperation", 403, message=message)]
    always, denied = validate(aws, make_wave(STATUS, servers=1))
    assert always.passed
    assert (denied.passed, denied.seconds) == (False, 0)
    assert "AWS denies the caller ec2:DescribeInstanceStatus" in denied.seen


def test_another_refusal_is_final(aws: FakeAws) -> None:
    """The check fails at once, and its result contains AWS's message."""
    aws.refusals["describe_instance_status"] = [refusal("InvalidParameterValue", message="what is that?")]
    _, refused = validate(aws, make_wave(STATUS, servers=1))
    assert (refused.passed, refused.seconds) == (False, 0)
    assert "what is that?" in refused.seen


def test_a_check_that_breaks_does_not_end_the_others(aws: FakeAws) -> None:
    """An unexpected shape of an answer breaks one check only."""
    aws.statuses = [{"InstanceId": "i-a", "SystemStatus": 5}]
    always, broken = validate(aws, make_wave(STATUS, servers=1))
    assert always.passed
    assert broken.seen.startswith("the check itself broke: AttributeError")


@pytest.mark.parametrize(
    "check",
    [
        STATUS,
        {"type": "ssm"},
        {"type": "tcp", "port": 22},
        {"type": "http"},
        {"type": "python", "function": "tests.unit.validation.own_checks.says"},
    ],
    ids=lambda check: check["type"],
)
def test_a_server_that_is_left_stopped_cannot_be_checked(aws: FakeAws, check: dict[str, str]) -> None:
    """The check fails at once, and says why."""
    aws.instances = [instance(A, "stopped")]
    always, stopped = validate(aws, make_wave(check, servers=1, starts=False))
    assert always.passed
    assert (stopped.passed, stopped.seconds) == (False, 0)
    assert "launch disposition is STOPPED" in stopped.seen


def test_one_look_decides_what_can_be_decided_at_once(aws: FakeAws) -> None:
    """If all checks pass, no wait is needed. If one instance is pending, nothing is reported yet."""
    reported: list[CheckResult] = []

    async def once() -> tuple[CheckResult, ...] | None:
        return await Validation(
            make_wave(), aws, every=3, report=reported.append, now=lambda: aws.now
        ).look_once()

    results = run(once())
    assert results is not None
    assert list(results) == reported
    reported.clear()
    aws.instances = [instance(A), instance(B, "pending")]
    assert run(once()) is None
    assert reported == []


def test_a_cancelled_validation_leaves_nothing_behind(aws: FakeAws) -> None:
    """When somebody marks a run as failed in the middle of a wave, every check ends."""

    async def cancelled() -> set[asyncio.Task[object]]:
        validation = Validation(make_wave(STATUS), aws, every=3, report=lambda _: None, now=lambda: aws.now)
        running = asyncio.create_task(validation.run())
        await asyncio.sleep(10)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        return asyncio.all_tasks() - {asyncio.current_task()}

    assert run(cancelled(), aws.pass_time) == set()
    assert aws.now - NOW < dt.timedelta(seconds=12)


def test_instances_are_read_in_answers_that_do_not_hold_up_the_triggerer(aws: FakeAws) -> None:
    """EC2 would put up to 1000 instances into one answer, which the event loop would read in one step."""
    validate(aws, make_wave())
    (asked,) = aws.called("describe_instances")
    assert asked["PaginationConfig"] == {"PageSize": INSTANCES}
