"""Drills that are written down: one certain trouble at one certain point, and how the drill must end.

Each case once broke a promise, or stands for a kind that did. Unlike a seed, it stays the same when the mixes
change.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from bench.campaign import people
from bench.campaign.aws import Weather
from bench.campaign.clients import Client
from bench.campaign.mischief import Harm, Hit
from bench.campaign.mixes import Trouble
from bench.campaign.people import AirflowAct, until
from bench.campaign.plans import SERVERS, shape_named
from bench.campaign.scheduler import Pace, Run
from bench.campaign.world import World
from simulator.engine.faults import AccessDenied, AnyFault, ConnectionDrop, TagsRefused

IMPATIENT = Pace(heartbeat_timeout=60.0, heartbeat=(4.9, 5.0))
"""An Airflow that soon notices that a worker is gone. One that thaws lives on for as long as it can."""
BEFORE, AFTER = "before StartRecovery", "after StartRecovery"
UNTAGGED = TagsRefused(operations=("StartRecovery",))


@dataclass(frozen=True)
class Case:
    """One drill.

    :param passes: whether the drill must end green
    :param codes: what its logs must name, if it must not
    :param leaves: whether instances run on, because nothing that could end them may act any more
    """

    name: str
    plan: str
    passes: bool
    codes: tuple[str, ...] = ()
    leaves: bool = False
    faults: Sequence[tuple[float, AnyFault]] = ()
    hits: tuple[Hit, ...] = ()
    weather: Weather = field(default_factory=Weather)
    pace: Pace = field(default_factory=Pace)
    triggerer_skew: float = 0.0
    acts: Sequence[AirflowAct] = ()

    @property
    def recoverable(self) -> bool:
        return self.passes

    def trouble(self, seed: int) -> Trouble:
        """The same for every seed."""
        return Trouble(
            shape=shape_named(self.plan),
            rng=random.Random(seed),
            faults=list(self.faults),
            acts=list(self.acts),
            weather=self.weather,
            harm=Harm(script=self.hits),
            pace=self.pace,
            triggerer_skew=self.triggerer_skew,
            names=[self.name],
        )


# --- what people do -------------------------------------------------------------------------------------


def _when(task_id: str, state: str, then: AirflowAct) -> AirflowAct:
    """Do something when a task has reached a state."""

    def act(world: World, run: Run, rng: random.Random) -> None:
        if until(world, lambda: run.rows[task_id].state == state, 4 * people.A_WHILE):
            then(world, run, rng)

    act.__name__ = f"when_{task_id}_is_{state}"
    return act


def _pause(world: World, run: Run, _: random.Random) -> None:
    world.airflow.pause(run.dag_id)


def _delete_dag(world: World, run: Run, _: random.Random) -> None:
    world.airflow.delete_dag(run.dag_id)


def _delete_xcoms(world: World, run: Run, _: random.Random) -> None:
    keys = world.airflow.xcoms.keys((run.dag_id, run.run_id, "begin"))
    gone = [key for key in keys if key in ("run", "resolution") or key.startswith("launch.")]
    world.airflow.delete_xcoms(run, gone)


def _mark_the_rest(world: World, run: Run, _: random.Random) -> None:
    for row in run.rows.values():
        if row.state not in ("success", "skipped"):
            world.airflow.mark(row, "success")


def _end_run(world: World, run: Run, _: random.Random) -> None:
    world.airflow.mark_run_failed(run)


def _end_run_soon(world: World, run: Run, _: random.Random) -> None:
    world.hub.sleep(5.0)
    world.airflow.mark_run_failed(run)


def _terminate_first(world: World, run: Run, _: random.Random) -> None:
    first = world.account.truth.alive(run.actor)[0]
    Client(world.account, "drs", 1).terminate_recovery_instances(recoveryInstanceIDs=[first])


def _stop_first(world: World, run: Run, _: random.Random) -> None:
    world.machines.stop(world.account.truth.alive(run.actor)[0])


def _start_neighbour(world: World, _: Run, __: random.Random) -> None:
    world.drill_neighbour()


def _console_drill(server_id: str) -> AirflowAct:
    """A colleague drills a server in the console."""

    def act(world: World, _: Run, __: random.Random) -> None:
        client = Client(world.account, "drs", 1)
        client.start_recovery(isDrill=True, sourceServers=[{"sourceServerID": server_id}])

    return act


def _lost(server_id: str) -> AnyFault:
    """The reply to the launch of a server is lost, after DRS has acted."""
    return ConnectionDrop(operations=("StartRecovery",), servers=(server_id,), when="after", count=1)


# --- the cases ------------------------------------------------------------------------------------------

APPLICATION = "wave_application.start_recovery"
CASES = (
    # What somebody else does to a drill.
    Case(
        "an instance is terminated while later waves run",
        "launched",
        passes=False,
        codes=("RECOVERY_INSTANCE_LOST",),
        acts=[_when("wave_database.validate", "success", _terminate_first)],
    ),
    Case(
        "an instance is stopped while later waves run",
        "launched",
        passes=False,
        codes=("RECOVERY_INSTANCE_LOST",),
        acts=[_when("wave_database.validate", "success", _stop_first)],
    ),
    Case(
        "a plan that shares a server is started during the drill",
        "launched",
        passes=True,
        acts=[_when("wave_database.validate", "success", _start_neighbour)],
    ),
    Case(
        "a plan that shares a server is started while the drill asks whether to terminate",
        "approved",
        passes=True,
        acts=[_when("approve_cleanup", "awaiting_input", _start_neighbour)],
    ),
    Case(
        "the DAG is paused",
        "started",
        passes=False,
        leaves=True,
        acts=[_when(APPLICATION, "success", _pause)],
    ),
    Case(
        "the DAG is deleted",
        "started",
        passes=False,
        leaves=True,
        acts=[_when(APPLICATION, "success", _delete_dag)],
    ),
    Case(
        "the records are deleted",
        "started",
        passes=False,
        acts=[_when(APPLICATION, "success", _delete_xcoms)],
    ),
    Case(
        "every remaining task is marked success",
        "started",
        passes=True,
        leaves=True,
        acts=[_when(APPLICATION, "success", _mark_the_rest)],
    ),
    Case("the run is marked failed", "started", passes=False, acts=[_when(APPLICATION, "success", _end_run)]),
    Case(
        "no tags, a worker that dies at the send, and a colleague who drills the same server",
        "started",
        passes=False,
        faults=[(0.0, UNTAGGED)],
        hits=(Hit(APPLICATION, BEFORE, nth=2),),
        acts=[_when(APPLICATION, "up_for_retry", _console_drill(SERVERS[2]))],
    ),
    Case(
        "clean-up is denied while a launch goes on",
        "started",
        passes=False,
        codes=("ACCESS_DENIED",),
        leaves=True,
        faults=[(0.0, AccessDenied(operations=("TerminateRecoveryInstances",)))],
        acts=[_when("wave_web.start_recovery", "success", _end_run)],
    ),
    # Workers that are frozen and thaw.
    Case(
        "a worker is frozen at the send, and thaws when another try has launched the server",
        "started",
        passes=True,
        hits=(Hit(APPLICATION, BEFORE, freeze=625.0),),
        pace=IMPATIENT,
    ),
    Case(
        "a worker is frozen at the send while its heart beats on",
        "started",
        passes=True,
        hits=(Hit(APPLICATION, BEFORE, freeze=700.0, heart_beats=True),),
    ),
    Case(
        "a worker is frozen at the send, and thaws when clean-up is proven",
        "started",
        passes=False,
        hits=(Hit("wave_database.start_recovery", BEFORE, freeze=130.0, heart_beats=True),),
        pace=IMPATIENT,
        acts=[_when("wave_database.start_recovery", "running", _end_run_soon)],
    ),
    Case(
        "a worker is frozen after the send, and writes its old record over that of the next try",
        "started",
        passes=True,
        hits=(Hit("wave_database.start_recovery", AFTER, freeze=200.0),),
        pace=IMPATIENT,
    ),
    Case(
        "the same, in an account that refuses tags",
        "started",
        passes=False,
        codes=("DRS_UNAVAILABLE",),
        leaves=True,
        faults=[(0.0, UNTAGGED)],
        hits=(Hit("wave_database.start_recovery", AFTER, freeze=200.0, nth=2),),
        pace=IMPATIENT,
    ),
    Case(
        "clean-up is frozen after its call, and thaws when the next try has proved it",
        "started",
        passes=True,
        hits=(Hit("terminate", "after TerminateRecoveryInstances", freeze=135.0),),
        pace=IMPATIENT,
    ),
    Case("a worker is killed in the verdict", "started", passes=True, hits=(Hit("verdict", "report"),)),
    # Reads that are late, clocks that are wrong.
    Case(
        "reads are a minute behind and the run is ended right after a launch",
        "started",
        passes=False,
        weather=Weather(behind=60.0, jumping=False),
        acts=[_when("wave_database.start_recovery", "success", _end_run)],
    ),
    Case(
        "reads are a minute behind, and tags are refused, and the run is ended right after a launch",
        "started",
        passes=False,
        faults=[(0.0, UNTAGGED)],
        weather=Weather(behind=60.0, jumping=False),
        acts=[_when("wave_database.start_recovery", "success", _end_run)],
    ),
    Case(
        "reads are a minute behind, each by another time",
        "started",
        passes=True,
        weather=Weather(behind=60.0, jumping=True),
    ),
    Case(
        "the triggerer's clock is four minutes behind",
        "started",
        passes=True,
        triggerer_skew=-240.0,
    ),
    Case(
        "the triggerer's clock is four minutes ahead",
        "started",
        passes=True,
        triggerer_skew=240.0,
    ),
    Case(
        "two workers whose clocks are nine minutes apart, and reads that are late",
        "together",
        passes=True,
        weather=Weather(behind=60.0, jumping=False),
        pace=Pace(skews=(-280.0, 280.0)),
    ),
    Case(
        "the worker's clock is 40 s ahead, and a reply is lost",
        "started",
        passes=True,
        faults=[(0.0, _lost(SERVERS[2]))],
        pace=Pace(skews=(40.0,)),
    ),
    Case(
        "DescribeJobs is two minutes behind when a call had no reply",
        "started",
        passes=True,
        faults=[(0.0, _lost(SERVERS[2]))],
        weather=Weather(behind=60.0, jumping=False),
    ),
    Case(
        "calls take up to a minute to fail",
        "started",
        passes=True,
        faults=[
            (
                0.0,
                ConnectionDrop(
                    operations=("StartRecovery",), when="after", count=2, seconds=timedelta(seconds=61)
                ),
            )
        ],
    ),
)


def case_named(name: str) -> Case:
    """The case of that name. :raises KeyError: there is none"""
    return {case.name: case for case in CASES}[name]
