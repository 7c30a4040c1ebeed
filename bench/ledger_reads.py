"""What each task of a large drill asks of Airflow: how often, how many bytes, and for how long it works.

    python -m bench.ledger_reads

A green drill runs through the campaign's small Airflow: the real operators and triggers, in process, against
the simulated DRS. Counted is what Airflow's execution API would be asked: *reads* are records of the run's
ledger (the XComs of ``begin``), *other* are task states, other XComs, Variables and runs. *Work* is processor
time of the task's own processes. It includes the simulated AWS, and no HTTP: a real Airflow adds some 15 to
20 ms for each read. A task that waits goes on in another process, so a task that is deferred reads some
records again.
"""

from __future__ import annotations

import random
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any
from unittest import mock

import greenlet

from bench.campaign import ours
from bench.campaign.aws import ACCOUNT, REGION
from bench.campaign.drill import HORIZON
from bench.campaign.hub import Process
from bench.campaign.machines import GROUP, SUBNET
from bench.campaign.mixes import Trouble
from bench.campaign.plans import shape_of
from bench.campaign.runner import environment
from bench.campaign.stand_ins import PRESENT, installed
from bench.campaign.stores import Place, XComs
from bench.campaign.tries import AirflowApi
from bench.campaign.world import World
from drs.run.ledger import BEGIN_TASK_ID
from simulator.engine.fleet import Fleet

CHECKS: tuple[Mapping[str, Any], ...] = (
    {"type": "instance_status"},
    {"type": "ssm", "parameters": {"commands": ["systemctl is-active postgresql"]}},
    {"type": "tcp", "port": 5432},
    {"type": "http", "path": "/health"},
)


@dataclass(frozen=True)
class Size:
    """A drill to measure.

    :param checks: how many checks each wave asks for, in addition to the one that is always made
    """

    servers: int
    waves: int
    checks: int

    def __str__(self) -> str:
        return f"{self.servers} servers in {self.waves} waves, {self.checks} checks"


SIZES = (Size(300, 3, 0), Size(500, 5, 4), Size(500, 20, 4))


@dataclass
class Share:
    """What the tasks of one name cost, all processes together.

    :param tasks: how many tasks
    :param processes: in how many processes: one, and one more after each wait
    """

    tasks: int = 0
    processes: int = 0
    reads: int = 0
    read_bytes: int = 0
    writes: int = 0
    other: int = 0
    seconds: float = 0.0

    def row(self, name: str) -> str:
        per = max(self.tasks, 1)
        cells = (
            f"{self.processes / per:.1f}",
            f"{self.reads / per:.0f}",
            f"{self.read_bytes / per / 1e6:.2f} MB",
            f"{self.writes / per:.0f}",
            f"{self.other / per:.0f}",
            f"{self.seconds / per:.2f} s",
        )
        return f"| {name} | {self.tasks} | {' | '.join(cells)} |"


class _Count:
    """Counts what tasks ask, under the name of the task whose process asks."""

    def __init__(self) -> None:
        self.shares: dict[str, Share] = defaultdict(Share)
        self._tasks: dict[str, set[str]] = defaultdict(set)
        self._processes: set[Any] = set()
        self._since = 0.0

    def of_current(self) -> Share | None:
        """The share of the task that runs now; ``None`` while none runs."""
        process = greenlet.getcurrent()
        attempt = process.attempt if isinstance(process, Process) else None
        if attempt is None:
            return None
        name = attempt.row.task_id.rpartition(".")[2]
        share = self.shares[name]
        self._tasks[name].add(attempt.row.task_id)
        if attempt not in self._processes:
            self._processes.add(attempt)
            share.processes += 1
        share.tasks = len(self._tasks[name])
        return share

    def switched(self, _: str, processes: tuple[Any, Any]) -> None:
        """Greenlets have switched: the time until now was that of the first."""
        now = time.process_time()
        origin = processes[0]
        attempt = origin.attempt if isinstance(origin, Process) else None
        if attempt is not None:
            self.shares[attempt.row.task_id.rpartition(".")[2]].seconds += now - self._since
        self._since = now


