"""Since when Airflow has known each plan's schedule."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.execution_time import task_runner

from drs.dag_factory import drill_dag, refusing_dag
from drs.plan import BrokenPlan, Plan
from drs.run.ticks import KnownSchedule
from drs.tasks import schedules
from drs.tasks.schedules import SCHEDULES, in_dag_processor, keep_schedules, known_schedule
from tests.unit.drill import NOW, after, make_plan
from tests.unit.task_harness import FakeVariables

ORDERS = "drs_drill__orders"
MONTHLY = make_plan(schedule="0 6 1 * *")
FOLDER = Path("/opt/airflow/dags/plans")


@pytest.fixture
def variables(monkeypatch: pytest.MonkeyPatch) -> FakeVariables:
    variables = FakeVariables()
    monkeypatch.setattr(schedules, "Variable", variables)
    return variables


@pytest.fixture
def parse(variables: FakeVariables, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Let the DAG processor read this plan, that many seconds after NOW."""

    def parse(seconds: float, plan: Plan | BrokenPlan | None) -> KnownSchedule | None:
        monkeypatch.setattr(schedules, "utc_now", lambda: after(seconds))
        match plan:
            case Plan():
                dags = {ORDERS: drill_dag(plan)}
            case BrokenPlan():
                dags = {ORDERS: refusing_dag(plan)}
            case None:
                dags = {}
        keep_schedules(dags, FOLDER)
        return known_schedule(ORDERS)

    return parse


def since(seconds: float, schedule: str = "0 6 1 * *", timezone: str = "UTC") -> KnownSchedule:
    return KnownSchedule(schedule=schedule, timezone=timezone, since=after(seconds), folder=str(FOLDER))


def test_a_schedule_is_known_since_it_was_first_read(parse: Any) -> None:
    """Edits of other parts of the plan do not matter."""
    assert parse(0, MONTHLY) == since(0)
    assert parse(30, make_plan(schedule="0 6 1 * *", description="edited")) == since(0)
    assert parse(60, make_plan(schedule="0 7 1 * *")) == since(60, "0 7 1 * *")
    assert parse(90, make_plan(schedule="0 7 1 * *", timezone="Europe/Berlin")) == since(
        90, "0 7 1 * *", "Europe/Berlin"
    )
    assert parse(120, MONTHLY) == since(120)


def test_a_schedule_that_was_away_is_new_when_it_is_back(parse: Any, tmp_path: Path) -> None:
    """While the plan was broken, gone or without a schedule, none of its ticks could fire."""
    broken = BrokenPlan("orders", tmp_path / "orders.yaml", ())
    for number, away in enumerate((broken, None, make_plan())):
        assert parse(number * 100, MONTHLY) == since(number * 100)
        assert parse(number * 100 + 30, away) is None


def test_each_folder_keeps_the_schedules_of_its_own_plans(parse: Any, variables: FakeVariables) -> None:
    """Two DAG bundles have a folder each. What one of them reads says nothing about the other's plans."""
    parse(0, MONTHLY)
    other = make_plan(name="billing", schedule="0 7 1 * *")
    keep_schedules({"drs_drill__billing": drill_dag(other)}, Path("/opt/airflow/bundle/plans"))
    assert known_schedule(ORDERS) == since(0)
    assert parse(60, None) is None
    assert list(json.loads(variables.values[SCHEDULES])) == ["drs_drill__billing"]


def test_what_was_kept_without_a_folder_is_kept_since_then(parse: Any, variables: FakeVariables) -> None:
    """As an earlier version wrote it."""
    known = since(0).model_dump(mode="json", exclude={"folder"})
    variables.set(SCHEDULES, {ORDERS: known, "drs_drill__gone": known}, serialize_json=True)
    assert parse(60, MONTHLY) == since(0)
    assert known_schedule("drs_drill__gone") is None


def test_nothing_is_written_while_nothing_changes(
    parse: Any, variables: FakeVariables, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The plans are parsed twice a minute."""
    parse(0, MONTHLY)
    written = variables.values[SCHEDULES]
    monkeypatch.setattr(variables, "set", lambda *_, **__: pytest.fail("written again"))
    parse(30, MONTHLY)
    assert variables.values[SCHEDULES] == written


def test_an_airflow_that_does_not_answer_keeps_no_plan_from_being_parsed(
    parse: Any, variables: FakeVariables, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A file that raises would take away the DAGs of all plans, and freeze their drills."""
    with monkeypatch.context() as down:
        down.setattr(variables, "set", unanswered)
        assert parse(0, MONTHLY) is None
    assert "database is locked" in caplog.text
    assert parse(30, MONTHLY) == since(30)


def unanswered(*_: Any, **__: Any) -> None:
    raise ConnectionError("database is locked")


def test_only_the_dag_processor_keeps_schedules(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker sees one plan, and a person's process may see other files."""
    monkeypatch.delattr(task_runner, "SUPERVISOR_COMMS", raising=False)
    assert in_dag_processor(None) is False
    monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", object(), raising=False)
    assert in_dag_processor(None) is True
    assert in_dag_processor(ORDERS) is False


def test_a_time_is_kept_with_its_zone(parse: Any) -> None:
    """It is compared with Airflow's times."""
    found = parse(0, MONTHLY)
    assert found.since == NOW
    assert found.since.utcoffset() == dt.timedelta(0)
