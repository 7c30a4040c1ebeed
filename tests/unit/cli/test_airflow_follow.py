"""Following a run: what is reported, when following ends, and what happens if Airflow does not answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from drs.cli.airflow_api import AirflowApi, Login, Unreachable
from drs.cli.airflow_follow import SILENCE, Follower, launched
from drs.cli.airflow_stillness import CHECK_EVERY, STILL, StandsStillError
from drs.run.records import ServerRecord, WaveOutcome
from tests.unit.fake_airflow import Answer, FakeAirflow, fake_airflow

RUN = "/api/v2/dags/d/dagRuns/r"


class World:
    """A run as Airflow shows it: each poll sees the next state.

    The clock moves only when the follower waits.
    """

    def __init__(self, fake: FakeAirflow) -> None:
        self.fake = fake
        self.now = 0.0
        self.said: list[str] = []
        self.api = AirflowApi(
            httpx.Client(base_url=fake.url, trust_env=False), Login(token="t"), sleep=lambda _: None
        )

    def show(self, *pictures: tuple[str, dict[str, str]]) -> None:
        """Each poll sees the next state of the run and its tasks.

        After the last state, polls see it again.
        """
        self.pictures = list(pictures)
        self.fake.answers[RUN] = lambda _: (200, {"state": self.pictures[0][0]})
        self.fake.answers[f"{RUN}/taskInstances"] = self.tasks

    def tasks(self, _: Any) -> Answer:
        states = (self.pictures.pop(0) if len(self.pictures) > 1 else self.pictures[0])[1]
        instances = [
            {
                "task_id": task_id,
                "map_index": -1,
                "state": state,
                "try_number": 1,
                "start_date": None,
                "end_date": None,
            }
            for task_id, state in states.items()
        ]
        return 200, {"task_instances": instances, "total_entries": len(instances)}

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def follower(self) -> Follower:
        return Follower(self.api, "d", "r", self.said.append, clock=lambda: self.now, sleep=self.sleep)


@pytest.fixture
def world() -> Iterator[World]:
    with fake_airflow() as fake:
        yield World(fake)


def xcom(world: World, key: str, value: Any) -> None:
    world.fake.answers[f"{RUN}/taskInstances/begin/xcomEntries/{key}"] = lambda _: (200, {"value": value})


def test_each_change_is_told_once(world: World) -> None:
    """A task that waits in the triggerer is reported as running; one that waits for a worker is not."""
    world.show(
        ("running", {"begin": "success", "wave_web.start_recovery": "queued"}),
        ("running", {"begin": "success", "wave_web.start_recovery": "running"}),
        ("running", {"begin": "success", "wave_web.start_recovery": "deferred"}),
        ("running", {"begin": "success", "wave_web.start_recovery": "scheduled"}),
        ("running", {"begin": "success", "wave_web.start_recovery": "running"}),
        ("success", {"begin": "success", "wave_web.start_recovery": "success"}),
    )
    assert world.follower().follow() == "success"
    assert world.said == [
        "begin: success",
        "wave web: start_recovery: running",
        "wave web: start_recovery: success",
    ]


def test_a_failed_task_is_told_with_its_own_words(world: World) -> None:
    """The report has the task's warnings and errors, without Airflow's report of the exception, which repeats
    them.
    """
    messages = [
        {"level": "info", "event": "Nothing special."},
        {"level": "error", "event": "[SERVER_LAUNCH_FAILED] s-1 has no instance."},
        {"level": "error", "event": "What to do: look."},
        {"level": "error", "event": "Task failed with exception", "error_detail": []},
    ]
    world.fake.answers[f"{RUN}/taskInstances/preflight/logs/1"] = lambda _: (200, {"content": messages})
    xcom(world, "failure.preflight", {"code": "SERVER_LAUNCH_FAILED", "message": "m", "remedy": "r"})
    world.show(("failed", {"preflight": "failed"}))
    assert world.follower().follow() == "failed"
    assert world.said == [
        "preflight: failed\n  [SERVER_LAUNCH_FAILED] s-1 has no instance.\n  What to do: look."
    ]


def test_code_and_remedy_are_told_without_a_log_too(world: World) -> None:
    """For a user who may see runs but no logs, the run's own records give the reason."""
    world.fake.answers[f"{RUN}/taskInstances/preflight/logs/1"] = lambda _: (403, {"detail": "Forbidden"})
    xcom(world, "failure.preflight", {"code": "SERVER_CONFLICT", "message": "It is held.", "remedy": "Wait."})
    world.show(("failed", {"preflight": "failed"}))
    world.follower().follow()
    assert world.said == ["preflight: failed\n  [SERVER_CONFLICT] It is held.\n  What to do: Wait."]


