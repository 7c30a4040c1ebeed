"""The kinds of checks, and how each of them looks at a server."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from drs.plan.checks import (
    Check,
    HttpCheck,
    InstanceStatusCheck,
    LaunchActionsCheck,
    PythonCheck,
    SsmCheck,
    TcpCheck,
)
from drs.run.own_code import AllowedCode
from drs.validation.checks.http_get import http
from drs.validation.checks.instance_status import instance_status
from drs.validation.checks.launch_actions import launch_actions
from drs.validation.checks.python import python
from drs.validation.checks.recovery_instance import recovery_instance
from drs.validation.checks.ssm import SsmCommand
from drs.validation.checks.tcp import tcp
from drs.validation.observation import Observation, failed
from drs.validation.server import Subject

Look = Callable[[], Awaitable[Observation]]
"""Looks at a server once."""

__all__ = ["Look", "look_at", "recovery_instance"]


def look_at(subject: Subject, label: str, check: Check, allowed: AllowedCode) -> Look:
    """The function that looks at this server for this check.

    :param label: the check's name, which no other check of the server has
    :param allowed: the functions that checks of type ``python`` may call
    """
    if not subject.server.starts and not isinstance(check, LaunchActionsCheck):
        return _stopped
    match check:
        case InstanceStatusCheck():
            return lambda: instance_status(subject)
        case SsmCheck():
            return SsmCommand(check, label, subject)
        case TcpCheck():
            return lambda: tcp(check, subject)
        case HttpCheck():
            return lambda: http(check, subject)
        case LaunchActionsCheck():
            return lambda: launch_actions(subject)
        case PythonCheck():
            return lambda: python(check, subject, allowed)


async def _stopped() -> Observation:
    return failed(
        "the server's launch disposition is STOPPED, so its instance does not run and cannot be checked: "
        "set the disposition to STARTED in DRS, or remove the check from the plan"
    )
