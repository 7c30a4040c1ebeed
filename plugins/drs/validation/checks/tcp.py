"""A TCP connection to a port of the instance."""

from __future__ import annotations

import asyncio

from drs.plan.checks import TcpCheck
from drs.validation.observation import Observation, not_yet, passed, why_not_connected
from drs.validation.server import Subject

CONNECT = 5.0
"""Seconds for one connection: where packets are dropped, no answer ever comes."""


async def tcp(check: TcpCheck, subject: Subject) -> Observation:
    """The check passes if the port accepts a connection, which is then closed at once."""
    address = await subject.address(check.address)
    if address is None:
        return not_yet(f"EC2 names no {check.address} of {await subject.instance_id()}")
    where = f"{address}:{check.port}"
    try:
        async with asyncio.timeout(CONNECT):
            _, writer = await asyncio.open_connection(address, check.port)
    except TimeoutError:
        return not_yet(f"{where} did not answer within {CONNECT:.0f} s")
    except OSError as error:
        return not_yet(f"{where}: {why_not_connected(error)}")
    writer.close()
    return passed(f"{where} accepts connections")
