"""What all parts of a simulation share: time, speed, faults, and the processes that run as time passes.

A process is a generator that does its steps in order. Between them it yields how long to wait, or the
hold that it waits for. It is resumed with the time at which that wait ended.
"""

from __future__ import annotations

import functools
from collections.abc import Generator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from simulator.engine.clock import Agenda, Clock
from simulator.engine.fault_plan import ArmedFault, FaultPlan
from simulator.engine.faults import Fault
from simulator.engine.fleet import Unknowns
from simulator.engine.timings import RECORDED, OperatingSystem, Timings


@dataclass
class Hold:
    """What keeps a process waiting: an armed fault, until its end or until the fault is removed."""

    armed: ArmedFault[Fault]
    ends: datetime | None

    def over(self, now: datetime) -> datetime | None:
        """Return when the hold ended, or None if it has not ended."""
        if self.ends and self.ends <= now:
            return self.ends
        return None if self.armed.armed else now


Process = Generator[timedelta | Hold, datetime, None]
Part = Generator[timedelta | Hold, datetime, datetime]
"""A process that may also be a part of another process. It returns the time at which it ended."""


@dataclass
class World:
    """:param speed: how many times faster than DRS the phases of a job pass; the clock is not changed."""

    clock: Clock
    speed: float = 1.0
    unknowns: Unknowns = field(default_factory=Unknowns)
    timings: dict[OperatingSystem, Timings] = field(default_factory=lambda: dict(RECORDED))
    faults: FaultPlan = field(default_factory=FaultPlan)
    _agenda: Agenda = field(default_factory=Agenda)
    _held: list[tuple[Hold, Process | Part]] = field(default_factory=list)

    def drs_time(self, seconds: float) -> timedelta:
        """Return the wall time that ``seconds`` of DRS time take at this speed."""
        return timedelta(seconds=seconds / self.speed)

    def start(self, process: Process | Part, at: datetime) -> None:
        """Start a process at the time ``at``."""
        self._wait(process, next(process), at)

    def next_due(self) -> datetime | None:
        """Return when the next thing happens by itself, or None if nothing will."""
        due = [hold.ends for hold, _ in self._held if hold.ends]
        if (first := self._agenda.next_due()) is not None:
            due.append(first)
        return min(due, default=None)

    def tick(self) -> None:
        """Run everything that is due by now, in the order of its time."""
        now = self.clock.now()
        self._agenda.run_until(now)
        while released := [(over, held) for held in self._held if (over := held[0].over(now))]:
            for over, held in released:
                self._held.remove(held)
                self._agenda.at(over, functools.partial(self._resume, held[1]))
            self._agenda.run_until(now)

    def _resume(self, process: Process | Part, at: datetime) -> None:
        try:
            wait = process.send(at)
        except StopIteration:
            return
        self._wait(process, wait, at)

    def _wait(self, process: Process | Part, wait: timedelta | Hold, at: datetime) -> None:
        if isinstance(wait, Hold):
            self._held.append((wait, process))
        else:
            self._agenda.at(at + wait, functools.partial(self._resume, process))
