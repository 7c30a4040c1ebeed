"""Who else acts while a drill runs: people in Airflow, colleagues in the DRS console, other plans.

Each act is a function that runs in a process of its own. It draws from its own random numbers.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from bench.campaign.clients import Client
from bench.campaign.scheduler import Row, Run

if TYPE_CHECKING:
    from bench.campaign.world import World

AirflowAct = Callable[["World", Run, random.Random], None]
"""What somebody does about a run of the DAG."""
AwsAct = Callable[["World", random.Random], None]
"""What somebody does in AWS, or beside the drill, however it is run."""
A_WHILE = 3600.0
"""Seconds after which somebody who waits for something stops waiting."""


def until(world: World, wanted: Callable[[], bool], limit: float = A_WHILE) -> bool:
    """Wait until a state of Airflow is as wanted.

    :return: whether it is
    """
    process, end = world.hub.current(), world.hub.now + limit

    def look(_: Row) -> None:
        if wanted():
            world.hub.wake(process)

    world.airflow.listeners.append(look)
    try:
        while not wanted() and world.hub.now < end:
            world.hub.wait(end - world.hub.now)
    finally:
        world.airflow.listeners.remove(look)
    return wanted()


def _some_time(world: World, rng: random.Random, longest: float = 2400.0) -> None:
    """Wait for some time of the drill: as often a few minutes as half an hour."""
    world.hub.sleep(rng.uniform(0.0, longest) if rng.random() < 0.7 else rng.uniform(0.0, 300.0))


def _any_task(world: World, run: Run, rng: random.Random) -> Row | None:
    """Wait until some task has begun, and for a moment more."""
    row = run.rows[rng.choice([name for name in run.rows if name != "open"])]
    if not until(world, lambda: row.state is not None and row.state != "scheduled"):
        return None
    world.hub.sleep(rng.choice((0.0, rng.uniform(0.0, 5.0), rng.uniform(0.0, 600.0))))
    return row


# --- in Airflow -----------------------------------------------------------------------------------------


def mark_task(world: World, run: Run, rng: random.Random) -> None:
    """Mark a task failed or success, whatever it does."""
    if (row := _any_task(world, run, rng)) is not None:
        world.airflow.mark(row, rng.choice(("failed", "failed", "success")))


def mark_the_rest(world: World, run: Run, rng: random.Random) -> None:
    """Mark every task that has not ended success, the teardowns too."""
    _some_time(world, rng)
    for row in run.rows.values():
        if row.state not in ("success", "skipped"):
            world.airflow.mark(row, "success")


def end_run(world: World, run: Run, rng: random.Random) -> None:
    """Mark the run failed, which is how a drill is ended."""
    _some_time(world, rng)
    world.airflow.mark_run_failed(run)


def clear_failed(world: World, run: Run, rng: random.Random) -> None:
    """Clear a failed task of a wave with everything after it, before or after clean-up."""
    failed = [row for name, row in run.rows.items() if name.startswith("wave_")]
    if until(world, lambda: any(row.state == "failed" for row in failed), 2 * A_WHILE):
        world.hub.sleep(rng.choice((0.0, rng.uniform(0.0, 30.0), rng.uniform(0.0, 600.0))))
        row = next((row for row in failed if row.state == "failed"), None)
        if row is not None:
            world.airflow.clear(row)


def clear_any(world: World, run: Run, rng: random.Random) -> None:
    """Clear any task, alone or with everything after it."""
    if (row := _any_task(world, run, rng)) is not None:
        world.airflow.clear(row, downstream=rng.random() < 0.7)


def pause(world: World, run: Run, rng: random.Random) -> None:
    """Pause the DAG, and let it go on later or never."""
    _some_time(world, rng)
    world.airflow.pause(run.dag_id)
    if rng.random() < 0.6:
        world.hub.sleep(rng.uniform(30.0, 3600.0))
        world.airflow.unpause(run.dag_id)


def delete_records(world: World, run: Run, rng: random.Random) -> None:
    """Delete XComs of the run: all of its records, or some of them."""
    _some_time(world, rng)
    keys = world.airflow.xcoms.keys((run.dag_id, run.run_id, "begin"))
    chosen = None if rng.random() < 0.5 else [key for key in keys if rng.random() < 0.4]
    world.airflow.delete_xcoms(run, chosen)


def delete_dag(world: World, run: Run, rng: random.Random) -> None:
    """Delete the DAG in the middle of its run."""
    _some_time(world, rng)
    world.airflow.delete_dag(run.dag_id)


def start_again(world: World, run: Run, rng: random.Random) -> None:
    """Start a second run of the same plan."""
    _some_time(world, rng)
    if not run.deleted:
        world.start(world.shape, "second")


def answer_questions(world: World, run: Run, rng: random.Random) -> None:
    """Answer what the run asks, mostly with yes, and sometimes not at all."""
    asking: Callable[[], list[Row]] = lambda: [  # noqa: E731
        row for row in run.rows.values() if row.state == "awaiting_input"
    ]
    answered: set[tuple[str, int]] = set()
    while until(
        world, lambda: any((row.task_id, row.identity) not in answered for row in asking()), 6 * A_WHILE
    ):
        row = next(row for row in asking() if (row.task_id, row.identity) not in answered)
        answered.add((row.task_id, row.identity))
        world.hub.sleep(rng.uniform(2.0, 1200.0))
        if row.question is None:
            continue
        options = row.question["options"]
        world.airflow.answer(row, options[0] if rng.random() < world.yes else options[1], user="anna")


# --- in AWS ---------------------------------------------------------------------------------------------


def console_drill(world: World, rng: random.Random) -> None:
    """Drill some of the plan's servers in the console, again and again until DRS accepts it once."""
    _console_launch(world, rng, is_drill=True)


