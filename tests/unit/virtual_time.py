"""An event loop in which sleeping takes no real time: the clock moves on when there is nothing else to do."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

PATIENCE = 0.02
"""Seconds of real time for which the loop waits for a thread or a connection."""
T = TypeVar("T")


class _Selector(selectors.DefaultSelector):
    def __init__(self, passed: Callable[[float], None]) -> None:
        super().__init__()
        self._passed = passed

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None or timeout <= 0:
            return super().select(timeout)
        if events := super().select(min(timeout, PATIENCE)):
            return events
        self._passed(timeout)
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop with a clock of its own.

    :param passed: called with the seconds that the clock moved on
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
    """Run the coroutine to its end."""
    with asyncio.Runner(loop_factory=lambda: VirtualLoop(passed)) as runner:
        return runner.run(coroutine)
