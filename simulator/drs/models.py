"""moto's backends of the simulated DRS, one for each account and Region. Each gives access to the engine."""

from __future__ import annotations

from typing import Final

from moto.core.base_backend import BackendDict, BaseBackend
from moto.core.models import DEFAULT_ACCOUNT_ID

from simulator.drs.ec2 import MotoEc2
from simulator.engine.service import Service
from simulator.engine.simulation import Simulation

_HOME: Final = (DEFAULT_ACCOUNT_ID, "us-east-1")


class DRSBackend(BaseBackend):
    """One backend holds the whole simulation, so that moto's own reset ends it."""

    def __init__(self, region_name: str, account_id: str) -> None:
        super().__init__(region_name, account_id)
        self.simulation = Simulation(MotoEc2) if (account_id, region_name) == _HOME else None

    @property
    def service(self) -> Service:
        """The engine's DRS of this account and Region."""
        return current_simulation().service(self.account_id, self.region_name)


drs_backends: BackendDict[DRSBackend] = BackendDict(DRSBackend, "drs")


def current_simulation() -> Simulation:
    """Return the current simulation. After a reset of moto this is a new, empty one."""
    account, region = _HOME
    simulation = drs_backends[account][region].simulation
    assert simulation
    return simulation


def begin_simulation(simulation: Simulation) -> None:
    """Replace the current simulation by ``simulation``."""
    account, region = _HOME
    drs_backends[account][region].simulation = simulation
