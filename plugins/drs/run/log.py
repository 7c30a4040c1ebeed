"""The log of launch and clean-up: a task's log in Airflow, or the terminal for the command line."""

from __future__ import annotations

from typing import Any, Protocol


class Log(Protocol):
    """The methods of a logger that we use; both :mod:`logging` and Airflow's task logger have them."""

    def info(self, message: str, /, *arguments: Any) -> Any: ...

    def warning(self, message: str, /, *arguments: Any) -> Any: ...

    def error(self, message: str, /, *arguments: Any) -> Any: ...
