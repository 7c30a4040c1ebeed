"""One whole drill of a seed: its world is made, everybody acts, and the judge looks at what came of it."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from typing import Protocol

from bench.campaign import guide, judge, ours
from bench.campaign.cases import Case, case_named
from bench.campaign.judge import Verdict
from bench.campaign.mixes import Trouble, mix_named, mix_of
from bench.campaign.result import Result, Violation
from bench.campaign.runner import GUIDE, OURS, Task
from bench.campaign.stand_ins import PRESENT
from bench.campaign.watchman import last_look
from bench.campaign.world import World
from simulator.engine.faults import AnyFault
from simulator.engine.simulation import FaultError

SAID = 6000
"""Characters of what the run's logs say of its failures that are kept."""
HORIZON = 16 * 3600.0
"""Seconds after which a drill that does not end is looked at as it is."""
FLOWS = {OURS: ours.begin, GUIDE: guide.begin}
"""The tools that are compared: what runs the drill."""


def source_of(task: Task) -> Source:
    """What goes wrong in the drill."""
    if task.case is not None:
        return case_named(task.case)
    return mix_named(task.mix) if task.mix is not None else mix_of(task.seed)


class Source(Protocol):
    """Says what goes wrong in a drill: a mix, or a case that is written down."""

    @property
    def name(self) -> str: ...

    @property
    def recoverable(self) -> bool: ...

    def trouble(self, seed: int) -> Trouble: ...


def drill(seed: int, source: Source, flow: str, say: Callable[[str], None] | None = None) -> Result:
    """Run the drill of a seed to its end, and judge it.

    :param flow: the tool that runs it, one of :data:`FLOWS`
    :param say: where a reader follows it; an error of the campaign is then raised
    """
    began = time.process_time()
    trouble = source.trouble(seed)
    world = World(seed, trouble, say=say)
    verdicts: list[Verdict] = []
    found: list[Violation] = []
    broke = ""
    with PRESENT.of(world):
        try:
            told = FLOWS[flow](world, trouble)
            _set_off(world, trouble)
            world.hub.run(HORIZON, world.is_quiet)
            verdicts = told()
            watched = last_look(world) if flow == OURS else []
            found = judge.violations(world.account, verdicts, watched)
        except Exception as error:
            broke = f"{type(error).__name__}: {error}"
            if say is not None:
                raise
        finally:
            world.close()
    return Result(
        seed=seed,
        mix=source.name,
        flow=flow,
        recoverable=source.recoverable,
        passed=bool(verdicts) and verdicts[0].state == "success",
        violations=tuple(found),
        cpu=time.process_time() - began,
        trouble=tuple(trouble.names),
        plan=trouble.shape.name,
        said=verdicts[0].said[-SAID:] if verdicts else "",
        ended=f"{verdicts[0].state}: {verdicts[0].end}" if verdicts else "",
        left=sum(len(judge.left_by(world.account, each)) for each in verdicts),
        broke=broke,
        case=isinstance(source, Case),
    )


def _set_off(world: World, trouble: Trouble) -> None:
    """Let everything happen that the seed has decided, whatever runs the drill."""
    for at, fault in trouble.faults:
        world.hub.after(at, lambda fault=fault: _arm(world, fault))  # type: ignore[misc]
    for begin, seconds in trouble.stalls:
        world.hub.after(begin, lambda seconds=seconds: world.triggerer.stall(seconds))  # type: ignore[misc]
    for number, act in enumerate(trouble.colleagues):
        rng = world.rng(f"colleague {number}")
        world.join(lambda act=act, rng=rng: act(world, rng), act.__name__)  # type: ignore[misc]


def _arm(world: World, fault: AnyFault) -> None:
    with contextlib.suppress(FaultError):  # a holder of a server that is held already
        world.simulation.arm(fault)
        world.say(f"armed: {fault.model_dump(mode='json', exclude_none=True)}")
    world.account.past.note()
