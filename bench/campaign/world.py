"""One drill's world: its time, its AWS account, its Airflow, and what its seed has decided."""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Callable

from bench.campaign.aws import Account, Weather
from bench.campaign.hub import Hub
from bench.campaign.loop import Triggerer
from bench.campaign.machines import Machines
from bench.campaign.mischief import Harm, Mischief
from bench.campaign.plans import fleet
from bench.campaign.scheduler import Airflow, Pace
from bench.campaign.stand_ins import MemoryStorage
from simulator.engine.simulation import Simulation

START = dt.datetime(2026, 11, 2, 6, 0, tzinfo=dt.UTC)


class World:
    """All parts of one drill, connected.

    :param seed: decides everything that is random
    :param say: where a reader follows the drill
    """

    def __init__(
        self,
        seed: int,
        *,
        weather: Weather = Weather(),
        harm: Harm = Harm(),
        pace: Pace = Pace(),
        triggerer_skew: float = 0.0,
        say: Callable[[str], None] | None = None,
    ) -> None:
        self.seed = seed
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
        self.hub.world_due = self.simulation.world.next_due
        self.hub.world_tick = self.account.tick
        self.triggerer = Triggerer(self.hub, skew=triggerer_skew)
        self.airflow = Airflow(self.hub, self.rng("airflow"), self.triggerer, self.mischief, pace, self.say)
        self.evidence = MemoryStorage()

    def rng(self, purpose: str) -> random.Random:
        """Random numbers for one purpose: what one part draws does not move another part's."""
        return random.Random(f"{self.seed} {purpose}")

    def say(self, text: str) -> None:
        if self._say is not None:
            at = START + dt.timedelta(seconds=self.hub.now)
            self._say(f"{at:%H:%M:%S}  {text}")

    def close(self) -> None:
        self.hub.close()
        self.triggerer.close()
