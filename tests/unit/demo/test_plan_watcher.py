"""The watcher of the plans folder, against a server that answers as Airflow does."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from demo import plan_watcher
from demo.airflow_api import AirflowApi
from demo.plan_watcher import PlanWatcher
from tests.unit.fake_airflow import FakeAirflow, fake_airflow

TOKEN = "/api/v2/parseDagFile/recovery-plans"


@pytest.fixture
def airflow(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeAirflow]:
    """An Airflow with one plan's DAG and one of somebody else."""
    monkeypatch.setattr(plan_watcher, "LOOK_EVERY", 0.01)
    monkeypatch.setattr(plan_watcher, "AGAIN", 0.02)
    dags = [
        {"dag_id": "drs_drill__a", "file_token": "recovery-plans"},
        {"dag_id": "drs_drill__b", "file_token": "recovery-plans"},
        {"dag_id": "other", "file_token": "others"},
    ]
    with fake_airflow() as fake:
        fake.answers["/api/v2/dags"] = lambda _: (200, {"dags": dags, "total_entries": len(dags)})
        fake.answers[TOKEN] = lambda _: (201, None)
        yield fake


@pytest.fixture
def watcher(airflow: FakeAirflow, tmp_path: Path) -> Iterator[PlanWatcher]:
    (tmp_path / "a.yaml").write_text("name: a")
    watcher = PlanWatcher(tmp_path, AirflowApi(airflow.url))
    yield watcher
    watcher.stop()


def wishes(airflow: FakeAirflow) -> list[str]:
    return [path for method, path, _, _ in airflow.asked if method == "PUT"]


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize("change", ["written", "edited", "removed"])
def test_a_changed_folder_is_parsed_again_twice(
    airflow: FakeAirflow, watcher: PlanWatcher, tmp_path: Path, change: str
) -> None:
    """The plans' file alone, and a second time for the case that it was just being parsed."""
    if change == "removed":
        (tmp_path / "a.yaml").unlink()
    else:
        (tmp_path / ("b.yaml" if change == "written" else "a.yaml")).write_text("name: another")
    watcher.start()
    wait_until(lambda: len(wishes(airflow)) == 2)
    watcher.stop()
    assert wishes(airflow) == [TOKEN, TOKEN]


def test_an_airflow_that_does_not_answer_yet_is_asked_until_it_does(
    airflow: FakeAirflow, watcher: PlanWatcher, tmp_path: Path
) -> None:
    """Neither a failed request nor a DAG processor that has built nothing yet loses the change."""
    whole = airflow.answers["/api/v2/dags"]
    airflow.answers["/api/v2/dags"] = lambda _: (503, {"detail": "starting"})
    (tmp_path / "b.yaml").write_text("name: b")
    watcher.start()
    wait_until(lambda: len(airflow.asked) > 2)
    airflow.answers["/api/v2/dags"] = lambda _: (200, {"dags": [], "total_entries": 0})
    seen = len(airflow.asked)
    wait_until(lambda: len(airflow.asked) > seen + 2)
    assert wishes(airflow) == []
    airflow.answers["/api/v2/dags"] = whole
    wait_until(lambda: len(wishes(airflow)) == 2)
