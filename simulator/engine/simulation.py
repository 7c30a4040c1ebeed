"""A whole simulation: the accounts and Regions of a fleet, in one world, behind one lock."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from simulator.engine.clock import Clock, WallClock
from simulator.engine.ec2 import Ec2, Ec2Error
from simulator.engine.errors import DrsError
from simulator.engine.fault_plan import ArmedFault
from simulator.engine.faults import AnyFault, Fault, ForeignJob, Holder, RunningPlan
from simulator.engine.fleet import Fleet, FleetError, Region, Role, Server
from simulator.engine.instances import OpenPort
from simulator.engine.service import Service
from simulator.engine.timings import RECORDED
from simulator.engine.world import World

Ec2Of = Callable[[str, str], Ec2]
"""Returns the EC2 of an account and Region."""


class FaultError(Exception):
    """A fault cannot be armed. The message says why."""


@dataclass(frozen=True)
class LaunchedInstance:
    """An EC2 instance that DRS launched. It may be gone."""

    instance_id: str
    account: str
    region: str
    server_id: str
    job_id: str
    is_drill: bool


class Simulation:
    """Everything that is simulated. Hold ``lock`` during steps that belong together."""

    def __init__(self, ec2_of: Ec2Of, *, clock: Clock | None = None, speed: float = 1.0) -> None:
        self.lock = threading.RLock()
        self.world = World(clock or WallClock(), speed)
        self.accounts: list[str] = []
        self.access_keys: dict[str, str] = {}
        self.roles: dict[str, Role] = {}
        self._ec2_of = ec2_of
        self._services: dict[tuple[str, str], Service] = {}

    def tick(self) -> None:
        """Run everything that is due by now."""
        with self.lock:
            self.world.tick()

    def service(self, account: str, region: str) -> Service:
        """Return DRS in an account and Region. It is not initialised if no fleet names the place."""
        with self.lock:
            place = account, region
            if place not in self._services:
                ec2 = self._ec2_of(account, region)
                self._services[place] = Service(account, region, self.world, ec2, initialized=False)
            return self._services[place]

    def services(self) -> Iterator[Service]:
        """Return DRS of every account and Region that was used so far."""
        return iter(list(self._services.values()))

    def clear(self) -> None:
        """Remove everything, including faults, and terminate what DRS had launched."""
        with self.lock:
            for service in self.services():
                for instance in service.recovery_instances.values():
                    with contextlib.suppress(Ec2Error):
                        service.ec2.terminate(instance.id)
            self.world = World(self.world.clock, self.world.speed)
            self.accounts.clear()
            self.access_keys.clear()
            self.roles.clear()
            self._services.clear()

    def load(self, fleet: Fleet) -> None:
        """Add a fleet to the present ones, and arm its faults.

        :raises FleetError: it has a server that already exists, a network that EC2 refuses, or a fault that
            cannot be armed. In the last case the fleet is loaded all the same.
        """
        with self.lock:
            self._refuse_known_servers(fleet)
            if "unknowns" in fleet.model_fields_set:
                self.world.unknowns = fleet.unknowns
            for system, overrides in fleet.timings.items():
                self.world.timings[system] = RECORDED[system].with_overrides(overrides)
            for account_id, account in fleet.accounts.items():
                if account_id not in self.accounts:
                    self.accounts.append(account_id)
                if account.access_key_id:
                    self.access_keys[account.access_key_id] = account_id
                if account.role:
                    self.roles[account_id] = account.role
                for region_name, region in account.regions.items():
                    service = self.service(account_id, region_name)
                    service.initialized = region.initialized
                    _add_network(service, region)
                    for server in region.servers:
                        assert isinstance(server, Server)
                        service.add_server(server)
            try:
                for fault in fleet.faults:
                    self.arm(fault)
            except FaultError as error:
                raise FleetError(f"faults: {error}") from None

    def arm(self, fault: AnyFault) -> ArmedFault[Fault]:
        """Arm a fault. A foreign job or a plan execution begins at once.

        :raises FaultError: it names a server that does not exist there, or that is already held.
        """
        with self.lock:
            for server_id in fault.servers or ():
                if not any(server_id in service.servers for service in self._places(fault)):
                    raise FaultError(f"source server {server_id} is not in the fleet{_where(fault)}")
            if isinstance(fault, ForeignJob | RunningPlan):
                return self._arm_holder(fault)
            return self.world.faults.arm(fault, self.world.clock.now())

    def disarm(self, fault_id: str | None = None) -> int:
        """Remove one fault, or all, and return how many. What they held continues."""
        with self.lock:
            faults = self.world.faults
            ids = [armed.id for armed in faults] if fault_id is None else [fault_id]
            disarmed = [faults.disarm(each) for each in ids]
            self.tick()
            return len([each for each in disarmed if each])

    def launched_instances(self) -> list[LaunchedInstance]:
        """Return every instance that DRS launched, in the order of launch."""
        with self.lock:
            return [
                LaunchedInstance(
                    item.target_instance_id,
                    service.account,
                    service.region,
                    item.server_id,
                    job.id,
                    job.is_drill,
                )
                for service in self.services()
                for job in service.jobs.values()
                for item in job.log
                if item.target_instance_id and item.server_id
            ]

    def open_ports(self) -> list[OpenPort]:
        """Return the ports that are open on running instances now."""
        with self.lock:
            return [port for service in self.services() for port in service.instances.open_ports()]

    def _arm_holder(self, fault: Holder) -> ArmedFault[Fault]:
        places = [each for each in self._places(fault) if set(fault.servers) <= each.servers.keys()]
        if not places:
            raise FaultError(f"the servers of a {fault.kind} must be in one account and Region")
        faults, now = self.world.faults, self.world.clock.now()
        armed: ArmedFault[ForeignJob] | ArmedFault[RunningPlan]
        try:
            if isinstance(fault, ForeignJob):
                armed = faults.arm(fault, now)
                places[0].hold_by_foreign_job(armed)
            else:
                armed = faults.arm(fault, now)
                places[0].execute_plan(armed)
        except DrsError as error:
            faults.disarm(armed.id)
            raise FaultError(f"the {fault.kind} cannot start: {error.message}") from None
        return armed

    def _places(self, fault: Fault) -> list[Service]:
        return [
            service
            for service in self.services()
            if fault.account in (None, service.account) and fault.region in (None, service.region)
        ]

    def _refuse_known_servers(self, fleet: Fleet) -> None:
        present = [server for service in self.services() for server in service.servers.values()]
        taken = {server.address for server in present if server.address}
        for account_id, account in fleet.accounts.items():
            for region_name, region in account.regions.items():
                known = self._services.get((account_id, region_name))
                for server in region.servers:
                    assert isinstance(server, Server)
                    if known and server.id in known.servers:
                        raise FleetError(f"server {server.id} is in {account_id}/{region_name} already")
                    if server.address in taken:
                        raise FleetError(f"a server has the address {server.address} already")


def _add_network(service: Service, region: Region) -> None:
    try:
        for subnet in region.subnets:
            service.ec2.ensure_subnet(subnet.id, name=subnet.name, cidr=subnet.cidr)
        for group in region.security_groups:
            service.ec2.ensure_security_group(group.id, name=group.name)
    except Ec2Error as error:
        raise FleetError(f"the network of {service.account}/{service.region}: {error}") from None


def _where(fault: Fault) -> str:
    places = [place for place in (fault.account, fault.region) if place]
    return f" of {'/'.join(places)}" if places else ""
