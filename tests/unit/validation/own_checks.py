"""Python functions that a plan names as checks, by their dotted path."""

from __future__ import annotations

import threading

from drs.validation.server import LaunchedServer

asked: list[LaunchedServer] = []
never = threading.Event()


def says(server: LaunchedServer, text: str = "all is well") -> str:
    asked.append(server)
    return f"{server.name}: {text}"


async def says_later(server: LaunchedServer, text: str) -> str:
    return f"{server.instance_id}: {text}"


def says_nothing(server: LaunchedServer) -> None:
    pass


def finds_fault(server: LaunchedServer) -> str:
    raise LookupError("42 orders are missing\nof 1000")


def hangs(server: LaunchedServer) -> str:
    never.wait(60)
    return "too late"


not_callable = "a text"
