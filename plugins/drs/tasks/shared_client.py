"""One client of a service for all triggers of a triggerer that wait through the same connection.

A client of its own would cost each trigger memory, and a third of a second in which the whole triggerer
stands still.
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
    """A client that is open, or being opened, and how many triggers use it."""

    opening: asyncio.Future[Any]
    closing: AsyncExitStack
    users: int = 0


_shared: dict[tuple[int, str, str, bool], _SharedClient] = {}


@asynccontextmanager
async def shared_client(
    parameters: Mapping[str, Any], service: str = "drs", *, repeats: bool = True
) -> AsyncIterator[Any]:
    """An aiobotocore client, closed when its last user leaves.

    :param parameters: ``aws_conn_id``, ``region_name``, ``verify`` and ``botocore_config``, as JSON data
    :param service: boto3's name of it
    :param repeats: whether the client itself sends a request again that got no good reply
    """
    # A client belongs to its event loop: a drill without a triggerer has one for each wait.
    key = (id(asyncio.get_running_loop()), json.dumps(parameters, sort_keys=True), service, repeats)
    shared = _shared.get(key)
    if shared is None:
        closing = AsyncExitStack()
        opening = asyncio.ensure_future(_open(parameters, service, repeats, closing))
        shared = _SharedClient(opening, closing)
        _shared[key] = shared
    shared.users += 1
    try:
        # Shielded: a trigger that is cancelled must not take the client from the others.
        yield await asyncio.shield(shared.opening)
    finally:
        shared.users -= 1
        if not shared.users:
            del _shared[key]
            shared.opening.cancel()  # does nothing once it is open
            await shared.closing.aclose()


async def _open(parameters: Mapping[str, Any], service: str, repeats: bool, closing: AsyncExitStack) -> Any:
    config = dict(parameters)
    hook = DrsHook(config=config.pop("botocore_config"), **config)
    hook.client_type = service  # the same connection, sessions and retries lead to every service
    hook.once = not repeats
    return await closing.enter_async_context(await hook.get_async_conn())  # type: ignore[no-untyped-call]
