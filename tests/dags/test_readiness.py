"""The DAG that asks every plan whether a drill could begin."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from airflow.dag_processing.dagbag import DagBag
from airflow.sdk import DAG, CronTriggerTimetable
from airflow.sdk.definitions.mappedoperator import MappedOperator

from tests.dags.conftest import REPOSITORY


@pytest.fixture
def readiness(plans: Path) -> Callable[[], DAG]:
    """Parse the DAG's file only."""

    def parse() -> DAG:
        bag = DagBag(dag_folder=REPOSITORY / "dags" / "drs_readiness.py", load_op_links=False)
        assert bag.import_errors == {}
        (dag,) = bag.dags.values()
        return dag

    return parse


def test_each_plan_is_a_mapped_task_known_by_its_name(readiness: Callable[[], DAG]) -> None:
    """One that fails does not stop the others, and only a few run at a time."""
    dag = readiness()
    mapped = dag.get_task("preflight")
    assert isinstance(mapped, MappedOperator)
    assert mapped.upstream_task_ids == {"plans"}
    assert mapped.map_index_template == "{{ task.plan }}"
    assert mapped.max_active_tis_per_dagrun == 4


def test_it_runs_daily_but_only_once_it_is_unpaused(readiness: Callable[[], DAG]) -> None:
    """AWS is not asked before somebody unpauses it. Runs never overlap, and missed days are not caught up."""
    dag = readiness()
    assert isinstance(dag.timetable, CronTriggerTimetable)
    assert (dag.timetable.expression, str(dag.timetable.timezone)) == ("0 5 * * *", "UTC")
    assert dag.is_paused_upon_creation
    assert (dag.catchup, dag.max_active_runs) == (False, 1)
    assert {(task.retries, task.retry_delay) for task in dag.tasks} == {(2, dt.timedelta(seconds=10))}


@pytest.mark.parametrize(("setting", "schedule"), [("30 6 * * 1", "30 6 * * 1"), ("", None)])
def test_its_schedule_is_a_setting(
    readiness: Callable[[], DAG], monkeypatch: pytest.MonkeyPatch, setting: str, schedule: str | None
) -> None:
    """If it is empty, the DAG runs only by hand."""
    monkeypatch.setenv("AIRFLOW__DRS__READINESS_SCHEDULE", setting)
    assert getattr(readiness().timetable, "expression", None) == schedule


def test_parsing_it_reads_no_plan(
    readiness: Callable[[], DAG], plans: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Parsing costs the same with one plan and with three hundred; the folder is not even listed."""
    looked: list[Path] = []
    iterdir, read_bytes = Path.iterdir, Path.read_bytes

    def spy(method: Callable[[Path], Any]) -> Callable[[Path], Any]:
        def spied(path: Path) -> Any:
            looked.append(path)
            return method(path)

        return spied

    monkeypatch.setattr(Path, "iterdir", spy(iterdir))
    monkeypatch.setattr(Path, "read_bytes", spy(read_bytes))
    readiness()
    assert [path for path in looked if path.is_relative_to(plans)] == []
