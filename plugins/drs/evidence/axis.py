"""The time axis of a drawn timeline: from instants to CSS pixels, long idle times left out. Pure."""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from drs.times import as_utc, duration

LEFT, RIGHT = 150.0, 570.0
"""The ends of the plot; on its left stand the names, on its right the results."""
WIDTH = 680.0
"""That of an A4 page's text, with margins of 15 mm."""
SHORTEST = 60.0
"""Seconds that an axis spans at the least."""
IDLE = 1.5
"""An idle stretch this many times as long as everything else together is left out ..."""
SQUEEZED = 0.12
"""... but for this part of the time that something was going on."""
TICK_ROOM = 52.0
"""Pixels between two ticks at the least, so that their labels stand apart."""
STEPS = (1, 2, 5, 10, 15, 20, 30, 60, 120, 180, 240, 360, 720, 1440)
"""Minutes between two ticks; above the last, multiples of it."""


@dataclass(frozen=True)
class Tick:
    """A round minute of the axis: counted from the run's start, and by the clock."""

    x: float
    minutes: int
    clock: str


@dataclass(frozen=True)
class Break:
    """An idle stretch that the axis leaves out."""

    x: float
    label: str


class Axis:
    """Instants to pixels, linear but for the breaks.

    :param start: the run's start, which stands at the left end
    :param moments: everything else that is drawn
    :param busy: stretches in which something was going on
    """

    def __init__(
        self,
        start: dt.datetime,
        moments: Iterable[dt.datetime],
        busy: Iterable[tuple[dt.datetime, dt.datetime]],
    ) -> None:
        self.start = as_utc(start)
        known = sorted({0.0, *(max(0.0, self._seconds(moment)) for moment in moments)})
        stretches = [(self._seconds(begin), self._seconds(end)) for begin, end in busy]
        if known[-1] < SHORTEST:
            known.append(SHORTEST)
        total = sum(end - begin for begin, end in _united(stretches))
        self._knots = [(0.0, 0.0)]
        self._idle: list[tuple[float, float]] = []
        for begin, end in itertools.pairwise(known):
            length = end - begin
            covered = any(first <= begin and end <= last for first, last in stretches)
            if total and not covered and length > IDLE * total:
                self._idle.append((begin, end))
                length = SQUEEZED * total
            self._knots.append((end, self._knots[-1][1] + length))
        self._unit = (RIGHT - LEFT) / self._knots[-1][1]

    def x(self, at: dt.datetime) -> float:
        """Where an instant stands; one before the start or after the end stands there."""
        return round(LEFT + self._unit * self._place(self._seconds(at)), 2)

    @property
    def breaks(self) -> tuple[Break, ...]:
        middles = ((begin, end, (self._place(begin) + self._place(end)) / 2) for begin, end in self._idle)
        return tuple(
            Break(round(LEFT + self._unit * middle, 2), duration(end - begin))
            for begin, end, middle in middles
        )

    @property
    def ticks(self) -> tuple[Tick, ...]:
        """Round minutes outside of the breaks, no two of them too near for their labels.

        The first after a break matters more than the last before it.
        """
        ticks: list[Tick] = []
        for minutes, after_break in self._round_minutes():
            at = self.start + dt.timedelta(minutes=minutes)
            x = self.x(at)
            while after_break and len(ticks) > 1 and x - ticks[-1].x < TICK_ROOM:
                ticks.pop()
            if ticks and x - ticks[-1].x < TICK_ROOM:
                continue
            clock = f"{at:%H:%M}" if at.date() == self.start.date() else f"{at:%m-%d %H:%M}"
            ticks.append(Tick(x, minutes, clock))
        return tuple(ticks)

    def _round_minutes(self) -> Iterator[tuple[int, bool]]:
        """Minutes that may bear a tick, and whether it is the first after a break."""
        widest = TICK_ROOM / self._unit / 60
        step = next((step for step in STEPS if step >= widest), STEPS[-1] * (int(widest / STEPS[-1]) + 1))
        stretches = []
        begin = 0.0
        for idle_begin, idle_end in self._idle:
            stretches.append((begin, idle_begin))
            begin = idle_end
        stretches.append((begin, self._knots[-1][0]))
        for first, last in stretches:
            number = lowest = -int(-first // (step * 60))
            while number * step * 60 <= last:
                yield number * step, bool(first) and number == lowest
                number += 1

    def _place(self, seconds: float) -> float:
        seconds = min(max(0.0, seconds), self._knots[-1][0])
        for (begin, from_), (end, to) in itertools.pairwise(self._knots):
            if seconds <= end:
                return from_ + (to - from_) * (seconds - begin) / (end - begin)
        return self._knots[-1][1]

    def _seconds(self, at: dt.datetime) -> float:
        return (as_utc(at) - self.start).total_seconds()


def _united(stretches: Iterable[tuple[float, float]]) -> list[tuple[float, float]]:
    """The same stretches without overlaps."""
    united: list[tuple[float, float]] = []
    for begin, end in sorted(stretches):
        if united and begin <= united[-1][1]:
            united[-1] = (united[-1][0], max(united[-1][1], end))
        else:
            united.append((begin, end))
    return united
