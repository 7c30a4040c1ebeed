"""The clients of a worker, for code that awaits its reads: asyncio clients take several times longer to make.

Each read blocks the event loop, so this is only for a task that has the loop for itself.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from drs.tasks.hook import DrsHook


class WorkerClients:
    """Gives the hook's clients of DRS and EC2. Only what is listed page by page can be read with them.

    :param hook: has the clients, which it makes at the first use
    """

    def __init__(self, hook: DrsHook) -> None:
        self._hook = hook

    async def __call__(self, service: str) -> _Reads:
        return _Reads(self._hook.ec2 if service == "ec2" else self._hook.conn)


class _Reads:
    def __init__(self, client: Any) -> None:
        self._client = client

    def get_paginator(self, operation: str) -> _Pages:
        return _Pages(self._client.get_paginator(operation))


class _Pages:
    def __init__(self, paginator: Any) -> None:
        self._paginator = paginator

    async def paginate(self, **parameters: Any) -> AsyncIterator[Any]:
        for page in self._paginator.paginate(**parameters):
            yield page
