"""An event loop with a clock of its own: when all that is left to do is to sleep, the clock jumps ahead."""

from __future__ import annotations

import asyncio
import selectors
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

PATIENCE = 1.0
"""Seconds of real time for a thread or a connection to answer before the clock jumps ahead."""
T = TypeVar("T")


class _Selector(selectors.DefaultSelector):
    def __init__(self, passed: Callable[[float], None]) -> None:
        super().__init__()
        self._passed = passed
        self._earlier_threads = set(threading.enumerate())

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None or timeout <= 0:
            return super().select(timeout)
        if self._others_at_work() and (events := super().select(min(timeout, PATIENCE))):
            return events
        if events := super().select(0):
            return events
        self._passed(timeout)
        return []

    def _others_at_work(self) -> bool:
        """Whether a connection is open, or a thread was started since the loop began."""
        connections = len(self.get_map()) - 1  # one entry is the loop's own pipe
        return connections > 0 or not self._earlier_threads.issuperset(threading.enumerate())


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop with a clock of its own.

    :param passed: called with the number of seconds whenever the clock jumps ahead
    """

    def __init__(self, passed: Callable[[float], None]) -> None:
        self._now = 0.0
        self._tell = passed
        super().__init__(_Selector(self._pass))

    def time(self) -> float:
        return self._now

    def _pass(self, seconds: float) -> None:
        # A little more, so that a rounding error does not hide a timer that is due now.
        self._now += seconds + 1e-6
        self._tell(seconds)


def run(coroutine: Coroutine[Any, Any, T], passed: Callable[[float], None] = lambda _: None) -> T:
    """Run the coroutine to its end without waiting for its sleeps."""
    with asyncio.Runner(loop_factory=lambda: VirtualLoop(passed)) as runner:
        return runner.run(coroutine)
