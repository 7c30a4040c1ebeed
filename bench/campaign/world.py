"""One drill's world: its time, its AWS account, its Airflow, and who acts in it."""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Callable

from bench.campaign.aws import Account, Weather
from bench.campaign.clients import Client
from bench.campaign.hub import Hub, Process
from bench.campaign.loop import Triggerer
from bench.campaign.machines import Machines
from bench.campaign.mischief import Mischief
from bench.campaign.mixes import Trouble
from bench.campaign.plans import Shape, neighbour
from bench.campaign.plans import fleet as campaign_fleet
from bench.campaign.scheduler import Airflow, Run
from bench.campaign.stores import MemoryStorage
from bench.campaign.truth import RUN
from drs.plan import Plan
from simulator.engine.fleet import Fleet
from simulator.engine.simulation import Simulation

START = dt.datetime(2026, 11, 2, 6, 0, tzinfo=dt.UTC)


class World:
    """All parts of one drill, connected.

    :param seed: decides everything that is random
    :param trouble: what goes wrong
    :param say: where a reader follows the drill
    :param fleet: the servers of the account; by default those of the campaign's plans
    """

    def __init__(
        self,
        seed: int,
        trouble: Trouble,
        *,
        say: Callable[[str], None] | None = None,
        fleet: Fleet | None = None,
    ) -> None:
        self.seed = seed
        self.shape = trouble.shape
        self.yes = trouble.yes
        self.ids = self.rng("ids")
        self.hub = Hub(START)
        self._say = say
        self.machines = Machines(self.rng("machines"), self.hub.datetime)
        self.simulation = Simulation(lambda *_: self.machines, clock=self.hub.clock)
        self.simulation.load(fleet or campaign_fleet())
        self.mischief = Mischief(self.hub, self.rng("mischief"), trouble.harm, self.say)
        self.account = Account(
            self.hub, self.rng("aws"), self.simulation, self.machines, self.mischief, trouble.weather
        )
        self.account.truth.holds = self._holds
        self.hub.world_due = self.simulation.world.next_due
        self.hub.world_tick = self.account.tick
        self.triggerer = Triggerer(self.hub, skew=trouble.triggerer_skew)
        self.airflow = Airflow(
            self.hub, self.rng("airflow"), self.triggerer, self.mischief, trouble.pace, self.say
        )
        self.evidence = MemoryStorage()
        self.clients: dict[str, Client] = {}
        self.runs: list[Run] = []
        """Every run of a DAG that was started."""
        self.drill_actor = ""
        """The drill's name in the records of who did what."""
        self.drill_neighbour: Callable[[], object] = lambda: None
        """Starts the drill of another plan, with the tool that runs this drill."""
        self.is_active: Callable[[str], bool] = self._runs_in_airflow
        self._actors: list[Process] = []

    @property
    def plans(self) -> list[Plan]:
        """The plans that have files: the one that is drilled, and its neighbour."""
        return [self.shape.plan, neighbour().plan]

    def quiet_weather(self) -> None:
        """From now on AWS answers at once, and with its present state."""
        self.account.weather = Weather()
        self.simulation.disarm()

    def is_anything_active(self) -> bool:
        """Whether a run goes on by itself."""
        return any(self.airflow.moves(run) for run in self.runs)

    def left(self) -> list[str]:
        """The instances of runs that run on."""
        return [each for run in self.runs for each in self.account.truth.alive(run.actor)]

    def rng(self, purpose: str) -> random.Random:
        """Random numbers for one purpose: what one part draws does not move another part's."""
        return random.Random(f"{self.seed} {purpose}")

    def say(self, text: str) -> None:
        if self._say is not None:
            at = START + dt.timedelta(seconds=self.hub.now)
            self._say(f"{at:%H:%M:%S}  {text}")

    def start(self, shape: Shape, run_id: str) -> Run:
        """Start a run of a plan's DAG by hand."""
        run = self.airflow.trigger(shape.dag_id, shape.nodes, shape.params, run_id, user="anna")
        self.runs.append(run)
        return run

    def join(self, act: Callable[[], None], name: str, *, actor: str = "") -> None:
        """Let somebody act. The drill is not over before they are done."""
        self._actors.append(self.hub.spawn(act, name, actor=actor or f"colleague {name}"))

    def is_quiet(self) -> bool:
        """Whether nothing will happen any more."""
        if self.is_anything_active():
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
        return self.is_active(author) if author.startswith(RUN) else author != "somebody"

    def _runs_in_airflow(self, actor: str) -> bool:
        return any(run.actor == actor and run.state == "running" and not run.deleted for run in self.runs)

    def close(self) -> None:
        self.hub.close()
        self.triggerer.close()
