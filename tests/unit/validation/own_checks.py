"""Python functions that a plan names as checks, by their dotted path."""

from __future__ import annotations

import threading

from drs.validation import LaunchedServer, drs_check

asked: list[LaunchedServer] = []
never = threading.Event()


@drs_check
def says(server: LaunchedServer, text: str = "all is well") -> str:
    asked.append(server)
    return f"{server.name}: {text}"


@drs_check
async def says_later(server: LaunchedServer, text: str) -> str:
    return f"{server.instance_id}: {text}"


@drs_check
def says_nothing(server: LaunchedServer) -> None:
    pass


@drs_check
def finds_fault(server: LaunchedServer) -> str:
    raise LookupError("42 orders are missing\nof 1000")


@drs_check
def hangs(server: LaunchedServer) -> str:
    never.wait(60)
    return "too late"


def drops_the_table(server: LaunchedServer) -> str:
    """A function that is not marked as a check."""
    asked.append(server)
    return "dropped"


not_callable = "a text"
