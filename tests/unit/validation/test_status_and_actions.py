"""Checks of what AWS says about an instance: EC2's status checks and DRS's post-launch actions."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.validation.aws import JOB, A, FakeAws, look, make_wave, validate

STATUS = {"type": "instance_status"}
ACTIONS = {"type": "launch_actions", "timeout": "30m"}


@pytest.mark.parametrize(
    ("system", "instance", "passes", "text"),
    [
        ("ok", "ok", True, "system ok, instance ok"),
        ("ok", "initializing", False, "system ok, instance initializing (reachability initializing)"),
        ("impaired", "ok", False, "system impaired (reachability impaired), instance ok"),
        ("insufficient-data", "ok", False, "system insufficient-data (reachability insufficient-data), in"),
    ],
)
def test_both_status_checks_must_be_ok(
    aws: FakeAws, system: str, instance: str, passes: bool, text: str
) -> None:
    """Any other status may still become ok, so the result is not final."""

    def checked(status: str) -> dict[str, Any]:
        return {"Status": status, "Details": [{"Name": "reachability", "Status": status}]}

    aws.statuses = [
        {"InstanceId": "i-a", "SystemStatus": checked(system), "InstanceStatus": checked(instance)},
        {"InstanceId": "i-b", "SystemStatus": checked("ok"), "InstanceStatus": checked("ok")},
    ]
    seen = look(aws, STATUS)
    assert (seen.passed, seen.final) == (passes, passes)
    assert seen.text.startswith(text)


def test_only_instances_that_exist_are_asked_about(aws: FakeAws) -> None:
    """EC2 would refuse the whole call because of one instance that does not exist."""
    aws.instances = aws.instances[:1]
    validate(aws, make_wave(STATUS, servers=2))
    assert {tuple(call["InstanceIds"]) for call in aws.called("describe_instance_status")} == {("i-a",)}


def job(*runs: dict[str, Any]) -> dict[str, Any]:
    participant = {"sourceServerID": A, "launchActionsStatus": {"runs": list(runs)}}
    return {"jobID": JOB, "participatingServers": [{"sourceServerID": "s-other"}, participant]}


def run(name: str, status: str, reason: str | None = None, *, optional: bool = False) -> dict[str, Any]:
    return {
        "action": {"name": name, "optional": optional},
        "status": status,
        **({"failureReason": reason} if reason else {}),
    }


@pytest.mark.parametrize(
    ("runs", "passes", "final", "text"),
    [
        (
            [run("agent", "SUCCEEDED"), run("join", "SUCCEEDED")],
            True,
            True,
            "agent SUCCEEDED; join SUCCEEDED",
        ),
        ([run("agent", "SUCCEEDED"), run("join", "IN_PROGRESS")], False, False, "agent SUCCEEDED; join IN_P"),
        ([run("join", "FAILED", "no domain")], False, True, "join FAILED: no domain"),
        (
            [run("agent", "SUCCEEDED"), run("tag", "FAILED", optional=True)],
            True,
            True,
            "agent SUCCEEDED; tag",
        ),
        ([], False, False, f"job {JOB} names no post-launch action"),
    ],
    ids=["succeeded", "in progress", "failed", "optional", "none"],
)
def test_every_launch_action_must_succeed(
    aws: FakeAws, runs: list[dict[str, Any]], passes: bool, final: bool, text: str
) -> None:
    """DRS does not repeat an action that failed. An action that is optional in DRS may fail."""
    aws.jobs = [job(*runs)]
    seen = look(aws, ACTIONS)
    assert (seen.passed, seen.final) == (passes, final)
    assert seen.text.startswith(text)


def test_launch_actions_are_checked_on_a_server_that_is_left_stopped(aws: FakeAws) -> None:
    """DRS runs the actions, and its job reports them."""
    aws.jobs = [job(run("agent", "SUCCEEDED"))]
    assert look(aws, ACTIONS, starts=False).passed


def test_a_job_that_drs_does_not_list_names_no_action(aws: FakeAws) -> None:
    """The text says that there is no action."""
    assert "names no post-launch action" in look(aws, ACTIONS).text
