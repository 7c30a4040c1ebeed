"""An event loop whose sleepers wait for no real time: it passes at once when nothing else is left to do."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

PATIENCE = 0.02
"""Seconds of real time in which a thread or a connection may still have something to say."""
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

    :param passed: is told how many seconds have passed
    """

    def __init__(self, passed: Callable[[float], None]) -> None:
        self._now = 0.0
        self._tell = passed
        super().__init__(_Selector(self._pass))

    def time(self) -> float:
        return self._now

    def _pass(self, seconds: float) -> None:
        # A little more, or a timer that is due now would be missed by a rounding error.
        self._now += seconds + 1e-6
        self._tell(seconds)


def run(coroutine: Coroutine[Any, Any, T], passed: Callable[[float], None] = lambda _: None) -> T:
    """Run it to its end, in no time."""
    with asyncio.Runner(loop_factory=lambda: VirtualLoop(passed)) as runner:
        return runner.run(coroutine)
