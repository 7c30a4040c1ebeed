"""An HTTP GET to the instance."""

from __future__ import annotations

import asyncio

import httpx

from drs.plan import expressions
from drs.plan.checks import HttpCheck
from drs.validation.observation import Observation, first_line, not_yet, passed, why_not_connected
from drs.validation.server import Subject

ANSWER = 10.0
"""Seconds for each step of a request: connecting, sending, reading."""
BODY = 65_536
"""Bytes of a body that are read and matched."""
_PLAIN = {"Accept-Encoding": "identity"}
"""Asks for a body that need not be unpacked: a few bytes may unpack to many."""


async def http(check: HttpCheck, subject: Subject) -> Observation:
    """The check passes if status and body are as the plan expects. A redirect is not followed.

    The request goes to the instance itself, so a proxy in the environment is not used, and the certificate is
    not verified. The body is matched in a thread: even RE2 may take half a second for the worst expressions.
    """
    address = await subject.address(check.address)
    if address is None:
        return not_yet(f"EC2 names no {check.address} of {await subject.instance_id()}")
    url = f"{check.scheme}://{address}:{check.port}{check.path}"
    try:
        status, body = await _get(url)
    except httpx.RequestError as error:
        return not_yet(f"GET {url}: {_failure(error)}")
    text = f"GET {url}: status {status}"
    if status != check.expect_status:
        return not_yet(f"{text} instead of {check.expect_status}{_beginning(body)}", body)
    if check.expect_body and not await asyncio.to_thread(expressions.found, check.expect_body, body):
        return not_yet(f"{text}, but the body does not match {check.expect_body!r}{_beginning(body)}", body)
    return passed(f"{text}{_beginning(body)}", body)


async def _get(url: str) -> tuple[int, str]:
    async with (
        httpx.AsyncClient(verify=False, trust_env=False, timeout=ANSWER) as client,  # noqa: S501
        client.stream("GET", url, headers=_PLAIN) as answer,
    ):
        body = b""
        async for chunk in answer.aiter_bytes():
            body += chunk
            if len(body) >= BODY:
                break
        return answer.status_code, body[:BODY].decode(answer.encoding or "utf-8", errors="replace")


def _failure(error: httpx.RequestError) -> str:
    if isinstance(error, httpx.TimeoutException):
        return f"no answer within {ANSWER:.0f} s"
    return why_not_connected(error)


def _beginning(body: str) -> str:
    line = first_line(body)
    return f"; the body begins: {line}" if line else "; the body is empty"
