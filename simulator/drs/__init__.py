"""The simulated DRS as a service of moto. moto imports this package as ``moto.drs``."""

from simulator.drs.models import drs_backends

__all__ = ["drs_backends"]