def console_recovery(world: World, rng: random.Random) -> None:
    """Recover one of the plan's servers for real."""
    _console_launch(world, rng, is_drill=False)


def _console_launch(world: World, rng: random.Random, *, is_drill: bool) -> None:
    servers = rng.sample(world.shape.servers, rng.randint(1, min(2, len(world.shape.servers))))
    client = Client(world.account, "drs", 1)
    if rng.random() < 0.5:
        _some_time(world, rng)
    else:  # right after one of the plan's own calls, which may have had no reply
        count = len(world.account.truth.starts)
        until(world, lambda: len(world.account.truth.starts) > count)
        world.hub.sleep(rng.uniform(0.0, 300.0))
    for _ in range(rng.randint(1, 40)):
        try:
            client.start_recovery(
                isDrill=is_drill, sourceServers=[{"sourceServerID": each} for each in servers]
            )
        except (ClientError, BotoCoreError):
            world.hub.sleep(30.0)
        else:
            return


def console_termination(world: World, rng: random.Random) -> None:
    """Terminate one of the run's instances while later waves run, as ``drs cleanup`` did."""
    instance_id = _wait_for_instance(world, rng)
    if instance_id is None:
        return
    client = Client(world.account, "drs", 1)
    for _ in range(10):
        try:
            client.terminate_recovery_instances(recoveryInstanceIDs=[instance_id])
        except (ClientError, BotoCoreError):
            world.hub.sleep(20.0)
        else:
            return


def ec2_stop(world: World, rng: random.Random) -> None:
    """Stop one of the run's instances in EC2."""
    if (instance_id := _wait_for_instance(world, rng)) is not None:
        world.account.machines.stop(instance_id)


def ec2_termination(world: World, rng: random.Random) -> None:
    """Terminate one of the run's instances in EC2. DRS goes on listing it."""
    if (instance_id := _wait_for_instance(world, rng)) is not None:
        world.account.truth.ended_by[instance_id] = world.hub.current().actor
        world.account.machines.terminate(instance_id)


def _wait_for_instance(world: World, rng: random.Random) -> str | None:
    """Wait until the drill has an instance, and for a while more."""
    truth, actor = world.account.truth, world.drill_actor
    end = world.hub.now + A_WHILE
    while not (alive := truth.alive(actor)):
        if world.hub.now >= end:
            return None
        world.hub.sleep(rng.uniform(10.0, 30.0))
    world.hub.sleep(rng.choice((rng.uniform(0.0, 60.0), rng.uniform(0.0, 600.0), rng.uniform(0.0, 1800.0))))
    alive = [each for each in truth.alive(actor) if world.machines.state(each) == "running"]
    return rng.choice(alive) if alive else None


def other_plan(world: World, rng: random.Random) -> None:
    """Drill another plan that shares a server with this one, with the same tool."""
    _some_time(world, rng)
    world.drill_neighbour()
