"""Work that a task does on best effort, such as sending messages: bounded in time, and it never fails the
task.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from typing import ParamSpec

from drs.run.ledger import Ledger
from drs.text import shown
from drs.validation.daemon_thread import start_daemon

PATIENCE = 15.0
"""Seconds that a task waits for an endpoint that does not answer."""

P = ParamSpec("P")
log = logging.getLogger(__name__)


def attempt(ledger: Ledger, task_id: str, what: str, work: Callable[[], object]) -> None:
    """Do the work. If it fails or takes too long, write that to the log and to the run's records.

    :param task_id: the task under which the failure is noted
    :param what: what the work is, for "... failed: ..."
    """
    if failure := tried(what, work):
        note(ledger, task_id, failure)


def tried(what: str, work: Callable[[], object]) -> str | None:
    """Do the work.

    :return: why it failed or took too long, as a sentence without its full stop; ``None`` if it was done
    """
    failure: list[Exception] = []

    def run() -> None:
        try:
            work()
        except Exception as error:
            failure.append(error)

    # In a thread, because no client can be trusted to have a time-out. One that hangs ends with the process.
    thread = start_daemon(run, name=f"best effort: {what}")
    thread.join(PATIENCE)
    if thread.is_alive():
        return f"{what} failed: no answer within {PATIENCE:.0f} s"
    return f"{what} failed: {type(failure[0]).__name__}: {shown.line(failure[0])}" if failure else None


def note(ledger: Ledger, task_id: str, text: str) -> None:
    """Write a failed best effort to the task's log and to the run's records."""
    log.warning("%s. The run goes on.", text.rstrip("."))
    ledger.add_note(task_id, text)


def never_fails(function: Callable[P, None]) -> Callable[P, None]:
    """Log what the function raises instead of raising it: the task's own work goes on."""

    @functools.wraps(function)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            function(*args, **kwargs)
        except Exception as error:
            log.warning("%s failed: %r. The run goes on.", function.__name__, error)

    return guarded
