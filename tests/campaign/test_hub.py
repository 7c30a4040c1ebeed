"""The campaign's own time: minutes take no real time, everything comes in its order, the dead do nothing."""

from __future__ import annotations

import asyncio
import datetime as dt
import functools
from collections.abc import Iterator

import pytest
from airflow.triggers.base import BaseTrigger, TriggerEvent

from bench.campaign.hub import Hub, Killed
from bench.campaign.loop import HubLoop, Triggerer

START = dt.datetime(2026, 11, 2, 6, 0, tzinfo=dt.UTC)


@pytest.fixture
def hub() -> Iterator[Hub]:
    hub = Hub(START)
    yield hub
    hub.close()


def run(hub: Hub) -> None:
    hub.run(100_000.0, lambda: False)


def test_processes_wait_in_the_hubs_time_and_go_on_in_its_order(hub: Hub) -> None:
    seen: list[tuple[float, str]] = []

    def process(name: str, seconds: float) -> None:
        for _ in range(2):
            hub.sleep(seconds)
            seen.append((hub.now, name))

    hub.spawn(lambda: process("slow", 900.0), "slow")
    hub.spawn(lambda: process("fast", 300.0), "fast")
    run(hub)
    assert seen == [(300.0, "fast"), (600.0, "fast"), (900.0, "slow"), (1800.0, "slow")]
    assert hub.datetime() == START + dt.timedelta(seconds=1800)


def test_a_process_that_is_killed_does_nothing_more(hub: Hub) -> None:
    seen: list[str] = []

    def process() -> None:
        try:
            hub.sleep(60.0)
            seen.append("went on")
        except Exception:
            seen.append("caught it")

    victim = hub.spawn(process, "victim")
    hub.kill(victim, after=30.0)
    run(hub)
    assert victim.dead
    assert seen == []


def test_a_process_that_waits_is_woken_but_one_that_sleeps_is_not(hub: Hub) -> None:
    ended: dict[str, float] = {}

    def waiting() -> None:
        hub.wait(100.0)
        ended["waiting"] = hub.now

    def sleeping() -> None:
        hub.sleep(100.0)
        ended["sleeping"] = hub.now

    processes = [hub.spawn(waiting, "waiting"), hub.spawn(sleeping, "sleeping")]
    for process in processes:
        hub.after(10.0, functools.partial(hub.wake, process))
    run(hub)
    assert ended == {"waiting": 10.0, "sleeping": 100.0}


def test_the_simulated_drs_acts_at_its_own_times(hub: Hub) -> None:
    """What is due between two events happens when it is due, and not when the next event comes."""
    due = [START + dt.timedelta(seconds=20), START + dt.timedelta(seconds=40)]
    ticks: list[float] = []
    hub.world_due = lambda: due[0] if due else None

    def tick() -> None:
        ticks.append(hub.now)
        due.pop(0)

    hub.world_tick = tick
    hub.spawn(lambda: hub.sleep(60.0), "process")
    run(hub)
    assert ticks == [20.0, 40.0]


def test_loops_of_several_processes_share_a_thread(hub: Hub) -> None:
    ended: list[tuple[str, float]] = []

    async def wait(name: str, seconds: float) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(asyncio.sleep(seconds))
        ended.append((name, asyncio.get_running_loop().time()))

    def process(name: str, seconds: float) -> None:
        loop = HubLoop(hub)
        try:
            loop.run_until_complete(wait(name, seconds))
        finally:
            loop.finish()

    hub.spawn(lambda: process("a", 50.0), "a")
    hub.spawn(lambda: process("b", 20.0), "b", after=5.0)
    run(hub)
    assert ended == [("b", 25.0), ("a", 50.0)]


class _After(BaseTrigger):
    def __init__(self, seconds: float) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.seconds = seconds

    def serialize(self) -> tuple[str, dict[str, float]]:
        return "after", {"seconds": self.seconds}

    async def run(self) -> Iterator[TriggerEvent]:  # type: ignore[override, misc]
        await asyncio.sleep(self.seconds)
        yield TriggerEvent({"waited": self.seconds})


def test_the_triggerer_fires_in_the_hubs_time_and_a_stall_delays_it(hub: Hub) -> None:
    triggerer, fired = Triggerer(hub, skew=0.0), []
    triggerer.start(_After(30.0), lambda event: fired.append((hub.now, event["waited"])))
    triggerer.start(_After(60.0), lambda event: fired.append((hub.now, event["waited"]))).cancel()
    hub.after(10.0, lambda: triggerer.stall(100.0))
    hub.run(1000.0, lambda: bool(fired))
    hub.close()
    triggerer.close()
    assert fired == [(110.0, 30.0)]


def test_what_kills_is_not_an_exception_that_code_catches() -> None:
    assert not issubclass(Killed, Exception)
