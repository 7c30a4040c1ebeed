"""The checks of the servers that a run is to launch: one module for each subject, every function pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from drs.preflight.checks.holders import held_servers
from drs.preflight.checks.instances import earlier_instances
from drs.preflight.checks.launch_settings import launch_settings
from drs.preflight.checks.recovery_points import recovery_points
from drs.preflight.checks.replication import agents, replication
from drs.preflight.facts import Facts
from drs.preflight.findings import Finding
from drs.preflight.inputs import PreflightInputs
from drs.preflight.servers import Servers

ServerCheck = Callable[[Facts, PreflightInputs, Servers], Iterable[Finding]]

SOURCE_CHECKS: tuple[ServerCheck, ...] = (replication, agents)
"""Checks of the servers at the source. In a disaster, replication stalls and agents stop reporting. Therefore
these checks only warn in a RECOVERY, and the server is launched from the data that there is.
"""
SERVER_CHECKS: tuple[ServerCheck, ...] = (
    *SOURCE_CHECKS,
    held_servers,
    earlier_instances,
    launch_settings,
    recovery_points,
)
"""All checks, in the order in which their findings are reported. Each of their findings names a server."""

__all__ = ["SERVER_CHECKS", "SOURCE_CHECKS", "ServerCheck"]
