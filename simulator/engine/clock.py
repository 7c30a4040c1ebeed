"""Time for the engine: an injected clock, and an agenda of what is due when."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    def now(self) -> datetime:
        """The present, aware, in UTC."""


class WallClock:
    def now(self) -> datetime:
        return datetime.now(UTC)


class ManualClock:
    """A clock that stands still until it is moved: for tests."""

    def __init__(self, start: datetime) -> None:
        self._now = start

    def now(self) -> datetime:
        return self._now

    def advance(self, seconds: float) -> None:
        """Move time forward by ``seconds``."""
        self._now += timedelta(seconds=seconds)

    def set(self, now: datetime) -> None:
        """Jump to ``now``."""
        self._now = now


Action = Callable[[datetime], None]
"""What to do when its time has come; it is handed the time at which it was due."""


class Agenda:
    """Actions in the order of their due times; equal times keep the order of entry."""

    def __init__(self) -> None:
        self._entries: list[tuple[datetime, int, Action]] = []
        self._numbers = itertools.count()

    def at(self, due: datetime, action: Action) -> None:
        """Enter ``action`` for the time ``due``."""
        heapq.heappush(self._entries, (due, next(self._numbers), action))

    def run_until(self, now: datetime) -> None:
        """Do everything due up to ``now``, in order, what these actions enter included."""
        while self._entries and self._entries[0][0] <= now:
            due, _, action = heapq.heappop(self._entries)
            action(due)
