"""What a task does beside its work, such as telling people: bounded in time, and never what fails it."""

from __future__ import annotations

import functools
import logging
import threading
from collections.abc import Callable
from typing import ParamSpec

from drs.run.ledger import Ledger

PATIENCE = 15.0
"""Seconds after which an endpoint that does not answer is no longer waited for."""

P = ParamSpec("P")
log = logging.getLogger(__name__)


def attempt(ledger: Ledger, task_id: str, what: str, work: Callable[[], object]) -> None:
    """Do the work; where it fails, or takes too long, say so in the log and in the run's records.

    :param task_id: the task under which the failure is remarked
    :param what: what the work is, for "... failed: ..."
    """
    failure: list[Exception] = []

    def run() -> None:
        try:
            work()
        except Exception as error:
            failure.append(error)

    # A thread, since nobody's client can be trusted to have a time-out. One that hangs ends with the process.
    thread = threading.Thread(target=run, name=f"aside: {what}", daemon=True)
    thread.start()
    thread.join(PATIENCE)
    if thread.is_alive():
        remark(ledger, task_id, f"{what} failed: no answer within {PATIENCE:.0f} s")
    elif failure:
        remark(ledger, task_id, f"{what} failed: {type(failure[0]).__name__}: {failure[0]}")


def remark(ledger: Ledger, task_id: str, text: str) -> None:
    """Put what went wrong beside a task's work into its log and into the run's records."""
    log.warning("%s. The run goes on.", text)
    ledger.add_note(task_id, text)


def never_fails(function: Callable[P, None]) -> Callable[P, None]:
    """Log what the function raises, and nothing more: what it does is beside the task's work."""

    @functools.wraps(function)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            function(*args, **kwargs)
        except Exception as error:
            log.warning("%s failed: %r. The run goes on.", function.__name__, error)

    return guarded
