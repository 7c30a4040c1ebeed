"""Run Command on launched instances: when they are managed, how a command goes on, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from simulator.engine.faults import FailedCommand, SilentAgent
from tests.simulator.api import Api
from tests.simulator.conftest import ACCOUNT, REGION, fleet, server_id, servers

pytestmark = pytest.mark.usefixtures("mocked")

LAUNCH, AGENT = 530.6, 90
SHELL = "AWS-RunShellScript"
SCRIPT = {"commands": ["systemctl is-active postgresql"]}


def _ssm() -> Any:
    return boto3.client("ssm", region_name=REGION)


@pytest.fixture
def launched(api: Callable[..., Api]) -> Callable[..., tuple[Api, list[str]]]:
    """A drill of all servers, right after the launch; and their instances."""

    def make(count: int = 1, **traits: Any) -> tuple[Api, list[str]]:
        drs = api(fleet(servers(count, **traits)))
        drs.drill(*range(1, count + 1))
        drs.clock.advance(LAUNCH + 1)
        drs.simulation.tick()
        service = drs.simulation.service(ACCOUNT, REGION)
        return drs, list(service.recovery_instances)

    return make


Launched = Callable[..., tuple[Api, list[str]]]


def _send(*instances: str, document: str = SHELL, **more: Any) -> str:
    more = {"Parameters": SCRIPT, **more}
    command = _ssm().send_command(DocumentName=document, InstanceIds=list(instances), **more)["Command"]
    return str(command["CommandId"])


def _invocation(command: str, instance: str) -> Any:
    return _ssm().get_command_invocation(CommandId=command, InstanceId=instance)


def _code(call: Callable[..., Any], *arguments: Any, **parameters: Any) -> str:
    with pytest.raises(ClientError) as refusal:
        call(*arguments, **parameters)
    return str(refusal.value.response["Error"]["Code"])


def _managed() -> list[str]:
    found = _ssm().describe_instance_information()["InstanceInformationList"]
    return [each["InstanceId"] for each in found]


def test_an_instance_becomes_a_managed_one_after_a_while(launched: Launched) -> None:
    """Before that a command is refused as an invalid instance."""
    drs, (instance,) = launched(os="linux")
    assert _managed() == []
    with pytest.raises(ClientError, match=rf"\[\[{instance}\]\] not in a valid state for account {ACCOUNT}"):
        _send(instance)
    assert _code(_send, instance) == "InvalidInstanceId"
    drs.clock.advance(AGENT)
    (known,) = _ssm().describe_instance_information(Filters=[{"Key": "InstanceIds", "Values": [instance]}])[
        "InstanceInformationList"
    ]
    assert (known["InstanceId"], known["PingStatus"], known["PlatformType"]) == (instance, "Online", "Linux")
    assert _send(instance)


def test_a_command_goes_on_with_time(launched: Launched) -> None:
    """Unknown for a moment, then pending, in progress, successful; its output is the fleet's."""
    drs, (instance,) = launched(commands={"output": "active\n"})
    drs.clock.advance(AGENT)
    command = _send(instance, Comment="run 1")
    assert _code(_invocation, command, instance) == "InvocationDoesNotExist"
    seen = []
    for seconds in (1, 1, 3):
        drs.clock.advance(seconds)
        found = _invocation(command, instance)
        seen.append((found["Status"], found["ResponseCode"], found["StandardOutputContent"]))
    assert seen == [("Pending", -1, ""), ("InProgress", -1, ""), ("Success", 0, "active\n")]
    assert (found["CommandId"], found["Comment"], found["PluginName"]) == (
        command,
        "run 1",
        "aws:runShellScript",
    )
    assert found["ExecutionElapsedTime"] == "PT3.000S"


def test_a_command_may_fail(launched: Launched) -> None:
    """As often as the fault says, on the fault's server."""
    drs, instances = launched(2)
    drs.clock.advance(AGENT)
    drs.simulation.arm(FailedCommand(servers=(server_id(1),), count=1, stderr="no such unit"))
    first, second = _send(*instances), _send(*instances)
    drs.clock.advance(5)
    ends = [[_invocation(each, instance) for instance in instances] for each in (first, second)]
    assert [[end["Status"] for end in each] for each in ends] == [["Failed", "Success"], ["Success"] * 2]
    failed = ends[0][0]
    assert (failed["ResponseCode"], failed["StandardErrorContent"]) == (1, "no such unit")


