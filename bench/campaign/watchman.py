"""The product's own watch over a drill: in some drills every ten minutes, and at the end of every drill."""

from __future__ import annotations

import random
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowException

from bench.campaign.truth import WATCH
from drs.plan import BrokenPlan, Plan
from drs.plan.naming import dag_id
from drs.tasks.installation import kept_runs
from drs.tasks.operators.watch import DrsWatchOperator
from drs.tasks.watching import look_now, read_memory
from drs.text.times import utc_now
from drs.watch.findings import WatchFinding

if TYPE_CHECKING:
    from bench.campaign.world import World

EVERY = 600.0
"""Seconds between two looks: the default of ``[drs] watch_interval``."""
PATIENCE = 3 * 3600.0
"""Seconds after the end of all runs in which the watch must have ended what it may end."""


class PlansFolder:
    """The plans of a drill, in the place of the folder with their files.

    :param plans: the plans
    """

    error = ""

    def __init__(self, plans: list[Plan]) -> None:
        self.plans: list[Plan | BrokenPlan] = list(plans)
        self.valid = {dag_id(plan.name): plan for plan in plans}
        self.files = frozenset(self.valid)


def patrol(world: World, _: random.Random) -> None:
    """Run the DAG of the watch every ten minutes, until all is over and nothing is left, or for hours."""
    task = DrsWatchOperator(task_id="watch")
    ti: Any = world.airflow.outside_task()
    ti.try_number, ti.max_tries = 1, 0
    context: Any = {"ti": ti, "params": {}, "dag_run": SimpleNamespace()}
    ended = world.hub.now
    while world.hub.now < ended + PATIENCE:
        world.hub.sleep(EVERY)
        try:
            task.execute(context)
        except AirflowException as error:
            world.say(f"watch: {error}")
        if world.is_anything_active():
            ended = world.hub.now
        elif not world.left():
            return


def last_look(world: World) -> list[WatchFinding]:
    """What the watch finds when all is over. Must be called while nothing happens in the drill any more."""
    found: list[WatchFinding] = []

    def look() -> None:
        world.hub.sleep(EVERY)  # reads may be late, and the watch comes some minutes after the last event
        folder: Any = PlansFolder(world.plans)
        seen = look_now(world.airflow.outside_task(), kept_runs(), folder, read_memory(), utc_now())
        found.extend(seen.comparison.findings)

    world.quiet_weather()
    process = world.hub.spawn(look, "watch", actor=WATCH)
    world.hub.run(world.hub.now + 2 * EVERY, lambda: bool(process.dead))
    return found
