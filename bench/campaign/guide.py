"""The guide's first flow, for comparison: what the troubleshooting guide found in use before its fixes.

All waves are fired within three seconds, one call a server, without a pause, a retry or a look at what holds
a server. A job that DRS calls COMPLETED is a success. Nothing is cleaned up.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from bench.campaign.clients import Client
from bench.campaign.judge import Verdict
from bench.campaign.plans import Shape, neighbour
from bench.campaign.truth import RUN

if TYPE_CHECKING:
    from bench.campaign.mixes import Trouble
    from bench.campaign.world import World

BETWEEN_WAVES = 1.0
"""Seconds: three waves are fired within three seconds."""
POLL = 15.0
PATIENCE = 3600.0
"""Seconds until it gives a job up."""


def begin(world: World, _: Trouble) -> Callable[[], list[Verdict]]:
    """Start the drill.

    :return: gives what it said of itself, once all is over
    """
    first = GuideFlow(world, world.shape, "drill")
    flows = [first]

    def start_neighbour() -> None:
        other = GuideFlow(world, neighbour(), "other")
        flows.append(other)
        world.join(other.run, "guide", actor=other.actor)

    world.drill_actor = first.actor
    world.drill_neighbour = start_neighbour
    world.is_active = lambda actor: any(flow.actor == actor and flow.state == "running" for flow in flows)
    world.join(first.run, "guide", actor=first.actor)
    return lambda: [flow.verdict() for flow in flows]


@dataclass
class GuideFlow:
    """One drill by the guide's first flow. No worker of it is ever killed or frozen.

    :param world: the world of the drill's seed
    """

    world: World
    shape: Shape
    name: str
    state: str = "running"
    said: str = ""
    ended: float | None = None

    @property
    def actor(self) -> str:
        return f"{RUN}guide/{self.name}"

    def run(self) -> None:
        """Drill the plan from beginning to end."""
        client = Client(self.world.account, "drs", 1)
        jobs, errors = self._fire(client)
        live = set(jobs)
        began = self.world.hub.now
        while live and self.world.hub.now < began + PATIENCE:
            self.world.hub.sleep(POLL)
            try:
                items = client.describe_jobs(filters={"jobIDs": sorted(live)})["items"]
            except (ClientError, BotoCoreError) as error:
                errors.append(str(error))
                break
            live -= {item["jobID"] for item in items if item["status"] == "COMPLETED"}
        errors += [f"{job_id} has not completed" for job_id in sorted(live)]
        self._end("failed" if errors else "success", f"[FAILED] {'; '.join(errors)}" if errors else "")

    def _fire(self, client: Client) -> tuple[list[str], list[str]]:
        jobs, errors = [], []
        plan = self.shape.plan
        for number, wave in enumerate(plan.waves):
            if number:
                self.world.hub.sleep(BETWEEN_WAVES)
            for server_id in plan.listed_servers(wave.name):
                try:
                    reply = client.start_recovery(isDrill=True, sourceServers=[{"sourceServerID": server_id}])
                except (ClientError, BotoCoreError) as error:
                    errors.append(f"{server_id}: {error}")
                else:
                    jobs.append(reply["job"]["jobID"])
        return jobs, errors

    def _end(self, state: str, said: str) -> None:
        self.state, self.said, self.ended = state, said, self.world.hub.now

    def verdict(self) -> Verdict:
        """What it said in the end."""
        return Verdict(
            actor=self.actor,
            state=self.state,
            required=self.shape.required,
            waves_ended=self.ended,
            said=self.said,
            red=self.said,
            end=self.said,
        )
