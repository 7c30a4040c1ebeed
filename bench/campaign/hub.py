"""Time for everything that happens in one drill: a kernel of discrete events, over greenlets.

Each running try of a task, the triggerer and each person is a process: ordinary code in a greenlet. To wait
it switches to the hub, which moves the clock to the next moment at which something happens. Minutes take no
real time, and all processes share one thread, so a drill is the same each time.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import heapq
import itertools
import sys
from collections.abc import Callable, Iterator
from typing import Any

from greenlet import GreenletExit, getcurrent, greenlet

from simulator.engine.clock import ManualClock

Action = Callable[[], Any]


class Killed(GreenletExit):  # type: ignore[misc] # greenlet has no types
    """The process is gone. No ``except Exception`` of the product sees it, as with SIGKILL."""


@contextlib.contextmanager
def stepped_aside() -> Iterator[None]:
    """While one event loop waits, others run in the same thread; asyncio knows one running loop a thread."""
    running, hooks = asyncio._get_running_loop(), sys.get_asyncgen_hooks()
    asyncio._set_running_loop(None)
    try:
        yield
    finally:
        asyncio._set_running_loop(running)
        sys.set_asyncgen_hooks(*hooks)


class Timer:
    """An action that is due at a moment, unless it is cancelled before."""

    __slots__ = ("action", "when")

    def __init__(self, when: float, action: Action) -> None:
        self.when = when
        self.action: Action | None = action

    def cancel(self) -> None:
        self.action = None


class Process(greenlet):  # type: ignore[misc]
    """Code that runs and waits in the hub's time.

    :param actor: for whom it acts, in the records of who did what
    :param skew: how many seconds the clock of its machine is ahead
    """

    def __init__(self, hub: Hub, run: Action, name: str, *, actor: str = "", skew: float = 0.0) -> None:
        super().__init__(run, parent=hub.main)
        self.name = name
        self.actor = actor
        self.skew = skew
        self.timer: Timer | None = None
        self.attempt: Any = None
        """The try of a task that it runs, if it runs one."""
        self.waits = False
        """Whether it may be woken before its time."""


class Hub:
    """The clock, and what is due when.

    :param start: the time at which the drill's world begins
    """

    def __init__(self, start: dt.datetime) -> None:
        self.main = getcurrent()
        self.clock = ManualClock(start)
        self.start = start
        self.now = 0.0
        """Seconds since the start."""
        self.world_due: Callable[[], dt.datetime | None] = lambda: None
        self.world_tick: Action = lambda: None
        self._timers: list[tuple[float, int, Timer]] = []
        self._numbers = itertools.count()
        self._processes: list[Process] = []

    # --- for processes ----------------------------------------------------------------------------------

    def sleep(self, seconds: float) -> None:
        """Let time pass for the current process. Nothing wakes it earlier."""
        process = self.current()
        process.timer = self.after(max(seconds, 0.0), process.switch)
        with stepped_aside():  # a task may call AWS from an event loop of its own
            self.main.switch()

    def wait(self, seconds: float | None = None) -> None:
        """Let time pass for the current process, until it is woken or the time is over."""
        process = self.current()
        process.waits = True
        process.timer = None if seconds is None else self.after(max(seconds, 0.0), process.switch)
        self.main.switch()
        process.waits = False

    def current(self) -> Process:
        process = getcurrent()
        assert isinstance(process, Process), "only a process can wait"
        return process

    # --- for everybody ----------------------------------------------------------------------------------

    def spawn(
        self, run: Action, name: str, *, actor: str = "", skew: float = 0.0, after: float = 0.0
    ) -> Process:
        """Start a process."""
        process = Process(self, run, name, actor=actor, skew=skew)
        self._processes.append(process)
        process.timer = self.after(after, process.switch)
        return process

    def wake(self, process: Process) -> None:
        """Let a process that waits go on now."""
        if process.waits and not process.dead:
            if process.timer:
                process.timer.cancel()
            process.timer = self.after(0.0, process.switch)

    def kill(self, process: Process, *, after: float = 0.0) -> None:
        """End a process, wherever it is."""
        self.after(after, lambda: self._end(process))

    def after(self, seconds: float, action: Action) -> Timer:
        """Do the action that many seconds from now."""
        timer = Timer(self.now + seconds, action)
        heapq.heappush(self._timers, (timer.when, next(self._numbers), timer))
        return timer

    def datetime(self) -> dt.datetime:
        """The true time."""
        return self.clock.now()

    # --- for the drill ----------------------------------------------------------------------------------

    def run(self, until: float, done: Callable[[], bool]) -> None:
        """Let things happen until nothing is left to happen, ``done`` says so, or the time is over."""
        while not done():
            if self._timers:
                when, _, timer = self._timers[0]
                if when > until:
                    break
                heapq.heappop(self._timers)
                if timer.action is not None:
                    self.pass_to(when)
                    timer.action()
            elif (due := self.world_due()) is not None and due <= self.start + dt.timedelta(seconds=until):
                self.pass_to((due - self.start).total_seconds())
            else:
                break

    def pass_to(self, when: float) -> None:
        """Move the clock, and let the simulated DRS do what is due on the way, each at its own time."""
        if when > self.now:
            moment = self.start + dt.timedelta(seconds=when)
            while (due := self.world_due()) is not None and due <= moment:
                self.now = (due - self.start).total_seconds()
                self.clock.set(due)
                self.world_tick()
            self.now = when
            self.clock.set(moment)

    def close(self) -> None:
        """End every process that is left."""
        for process in self._processes:
            self._end(process)
        self._timers.clear()

    @staticmethod
    def _end(process: Process) -> None:
        if process.dead:
            return
        if process.timer:
            process.timer.cancel()
        process.throw(Killed())
