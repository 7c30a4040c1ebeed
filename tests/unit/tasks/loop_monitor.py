"""Notices what blocks an event loop: steps that compute for long, and calls that wait.

Steps are measured in CPU time of the loop's thread, so that a busy machine fails no test. A step that waits
needs no CPU time; therefore Python's audit events tell of the calls that wait: to look up a name, to connect
a blocking socket, to sleep, to start a process. A step that waits for a lock is not noticed.
"""

from __future__ import annotations

import asyncio
import gc
import sys
import threading
import time
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar
from unittest import mock

LIMIT = 0.1
"""Seconds of CPU time that one step may need."""
_WAITING = frozenset({"socket.getaddrinfo", "socket.gethostbyname", "subprocess.Popen"})
T = TypeVar("T")


class LoopMonitor:
    """Runs a coroutine in an event loop of its own, and notes what blocks the loop.

    :param limit: seconds of CPU time that one step may need
    """

    def __init__(self, limit: float = LIMIT) -> None:
        self.limit = limit
        self.steps = 0
        self.longest = 0.0
        self.blocked: list[str] = []
        """What has blocked the loop, one text for each step or call."""
        self._thread = 0
        self._collected = 0.0
        self._collection_began = 0.0

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run the coroutine to its end and return its result."""
        with asyncio.Runner() as runner, self._watching():
            return runner.run(coroutine)

    def check(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run the coroutine, and fail if anything has blocked the loop."""
        result = self.run(coroutine)
        assert self.steps
        assert not self.blocked, "\n".join(self.blocked)
        return result

    @contextmanager
    def _watching(self) -> Iterator[None]:
        take = asyncio.Handle._run

        def _run(handle: asyncio.Handle) -> None:
            if not self._in_the_loop():
                take(handle)
                return
            began = self.now()
            take(handle)
            self._note(handle, self.now() - began)

        sleep = time.sleep

        def _sleep(seconds: float) -> None:  # Python tells of it from 3.13 on
            self._note_call("time.sleep", (seconds,))
            sleep(seconds)

        _install_the_hook()
        self._thread = threading.get_ident()
        gc.callbacks.append(self._collecting)
        _watching.append(self)
        try:
            with mock.patch.object(asyncio.Handle, "_run", _run), mock.patch.object(time, "sleep", _sleep):
                yield
        finally:
            _watching.remove(self)
            gc.callbacks.remove(self._collecting)

    def now(self) -> float:
        """The CPU time of this thread, without that of garbage collections: any step may set one off."""
        return time.thread_time() - self._collected

    def _in_the_loop(self) -> bool:
        return threading.get_ident() == self._thread

    def _note(self, handle: asyncio.Handle, seconds: float) -> None:
        self.steps += 1
        self.longest = max(self.longest, seconds)
        if seconds > self.limit:
            callback: Any = handle._callback  # type: ignore[attr-defined]
            step = getattr(callback, "__self__", None) or handle
            self.blocked.append(f"a step computed for {seconds * 1000:.0f} ms: {step!r}"[:1000])

    def _collecting(self, phase: str, _: Any) -> None:
        if not self._in_the_loop():
            return
        if phase == "start":
            self._collection_began = time.thread_time()
        else:
            self._collected += time.thread_time() - self._collection_began

    def audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event in _WAITING or (event == "socket.connect" and arguments[0].gettimeout() != 0):
            self._note_call(event, arguments)

    def _note_call(self, name: str, arguments: tuple[Any, ...]) -> None:
        if self._in_the_loop() and asyncio._get_running_loop() is not None:
            self.blocked.append(f"a step waited: {name}{arguments}"[:1000])


_watching: list[LoopMonitor] = []
_hooks: list[Any] = []


def _install_the_hook() -> None:
    """Python cannot remove an audit hook, so there is one, which tells the monitors that are at work."""

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        for monitor in _watching:
            monitor.audit(event, arguments)

    if not _hooks:
        _hooks.append(hook)
        sys.addaudithook(hook)
