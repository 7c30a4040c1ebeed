"""Makes the simulated DRS one of moto's services, and fills it."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from typing import Final

from moto import backend_index

from simulator.engine.clock import Clock
from simulator.engine.fleet import Fleet, FleetError
from simulator.engine.simulation import Simulation

_MODULE: Final = "moto.drs"
_PATTERN: Final = re.compile(r"https?://drs(-fips)?\.(.+)\.(amazonaws\.com|api\.aws)")


def register() -> bool:
    """Let moto find the simulated DRS: under ``moto.drs``, and by its URLs.

    Twice is as good as once. A DRS that moto ships itself is left alone.

    :return: whether moto's DRS is now the simulated one.
    """
    import simulator.drs

    if _MODULE in sys.modules:
        return sys.modules[_MODULE] is simulator.drs
    if importlib.util.find_spec(_MODULE) is not None:
        return False
    sys.modules[_MODULE] = simulator.drs
    backend_index.backend_url_patterns.append(("drs", _PATTERN))
    return True


def seed(fleet: Fleet | str | Path, *, clock: Clock | None = None, speed: float = 1.0) -> Simulation:
    """Begin a new simulation with a fleet, given as such or as a file's path.

    Under ``mock_aws`` it ends with the mock. What DRS has launched shows in EC2 from the next call of
    DRS on, or after ``tick()``.

    :param clock: the time to live by; the wall clock by default.
    :param speed: how many times faster than DRS the phases of a job pass.
    :raises FleetError: the fleet cannot be used.
    """
    from simulator.drs.ec2 import MotoEc2
    from simulator.drs.models import begin_simulation

    simulation = Simulation(MotoEc2, clock=clock, speed=speed)
    begin_simulation(simulation)
    add(simulation, fleet if isinstance(fleet, Fleet) else Fleet.load(fleet))
    return simulation


def add(simulation: Simulation, fleet: Fleet) -> None:
    """Add a fleet to a simulation, its access keys to IAM.

    :raises FleetError: the fleet cannot be used.
    """
    from simulator.callers import register_access_key
    from simulator.drs.models import drs_backends

    for account_id, account in fleet.accounts.items():
        for region in account.regions:
            if region not in drs_backends[account_id]:
                raise FleetError(f"accounts.{account_id}.regions.{region}: DRS has no such Region")
    simulation.load(fleet)
    for access_key, account_id in simulation.access_keys.items():
        register_access_key(access_key, account_id)
