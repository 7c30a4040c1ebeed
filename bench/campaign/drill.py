"""One whole drill of a seed: its world is made, everybody acts, and the judge looks at what came of it."""

from __future__ import annotations

import contextlib
import random
import time
from collections.abc import Callable
from dataclasses import dataclass

from bench.campaign import judge, people
from bench.campaign.judge import Verdict, Violation
from bench.campaign.mixes import Mix, Trouble
from bench.campaign.people import Act
from bench.campaign.plans import Shape, shapes
from bench.campaign.scheduler import Row, Run
from bench.campaign.stand_ins import PRESENT
from bench.campaign.world import World
from simulator.engine.faults import AnyFault
from simulator.engine.simulation import FaultError

HORIZON = 16 * 3600.0
"""Seconds after which a drill that does not end is looked at as it is."""


@dataclass(frozen=True)
class Result:
    """What came of one drill.

    :param broke: an error of the campaign itself
    """

    seed: int
    mix: str
    flow: str
    recoverable: bool
    passed: bool
    violations: tuple[Violation, ...]
    cpu: float
    trouble: tuple[str, ...]
    plan: str
    ended: str
    broke: str = ""


def shape_of(seed: int) -> Shape:
    """The plan that a seed drills."""
    return random.Random(f"{seed} shape").choice(shapes())


def trouble_of(seed: int, mix: Mix) -> Trouble:
    """What goes wrong in the drill of a seed."""
    trouble = mix.trouble(shape_of(seed), random.Random(f"{seed} trouble"))
    trouble.acts.append(people.answer_questions)
    return trouble


Flow = Callable[[World, Trouble], Run]
"""Starts the drill: as our DAG, or as the guide's first flow."""


def drill(seed: int, mix: Mix, flow: Flow, flow_name: str, say: Callable[[str], None] | None = None) -> Result:
    """Run the drill of a seed to its end, and judge it."""
    began = time.process_time()
    trouble = trouble_of(seed, mix)
    world = World(
        seed,
        trouble.shape,
        weather=trouble.weather,
        harm=trouble.harm,
        pace=trouble.pace,
        triggerer_skew=trouble.triggerer_skew,
        yes=trouble.yes,
        say=say,
    )
    broke = ""
    with PRESENT.of(world):
        try:
            run = flow(world, trouble)
            _set_off(world, trouble, run)
            world.hub.run(HORIZON, world.is_quiet)
        except Exception as error:
            broke = f"{type(error).__name__}: {error}"
            if say is not None:
                raise
        finally:
            world.close()
    verdicts = [verdict_of(world, each) for each in world.runs]
    found = () if broke else tuple(judge.violations(world.account, verdicts))
    return Result(
        seed=seed,
        mix=mix.name,
        flow=flow_name,
        recoverable=mix.recoverable,
        passed=bool(verdicts) and verdicts[0].state == "success",
        violations=found,
        cpu=time.process_time() - began,
        trouble=tuple(trouble.names),
        plan=trouble.shape.name,
        ended=f"{verdicts[0].state}: {verdicts[0].end[:300]}" if verdicts else "",
        broke=broke,
    )


def our_flow(world: World, trouble: Trouble) -> Run:
    """Start the drill as a run of the plan's DAG."""
    shape = trouble.shape
    return world.start(shape.dag_id, shape.nodes, shape.params, "drill")


def _set_off(world: World, trouble: Trouble, run: Run) -> None:
    """Let everything happen that the seed has decided."""
    for at, fault in trouble.faults:
        world.hub.after(at, lambda fault=fault: _arm(world, fault))  # type: ignore[misc]
    for begin, seconds in trouble.stalls:
        world.hub.after(begin, lambda seconds=seconds: world.triggerer.stall(seconds))  # type: ignore[misc]
    for number, act in enumerate(trouble.acts):
        rng = world.rng(f"act {number}")
        world.join(lambda act=act, rng=rng: _perform(act, world, run, rng), act.__name__)  # type: ignore[misc]


def _perform(act: Act, world: World, run: Run, rng: random.Random) -> None:
    act(world, run, rng)


def _arm(world: World, fault: AnyFault) -> None:
    with contextlib.suppress(FaultError):  # a holder of a server that is held already
        world.simulation.arm(fault)
        world.say(f"armed: {fault.model_dump(exclude_none=True, exclude_defaults=False)}")
    world.account.past.note()


def verdict_of(world: World, run: Run) -> Verdict:
    """What a run of a DAG said of itself."""
    last = run.rows["verdict"]
    rule = world.plan_of(run.dag_id).cleanup.when
    answer = run.answers.get("approve_cleanup")
    kept_by_answer = rule == "after_approval" and answer is not None and answer[0] == "Keep"
    keeps = rule == "never" or kept_by_answer or (rule == "on_success" and run.state != "success")
    return Verdict(
        actor=run.actor,
        state="deleted" if run.deleted else run.state,
        required=world.required(run.dag_id),
        waves_ended=_waves_ended(run.rows.values()),
        said="\n".join(row.error for row in run.rows.values()),
        end=last.error,
        keeps=keeps,
        kept_at=answer[1] if answer and kept_by_answer else None,
        coloured_by_hand=last.by_hand,
        goes_on=world.airflow.moves(run),
    )


def _waves_ended(rows: object) -> float | None:
    ended = [
        row.succeeded_at
        for row in rows  # type: ignore[attr-defined]
        if isinstance(row, Row) and row.task_id.endswith(".validate") and row.succeeded_at is not None
    ]
    return max(ended, default=None)
