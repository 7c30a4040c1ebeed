"""Makes the log of a drill's task readable: no traceback below a coded failure, nothing said twice, no noise.

Airflow logs an exception that ends a task with its traceback. Below a failure that the task has explained,
this only hides the explanation. So the process of a task looks at each log record before it is written, and
does the same for what the triggerer writes into a task's log.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import MutableMapping
from contextvars import ContextVar
from typing import Any, TypeVar

import structlog

from drs import shown

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
_quiet = ContextVar("drs_quiet", default=False)
E = TypeVar("E", bound=BaseException)


def explained(error: E, rest: str = "") -> E:
    """Mark an exception as explained in the task's log.

    :param rest: what Airflow's record of the exception says instead of a traceback; without it there is none
    """
    setattr(error, SAID, rest)
    return error


def is_explained(error: BaseException | None) -> bool:
    return error is not None and hasattr(error, SAID)


def quiet() -> None:
    """From now on this task of a drill, in its process or in the triggerer, writes a quiet log."""
    _install()
    _quiet.set(True)


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
    if not _quiet.get():
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


def _is_noise(name: str, level: int) -> bool:
    return (
        _quiet.get()
        and level < logging.WARNING
        and name.startswith(NOISE)
        and not logging.getLogger().isEnabledFor(logging.DEBUG)
    )
