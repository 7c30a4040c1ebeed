"""What EC2 and Systems Manager show of the instances that DRS launched: checks, agents, open ports."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from simulator.engine.estate import Estate
from simulator.engine.fault_plan import L
from simulator.engine.faults import HttpError, ImpairedStatus, PortClosed, SilentAgent
from simulator.engine.launched import Listener
from simulator.engine.model import RecoveryInstance

CheckStatus = Literal["ok", "initializing", "impaired"]


@dataclass(frozen=True)
class StatusCheck:
    """:param since: when the check first became impaired"""

    status: CheckStatus
    since: datetime | None = None


@dataclass(frozen=True)
class StatusChecks:
    """EC2's two status checks of a running instance."""

    system: StatusCheck
    instance: StatusCheck


@dataclass(frozen=True)
class OpenPort:
    """A port on which something listens, and the instance that it belongs to.

    :param status: the HTTP status of all answers, in place of the fleet's; None keeps the fleet's
    """

    address: str
    listener: Listener
    server_id: str
    instance_id: str
    status: int | None = None

    @property
    def key(self) -> tuple[str, int]:
        return self.address, self.listener.port


class Instances:
    """The recovery instances of one account and Region."""

    def __init__(self, estate: Estate) -> None:
        self._estate = estate

    def status_checks(self, instance: RecoveryInstance) -> StatusChecks:
        """Return what DescribeInstanceStatus says of the instance, if the instance is running."""
        world = self._estate.world
        since = instance.launched + world.drs_time(world.unknowns.status_check_seconds)
        initializing = world.clock.now() < since
        checks = dict.fromkeys(("system", "instance"), StatusCheck("initializing" if initializing else "ok"))
        for armed, fault in self._lasting(ImpairedStatus, instance):
            checks[fault.check] = StatusCheck("impaired", max(armed, instance.launched))
        return StatusChecks(**checks)

    def is_managed(self, instance: RecoveryInstance) -> bool:
        """Whether the instance's agent is registered with Systems Manager."""
        world = self._estate.world
        return (
            world.clock.now() >= instance.launched + world.drs_time(world.unknowns.agent_seconds)
            and not any(self._lasting(SilentAgent, instance))
            and self._estate.ec2.state(instance.id) == "running"
        )

    def managed(self) -> list[RecoveryInstance]:
        """Return the managed instances, in the order of their launch."""
        return [each for each in self._estate.recovery_instances.values() if self.is_managed(each)]

    def open_ports(self) -> Iterator[OpenPort]:
        """Return the ports that are open now. Only running instances have any, and source servers never."""
        for instance in self._estate.recovery_instances.values():
            server = self._estate.servers[instance.server_id]
            if not server.listeners or self._estate.ec2.state(instance.id) != "running":
                continue
            assert server.address
            closed = [fault.port for _, fault in self._lasting(PortClosed, instance)]
            errors = [fault for _, fault in self._lasting(HttpError, instance)]
            for listener in server.listeners:
                if None in closed or listener.port in closed:
                    continue
                status = next((e.status for e in errors if e.port in (None, listener.port)), None)
                yield OpenPort(server.address, listener, server.id, instance.id, status)

    def _lasting(self, kind: type[L], instance: RecoveryInstance) -> Iterator[tuple[datetime, L]]:
        """Return the faults of the instance's server, each with the time since which it is armed."""
        estate = self._estate
        now = estate.world.clock.now()
        faults = estate.world.faults
        for armed in faults.lasting(kind, estate.account, estate.region, instance.server_id, now):
            yield armed.since, armed.fault
