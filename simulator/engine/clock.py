"""Time for the engine: a clock that is given from outside, and an agenda of actions with their due times."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    def now(self) -> datetime:
        """Return the present time, as an aware datetime in UTC."""


class WallClock:
    def now(self) -> datetime:
        return datetime.now(UTC)


class ManualClock:
    """A clock for tests: its time changes only when a test moves it."""

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
"""An action of the agenda. It is called with the time at which it was due."""


class Agenda:
    """Actions in the order of their due times. Actions with equal times are done in the order of adding."""

    def __init__(self) -> None:
        self._entries: list[tuple[datetime, int, Action]] = []
        self._numbers = itertools.count()

    def at(self, due: datetime, action: Action) -> None:
        """Add ``action``, to be done at the time ``due``."""
        heapq.heappush(self._entries, (due, next(self._numbers), action))

    def next_due(self) -> datetime | None:
        """Return when the next action is due, or None if there is none."""
        return self._entries[0][0] if self._entries else None

    def run_until(self, now: datetime) -> None:
        """Do every action that is due up to ``now``, in order, also those that these actions add."""
        while self._entries and self._entries[0][0] <= now:
            due, _, action = heapq.heappop(self._entries)
            action(due)
