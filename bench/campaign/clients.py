"""Clients with the shape of boto3's and of aiobotocore's, with botocore's own repetitions."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from bench.campaign.aws import Account, Request, repeated
from bench.campaign.operations import Build, Operations

ATTEMPTS = 4
"""As ``drs.aws.call_errors.RETRIES`` sets it."""


class NoSuchEntityException(Exception):  # noqa: N818 - boto3's name
    """IAM knows no such role. It is never raised here."""


class _Client:
    """What both kinds of clients share.

    :param service: boto3's name of the service
    :param attempts: how often a call is sent at most
    """

    def __init__(self, account: Account, service: str, attempts: int) -> None:
        self._account = account
        self._operations = Operations(account).of(service)
        self._attempts = attempts
        self.meta = SimpleNamespace(events=Events(), region_name="us-east-1")
        self.exceptions = SimpleNamespace(NoSuchEntityException=NoSuchEntityException)

    def _pause(self, attempt: int) -> float:
        """Seconds before the next attempt, as botocore's standard mode waits."""
        return self._account.rng.random() * min(2.0**attempt, 20.0)


class Client(_Client):
    """A client of boto3."""

    def __init__(self, account: Account, service: str, attempts: int = ATTEMPTS) -> None:
        super().__init__(account, service, attempts)
        self.last_check: Callable[[], None] | None = None

    def __getattr__(self, name: str) -> Callable[..., Any]:
        build: Build | None = self.__dict__["_operations"].get(name)
        if build is None:
            raise AttributeError(name)
        return lambda **parameters: self._call(build(**parameters))

    def get_paginator(self, name: str) -> Paginator:
        return Paginator(getattr(self, name))

    def _call(self, request: Request) -> Any:
        if checks := self.meta.events.before_send(request.operation):
            request = Request(request.operation, request.answer, request.servers, request.tagged, checks)
        for attempt in range(1, self._attempts):
            try:
                return self._account.send(request)
            except (ClientError, BotoCoreError) as error:
                if not repeated(error):
                    raise
                self._account.hub.sleep(self._pause(attempt))
        return self._account.send(request)


class Paginator:
    """All that there is, on one page."""

    def __init__(self, call: Callable[..., Any]) -> None:
        self._call = call

    def paginate(self, *, PaginationConfig: Any = None, **parameters: Any) -> Iterator[Any]:  # noqa: N803
        yield self._call(**parameters)


class Events:
    """botocore's events of one client: the handlers that look at a request directly before it is sent."""

    def __init__(self) -> None:
        self._handlers: list[tuple[str, Callable[..., Any]]] = []

    def register(self, name: str, handler: Callable[..., Any], unique_id: str | None = None) -> None:
        self._handlers.append((name, handler))

    register_first = register_last = register

    def unregister(
        self, name: str, handler: Callable[..., Any] | None = None, unique_id: str | None = None
    ) -> None:
        self._handlers = [each for each in self._handlers if each != (name, handler)]

    def before_send(self, operation: str) -> Callable[[], None] | None:
        """All handlers that concern a call of this operation, as one."""
        names = {f"before-send.drs.{operation}", "before-send.drs", "before-send"}
        handlers = [handler for name, handler in self._handlers if name in names]
        if not handlers:
            return None

        def check() -> None:
            for handler in handlers:
                handler(request=None, event_name=f"before-send.drs.{operation}")

        return check


class AsyncClient(_Client):
    """A client of aiobotocore, in the triggerer or in the loop of a worker.

    It is used for reads alone, so its calls take no time: a change in between would change nothing.
    """

    def __getattr__(self, name: str) -> Callable[..., Any]:
        build: Build | None = self.__dict__["_operations"].get(name)
        if build is None:
            raise AttributeError(name)

        async def call(**parameters: Any) -> Any:
            return await self._call(build(**parameters))

        return call

    def get_paginator(self, name: str) -> AsyncPaginator:
        return AsyncPaginator(getattr(self, name))

    async def _call(self, request: Request) -> Any:
        account = self._account
        for attempt in range(1, self._attempts):
            try:
                return account.perform(request)
            except (ClientError, BotoCoreError) as error:
                if not repeated(error):
                    raise
                await asyncio.sleep(self._pause(attempt))
        return account.perform(request)


class AsyncPaginator:
    def __init__(self, call: Callable[..., Any]) -> None:
        self._call = call

    async def paginate(self, *, PaginationConfig: Any = None, **parameters: Any) -> AsyncIterator[Any]:  # noqa: N803
        yield await self._call(**parameters)


@asynccontextmanager
async def open_client(account: Account, service: str, *, repeats: bool) -> AsyncIterator[AsyncClient]:
    """A client in the place of :func:`drs.tasks.shared_client.shared_client`."""
    yield AsyncClient(account, service, ATTEMPTS if repeats else 1)