def test_a_task_without_a_word_is_told_as_one(world: World) -> None:
    """A task whose process was killed has no message and no code. Airflow retries it."""
    world.show(("running", {"begin": "up_for_retry"}), ("success", {"begin": "success"}))
    world.follower().follow()
    assert world.said[0] == "begin: up_for_retry\n  Airflow retries this task by itself."


@pytest.mark.parametrize("state", ["awaiting_input", "deferred"])
def test_an_awaited_approval_is_told_with_the_place_to_answer(world: World, state: str) -> None:
    """The drill waits for the answer, so the report has the address of the page. Below 3.3, Airflow shows the
    task as deferred, like any other that waits.
    """
    pictures = [("running", {"wave_web.approve": each}) for each in ("running", state)]
    world.show(*pictures, ("success", {}))
    world.follower().follow()
    begun, printed = world.said
    assert begun == "wave web: approve: running"
    assert printed.startswith("wave web: approve: a person must answer, at http://")
    assert printed.endswith("/dags/d/runs/r/tasks/wave_web.approve/required_actions")


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"job_id": "drsjob-1"}, "2 of 2 servers started"),
        (
            {"refused_since": "2026-01-01T00:00:00Z", "holder": "drsjob-9"},
            "1 of 2 servers started; 1 held by drsjob-9",
        ),
        ({"given_up": "held for too long"}, "1 of 2 servers started; given up: s-2"),
    ],
)
def test_a_waves_launch_is_told(world: World, fields: dict[str, str], expected: str) -> None:
    """The run's own record gives the number of started servers, and what holds the others back."""
    at = "2026-01-01T00:00:00Z"
    slots = [
        {"server_id": "s-1", "not_before": at, "job_id": "drsjob-1"},
        {"server_id": "s-2", "not_before": at, **fields},
    ]
    timeline = {
        "jobs": "per_server",
        "server_delay": 1,
        "conflict_backoff": [1],
        "conflict_timeout": 1,
        "servers": slots,
    }
    xcom(world, "launch.web", {"timeline": timeline})
    world.show(("success", {"wave_web.start_recovery": "running"}))
    world.follower().follow()
    assert world.said[1:] == [f"wave web: {expected}"]


def test_a_record_of_another_version_does_not_end_the_following(world: World) -> None:
    """Airflow may run a newer drs-drills than this machine. Then the progress of waves is not reported."""
    xcom(world, "launch.web", {"timeline": {}, "colour": "red"})
    world.show(("success", {"wave_web.start_recovery": "success"}))
    assert world.follower().follow() == "success"


def test_what_was_being_told_when_airflow_went_away_is_told_afterwards(world: World) -> None:
    """If Airflow restarts during a poll, the next poll reports the failure."""
    log = f"{RUN}/taskInstances/preflight/logs/1"
    world.fake.answers[log] = lambda _: (
        (503, "soon") if world.now < 5 else (200, {"content": [{"level": "error", "event": "Why."}]})
    )
    world.show(("running", {"preflight": "failed"}), ("failed", {"preflight": "failed"}))
    world.follower().follow(timeout=60)
    assert world.said == ["preflight: failed\n  Why."]


def test_a_server_whose_job_is_still_live_is_not_said_to_be_unlaunched() -> None:
    """The wait ended before its job did."""

    def server(name: str, **fields: bool) -> ServerRecord:
        return ServerRecord.model_validate(
            {"server_id": f"s-{name}", "name": name, "job_id": "j", "optional": False, **fields}
        )

    ready, failed = server("a", launched=True), server("b", launched=False)
    live = server("c", launched=False, live=True)
    assert launched(WaveOutcome(servers=(ready,))) == "1 of 1 server launched"
    assert launched(WaveOutcome(servers=(ready, failed, live))) == (
        "1 of 3 servers launched; not launched: s-b (b); still launching when the wait ended: s-c (c)"
    )


def test_a_run_that_nobody_schedules_is_told(world: World) -> None:
    """It is reported once, with the command that shows the reason."""
    world.show(("queued", {}))
    with pytest.raises(TimeoutError):
        world.follower().follow(timeout=90)
    (printed,) = world.said
    assert "python -m drs status" in printed


def test_the_end_of_the_time_ends_the_following_alone(world: World) -> None:
    """At the timeout, following ends and the run goes on: the client sends only GETs."""
    world.show(("running", {"begin": "running"}))
    with pytest.raises(TimeoutError):
        world.follower().follow(timeout=90)
    assert world.now == pytest.approx(90)
    assert {method for method, _, _, _ in world.fake.asked} == {"GET"}


