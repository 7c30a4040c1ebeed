"""Makes the simulated DRS one of moto's services, and loads fleets into it."""

from __future__ import annotations

import importlib.util
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from moto import backend_index

from simulator.engine.clock import Clock
from simulator.engine.faults import CallFault, Fault
from simulator.engine.fleet import Fleet, FleetError
from simulator.engine.simulation import FaultError, Simulation

_MODULE: Final = "moto.drs"
_PATTERN: Final = re.compile(r"https?://drs(-fips)?\.(.+)\.(amazonaws\.com|api\.aws)")


def register() -> bool:
    """Let moto find the simulated DRS, as ``moto.drs`` and by its URLs, and complete moto's other services.

    Then moto's IAM simulates policies, and its EC2 status checks and Run Command work for DRS's instances.
    Calling this a second time changes nothing. If moto itself has a DRS, that one is not replaced.

    :return: whether moto's DRS is now the simulated one.
    """
    import simulator.drs

    _add_policy_simulation()
    _replace_operations()
    if _MODULE in sys.modules:
        return sys.modules[_MODULE] is simulator.drs
    if importlib.util.find_spec(_MODULE) is not None:
        return False
    sys.modules[_MODULE] = simulator.drs
    backend_index.backend_url_patterns.append(("drs", _PATTERN))
    return True


def _add_policy_simulation() -> None:
    """Add the operation to moto's IAM. moto calls the method that has the operation's name."""
    from moto.iam.responses import IamResponse

    from simulator.iam.simulate import simulate_principal_policy

    if not hasattr(IamResponse, "simulate_principal_policy"):
        IamResponse.simulate_principal_policy = simulate_principal_policy  # type: ignore[attr-defined]


def _replace_operations() -> None:
    """Replace operations that moto has too, but with answers that never change."""
    from moto.ec2.responses.instances import InstanceResponse
    from moto.ssm.responses import SimpleSystemManagerResponse

    from simulator.ec2.instance_status import describe_instance_status
    from simulator.ssm import run_command

    InstanceResponse.describe_instance_status = describe_instance_status  # type: ignore[method-assign]
    for operation in run_command.OPERATIONS:
        setattr(SimpleSystemManagerResponse, operation.__name__, operation)


def seed(fleet: Fleet | str | Path, *, clock: Clock | None = None, speed: float = 1.0) -> Simulation:
    """Begin a new simulation with a fleet or a fleet file.

    Under ``mock_aws`` it ends with the mock. EC2 shows what DRS has launched only after the next call of
    DRS, or after ``tick()``.

    :param clock: the clock of the simulation; by default the wall clock.
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
    """Add a fleet to a simulation, and its users, roles and access keys to IAM.

    :raises FleetError: the fleet cannot be used.
    """
    from simulator import principals

    _refuse_unusable(fleet)
    simulation.load(fleet)
    for account_id, account in fleet.accounts.items():
        principals.register(account_id, account.role, account.policies)
    for access_key, account_id in simulation.access_keys.items():
        principals.register_access_key(access_key, account_id)


def replace(simulation: Simulation, fleet: Fleet) -> None:
    """Remove everything from a simulation, then add a fleet.

    :raises FleetError: the fleet cannot be used.
    """
    from simulator import principals

    for account_id in simulation.accounts:
        principals.forget(account_id, simulation.roles.get(account_id))
    simulation.clear()
    add(simulation, fleet)


def refuse_unknown_operations(faults: Iterable[Fault]) -> None:
    """Check the operations of faults. :raises FaultError: one does not exist, so it could never strike."""
    from simulator.traffic import is_operation

    for fault in faults:
        for name in (fault.operations if isinstance(fault, CallFault) else None) or ():
            service, _, operation = name.rpartition(":")
            if service and not is_operation(service, operation):
                raise FaultError(f"there is no operation {name}")


def _refuse_unusable(fleet: Fleet) -> None:
    """Refuse a fleet with mistakes that the engine itself cannot detect."""
    from simulator.drs.models import drs_backends
    from simulator.principals import problem_of

    for account_id, account in fleet.accounts.items():
        for region in account.regions:
            if region not in drs_backends[account_id]:
                raise FleetError(f"accounts.{account_id}.regions.{region}: DRS has no such Region")
        for place, policy in enumerate(account.policies or ()):
            if problem := problem_of(policy):
                raise FleetError(f"accounts.{account_id}.policies[{place}]: {problem}")
    try:
        refuse_unknown_operations(fleet.faults)
    except FaultError as error:
        raise FleetError(f"faults: {error}") from None
