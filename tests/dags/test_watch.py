"""The DAG that looks for drills that stand still and for what drills have left."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from pathlib import Path

import pytest
from airflow.dag_processing.dagbag import DagBag
from airflow.sdk import DAG, DeltaTriggerTimetable

from tests.dags.conftest import REPOSITORY


@pytest.fixture
def watch(plans: Path) -> Callable[[], DAG]:
    """Parse the DAG's file only."""

    def parse() -> DAG:
        bag = DagBag(dag_folder=REPOSITORY / "dags" / "drs_watch.py", load_op_links=False)
        assert bag.import_errors == {}
        (dag,) = bag.dags.values()
        return dag

    return parse


def test_it_looks_every_ten_minutes_as_soon_as_it_is_installed(watch: Callable[[], DAG]) -> None:
    """A watch that is off protects nobody. Looks never overlap, missed ones are not caught up, and a red one
    is not retried: the next one comes soon.
    """
    dag = watch()
    assert isinstance(dag.timetable, DeltaTriggerTimetable)
    assert dag.timetable.delta == dt.timedelta(minutes=10)
    assert dag.is_paused_upon_creation is False
    assert (dag.catchup, dag.max_active_runs) == (False, 1)
    assert [(task.task_id, task.retries) for task in dag.tasks] == [("watch", 0)]


def test_its_interval_is_a_setting(watch: Callable[[], DAG], monkeypatch: pytest.MonkeyPatch) -> None:
    """If it is empty, the DAG runs only by hand."""
    monkeypatch.setenv("AIRFLOW__DRS__WATCH_INTERVAL", "5m")
    assert getattr(watch().timetable, "delta", None) == dt.timedelta(minutes=5)
    monkeypatch.setenv("AIRFLOW__DRS__WATCH_INTERVAL", "")
    assert watch().schedule is None
