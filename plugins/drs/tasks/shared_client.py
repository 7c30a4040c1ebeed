"""One client for all triggers of a triggerer that use the same service through the same connection.

A separate client for each trigger would cost memory, and CPU time to be made.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

from drs.tasks.hook import DrsHook


@dataclass
class _SharedClient:
    """A client that is open or being opened, and the number of triggers that use it."""

    opening: asyncio.Future[Any]
    closing: AsyncExitStack
    users: int = 0


_shared: dict[tuple[int, str, str, bool], _SharedClient] = {}


@asynccontextmanager
async def shared_client(
    parameters: Mapping[str, Any], service: str = "drs", *, repeats: bool = True
) -> AsyncIterator[Any]:
    """An aiobotocore client that is closed when its last user is done with it.

    :param parameters: ``aws_conn_id``, ``region_name``, ``verify`` and ``botocore_config``, as JSON data
    :param service: the service, by boto3's name
    :param repeats: whether the client retries failed requests by itself
    """
    # A client belongs to one event loop; without a triggerer, each wait of a drill has a loop of its own.
    key = (id(asyncio.get_running_loop()), json.dumps(parameters, sort_keys=True), service, repeats)
    shared = _shared.get(key)
    if shared is None:
        closing = AsyncExitStack()
        opening = asyncio.ensure_future(_open(parameters, service, repeats, closing))
        shared = _SharedClient(opening, closing)
        _shared[key] = shared
    shared.users += 1
    try:
        # Shielded, so that cancelling one trigger does not cancel the client that others wait for.
        yield await asyncio.shield(shared.opening)
    finally:
        shared.users -= 1
        if not shared.users:
            del _shared[key]
            shared.opening.cancel()  # has no effect once the client is open
            await shared.closing.aclose()


async def _open(parameters: Mapping[str, Any], service: str, repeats: bool, closing: AsyncExitStack) -> Any:
    config = dict(parameters)
    hook = DrsHook(config=config.pop("botocore_config"), **config)
    hook.client_type = service  # connection, sessions and retries are the same for every service
    hook.once = not repeats
    return await closing.enter_async_context(await hook.get_async_conn())  # type: ignore[no-untyped-call]
