"""Systems Manager's Run Command on launched instances: sends commands, and runs them as time passes.

Source: the Systems Manager API reference (SendCommand, GetCommandInvocation, CommandInvocation).
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Literal

from simulator.engine.estate import Estate
from simulator.engine.faults import FailedCommand
from simulator.engine.instances import Instances
from simulator.engine.model import RecoveryInstance
from simulator.engine.timings import OperatingSystem
from simulator.engine.world import Process

CommandStatus = Literal["Pending", "InProgress", "Success", "Failed", "TimedOut"]

SHELL: Final = "AWS-RunShellScript"
POWERSHELL: Final = "AWS-RunPowerShellScript"
_PARAMETERS: Final = frozenset({"commands", "workingDirectory", "executionTimeout"})
# From the least to the most advanced. A command has the status of its least advanced invocation.
_ORDER: Final[tuple[CommandStatus, ...]] = ("Pending", "InProgress", "TimedOut", "Failed", "Success")


class CommandError(Exception):
    """A refusal of Run Command. :param code: its name in the API"""

    def __init__(self, code: str, message: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.message = message


@dataclass
class Invocation:
    """A command on one instance.

    :param known: whether GetCommandInvocation already knows it
    :param response_code: the exit code of the script; -1 until there is one
    """

    instance_id: str
    known: bool = False
    status: CommandStatus = "Pending"
    details: str = "Pending"
    response_code: int = -1
    started: datetime | None = None
    ended: datetime | None = None
    stdout: str = ""
    stderr: str = ""

    def end(self, at: datetime, status: CommandStatus, details: str, response_code: int = -1) -> None:
        self.ended, self.status, self.details, self.response_code = at, status, details, response_code


@dataclass
class Command:
    """:param timeout: seconds within which the command must be delivered"""

    id: str
    document: str
    parameters: dict[str, list[str]]
    comment: str
    timeout: int
    requested: datetime
    invocations: dict[str, Invocation] = field(default_factory=dict)

    @property
    def status(self) -> CommandStatus:
        return min((each.status for each in self.invocations.values()), key=_ORDER.index)


class RunCommand:
    """Run Command in one account and Region. It accepts only managed instances that DRS launched."""

    def __init__(self, estate: Estate, instances: Instances) -> None:
        self._estate = estate
        self._instances = instances
        self.commands: dict[str, Command] = {}

    def send(
        self,
        document: str,
        instance_ids: Sequence[str],
        parameters: Mapping[str, list[str]],
        *,
        comment: str,
        timeout: int,
    ) -> Command:
        """Send a command.

        :raises CommandError: DuplicateInstanceId, InvalidInstanceId, UnsupportedPlatformType or
            InvalidParameters.
        """
        estate = self._estate
        if len(set(instance_ids)) < len(instance_ids):
            raise CommandError("DuplicateInstanceId")
        known = (estate.recovery_instances.get(each) for each in instance_ids)
        managed = {each.id: each for each in known if each and self._instances.is_managed(each)}
        if lost := [each for each in instance_ids if each not in managed]:
            raise CommandError(
                "InvalidInstanceId",
                f"Instances [[{', '.join(lost)}]] not in a valid state for account {estate.account}",
            )
        systems = {estate.servers[managed[each].server_id].os for each in instance_ids}
        if document == SHELL and OperatingSystem.WINDOWS in systems:
            raise CommandError("UnsupportedPlatformType")
        if document in (SHELL, POWERSHELL):
            _check_parameters(parameters)
        now = estate.world.clock.now()
        command = Command(str(uuid.uuid4()), document, dict(parameters), comment, timeout, now)
        self.commands[command.id] = command
        for instance_id in instance_ids:
            invocation = command.invocations[instance_id] = Invocation(instance_id)
            estate.world.start(self._run(invocation, managed[instance_id]), now)
        return command

    def invocation(self, command_id: str, instance_id: str) -> tuple[Command, Invocation]:
        """:raises CommandError: InvocationDoesNotExist; also for a moment after SendCommand."""
        command = self.commands.get(command_id)
        invocation = command.invocations.get(instance_id) if command else None
        if command is None or invocation is None or not invocation.known:
            raise CommandError("InvocationDoesNotExist")
        return command, invocation

    def newest_first(self, command_id: str | None, instance_id: str | None) -> list[Command]:
        """Return the commands with that id and for that instance; None means any."""
        return [
            command
            for command in reversed(self.commands.values())
            if command_id in (None, command.id)
            and (instance_id is None or instance_id in command.invocations)
        ]

    def _run(self, invocation: Invocation, instance: RecoveryInstance) -> Process:
        estate, world = self._estate, self._estate.world
        yield world.drs_time(world.unknowns.invocation_seconds)
        invocation.known = True
        at = yield world.drs_time(world.unknowns.invocation_seconds)
        if not self._instances.is_managed(instance):
            invocation.end(at, "Failed", "Undeliverable")
            return
        invocation.status = "InProgress"
        invocation.details = "InProgress"
        invocation.started = at
        at = yield world.drs_time(world.unknowns.command_seconds)
        server = estate.servers[instance.server_id]
        if estate.ec2.state(instance.id) != "running":
            invocation.end(at, "TimedOut", "ExecutionTimedOut")
        elif failed := world.faults.take(
            FailedCommand, estate.account, estate.region, frozenset({server.id})
        ):
            invocation.stderr = failed.fault.stderr
            invocation.end(at, "Failed", "Failed", 1)
        else:
            invocation.stdout = server.commands.output
            invocation.end(at, "Success", "Success", 0)


def _check_parameters(parameters: Mapping[str, list[str]]) -> None:
    """:raises CommandError: they are not the parameters of AWS's two documents that run a script."""
    if unknown := sorted(set(parameters) - _PARAMETERS):
        raise CommandError("InvalidParameters", f"Parameters {unknown} are not defined in the document.")
    if not parameters.get("commands"):
        raise CommandError("InvalidParameters", "Parameter commands is required and has no value.")