def airflow(world: World, *, paused: bool = False, stale: bool = False, down: str = "") -> None:
    """The DAG, and Airflow's health, of which one component may be down."""
    dag = {"dag_id": "d", "is_paused": paused, "is_stale": stale}
    health = {
        part: {"status": "unhealthy" if part == down else "healthy"} for part in ("scheduler", "triggerer")
    }
    world.fake.answers["/api/v2/dags/d"] = lambda _: (200, dag)
    world.fake.answers["/api/v2/monitor/health"] = lambda _: (200, health)


@pytest.mark.parametrize(
    ("state", "broken", "why", "remedy"),
    [
        ("running", {"paused": True}, "the DAG d is paused", "python -m drs stop d"),
        ("running", {"stale": True}, "Airflow has no DAG d any more", "Put the plan's file back"),
        ("queued", {"down": "scheduler"}, "Airflow's scheduler does not run", "Start `airflow scheduler`"),
        ("running", {"down": "triggerer"}, "Airflow's triggerer does not run", "Start `airflow triggerer`"),
    ],
)
def test_a_run_that_cannot_go_on_is_told_and_not_followed_for_ever(
    world: World, state: str, broken: dict[str, Any], why: str, remedy: str
) -> None:
    """It is reported at once, and after two minutes without any change following ends."""
    airflow(world, **broken)
    world.show((state, {"wave_web.wait_until_launched": "deferred"}))
    with pytest.raises(StandsStillError) as ended:
        world.follower().follow()
    assert STILL <= world.now <= STILL + CHECK_EVERY + 1
    assert any(f"the run does not go on: {why}" in text for text in world.said[:2])
    assert ended.value.message.startswith("[DRILL_FROZEN] Run r does not go on")
    assert why in ended.value.message
    assert remedy in ended.value.remedy


def test_a_run_that_goes_on_again_is_followed_to_its_end(world: World) -> None:
    """Somebody unpauses the DAG within the two minutes."""
    airflow(world, paused=True)
    world.show(("running", {"begin": "success"}), *[("running", {"begin": "success"})] * 60, ("success", {}))

    def sleep(seconds: float) -> None:
        world.now += seconds
        if world.now >= 30:
            airflow(world)

    follower = Follower(world.api, "d", "r", world.said.append, clock=lambda: world.now, sleep=sleep)
    assert follower.follow() == "success"
    told = [text for text in world.said if text.startswith("the run")]
    assert [text.split(":")[0] for text in told] == ["the run does not go on", "the run goes on"]


def test_a_paused_dag_whose_tasks_still_change_is_followed(world: World) -> None:
    """A task that runs goes on, and so does the DRS job whose end it waits for."""
    airflow(world, paused=True)
    pictures = [("running", {"preflight": each}) for each in ("running", "deferred") * 200]
    world.show(*pictures, ("success", {}))
    assert world.follower().follow() == "success"
    assert world.now > STILL


def test_a_triggerer_that_nothing_waits_in_is_not_needed(world: World) -> None:
    """An Airflow whose tasks wait in the worker may have none."""
    airflow(world, down="triggerer")
    world.show(*[("running", {"preflight": "running"})] * 200, ("success", {}))
    assert world.follower().follow() == "success"
    assert world.said == ["preflight: running"]


def test_records_in_an_object_store_are_told_once(world: World) -> None:
    """Airflow's API has only their addresses. The tasks are reported all the same."""
    xcom(world, "launch.web", "s3://bucket/xcom/launch.json")
    xcom(world, "failure.wave_web.validate", "s3://bucket/xcom/failure.json")
    world.show(
        ("running", {"wave_web.start_recovery": "running"}),
        ("running", {"wave_web.start_recovery": "success"}),
        ("failed", {"wave_web.start_recovery": "success", "wave_web.validate": "failed"}),
    )
    assert world.follower().follow() == "failed"
    (told,) = [text for text in world.said if "cannot be read" in text]
    assert "object store" in told
    assert any(text.startswith("wave web: validate: failed") for text in world.said)


def restarting(world: World, until: float) -> Callable[[Any], Answer]:
    return lambda _: (503, "soon") if world.now < until else (200, {"state": "success"})


def test_a_restart_of_airflow_is_waited_out(world: World) -> None:
    """The drill goes on while Airflow restarts, and so does following it."""
    world.show(("success", {"begin": "success"}))
    world.fake.answers[RUN] = restarting(world, SILENCE / 2)
    assert world.follower().follow() == "success"


def test_an_airflow_that_stays_away_is_given_up(world: World) -> None:
    """After two minutes without an answer, following ends with an error."""
    world.show(("success", {}))
    world.fake.answers[RUN] = restarting(world, 10 * SILENCE)
    with pytest.raises(Unreachable):
        world.follower().follow()
    assert SILENCE < world.now < SILENCE + 5
