"""Processes that run in sessions of their own, log to files, and never outlive their owner."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from demo import reaper


class StackError(Exception):
    """A part of the stack did not start, or did not do in time what was waited for."""


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Let a Ctrl-C or SIGTERM wait until a process started in the block is known to the reaper."""
    if threading.current_thread() is not threading.main_thread():
        yield  # Python interrupts the main thread only
        return
    came: list[int] = []

    def hold_back(signum: int, _: FrameType | None) -> None:
        came.append(signum)

    before = {signum: signal.signal(signum, hold_back) for signum in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)
        if came:
            signal.raise_signal(came[0])


class Processes:
    """Starts, signals and ends named processes; whatever becomes of the owner, a reaper ends them.

    :param logs: folder of the log files, one for each process, appended to when a process is started again.
    :param environment: the whole environment of the processes.
    :param grace: seconds in which a process may end in good order before it is killed.
    """

    def __init__(self, logs: Path, environment: Mapping[str, str], grace: float = 5.0) -> None:
        self.logs = logs
        self.environment = dict(environment)
        self.grace = grace
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._reaper: subprocess.Popen[str] | None = None
        logs.mkdir(parents=True, exist_ok=True)

    def start(
        self,
        name: str,
        command: Sequence[str],
        *,
        environment: Mapping[str, str] | None = None,
        directory: Path | None = None,
    ) -> None:
        """Start a process in a session of its own, which keeps a Ctrl-C at the terminal from it.

        :param environment: the process's own in place of that of all.
        :param directory: where it works; by default beside the logs.
        """
        if self.is_running(name):
            raise StackError(f"{name} is already running.")
        with self.log(name).open("ab") as log, uninterrupted():
            process = subprocess.Popen(
                command,
                env=self.environment if environment is None else environment,
                cwd=directory or self.logs.parent,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            self._running[name] = process
            self._tell_reaper(f"+{process.pid}")

    def run(
        self,
        name: str,
        command: Sequence[str],
        timeout: float,
        *,
        environment: Mapping[str, str] | None = None,
        directory: Path | None = None,
    ) -> None:
        """Run a process to its end; the arguments are those of `start`.

        :raises StackError: it failed, or took longer than `timeout` seconds.
        """
        self.start(name, command, environment=environment, directory=directory)
        self.finish(name, timeout)

    def finish(self, name: str, timeout: float) -> None:
        """Wait until a process has ended well.

        :raises StackError: it failed, or took longer than `timeout` seconds.
        """
        self.wait(name, lambda: not self.is_running(name), timeout, "end", may_end=True)
        if self._running[name].returncode:
            raise StackError(f"{name} failed.\n{self.describe(name)}")
        self._forget(name)

    def kill(self, name: str, signum: int = signal.SIGKILL) -> None:
        """Send a signal to a process and all that it started, and wait until none is left.

        The default is what the death of a machine looks like to the others.
        """
        session = self.session(name)
        reaper.send(session, signum)
        deadline = time.monotonic() + 30
        while reaper.members(session):
            if time.monotonic() > deadline:
                raise StackError(
                    f"{name} is still running 30 s after signal {signum}.\n{self.describe(name)}"
                )
            if signum == signal.SIGKILL:
                reaper.send(session, signum)  # one may have been started since the last look
            time.sleep(0.02)
        self._forget(name)

    def is_running(self, name: str) -> bool:
        """Whether this process was started and has not ended."""
        return name in self._running and self._running[name].poll() is None

    def session(self, name: str) -> int:
        """The session of a process and of all that it started."""
        return self._running[name].pid

    def wait(
        self, name: str, condition: Callable[[], bool], timeout: float, what: str, *, may_end: bool = False
    ) -> None:
        """Wait until a condition of this process holds.

        :param timeout: seconds after which waiting is a failure.
        :param what: what the process is waited for to do, for the message.
        :param may_end: its end before that is not a failure.
        :raises StackError: the process ended or the time is over; with the end of its log.
        """
        deadline = time.monotonic() + timeout
        while not condition():
            if not may_end and not self.is_running(name):
                code = (
                    self._running[name].returncode if name in self._running else "none: it was never started"
                )
                raise StackError(
                    f"{name} ended (exit code {code}) before it could {what}.\n{self.describe(name)}"
                )
            if time.monotonic() > deadline:
                raise StackError(f"{name} did not {what} within {timeout:g} s.\n{self.describe(name)}")
            time.sleep(0.05)

    def log(self, name: str) -> Path:
        """The log file of a process."""
        return self.logs / f"{name}.log"

    def describe(self, name: str, lines: int = 30) -> str:
        """The last lines of a process's log, under the name of the file."""
        path = self.log(name)
        if not path.exists():
            return f"No log yet: {path}"
        with path.open(errors="replace") as log:
            tail = "".join(f"  {line.rstrip()}\n" for line in deque(log, lines))
        return f"The last lines of {path}:\n{tail}" if tail else f"Its log is empty: {path}"

    def stop(self) -> None:
        """End every process. Safe to call twice; what is interrupted here the reaper finishes."""
        if self._reaper is None:
            return
        assert self._reaper.stdin is not None
        self._reaper.stdin.close()
        self._reaper.wait()
        for process in self._running.values():
            process.wait()
        self._running.clear()
        self._reaper = None

    def _forget(self, name: str) -> None:
        process = self._running.pop(name)
        process.wait()
        self._tell_reaper(f"-{process.pid}")  # the id may be given to somebody else's process now

    def _tell_reaper(self, line: str) -> None:
        if self._reaper is None:
            self._reaper = subprocess.Popen(
                [sys.executable, reaper.__file__, str(self.grace)],
                stdin=subprocess.PIPE,
                text=True,
                start_new_session=True,
            )
        assert self._reaper.stdin is not None
        self._reaper.stdin.write(f"{line}\n")
        self._reaper.stdin.flush()
