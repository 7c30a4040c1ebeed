"""Where launch and clean-up say what they do: a task's log in Airflow, a terminal on the command line."""

from __future__ import annotations

from typing import Any, Protocol


class Log(Protocol):
    """The part of a logger that is used; both :mod:`logging` and Airflow's task logger have it."""

    def info(self, message: str, /, *arguments: Any) -> Any: ...

    def warning(self, message: str, /, *arguments: Any) -> Any: ...

    def error(self, message: str, /, *arguments: Any) -> Any: ...
