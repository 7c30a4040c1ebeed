"""Airflow's task logs as text for people: whole messages, or only what explains a failure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from drs.text import shown

TAIL = 20
"""How many messages of a failed task are shown if this package logged no warning or error."""

_SERIOUS = frozenset({"warning", "error", "critical"})

_REPEATED = frozenset(
    {"ti_id", "dag_id", "run_id", "task_id", "map_index", "try_number", "logger", "filename", "lineno"}
)
"""Fields that every message of a task's log has. They repeat what was asked for."""
_FOLD, _END_OF_FOLD = "::group::", "::endgroup::"
"""Airflow's own commands to its page, which a terminal does not know."""


def texts(messages: Iterable[dict[str, Any]]) -> Iterator[str]:
    """Each message as text, without the ends of what Airflow's page can fold."""
    return (as_text(message) for message in messages if message.get("event") != _END_OF_FOLD)


def as_text(message: dict[str, Any]) -> str:
    """One message of a task's log as a line, followed by the exceptions."""
    event = str(message.get("event") or "").removeprefix(_FOLD)
    head = " ".join(str(part) for part in (message.get("timestamp"), message.get("level"), event) if part)
    known = _REPEATED | {"timestamp", "level", "event", "error_detail"}
    fields = "".join(f" {key}={value!r}" for key, value in message.items() if key not in known)
    causes = "".join(
        f"\n{cause['exc_type']}: {cause['exc_value']}" for cause in message.get("error_detail") or ()
    )
    return shown.block(f"{head}{fields}{causes}")


def for_operators(messages: Sequence[dict[str, Any]]) -> list[str]:
    """The warnings and errors that this package logged; if there are none, the end of the log.

    Airflow's own report of the exception is left out, since it repeats them.

    :param messages: the log of one try
    :return: lines
    """
    own = [
        message["event"]
        for message in messages
        if message.get("level") in _SERIOUS and "error_detail" not in message and "category" not in message
    ]
    text = "\n".join(own or texts(messages[-TAIL:]))
    return shown.block(text).split("\n") if text else []
