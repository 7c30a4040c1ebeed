"""Makes the log of a drill's task readable: no traceback below a coded failure, nothing said twice, no noise.

Airflow logs an exception that ends a task with its traceback. Below a failure that the task has explained,
this only hides the explanation. So the process of a task looks at each log record before it is written, and
does the same for what the triggerer writes into a task's log.
"""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import MutableMapping
from contextvars import ContextVar
from typing import Any, TypeVar

import structlog

from drs.text import shown

NOISE = (
    "aiobotocore.credentials",
    "airflow.providers.amazon.aws.hooks.base_aws",
    "airflow.providers.amazon.aws.utils.connection_wrapper",
    "botocore.configprovider",
    "botocore.credentials",
)
"""Loggers that tell for every client where its credentials and its endpoint come from. They are shown if the
level of Airflow's logs is DEBUG.
"""
GROUP = ("::group::", "::endgroup::")
"""How Airflow itself folds lines of a log."""
SAID = "drs_said"
"""The attribute of an exception that the task has already explained in its log: what is left to say of it."""
_quiet_task = ContextVar("drs_quiet_task", default=False)
"""Whether what runs here, in the triggerer, is a trigger of a drill."""
_quiet_process = threading.Event()
"""Set in a process that runs a task of a drill. A context variable would not do: Airflow runs the task in a
context of its own, and logs how it ended outside of it; and threads have none.
"""
E = TypeVar("E", bound=BaseException)


def explained(error: E, rest: str = "") -> E:
    """Mark an exception as explained in the task's log.

    :param rest: what Airflow's record of the exception says instead of a traceback; without it there is none
    """
    setattr(error, SAID, rest)
    return error


def is_explained(error: BaseException | None) -> bool:
    return error is not None and hasattr(error, SAID)


def quiet_process() -> None:
    """Make the log of this process quiet, which runs a task of a drill and nothing else."""
    _install()
    _quiet_process.set()


def quiet_trigger() -> None:
    """Make the log of this trigger quiet. The triggerer's process has those of other DAGs too."""
    _install()
    _quiet_task.set(True)


def _install() -> None:
    """Add our look at each record to this process's logs, once."""
    processors = structlog.get_config()["processors"]
    if isinstance(processors, list) and _look not in processors:
        # In place, because loggers that exist already use the same list.
        processors.insert(0, _look)
    for name in NOISE:
        logger = logging.getLogger(name)
        if _passes not in logger.filters:
            logger.addFilter(_passes)


def _passes(record: logging.LogRecord) -> bool:
    """Whether a record of one of the noisy loggers is written."""
    return not _is_noise(record.name, record.levelno)


def _look(logger: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Look at one record before it is written.

    :raises structlog.DropEvent: it is not written
    """
    if not _is_quiet():
        return event
    name = str(event.get("logger_name") or getattr(logger, "name", None) or "")
    if _is_noise(name, logging.getLevelNamesMapping().get(method.upper(), logging.ERROR)):
        raise structlog.DropEvent
    text = event.get("event")
    if not isinstance(text, str):
        return event
    if is_explained(error := sys.exc_info()[1]) and (
        event.get("exc_info") or text.startswith("Skipping task")
    ):
        if not (rest := getattr(error, SAID)):
            raise structlog.DropEvent
        event.pop("exc_info", None)
        event["event"] = text = rest
    if not text.startswith(GROUP):
        event["event"] = shown.block(text)
    return event


def _is_quiet() -> bool:
    return _quiet_process.is_set() or _quiet_task.get()


def _is_noise(name: str, level: int) -> bool:
    return (
        _is_quiet()
        and level < logging.WARNING
        and name.startswith(NOISE)
        and not logging.getLogger().isEnabledFor(logging.DEBUG)
    )
