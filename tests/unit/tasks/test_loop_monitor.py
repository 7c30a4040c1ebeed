"""The monitor of event loops notices what blocks one, and nothing else."""

from __future__ import annotations

import asyncio
import hashlib
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable

import pytest

from tests.unit.tasks.loop_monitor import LoopMonitor


def compute(seconds: float) -> None:
    """Keep the thread's CPU busy for so many seconds of its own time."""
    ends = time.thread_time() + seconds
    while time.thread_time() < ends:
        hashlib.sha256(b"x" * 1000).digest()


def connect() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket() as client:
        client.connect(server.getsockname())


def monitored(step: Callable[[], object]) -> list[str]:
    """What the monitor says of a coroutine that makes the call in the loop."""

    async def main() -> None:
        await asyncio.sleep(0)
        step()

    monitor = LoopMonitor()
    monitor.run(main())
    return monitor.blocked


def test_a_step_that_computes_for_long_blocks_the_loop() -> None:
    """The text names the task and how long it computed."""
    (told,) = monitored(lambda: compute(0.15))
    assert re.match(r"a step computed for \d{3} ms: ", told)
    assert "main()" in told


@pytest.mark.parametrize(
    ("call", "event"),
    [
        (lambda: time.sleep(0.001), "time.sleep"),
        (lambda: socket.getaddrinfo("localhost", 80), "socket.getaddrinfo"),
        (lambda: subprocess.run([sys.executable, "--version"], capture_output=True), "subprocess.Popen"),
        (connect, "socket.connect"),
    ],
    ids=["sleep", "name", "process", "connection"],
)
def test_a_call_that_waits_blocks_the_loop(call: Callable[[], object], event: str) -> None:
    """However short the wait was this time."""
    assert any(told.startswith(f"a step waited: {event}") for told in monitored(call))


def test_what_other_threads_do_does_not_block_the_loop() -> None:
    """The monitor measures the loop's thread alone; sleeps and connections of the loop itself do not wait."""

    def elsewhere() -> None:
        compute(0.15)
        time.sleep(0.001)
        connect()

    async def main() -> None:
        await asyncio.to_thread(elsewhere)
        await asyncio.sleep(0.001)
        server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
        async with server:
            _, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            writer.close()

    LoopMonitor().check(main())


def test_many_short_steps_do_not_block_the_loop() -> None:
    """Between two of them the loop serves others."""

    async def main() -> None:
        for _ in range(10):
            compute(0.02)
            await asyncio.sleep(0)

    monitor = LoopMonitor()
    monitor.check(main())
    assert 0.02 <= monitor.longest < 0.1


def test_a_monitor_that_has_ended_notes_nothing_more() -> None:
    """Its hooks are at rest."""
    monitor = LoopMonitor()
    monitor.run(asyncio.sleep(0))
    steps = monitor.steps
    with asyncio.Runner() as runner:
        runner.run(asyncio.sleep(0))
    thread = threading.Thread(target=time.sleep, args=[0.001])
    thread.start()
    thread.join()
    assert (monitor.steps, monitor.blocked) == (steps, [])


def test_a_check_fails_for_what_has_blocked_the_loop() -> None:
    """Its message is what was noted."""

    async def main() -> None:
        time.sleep(0.001)

    with pytest.raises(AssertionError, match="a step waited"):
        LoopMonitor().check(main())
