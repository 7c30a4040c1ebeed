"""The judge finds each kind of broken promise when it happens, and none where none was broken."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

import pytest

from bench.campaign import judge
from bench.campaign.clients import Client
from bench.campaign.judge import Verdict
from bench.campaign.mixes import Trouble
from bench.campaign.plans import SERVERS, shape_named
from bench.campaign.result import COLOUR, DOUBLE, FOREIGN, LEFT
from bench.campaign.world import World

RUN, OTHER = "run drs_drill__started/drill", "run drs_drill__neighbour/other"
SERVER = SERVERS[0]
LAUNCHED = 600.0
"""Seconds by which a launch has ended."""


class Scene:
    """A world in which only what a test says happens."""

    def __init__(self) -> None:
        self.world = World(1, Trouble(shape_named("started"), random.Random(1)))
        self.world.account.truth.holds = lambda author: author == OTHER

    def act(self, actor: str, what: Callable[[Client], object], at: float) -> None:
        client = Client(self.world.account, "drs", 1)
        self.world.hub.spawn(lambda: what(client), actor, actor=actor, after=at)

    def launch(self, actor: str, at: float, *, is_drill: bool = True) -> None:
        servers = [{"sourceServerID": SERVER}]
        self.act(actor, lambda drs: drs.start_recovery(isDrill=is_drill, sourceServers=servers), at)

    def terminate(self, actor: str, at: float) -> None:
        def what(drs: Client) -> None:
            drs.terminate_recovery_instances(
                recoveryInstanceIDs=list(self.world.account.service.recovery_instances)
            )

        self.act(actor, what, at)

    def judged(self, **fields: object) -> list[str]:
        self.world.hub.run(5000.0, lambda: False)
        known = {
            "actor": RUN,
            "state": "success",
            "required": (SERVER,),
            "waves_ended": LAUNCHED + 60.0,
            "said": "",
            "red": "",
            "end": "",
        }
        verdict = Verdict(**{**known, **fields})  # type: ignore[arg-type]
        return [each.kind for each in judge.violations(self.world.account, [verdict])]


@pytest.fixture
def scene() -> Iterator[Scene]:
    scene = Scene()
    yield scene
    scene.world.close()


def test_a_green_drill_that_launched_and_cleaned_up_breaks_nothing(scene: Scene) -> None:
    scene.launch(RUN, 0.0)
    scene.terminate(RUN, 1000.0)
    assert scene.judged() == []


def test_a_server_that_is_launched_again_while_it_runs_is_a_double_launch(scene: Scene) -> None:
    scene.launch(RUN, 0.0)
    scene.launch(RUN, LAUNCHED)
    scene.terminate(RUN, 2000.0)
    assert scene.judged(waves_ended=1500.0) == [DOUBLE]


def test_a_server_that_is_launched_again_after_its_termination_is_none(scene: Scene) -> None:
    scene.launch(RUN, 0.0)
    scene.terminate(RUN, 700.0)
    scene.launch(RUN, 1000.0)
    scene.terminate(RUN, 2000.0)
    assert scene.judged(waves_ended=1700.0) == []


def test_an_instance_of_somebody_else_that_is_terminated_is_foreign(scene: Scene) -> None:
    scene.launch("colleague", 0.0)
    scene.terminate(RUN, 700.0)
    assert scene.judged(state="failed", end="[SERVER_CONFLICT]") == [FOREIGN]


def test_an_instance_of_an_active_run_that_is_replaced_is_foreign(scene: Scene) -> None:
    scene.launch(OTHER, 0.0)
    scene.launch(RUN, 700.0)
    scene.terminate(RUN, 2000.0)
    assert scene.judged(waves_ended=1500.0) == [FOREIGN]


def test_a_real_recovery_that_is_replaced_is_foreign_whose_ever_it_is(scene: Scene) -> None:
    scene.launch("somebody", 0.0, is_drill=False)
    scene.launch(RUN, 700.0)
    scene.terminate(RUN, 2000.0)
    assert scene.judged(waves_ended=1500.0) == [FOREIGN]


def test_an_instance_that_runs_on_is_left_and_makes_green_wrong(scene: Scene) -> None:
    scene.launch(RUN, 0.0)
    assert scene.judged() == [LEFT, COLOUR]


def test_an_instance_that_a_red_run_names_is_reported(scene: Scene) -> None:
    scene.launch(RUN, 0.0)
    text = f"[CLEANUP_INCOMPLETE] {SERVER} runs on"
    assert scene.judged(state="failed", said=text, red=text, end=text) == []


def test_an_instance_that_a_rule_keeps_is_not_left(scene: Scene) -> None:
    scene.launch(RUN, 0.0)
    assert scene.judged(kept={"drsjob-of-another-wave"}) == [LEFT, COLOUR]
    assert scene.judged(kept=set(scene.world.account.truth.authors)) == []


def test_green_although_the_instance_was_gone_when_the_waves_ended_is_the_wrong_colour(scene: Scene) -> None:
    scene.launch(RUN, 0.0)
    scene.terminate("colleague", 700.0)
    assert scene.judged(waves_ended=1500.0) == [COLOUR]


def test_red_without_a_code_is_the_wrong_colour(scene: Scene) -> None:
    assert scene.judged(state="failed", end="it died") == [COLOUR]
