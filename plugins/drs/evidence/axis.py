"""The time axis of a drawn timeline: maps instants to CSS pixels and leaves out long idle times. Pure."""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from drs.text.times import as_utc, duration

LEFT, RIGHT = 150.0, 570.0
"""The ends of the plot. The names are on its left, the results on its right."""
WIDTH = 680.0
"""The width of the text on an A4 page with margins of 15 mm."""
SHORTEST = 60.0
"""The fewest seconds that an axis spans."""
IDLE = 1.5
"""An idle stretch is left out if it is longer than this many times all busy stretches together ..."""
SQUEEZED = 0.12
"""... and is drawn as long as this part of all busy stretches together."""
TICK_ROOM = 52.0
"""The fewest pixels between two ticks, so that their labels do not touch."""
STEPS = (1, 2, 5, 10, 15, 20, 30, 60, 120, 180, 240, 360, 720, 1440)
"""The allowed minutes between two ticks; after the last one, multiples of it."""


@dataclass(frozen=True)
class Tick:
    """A round minute on the axis: counted from the run's start, and as clock time."""

    x: float
    minutes: int
    clock: str


@dataclass(frozen=True)
class Break:
    """An idle stretch that the axis leaves out."""

    x: float
    label: str


class Axis:
    """Maps instants to pixels: linear, except for the breaks.

    :param start: the run's start, which is the left end
    :param moments: all other instants that are drawn
    :param busy: stretches in which something happened
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
        """The position of an instant. One before the start is at the left end, one after the end at the
        right.
        """
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
        """Round minutes outside of the breaks, no two of them so close that their labels touch.

        If there is room for one only, the first tick after a break replaces the last before it.
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
        """The minutes that may get a tick, and whether it is the first after a break."""
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
    """The stretches, with those that overlap joined into one."""
    united: list[tuple[float, float]] = []
    for begin, end in sorted(stretches):
        if united and begin <= united[-1][1]:
            united[-1] = (united[-1][0], max(united[-1][1], end))
        else:
            united.append((begin, end))
    return united
