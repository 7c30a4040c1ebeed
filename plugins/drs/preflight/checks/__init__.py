"""What preflight checks of the servers that a run is to launch: one module a subject, each function pure."""

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

Check = Callable[[Facts, PreflightInputs, Servers], Iterable[Finding]]

SOURCE_CHECKS: tuple[Check, ...] = (replication, agents)
"""Of the servers as they are at the source. In a disaster replication stalls and agents fall silent: of a
RECOVERY these only warn, and the server is launched from what there is.
"""
SERVER_CHECKS: tuple[Check, ...] = (
    *SOURCE_CHECKS,
    held_servers,
    earlier_instances,
    launch_settings,
    recovery_points,
)
"""In the order in which their findings are told. Each finding of theirs names its server."""

__all__ = ["SERVER_CHECKS", "SOURCE_CHECKS", "Check"]
