"""Ends whole sessions of processes, and does so by itself when the process that asked for it dies.

Airflow gives every task a process group of its own, so a group is too small a unit: a component, and all
that it started, is a *session*. The reaper runs as a process beside them and reads session ids from its
standard input. That pipe closes when its owner closes it, crashes or is killed with SIGKILL: then the reaper
ends what is left and exits.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterable

import psutil


def members(session: int) -> list[int]:
    """The ids of the live processes of a session."""
    return [pid for pid in psutil.pids() if _belongs(pid, session)]


def _belongs(pid: int, session: int) -> bool:
    try:
        return os.getsid(pid) == session and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except (ProcessLookupError, PermissionError, psutil.Error):
        return False  # ended meanwhile, or somebody else's


def send(session: int, signum: int) -> None:
    """Send a signal to every process of a session."""
    for pid in members(session):
        try:
            os.kill(pid, signum)
        except ProcessLookupError:
            continue


def end(sessions: Iterable[int], grace: float) -> None:
    """End every process of these sessions: SIGTERM, and SIGKILL to whatever is left after `grace` seconds."""
    left = set(sessions)
    for session in left:
        send(session, signal.SIGTERM)
    deadline = time.monotonic() + grace
    while left := {session for session in left if members(session)}:
        if time.monotonic() >= deadline:
            for session in left:  # again and again: a process may have been started since the last look
                send(session, signal.SIGKILL)
        time.sleep(0.05)


def main() -> None:
    """Read `+id` and `-id` lines until the owner is gone, then end the sessions that are left.

    The argument is the grace in seconds.
    """
    for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(signum, signal.SIG_IGN)  # only the owner's end ends the reaper
    sessions: set[int] = set()
    for line in sys.stdin:
        change, session = line[0], int(line[1:])
        (sessions.add if change == "+" else sessions.discard)(session)
    end(sessions, grace=float(sys.argv[1]))


if __name__ == "__main__":
    main()