class _CountedXComs(XComs):
    """XComs that count who reads and writes how much."""

    def __init__(self, count: _Count) -> None:
        super().__init__()
        self._count = count

    def get(self, place: Place, key: str) -> Any:
        if (share := self._count.of_current()) is not None:
            if place[2] == BEGIN_TASK_ID:
                share.reads += 1
                share.read_bytes += len(self._values.get(place, {}).get(key, ""))
            else:
                share.other += 1
        return super().get(place, key)

    def set(self, place: Place, key: str, value: Any) -> None:
        if (share := self._count.of_current()) is not None:
            share.writes += 1
        super().set(place, key, value)


def _counted(count: _Count, ask: Callable[..., Any]) -> Callable[..., Any]:
    def counted(*arguments: Any, **named: Any) -> Any:
        if (share := count.of_current()) is not None:
            share.other += 1
        return ask(*arguments, **named)

    return counted


@contextmanager
def _counting(count: _Count, world: World) -> Iterator[None]:
    world.airflow.xcoms = _CountedXComs(count)
    variables: Any = world.airflow.variables
    for name in ("get", "set", "keys", "delete"):
        setattr(variables, name, _counted(count, getattr(variables, name)))
    asked = ("get_task_states", "get_dr_count", "get_dagrun_state", "get_dag")
    greenlet.settrace(count.switched)
    try:
        with ExitStack() as patches:
            for name in asked:
                counted = _counted(count, getattr(AirflowApi, name))
                patches.enter_context(mock.patch.object(AirflowApi, name, counted))
            yield
    finally:
        greenlet.settrace(None)


def _plan(size: Size) -> dict[str, Any]:
    each = size.servers // size.waves
    ids = [_server(number) for number in range(size.servers)]
    groups = {
        f"tier-{wave}": {"source_servers": ids[wave * each : (wave + 1) * each]} for wave in range(size.waves)
    }
    return {
        "name": "measured",
        "target": {"region": REGION, "account_id": ACCOUNT},
        "network": {"allowed_subnets": [SUBNET], "allowed_security_groups": [GROUP]},
        "protection_groups": groups,
        "launch": {"jobs": "per_wave"},
        "waves": [
            {
                "name": name,
                "protection_groups": [name],
                "next_wave_when": "launched",
                "validation": list(CHECKS[: size.checks]),
            }
            for name in groups
        ],
    }


def _server(number: int) -> str:
    return f"s-{0x7E57000000000000 + number:017x}"


def _fleet(size: Size) -> Fleet:
    servers = [
        {
            "id": _server(number),
            "hostname": f"server-{number}",
            "address": f"127.1.{number // 250}.{number % 250 + 1}",
            "listeners": [
                {"port": 5432, "protocol": "tcp"},
                {"port": 80, "protocol": "http", "path": "/health"},
            ],
        }
        for number in range(size.servers)
    ]
    return Fleet.parse({"accounts": {ACCOUNT: {"regions": {REGION: {"servers": servers}}}}}, "measured")


def measure(size: Size) -> dict[str, Share]:
    """Run a drill, with the campaign's stand-ins installed.

    :return: the share of each task, by its name; the tasks of all waves count together
    """
    trouble = Trouble(shape_of(_plan(size)), random.Random(1))
    world = World(1, trouble, fleet=_fleet(size))
    count = _Count()
    try:
        with PRESENT.of(world), _counting(count, world):
            verdicts = ours.begin(world, trouble)
            world.hub.run(HORIZON, world.is_quiet)
            (verdict,) = verdicts()
    finally:
        world.close()
    assert verdict.state == "success", verdict.said[:2000]
    return dict(count.shares)


def main() -> None:
    with environment(), installed():
        for size in SIZES:
            print(f"{size}; figures of one task\n")
            print("| task | tasks | processes | reads | read | writes | other | work |")
            print("|---|---|---|---|---|---|---|---|")
            for name, share in measure(size).items():
                print(share.row(name))
            print()


if __name__ == "__main__":
    main()
