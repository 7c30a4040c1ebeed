"""Asyncio in the hub's time: an event loop whose sleeps move no real clock, and a triggerer on top."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable
from typing import Any

from airflow.triggers.base import BaseTrigger

from bench.campaign.hub import Hub, Process, stepped_aside


class _NoSelector(selectors.SelectSelector):
    """Looks at no socket: to wait, it switches to the hub."""

    def __init__(self, hub: Hub) -> None:
        super().__init__()
        self._hub = hub
        self.closing = False

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if not self.closing and (timeout is None or timeout > 0):
            with stepped_aside():
                self._hub.wait(timeout)
        return []


class HubLoop(asyncio.SelectorEventLoop):
    """An event loop in the hub's time. It may run in any process of the hub."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self.process: Process | None = None
        """The process that runs it; needed if others call it from outside."""
        self._no_selector = _NoSelector(hub)
        super().__init__(self._no_selector)

    def time(self) -> float:
        return self._hub.now

    def _write_to_self(self) -> None:
        if self.process is not None:
            self._hub.wake(self.process)

    def stall(self, seconds: float) -> None:
        """Stop everything in this loop for a while, as a machine that is frozen does."""

        self.call_soon_threadsafe(lambda: self._hub.sleep(seconds))

    def finish(self) -> None:
        """Cancel what is left, let no more time pass, and close."""
        self._no_selector.closing = True
        if left := asyncio.all_tasks(self):
            for task in left:
                task.cancel()
            self.run_until_complete(asyncio.gather(*left, return_exceptions=True))
        self.close()


class HubPolicy(asyncio.DefaultEventLoopPolicy):
    """``asyncio.run`` gets a loop in the time of the drill that runs now.

    :param hub: gives that drill's hub
    """

    def __init__(self, hub: Callable[[], Hub]) -> None:
        super().__init__()
        self._hub = hub

    def new_event_loop(self) -> asyncio.AbstractEventLoop:
        return HubLoop(self._hub())


class RunningTrigger:
    """A trigger in the triggerer, until its first event."""

    def __init__(self, trigger: BaseTrigger, fired: Callable[[Any], None]) -> None:
        self._trigger = trigger
        self._fired = fired
        self._task: asyncio.Task[None] | None = None
        self._cancelled = False

    def begin(self, loop: asyncio.AbstractEventLoop) -> None:
        if not self._cancelled:
            self._task = loop.create_task(self._first_event())

    def cancel(self) -> None:
        """Stop it: nobody waits for its event any more."""
        self._cancelled = True
        if self._task is not None:
            self._task.cancel()

    async def _first_event(self) -> None:
        async for event in self._trigger.run():
            if not self._cancelled:
                self._fired(event.payload)
            return


class Triggerer:
    """Runs the triggers of deferred tasks in one event loop, as Airflow's triggerer does.

    :param skew: how many seconds the clock of its machine is ahead
    """

    def __init__(self, hub: Hub, *, skew: float) -> None:
        self._hub = hub
        self._skew = skew
        self.loop = HubLoop(hub)

    def start(self, trigger: BaseTrigger, fired: Callable[[Any], None]) -> RunningTrigger:
        """Run a trigger. It is made again from its serialised form, as in another process."""
        _, parameters = trigger.serialize()
        running = RunningTrigger(type(trigger)(**parameters), fired)
        if self.loop.process is None:
            self.loop.process = self._hub.spawn(self.loop.run_forever, "triggerer", skew=self._skew)
        self.loop.call_soon_threadsafe(running.begin, self.loop)
        return running

    def stall(self, seconds: float) -> None:
        """Freeze the triggerer for a while."""
        if self.loop.process is not None:
            self.loop.stall(seconds)

    def close(self) -> None:
        """Cancel every trigger."""
        self.loop.finish()