def test_commands_are_found_again_by_instance_and_comment(launched: Launched) -> None:
    """The newest first, page by page."""
    drs, instances = launched(2)
    drs.clock.advance(AGENT)
    sent = [_send(instances[0], Comment=f"run {n}") for n in range(3)]
    _send(instances[1])
    pages = (
        _ssm()
        .get_paginator("list_commands")
        .paginate(InstanceId=instances[0], PaginationConfig={"PageSize": 2})
    )
    found = [[each["CommandId"] for each in page["Commands"]] for page in pages]
    assert found == [[sent[2], sent[1]], [sent[0]]]
    (one,) = _ssm().list_commands(CommandId=sent[0])["Commands"]
    assert (one["Comment"], one["Status"], one["InstanceIds"], one["Parameters"]) == (
        "run 0",
        "Pending",
        [instances[0]],
        SCRIPT,
    )
    drs.clock.advance(5)
    done = _ssm().list_commands(Filters=[{"key": "Status", "value": "Success"}])["Commands"]
    assert [(each["TargetCount"], each["CompletedCount"], each["ErrorCount"]) for each in done] == [
        (1, 1, 0)
    ] * 4


def test_invocations_are_listed_with_what_they_wrote(launched: Launched) -> None:
    """If asked for."""
    drs, (instance,) = launched(commands={"output": "active"})
    drs.clock.advance(AGENT)
    command = _send(instance)
    drs.clock.advance(5)
    (bare,) = _ssm().list_command_invocations(InstanceId=instance)["CommandInvocations"]
    (full,) = _ssm().list_command_invocations(CommandId=command, Details=True)["CommandInvocations"]
    assert (bare["Status"], bare["CommandPlugins"]) == ("Success", [])
    assert [(each["Output"], each["ResponseCode"]) for each in full["CommandPlugins"]] == [("active", 0)]


def test_a_silent_agent_is_not_managed(launched: Launched) -> None:
    """For as long as the fault says, whatever the instance's age."""
    drs, (instance,) = launched()
    drs.simulation.arm(SilentAgent(servers=(server_id(1),), seconds=3600))
    drs.clock.advance(3599)
    assert _managed() == []
    assert _code(_send, instance) == "InvalidInstanceId"
    drs.clock.advance(1)
    assert _managed() == [instance]


def test_a_command_to_an_agent_that_falls_silent_is_not_delivered(launched: Launched) -> None:
    """It fails, and no script has an exit code."""
    drs, (instance,) = launched()
    drs.clock.advance(AGENT)
    command = _send(instance)
    drs.simulation.arm(SilentAgent())
    drs.clock.advance(5)
    found = _invocation(command, instance)
    assert (found["Status"], found["StatusDetails"], found["ResponseCode"]) == (
        "Failed",
        "Undeliverable",
        -1,
    )


def test_a_stopped_or_terminated_instance_is_not_managed(launched: Launched) -> None:
    """EC2's state decides, also when another client changed it; a running command does not finish."""
    drs, instances = launched(2)
    drs.clock.advance(AGENT)
    command = _send(*instances)
    drs.clock.advance(2)
    drs.simulation.tick()
    ec2 = boto3.client("ec2", region_name=REGION)
    ec2.stop_instances(InstanceIds=instances[:1])
    ec2.terminate_instances(InstanceIds=instances[1:])
    assert _managed() == []
    drs.clock.advance(3)
    ends = [_invocation(command, each)["StatusDetails"] for each in instances]
    assert ends == ["ExecutionTimedOut"] * 2


def test_windows_is_managed_too(launched: Launched) -> None:
    """By PowerShell; a shell script is not for its platform."""
    drs, _ = launched(os="windows")
    drs.clock.advance(910 + AGENT)
    (instance,) = _managed()
    assert _code(_send, instance) == "UnsupportedPlatformType"
    command = _send(instance, document="AWS-RunPowerShellScript")
    drs.clock.advance(5)
    assert _invocation(command, instance)["PluginName"] == "aws:runPowerShellScript"


@pytest.mark.parametrize(
    ("parameters", "code"),
    [
        ({"document": "Nobodys-Document"}, "InvalidDocument"),
        ({"Parameters": {}}, "InvalidParameters"),
        ({"Parameters": {"commands": ["x"], "comands": ["x"]}}, "InvalidParameters"),
        ({"Comment": "x" * 101}, "ValidationException"),
    ],
)
def test_a_command_that_is_wrong_is_refused(
    launched: Launched, parameters: dict[str, Any], code: str
) -> None:
    """By the API's names; nothing is sent."""
    drs, (instance,) = launched()
    drs.clock.advance(AGENT)
    assert _code(_send, instance, **parameters) == code
    assert _ssm().list_commands()["Commands"] == []


def test_a_document_of_ones_own_can_be_sent(launched: Launched) -> None:
    """Once it was created."""
    drs, (instance,) = launched()
    drs.clock.advance(AGENT)
    content = '{"schemaVersion": "2.2", "mainSteps": []}'
    _ssm().create_document(Content=content, Name="Drill-Check", DocumentType="Command")
    assert _send(instance, document="Drill-Check", Parameters={"database": ["orders"]})


def test_what_is_not_simulated_says_so(launched: Launched) -> None:
    """Targets by tag, for one; the server makes a 501 of it."""
    _, (instance,) = launched()
    with pytest.raises(NotImplementedError, match="SendCommand is not simulated with Targets"):
        _send(instance, Targets=[{"Key": "tag:Name", "Values": ["db"]}])
