"""A simulated AWS Elastic Disaster Recovery for moto: jobs with recorded timing, faults on demand."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from simulator.engine.clock import Clock
    from simulator.engine.fleet import Fleet
    from simulator.engine.simulation import Simulation

__all__ = ["register", "seed"]


# The engine works without moto, so moto is imported only when one of these functions is called.


def register() -> bool:
    """See :func:`simulator.registration.register`."""
    from simulator import registration

    return registration.register()


def seed(fleet: Fleet | str | Path, *, clock: Clock | None = None, speed: float = 1.0) -> Simulation:
    """See :func:`simulator.registration.seed`."""
    from simulator import registration

    return registration.seed(fleet, clock=clock, speed=speed)
