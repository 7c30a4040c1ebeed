"""One drill's world: its time, its AWS account, its Airflow, and who acts in it."""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Callable, Mapping
from typing import Any

from bench.campaign.aws import Account, Weather
from bench.campaign.hub import Hub, Process
from bench.campaign.loop import Triggerer
from bench.campaign.machines import Machines
from bench.campaign.mischief import Harm, Mischief
from bench.campaign.plans import Shape, fleet, neighbour
from bench.campaign.rules import Node
from bench.campaign.scheduler import Airflow, Pace, Run
from bench.campaign.stores import MemoryStorage
from drs.plan import Plan
from simulator.engine.simulation import Simulation

START = dt.datetime(2026, 11, 2, 6, 0, tzinfo=dt.UTC)


class World:
    """All parts of one drill, connected.

    :param seed: decides everything that is random
    :param shape: the plan that is drilled
    :param yes: the chance that a person who is asked says yes
    :param say: where a reader follows the drill
    """

    def __init__(
        self,
        seed: int,
        shape: Shape,
        *,
        weather: Weather,
        harm: Harm,
        pace: Pace,
        triggerer_skew: float = 0.0,
        yes: float = 1.0,
        say: Callable[[str], None] | None = None,
    ) -> None:
        self.seed = seed
        self.shape = shape
        self.yes = yes
        self.ids = self.rng("ids")
        self.hub = Hub(START)
        self._say = say
        self.machines = Machines(self.rng("machines"), self.hub.datetime)
        self.simulation = Simulation(lambda *_: self.machines, clock=self.hub.clock)
        self.simulation.load(fleet())
        self.mischief = Mischief(self.hub, self.rng("mischief"), harm, self.say)
        self.account = Account(
            self.hub, self.rng("aws"), self.simulation, self.machines, self.mischief, weather
        )
        self.account.truth.holds = self._holds
        self.hub.world_due = self.simulation.world.next_due
        self.hub.world_tick = self.account.tick
        self.triggerer = Triggerer(self.hub, skew=triggerer_skew)
        self.airflow = Airflow(self.hub, self.rng("airflow"), self.triggerer, self.mischief, pace, self.say)
        self.evidence = MemoryStorage()
        self.runs: list[Run] = []
        """Every run that was started, the drill itself first."""
        self._actors: list[Process] = []
        self._plans = {each.dag_id: each.plan for each in (shape, neighbour())}

    def rng(self, purpose: str) -> random.Random:
        """Random numbers for one purpose: what one part draws does not move another part's."""
        return random.Random(f"{self.seed} {purpose}")

    def say(self, text: str) -> None:
        if self._say is not None:
            at = START + dt.timedelta(seconds=self.hub.now)
            self._say(f"{at:%H:%M:%S}  {text}")

    def start(self, dag_id: str, nodes: Mapping[str, Node], params: Mapping[str, Any], run_id: str) -> Run:
        """Start a run by hand."""
        run = self.airflow.trigger(dag_id, nodes, params, run_id, user="anna")
        self.runs.append(run)
        return run

    def join(self, act: Callable[[], None], name: str) -> None:
        """Let somebody act."""
        self._actors.append(self.hub.spawn(act, name, actor=f"colleague {name}"))

    def plan_of(self, dag_id: str) -> Plan:
        return self._plans[dag_id]

    def required(self, dag_id: str) -> list[str]:
        """The servers that a run of this DAG must launch."""
        plan = self.plan_of(dag_id)
        groups = [plan.protection_groups[name] for wave in plan.waves for name in wave.protection_groups]
        return [server for group in groups if not group.optional for server in group.source_servers or ()]

    def is_quiet(self) -> bool:
        """Whether nothing will happen any more."""
        if any(self.airflow.moves(run) for run in self.runs):
            return False
        if any(not process.dead for process in self._actors):
            return False
        if any(attempt.alive for run in self.runs for row in run.rows.values() for attempt in row.attempts):
            return False
        # A job that a fault holds for ever is live, and nothing will happen to it by itself.
        jobs = self.account.service.jobs.values()
        return self.simulation.world.next_due() is None or not any(job.live for job in jobs)

    def _holds(self, author: str) -> bool:
        """Whether drill instances of that author must be left alone: of an active run, or of a colleague."""
        run = next((run for run in self.runs if run.actor == author), None)
        return author != "somebody" if run is None else run.state == "running" and not run.deleted

    def close(self) -> None:
        self.hub.close()
        self.triggerer.close()
