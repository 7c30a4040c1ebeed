"""An engine with a clock that does not move and an EC2 that only remembers."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from simulator.engine.clock import ManualClock
from simulator.engine.ec2 import Ec2Error, Placement
from simulator.engine.fleet import Fleet
from simulator.engine.service import Service
from simulator.engine.simulation import Simulation

ACCOUNT = "111122223333"
REGION = "us-east-1"
START = datetime(2026, 3, 1, 6, 0, tzinfo=UTC)


def server_id(number: int) -> str:
    return f"s-{number:017x}"


def servers(count: int, **traits: Any) -> list[dict[str, Any]]:
    return [{"id": server_id(n), "hostname": f"host-{n}", **traits} for n in range(1, count + 1)]


def fleet(entries: list[dict[str, Any]], account: str = ACCOUNT, **rest: Any) -> Fleet:
    """A fleet of one account and Region."""
    return Fleet.parse({"accounts": {account: {"regions": {REGION: {"servers": entries}}}}, **rest}, "test")


class MemoryEc2:
    """An EC2 port: instances are ids with a state."""

    def __init__(self) -> None:
        self.states: dict[str, str] = {}
        self.tags: dict[str, dict[str, str]] = {}
        self.protected: set[str] = set()
        self.refusal: str | None = None
        self._numbers = itertools.count(1)

    def ensure_subnet(self, subnet_id: str, *, name: str | None = None, cidr: str | None = None) -> None:
        pass

    def ensure_security_group(self, group_id: str, *, name: str | None = None) -> None:
        pass

    def create_launch_template(self, name: str, placement: Placement) -> str:
        return f"lt-{next(self._numbers):017x}"

    def launch(
        self,
        template_id: str,
        tags: dict[str, str],
        *,
        stopped: bool,
        at: datetime,
        private_ip: str | None = None,
    ) -> str:
        if self.refusal:
            raise Ec2Error(self.refusal)
        instance_id = f"i-{next(self._numbers):017x}"
        self.states[instance_id] = "stopped" if stopped else "running"
        self.tags[instance_id] = tags
        return instance_id

    def terminate(self, instance_id: str) -> None:
        if instance_id in self.protected:
            raise Ec2Error(f"{instance_id} may not be terminated")
        self.states[instance_id] = "terminated"

    def state(self, instance_id: str) -> str:
        return self.states.get(instance_id, "not_found")

    def private_ip(self, instance_id: str) -> str | None:
        return None


class Engine:
    """A simulation of one account and Region, driven by hand."""

    def __init__(self, content: Fleet, speed: float) -> None:
        self.clock = ManualClock(START)
        self.ec2 = MemoryEc2()
        self.simulation = Simulation(lambda account, region: self.ec2, clock=self.clock, speed=speed)
        self.simulation.load(content)

    @property
    def drs(self) -> Service:
        return self.simulation.service(ACCOUNT, REGION)

    def pass_time(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.simulation.tick()

    def drill(self, *numbers: int) -> Any:
        """Start a drill of these servers."""
        return self.drs.start_recovery([(server_id(n), None) for n in numbers], is_drill=True, tags={})

    def drilled(self, *numbers: int) -> Any:
        """Start a drill of these servers, and see it through."""
        job = self.drill(*numbers)
        self.pass_time(600)
        assert not job.live
        return job


@pytest.fixture
def engine() -> Callable[..., Engine]:
    """Make an engine: ``engine(3)`` has three servers."""

    def make(content: Fleet | int = 2, *, speed: float = 1.0) -> Engine:
        return Engine(fleet(servers(content)) if isinstance(content, int) else content, speed)

    return make


@pytest.fixture
def mocked(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """moto's mock_aws with the simulated DRS in it, all callers in the fleet's account."""
    from moto import mock_aws

    import simulator

    simulator.register()
    monkeypatch.setenv("MOTO_ACCOUNT_ID", ACCOUNT)
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    with mock_aws():
        yield


@pytest.fixture
def api() -> Callable[..., Any]:
    """Make a simulation and a client of it: ``api(3)`` has three servers. Use it with ``mocked``."""
    from tests.simulator.api import Api

    def make(content: Fleet | int = 2) -> Any:
        return Api(fleet(servers(content, tags={"Name": "db"})) if isinstance(content, int) else content)

    return make
