"""The simulated DRS as a service of moto: what moto looks for under ``moto.drs``."""

from simulator.drs.models import drs_backends

__all__ = ["drs_backends"]
