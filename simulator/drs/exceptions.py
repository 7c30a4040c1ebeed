"""Turns the engine's refusals into moto's exceptions; moto adds HTTP status and fields by DRS's API model."""

from __future__ import annotations

from moto.core.exceptions import ServiceException

from simulator.engine.errors import DrsError


class DRSServiceException(ServiceException):
    """:param error: the refusal; its fields become attributes, where moto's serializer looks for them."""

    def __init__(self, error: DrsError) -> None:
        super().__init__(error.code, error.message)
        self.__dict__.update(error.fields)
