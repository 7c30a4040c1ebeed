"""What EC2 and Systems Manager see of the instances that DRS launched: checks, agents, open ports."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from simulator.engine.estate import Estate
from simulator.engine.faults import HttpError, ImpairedStatus, L, PortClosed, SilentAgent
from simulator.engine.launched import Listener
from simulator.engine.model import RecoveryInstance

CheckStatus = Literal["ok", "initializing", "impaired"]


@dataclass(frozen=True)
class StatusCheck:
    """:param since: when it was impaired first"""

    status: CheckStatus
    since: datetime | None = None


@dataclass(frozen=True)
class StatusChecks:
    """EC2's two status checks of a running instance."""

    system: StatusCheck
    instance: StatusCheck


@dataclass(frozen=True)
class OpenPort:
    """A port on which something listens, and for which instance.

    :param status: what HTTP requests are answered with instead of what the fleet says
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
        """What DescribeInstanceStatus says of an instance, provided that it is running."""
        world = self._estate.world
        since = instance.launched + world.drs_time(world.unknowns.status_check_seconds)
        initializing = world.clock.now() < since
        checks = dict.fromkeys(("system", "instance"), StatusCheck("initializing" if initializing else "ok"))
        for armed, fault in self._lasting(ImpairedStatus, instance):
            checks[fault.check] = StatusCheck("impaired", max(armed, instance.launched))
        return StatusChecks(**checks)

    def is_managed(self, instance: RecoveryInstance) -> bool:
        """Whether Systems Manager hears of the instance's agent."""
        world = self._estate.world
        return (
            self._estate.ec2.state(instance.id) == "running"
            and world.clock.now() >= self.agent_since(instance)
            and not any(self._lasting(SilentAgent, instance))
        )

    def agent_since(self, instance: RecoveryInstance) -> datetime:
        """When the agent reports first."""
        world = self._estate.world
        return instance.launched + world.drs_time(world.unknowns.agent_seconds)

    def managed(self) -> list[RecoveryInstance]:
        """The managed instances, in the order of their launch."""
        return [each for each in self._estate.recovery_instances.values() if self.is_managed(each)]

    def open_ports(self) -> Iterator[OpenPort]:
        """What listens by now: of running instances only, and never of a source server."""
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
        """The faults of the instance's server, and since when each is armed."""
        estate = self._estate
        now = estate.world.clock.now()
        faults = estate.world.faults
        for armed in faults.lasting(kind, estate.account, estate.region, instance.server_id, now):
            yield armed.since, armed.fault
