"""A fake AWS with two launched servers, for checks to look at. A test changes what it needs to."""

from __future__ import annotations

import datetime as dt
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

from botocore.exceptions import ClientError
from pydantic import TypeAdapter

from drs.plan.checks import Check
from drs.plan.model import Network
from drs.run.own_code import AllowedCode
from drs.run.records import CheckResult
from drs.validation.checks import look_at
from drs.validation.observation import Observation
from drs.validation.runner import Validation
from drs.validation.server import Subject
from drs.validation.wave_reader import WaveReader
from drs.validation.wave_to_check import ServerToCheck, WaveToCheck
from tests.unit.drill import DATABASE, NOW
from tests.unit.virtual_time import run

A, B = DATABASE
JOB = "drsjob-1"
INSTANCES = {A: "i-a", B: "i-b"}
SUBNET, GROUP = "subnet-drill", "sg-drill"
CHECK: TypeAdapter[Check] = TypeAdapter(Check)


def refusal(code: str, status: int = 400, *, operation: str = "Call", message: str = "no") -> ClientError:
    response: Any = {
        "Error": {"Code": code, "Message": message},
        "ResponseMetadata": {"HTTPStatusCode": status},
    }
    return ClientError(response, operation)


def recovery_instance(server: str, **fields: Any) -> dict[str, Any]:
    """An item of DescribeRecoveryInstances."""
    instance = INSTANCES[server]
    return {
        "sourceServerID": server,
        "recoveryInstanceID": instance,
        "ec2InstanceID": instance,
        "jobID": JOB,
        "isDrill": True,
        **fields,
    }


def instance(server: str, state: str = "running", **fields: Any) -> dict[str, Any]:
    """An item of DescribeInstances."""
    return {
        "InstanceId": INSTANCES[server],
        "State": {"Name": state},
        "PrivateIpAddress": "127.0.0.1",
        "PrivateDnsName": "localhost",
        "SubnetId": SUBNET,
        "SecurityGroups": [{"GroupId": GROUP}],
        **fields,
    }


class FakeAws:
    """Asynchronous clients of DRS, EC2 and Systems Manager, and a clock that moves during sleeps."""

    def __init__(self) -> None:
        self.now = NOW
        self.recovery_instances = [recovery_instance(A), recovery_instance(B)]
        self.instances = [instance(A), instance(B)]
        self.statuses: list[dict[str, Any]] = []
        self.jobs: list[dict[str, Any]] = []
        self.commands: list[dict[str, Any]] = []
        self.invocation: Callable[[], dict[str, Any]] = lambda: {"Status": "Success"}
        self.refusals: dict[str, list[Exception]] = {}
        """The errors of the next calls of an operation, one for each call."""
        self.calls: list[tuple[str, dict[str, Any]]] = []

    async def __call__(self, service: str) -> FakeAws:
        return self

    def pass_time(self, seconds: float) -> None:
        self.now += dt.timedelta(seconds=seconds)

    def called(self, operation: str) -> list[dict[str, Any]]:
        """The parameters of each call of the operation."""
        return [parameters for name, parameters in self.calls if name == operation]

    def get_paginator(self, operation: str) -> _Pages:
        return _Pages(self, operation)

    async def send_command(self, **parameters: Any) -> dict[str, Any]:
        # Systems Manager may have acted although its answer is lost.
        command = {"CommandId": f"c-{len(self.commands) + 1}", **parameters}
        try:
            self._called("send_command", parameters)
        except ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] >= 500:
                self.commands.append(command)
            raise
        self.commands.append(command)
        return {"Command": command}

    async def get_command_invocation(self, **parameters: Any) -> dict[str, Any]:
        self._called("get_command_invocation", parameters)
        return self.invocation()

    def answer(self, operation: str, parameters: Mapping[str, Any]) -> list[dict[str, Any]]:
        """The pages of the answer to a list operation."""
        self._called(operation, dict(parameters))
        match operation:
            case "describe_recovery_instances":
                return [{"items": [item]} for item in self.recovery_instances]
            case "describe_instances":
                (named,) = parameters["Filters"]
                return [
                    {"Reservations": [{"Instances": [item]}]}
                    for item in self.instances
                    if item["InstanceId"] in named["Values"]
                ]
            case "describe_instance_status":
                assert parameters["IncludeAllInstances"]
                return [{"InstanceStatuses": self.statuses}]
            case "describe_jobs":
                return [{"items": self.jobs}]
            case "list_commands":
                listed = [each for each in self.commands if parameters["InstanceId"] in each["InstanceIds"]]
                return [{"Commands": [command]} for command in listed]
        raise AssertionError(operation)

    def _called(self, operation: str, parameters: dict[str, Any]) -> None:
        self.calls.append((operation, parameters))
        if waiting := self.refusals.get(operation):
            raise waiting.pop(0)


class _Pages:
    def __init__(self, aws: FakeAws, operation: str) -> None:
        self._aws = aws
        self._operation = operation

    async def paginate(self, **parameters: Any) -> AsyncIterator[dict[str, Any]]:
        for page in self._aws.answer(self._operation, parameters):
            yield page


def make_wave(*checks: Mapping[str, Any], servers: int = 2, **fields: Any) -> WaveToCheck:
    """A wave of two servers with these checks; ``fields`` are fields of the wave or of each server."""
    server_fields = {name: fields.pop(name) for name in ("optional", "starts") if name in fields}
    return WaveToCheck.model_validate(
        {
            "plan": "orders",
            "wave": "database",
            "token": "0123456789abcdef",
            "is_drill": True,
            "region": "us-east-1",
            "aws_conn_id": "aws_dr",
            "began_at": NOW,
            "network": Network(),
            "checks": {"database": checks},
            "servers": [
                ServerToCheck(
                    server_id=server,
                    name=f"db-{number}",
                    group="database",
                    job_id=JOB,
                    instance_id=INSTANCES[server],
                    **server_fields,
                )
                for number, server in enumerate(DATABASE[:servers], 1)
            ],
            **fields,
        }
    )


def validate(aws: FakeAws, wave: WaveToCheck, reported: list[CheckResult] | None = None) -> list[CheckResult]:
    """Make all checks of the wave until they have results, every 3 s, without waiting for real time.

    :param reported: gets each result as soon as it is known
    """

    async def validating() -> tuple[CheckResult, ...]:
        results = [] if reported is None else reported
        return await Validation(wave, aws, every=3, report=results.append, now=lambda: aws.now).run()

    return list(run(validating(), aws.pass_time))


def look(
    aws: FakeAws,
    check: Mapping[str, Any],
    times: int = 1,
    *,
    allowed: AllowedCode | None = None,
    **fields: Any,
) -> Observation:
    """Look at server A for one check, and return what the last look saw; ``fields`` are the wave's.

    :param allowed: the functions that plans may name; by default only those that are marked
    """

    async def looking() -> Observation:
        wave = make_wave(check, servers=1, **fields)
        subject = Subject(wave, wave.servers[0], WaveReader(wave.servers, aws, max_age=0))
        parsed = CHECK.validate_python(check)
        once = look_at(subject, parsed.label, parsed, allowed or AllowedCode())
        for _ in range(times - 1):
            await once()
        return await once()

    return run(looking(), aws.pass_time)
