"""A command that Systems Manager runs once."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from drs.validation.observation import OUTPUT
from tests.unit.drill import NOW
from tests.unit.validation.aws import A, FakeAws, look, make_wave, refusal, validate

POSTGRES = {
    "type": "ssm",
    "document": "AWS-RunShellScript",
    "parameters": {"commands": ["systemctl is-active postgresql"]},
    "timeout": "5m",
}


def test_a_command_that_succeeds_passes_and_its_output_is_kept(aws: FakeAws) -> None:
    """The command is sent to the instance with the plan's document and parameters."""
    aws.invocation = lambda: {"Status": "Success", "StandardOutputContent": "\nactive\nsince 06:00\n"}
    seen = look(aws, POSTGRES)
    assert seen.passed
    assert seen.text == "AWS-RunShellScript (c-1): Success; it said: active"
    assert seen.output == "active\nsince 06:00"
    (sent,) = aws.called("send_command")
    assert sent["InstanceIds"] == ["i-a"]
    assert sent["DocumentName"] == "AWS-RunShellScript"
    assert sent["Parameters"] == {"commands": ["systemctl is-active postgresql"]}
    assert len(sent["Comment"]) <= 100


def test_a_command_that_fails_is_not_sent_again(aws: FakeAws) -> None:
    """The check fails at once. What was seen has the exit code and the beginning of the output."""
    aws.invocation = lambda: {
        "Status": "Failed",
        "ResponseCode": 3,
        "StandardOutputContent": "inactive",
        "StandardErrorContent": "no such unit",
    }
    _, failed = validate(aws, make_wave(POSTGRES, servers=1))
    assert (failed.passed, failed.seconds) == (False, 0)
    assert failed.seen == "AWS-RunShellScript (c-1): Failed, exit code 3; it said: inactive"
    assert failed.output == "inactive\nstderr: no such unit"
    assert len(aws.commands) == 1


def test_a_command_is_sent_once_and_asked_for_until_it_ends(aws: FakeAws) -> None:
    """One command is sent, delivered, running and then done."""
    aws.refusals["get_command_invocation"] = [refusal("InvocationDoesNotExist")]
    states = iter(["Pending", "InProgress", "InProgress", "Success"])
    aws.invocation = lambda: {"Status": next(states)}
    _, result = validate(aws, make_wave(POSTGRES, servers=1))
    assert (result.passed, round(result.seconds)) == (True, 12)
    assert len(aws.commands) == 1


def test_a_command_that_does_not_end_is_given_up(aws: FakeAws) -> None:
    """The check fails when its time-out has passed."""
    aws.invocation = lambda: {"Status": "InProgress"}
    _, result = validate(aws, make_wave(POSTGRES, servers=1))
    assert (result.passed, round(result.seconds)) == (False, 300)
    assert result.seen == "AWS-RunShellScript (c-1) is InProgress (tried for 5 min)"


def test_an_agent_that_has_not_reported_yet_is_waited_for(aws: FakeAws) -> None:
    """Then one command is sent."""
    aws.refusals["send_command"] = [refusal("InvalidInstanceId") for _ in range(3)]
    _, result = validate(aws, make_wave(POSTGRES, servers=1))
    assert (result.passed, round(result.seconds)) == (True, 9)
    assert len(aws.commands) == 1


def test_an_agent_that_never_reports_is_what_was_seen(aws: FakeAws) -> None:
    """The result says that the instance is not registered with Systems Manager."""
    aws.refusals["send_command"] = [refusal("InvalidInstanceId") for _ in range(200)]
    _, result = validate(aws, make_wave(POSTGRES, servers=1))
    assert result.seen.startswith("i-a is not registered with Systems Manager: its agent has not reported")


def test_a_triggerer_that_restarts_finds_the_command_that_was_sent(aws: FakeAws) -> None:
    """It finds the command by its mark, so the command does not run twice."""
    validate(aws, make_wave(POSTGRES))
    validate(aws, make_wave(POSTGRES))
    assert [command["InstanceIds"] for command in aws.commands] == [["i-a"], ["i-b"]]


@pytest.mark.parametrize(
    "other",
    [
        {"token": "fedcba9876543210"},
        {"wave": "application"},
        {"began_at": NOW + dt.timedelta(minutes=1)},
    ],
    ids=["run", "wave", "validation"],
)
def test_a_command_with_another_mark_is_not_used(aws: FakeAws, other: dict[str, Any]) -> None:
    """It belongs to another run, to another wave, or to a validation before the wave was cleared."""
    look(aws, POSTGRES)
    look(aws, POSTGRES, **other)
    assert len(aws.commands) == 2


def test_two_checks_with_one_document_are_two_commands(aws: FakeAws) -> None:
    """Each check sends its own command."""
    validate(aws, make_wave(POSTGRES, {**POSTGRES, "parameters": {"commands": ["uptime"]}}, servers=1))
    assert [command["Parameters"]["commands"] for command in aws.commands] == [
        ["systemctl is-active postgresql"],
        ["uptime"],
    ]


def test_a_lost_reply_is_looked_for_before_the_command_is_sent_again(aws: FakeAws) -> None:
    """Systems Manager has accepted the command, which is found by its mark."""
    aws.refusals["send_command"] = [refusal("InternalServerError", 500)]
    _, result = validate(aws, make_wave(POSTGRES, servers=1))
    assert (result.passed, round(result.seconds)) == (True, 3)
    assert len(aws.commands) == 1


def test_a_throttled_command_is_sent_later(aws: FakeAws) -> None:
    """It is sent once."""
    aws.refusals["send_command"] = [refusal("ThrottlingException")]
    _, result = validate(aws, make_wave(POSTGRES, servers=1))
    assert (result.passed, round(result.seconds)) == (True, 3)
    assert len(aws.commands) == 1


def test_a_document_that_does_not_exist_fails_at_once(aws: FakeAws) -> None:
    """The result contains the message of Systems Manager."""
    aws.refusals["send_command"] = [refusal("InvalidDocument", message="no such document")]
    _, result = validate(aws, make_wave(POSTGRES, servers=1))
    assert (result.passed, result.seconds) == (False, 0)
    assert "no such document" in result.seen


def test_a_long_output_is_cut_in_its_middle(aws: FakeAws) -> None:
    """The beginning and the end are kept."""
    aws.invocation = lambda: {"Status": "Success", "StandardOutputContent": f"begin{'x' * 24000}end"}
    seen = look(aws, POSTGRES)
    assert len(seen.output) < OUTPUT + 50
    assert seen.output.startswith("begin")
    assert seen.output.endswith("end")
    assert "[... 22008 characters ...]" in seen.output


def test_a_caller_who_may_not_send_commands_learns_the_action(aws: FakeAws) -> None:
    """The check fails at once and names the denied action."""
    message = "User: arn:… is not authorized to perform: ssm:SendCommand on resource: arn:…"
    aws.refusals["send_command"] = [refusal("AccessDeniedException", message=message)]
    _, result = validate(aws, make_wave(POSTGRES, servers=1))
    assert (result.passed, result.seconds) == (False, 0)
    assert result.seen.startswith("AWS denies the caller ssm:SendCommand")
    assert result.server_id == A
