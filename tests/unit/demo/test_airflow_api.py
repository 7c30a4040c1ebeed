"""What the demo's client of Airflow adds to the shared one, against a server that answers as Airflow does."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from demo.airflow_api import AirflowApi
from tests.unit.fake_airflow import Answer, FakeAirflow, fake_airflow


@pytest.fixture
def airflow() -> Iterator[tuple[FakeAirflow, AirflowApi]]:
    with fake_airflow() as fake:
        yield fake, AirflowApi(fake.url)


def test_a_busy_sqlite_is_asked_again(airflow: tuple[FakeAirflow, AirflowApi]) -> None:
    """Such a request was rolled back, so that even one that changes something may be repeated."""
    fake, api = airflow
    answers: Iterator[Answer] = iter([(500, {"detail": "Database error"}), (200, {})])
    fake.answers["/api/v2/dags/d"] = lambda _: next(answers)
    api.unpause("d")
    assert [method for method, _, _, _ in fake.asked] == ["GET", "PATCH", "PATCH"]


def test_the_log_of_one_try_is_text(airflow: tuple[FakeAirflow, AirflowApi]) -> None:
    """One message a line."""
    fake, api = airflow
    messages = [{"level": "info", "event": "One."}, "Two."]
    fake.answers["/api/v2/dags/d/dagRuns/r/taskInstances/t/logs/2"] = lambda _: (200, {"content": messages})
    assert api.task_log("d", "r", "t", try_number=2) == "info One.\nTwo."


def test_a_missing_dag_is_told_with_the_import_errors(airflow: tuple[FakeAirflow, AirflowApi]) -> None:
    """A caller that waits for a plan's DAG learns why the DAG does not come."""
    fake, api = airflow
    fake.answers["/api/v2/dags"] = lambda _: (200, {"dags": [{"dag_id": "other"}], "total_entries": 1})
    error = {"filename": "recovery_plans.py", "stack_trace": "KeyError: waves"}
    fake.answers["/api/v2/importErrors"] = lambda _: (200, {"import_errors": [error], "total_entries": 1})
    with pytest.raises(
        TimeoutError, match=r"(?s)no DAG mine.*DAGs: other\..*recovery_plans\.py:\nKeyError: waves"
    ):
        api.wait_for_dag("mine", timeout=0)


def test_the_dag_of_an_older_plan_is_not_the_one(airflow: tuple[FakeAirflow, AirflowApi]) -> None:
    """Neither a stale DAG nor one that was built before the plan was edited is taken for the plan's."""
    fake, api = airflow
    dag = {"dag_id": "d", "is_stale": True}
    fake.answers["/api/v2/dags/d"] = lambda _: (200, dag)
    fake.answers["/api/v2/dags/d/details"] = lambda _: (200, {**dag, "doc_md": "Plan digest: `old`"})
    fake.answers["/api/v2/dags"] = lambda _: (200, {"dags": [dag], "total_entries": 1})
    fake.answers["/api/v2/importErrors"] = lambda _: (200, {"import_errors": [], "total_entries": 0})
    with pytest.raises(TimeoutError):
        api.wait_for_dag("d", timeout=0)
    dag["is_stale"] = False
    api.wait_for_dag("d", timeout=0)
    with pytest.raises(TimeoutError, match="no DAG d of plan digest new"):
        api.wait_for_dag("d", timeout=0, digest="new")
    api.wait_for_dag("d", timeout=0, digest="old")
