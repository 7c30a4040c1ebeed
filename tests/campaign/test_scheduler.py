"""The campaign's small Airflow: the semantics on which the drills in it rely."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import timedelta

import pytest
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG, BaseOperator, TriggerRule

from bench.campaign.hub import Hub
from bench.campaign.loop import Triggerer
from bench.campaign.mischief import Harm, Hit, Mischief
from bench.campaign.rules import Node, nodes_of
from bench.campaign.scheduler import Airflow, Pace, Run
from tests.campaign.test_hub import START


class Work(BaseOperator):
    """Takes a minute, and counts its tries in an XCom of the first task."""

    def execute(self, context):  # type: ignore[no-untyped-def]
        ti = context["ti"]
        place = ti.dag_id, ti.run_id, "first"
        ti.write_xcom(place, f"began {self.task_id}", ti.try_number)
        HUBS[-1].sleep(60.0)
        ti.write_xcom(place, f"ended {self.task_id}", ti.try_number)


HUBS: list[Hub] = []


def small_dag() -> dict[str, Node]:
    with DAG("small", schedule=None, default_args={"retry_delay": timedelta(seconds=10)}) as dag:
        setup = EmptyOperator(task_id="setup")
        first, second = Work(task_id="first", retries=1), Work(task_id="second", retries=1)
        third = Work(task_id="third", trigger_rule=TriggerRule.NONE_FAILED)
        closing, verdict = Work(task_id="closing"), Work(task_id="verdict")
        setup >> first >> second >> third >> closing
        closing.as_teardown(setups=setup)
        verdict.as_teardown(setups=setup, on_failure_fail_dagrun=True)
        closing >> verdict
    return nodes_of(dag)


class Place:
    """A run of the small DAG."""

    def __init__(self, *hits: Hit, heartbeat_timeout: float = 30.0) -> None:
        self.hub = Hub(START)
        HUBS.append(self.hub)
        self.triggerer = Triggerer(self.hub, skew=0.0)
        mischief = Mischief(self.hub, random.Random(1), Harm(script=hits))
        pace = Pace(heartbeat_timeout=heartbeat_timeout, heartbeat=(4.9, 5.0))
        self.airflow = Airflow(self.hub, random.Random(1), self.triggerer, mischief, pace, lambda _: None)
        self.run: Run = self.airflow.trigger("small", small_dag(), {}, "run", user="anna")

    def pass_time(self, until: float = 10_000.0) -> None:
        self.hub.run(until, lambda: False)

    def xcom(self, key: str) -> object:
        return self.airflow.xcoms.get(("small", "run", "first"), key)

    @property
    def states(self) -> dict[str, str | None]:
        return self.run.states()


@pytest.fixture(autouse=True)
def hubs() -> Iterator[None]:
    yield
    while HUBS:
        HUBS.pop().close()


DONE = dict.fromkeys(("setup", "first", "second", "third", "closing", "verdict"), "success")


def test_a_run_goes_from_task_to_task_and_ends() -> None:
    place = Place()
    place.pass_time()
    assert place.states == DONE
    assert place.run.state == "success"


def test_a_task_whose_process_dies_is_tried_again() -> None:
    place = Place(Hit("second", "after the write of began second"))
    place.pass_time()
    assert place.run.state == "success"
    assert place.run.rows["second"].try_number == 2


def test_a_frozen_try_that_thaws_may_write_but_its_end_does_not_count() -> None:
    """The second try has begun. The first one thaws, writes its XCom, and is killed."""
    place = Place(Hit("second", "before the write of ended second", freeze=95.0))
    place.pass_time(until=225.0)
    assert place.run.rows["second"].try_number == 2
    assert place.xcom("ended second") == 1
    assert place.run.rows["second"].state == "running"
    place.pass_time()
    assert place.xcom("ended second") == 2
    assert place.run.state == "success"


def test_a_paused_dag_schedules_nothing_and_goes_on_when_it_is_unpaused() -> None:
    place = Place()
    place.hub.after(70.0, lambda: place.airflow.pause("small"))
    place.pass_time(until=5000.0)
    assert place.states["second"] == "success"
    assert (place.states["third"], place.run.state) == (None, "running")
    place.airflow.unpause("small")
    place.pass_time()
    assert place.run.state == "success"


def test_a_run_that_is_marked_failed_still_runs_its_teardowns() -> None:
    place = Place()
    place.hub.after(70.0, lambda: place.airflow.mark_run_failed(place.run))
    place.pass_time()
    assert place.states == {**DONE, "second": "failed", "third": "skipped"}
    assert place.xcom("ended second") is None


def test_a_failed_task_fails_what_follows_but_not_the_teardowns() -> None:
    place = Place()
    place.hub.after(70.0, lambda: place.airflow.mark(place.run.rows["second"], "failed"))
    place.pass_time()
    assert place.states == {**DONE, "second": "failed", "third": "upstream_failed"}


def test_a_task_that_is_cleared_takes_setup_and_teardowns_with_it() -> None:
    place = Place()
    place.pass_time()
    place.airflow.clear(place.run.rows["third"])
    assert place.states == {"setup": None, "first": "success", "second": "success"} | dict.fromkeys(
        ("third", "closing", "verdict")
    )
    place.pass_time()
    assert place.run.state == "success"
    assert place.run.rows["verdict"].try_number == 2


def test_the_state_of_the_run_is_that_of_its_last_teardown() -> None:
    place = Place()
    place.hub.after(280.0, lambda: place.airflow.mark(place.run.rows["verdict"], "failed"))
    place.pass_time()
    assert (place.states["verdict"], place.run.state) == ("failed", "failed")
