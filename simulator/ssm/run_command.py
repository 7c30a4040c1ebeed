"""Run Command's operations, as methods for moto's ``SimpleSystemManagerResponse``.

Shapes and errors: https://docs.aws.amazon.com/systems-manager/latest/APIReference/
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import wraps
from typing import Any, Final

from moto.core.responses import ActionResult
from moto.core.utils import get_service_model
from moto.ssm.exceptions import SSMException
from moto.ssm.models import ssm_backends
from moto.ssm.responses import SimpleSystemManagerResponse

from simulator.drs import validation
from simulator.drs.models import current_simulation
from simulator.drs.paging import page
from simulator.engine.errors import ValidationError
from simulator.engine.run_command import Command, CommandError
from simulator.engine.service import Service
from simulator.ssm import views

JSON = dict[str, Any]
Answer = Callable[[Service, JSON], JSON]

_PAGE: Final = 50
_DEFAULT_TIMEOUT: Final = 3600


def _operation(name: str, *not_simulated: str) -> Callable[[Answer], Callable[..., ActionResult]]:
    """Turn an operation into a method of moto, which checks the request and gives refusals in the API's form.

    :param not_simulated: parameters that are answered with a 501, not with a guess
    """

    def make(answer: Answer) -> Callable[..., ActionResult]:
        @wraps(answer)
        def method(self: SimpleSystemManagerResponse) -> ActionResult:
            request: JSON = json.loads(self.body or "{}")
            if refused := [each for each in not_simulated if each in request]:
                raise NotImplementedError(f"{name} is not simulated with {', '.join(refused)}")
            simulation = current_simulation()
            with simulation.lock, _refusals():
                simulation.tick()
                validation.check(get_service_model("ssm").operation_model(name).input_shape, request)
                return ActionResult(answer(simulation.service(self.current_account, self.region), request))

        return method

    return make


@contextmanager
def _refusals() -> Iterator[None]:
    try:
        yield
    except CommandError as error:
        raise SSMException(error.code, error.message) from None
    except ValidationError as error:
        raise SSMException(error.code, error.message) from None


def _check_document(service: Service, name: str) -> None:
    """Check that a document exists: it is AWS's own, or it was created. :raises CommandError: it does not."""
    own = name.rpartition("document/")[2]
    if not own.startswith("AWS-") and own not in ssm_backends[service.account][service.region]._documents:
        raise CommandError("InvalidDocument", f"Document with name {name} does not exist.")


@_operation(
    "SendCommand",
    "Targets",
    "DocumentVersion",
    "DocumentHash",
    "OutputS3BucketName",
    "NotificationConfig",
    "CloudWatchOutputConfig",
    "AlarmConfiguration",
)
def send_command(service: Service, request: JSON) -> JSON:
    """Send a command to managed instances, named by their ids."""
    _check_document(service, request["DocumentName"])
    if not request.get("InstanceIds"):
        raise CommandError("InvalidInstanceId", "InstanceIds must not be empty.")
    command = service.run_command.send(
        request["DocumentName"],
        request["InstanceIds"],
        request.get("Parameters") or {},
        comment=request.get("Comment", ""),
        timeout=request.get("TimeoutSeconds", _DEFAULT_TIMEOUT),
    )
    return {"Command": views.command(command)}


@_operation("GetCommandInvocation")
def get_command_invocation(service: Service, request: JSON) -> JSON:
    """Show a command on one instance, as soon as the command is known."""
    command, invocation = service.run_command.invocation(request["CommandId"], request["InstanceId"])
    content = views.invocation(command, invocation)
    if request.get("PluginName") not in (None, content["PluginName"]):
        raise CommandError("InvalidPluginName")
    return content


@_operation("ListCommands")
def list_commands(service: Service, request: JSON) -> JSON:
    """List commands, the newest first."""
    commands = _filtered(service, request)
    return _page("ListCommands", "Commands", [views.command(each) for each in commands], request)


@_operation("ListCommandInvocations")
def list_command_invocations(service: Service, request: JSON) -> JSON:
    """List commands on instances, the newest first. With ``Details`` it shows their output."""
    details, instance_id = bool(request.get("Details")), request.get("InstanceId")
    found = [
        views.listed_invocation(command, invocation, details=details)
        for command in _filtered(service, request)
        for invocation in command.invocations.values()
        if instance_id in (None, invocation.instance_id)
    ]
    return _page("ListCommandInvocations", "CommandInvocations", found, request)


@_operation("DescribeInstanceInformation")
def describe_instance_information(service: Service, request: JSON) -> JSON:
    """List the managed instances."""
    found = [views.information(instance, service) for instance in service.instances.managed()]
    filters = {each["key"]: each["valueSet"] for each in request.get("InstanceInformationFilterList") or ()}
    filters |= {each["Key"]: each["Values"] for each in request.get("Filters") or ()}
    members = {"InstanceIds": "InstanceId", "PingStatus": "PingStatus", "PlatformTypes": "PlatformType"}
    if unknown := sorted(set(filters) - set(members)):
        raise NotImplementedError(f"DescribeInstanceInformation is not simulated with filters by {unknown}")
    matching = [
        each for each in found if all(each[members[key]] in values for key, values in filters.items())
    ]
    return _page("DescribeInstanceInformation", "InstanceInformationList", matching, request)


OPERATIONS: Final = (
    send_command,
    get_command_invocation,
    list_commands,
    list_command_invocations,
    describe_instance_information,
)
"""The operations. Each function has the name of its operation, as moto expects of its methods."""


def _filtered(service: Service, request: JSON) -> list[Command]:
    """Return the commands that match the filters. :raises NotImplementedError: a filter is not simulated."""
    tests: dict[str, Callable[[Command, str], bool]] = {
        "InvokedAfter": lambda command, value: command.requested >= datetime.fromisoformat(value),
        "InvokedBefore": lambda command, value: command.requested <= datetime.fromisoformat(value),
        "Status": lambda command, value: command.status == value,
        "DocumentName": lambda command, value: command.document == value,
    }
    filters = [(each["key"], each["value"]) for each in request.get("Filters") or ()]
    if unknown := sorted({key for key, _ in filters} - set(tests)):
        raise NotImplementedError(f"Run Command is not simulated with filters by {unknown}")
    commands = service.run_command.newest_first(request.get("CommandId"), request.get("InstanceId"))
    return [each for each in commands if all(tests[key](each, value) for key, value in filters)]


def _page(operation: str, member: str, items: Sequence[JSON], request: JSON) -> JSON:
    shown, token = page(operation, items, request.get("MaxResults", _PAGE), request.get("NextToken"))
    return {member: list(shown), **({"NextToken": token["nextToken"]} if token else {})}
