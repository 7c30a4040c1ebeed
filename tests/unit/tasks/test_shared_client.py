"""The client that triggers share."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from drs.tasks.hook import DrsHook
from drs.tasks.shared_client import shared_client

US = {"aws_conn_id": "aws_default", "region_name": "us-east-1", "verify": None, "botocore_config": None}
EU = {**US, "region_name": "eu-central-1"}


@pytest.fixture
def clients(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Counts the clients that are opened and closed. Opening waits for ``gate``, and can be made to fail."""
    counts: dict[str, Any] = {"opened": 0, "closed": 0, "hooks": [], "gate": asyncio.Event(), "error": None}
    counts["gate"].set()

    @asynccontextmanager
    async def client() -> AsyncIterator[object]:
        await counts["gate"].wait()
        if counts["error"]:
            raise counts["error"]
        counts["opened"] += 1
        yield object()
        counts["closed"] += 1

    async def get_async_conn(self: DrsHook) -> Any:
        config: Any = self.config
        counts["hooks"].append((self.client_type, config.retries["total_max_attempts"]))
        return client()

    monkeypatch.setattr(DrsHook, "get_async_conn", get_async_conn)
    return counts


async def test_one_connection_is_one_client(clients: dict[str, Any]) -> None:
    """Users with the same parameters share a client, which is closed when the last user is done."""
    async with shared_client(US) as first:
        async with shared_client(dict(US)) as second:
            assert first is second
        assert clients["closed"] == 0
    assert (clients["opened"], clients["closed"]) == (1, 1)


async def test_another_region_is_another_client(clients: dict[str, Any]) -> None:
    async with shared_client(US) as here, shared_client(EU) as there:
        assert here is not there
    assert (clients["opened"], clients["closed"]) == (2, 2)


async def test_another_service_is_another_client(clients: dict[str, Any]) -> None:
    """A client that sends each request once is a separate one too."""
    async with (
        shared_client(US) as drs,
        shared_client(US, "ec2") as ec2,
        shared_client(US, "ssm") as ssm,
        shared_client(US, "ssm", repeats=False) as once,
        shared_client(US, "ssm", repeats=False) as same,
    ):
        assert len({id(client) for client in (drs, ec2, ssm, once)}) == 4
        assert same is once
    assert (clients["opened"], clients["closed"]) == (4, 4)
    assert clients["hooks"] == [("drs", 4), ("ec2", 4), ("ssm", 4), ("ssm", 1)]


async def test_a_cancelled_user_leaves_the_client_to_the_others(clients: dict[str, Any]) -> None:
    """The trigger that began to open the client is cancelled, and the next one still gets the client."""
    clients["gate"].clear()

    async def use() -> object:
        async with shared_client(US) as client:
            return client

    first, second = asyncio.create_task(use()), asyncio.create_task(use())
    await asyncio.sleep(0)
    first.cancel()
    clients["gate"].set()
    assert await second is not None
    assert first.cancelled()
    assert (clients["opened"], clients["closed"]) == (1, 1)


async def test_a_client_that_cannot_be_opened_is_tried_anew_by_the_next(clients: dict[str, Any]) -> None:
    clients["error"] = RuntimeError("no credentials")
    with pytest.raises(RuntimeError, match="no credentials"):
        async with shared_client(US):
            pass
    clients["error"] = None
    async with shared_client(US):
        assert clients["opened"] == 1
