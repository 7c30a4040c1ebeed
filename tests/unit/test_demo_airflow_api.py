"""The client of Airflow's REST API, against a server that answers as Airflow does."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from werkzeug.serving import make_server
from werkzeug.wrappers import Request, Response

from demo.airflow_api import AirflowApi

Answer = tuple[int, dict[str, Any]]


class FakeAirflow:
    """Gives a token, then what a test puts into `answers` by path; remembers what was asked."""

    def __init__(self) -> None:
        self.answers: dict[str, Callable[[dict[str, list[str]]], Answer]] = {}
        self.asked: list[tuple[str, str, str | None, Any]] = []

    def answer(self, method: str, url: str, token: str | None, body: Any) -> Answer:
        parts = urlsplit(url)
        self.asked.append((method, parts.path, token, body))
        if parts.path == "/auth/token":
            return 201, {"access_token": "secret"}
        if parts.path not in self.answers:
            return 404, {"detail": "not found"}
        return self.answers[parts.path](parse_qs(parts.query))


@pytest.fixture
def airflow() -> Iterator[tuple[FakeAirflow, AirflowApi]]:
    fake = FakeAirflow()

    @Request.application
    def application(request: Request) -> Response:
        body = json.loads(request.get_data() or "null")
        answer = fake.answer(request.method, request.full_path, request.headers.get("Authorization"), body)
        return Response(json.dumps(answer[1]), status=answer[0])

    server = make_server("127.0.0.1", 0, application, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield fake, AirflowApi(f"http://127.0.0.1:{server.server_port}")
    server.shutdown()
    server.server_close()
    thread.join()


def test_one_token_serves_every_call(airflow: tuple[FakeAirflow, AirflowApi]) -> None:
    """The token is fetched with the first call and sent with all."""
    fake, api = airflow
    fake.answers["/api/v2/dags/d/dagRuns/r"] = lambda _: (200, {"state": "running"})
    assert [api.run_state("d", "r"), api.run_state("d", "r")] == ["running", "running"]
    assert [token for _, _, token, _ in fake.asked] == [None, "Bearer secret", "Bearer secret"]


def test_a_list_longer_than_a_page_is_whole(airflow: tuple[FakeAirflow, AirflowApi]) -> None:
    """A run of a big plan has more tasks than Airflow gives in one answer."""
    fake, api = airflow
    tasks = [{"task_id": f"t{number}"} for number in range(250)]

    def page(query: dict[str, list[str]]) -> Answer:
        offset, limit = int(query["offset"][0]), int(query["limit"][0])
        return 200, {"task_instances": tasks[offset : offset + limit], "total_entries": len(tasks)}

    fake.answers["/api/v2/dags/d/dagRuns/r/taskInstances"] = page
    assert tasks == api.task_instances("d", "r")


def test_a_refusal_is_told_in_airflows_words(airflow: tuple[FakeAirflow, AirflowApi]) -> None:
    """A status code alone would not say what was wrong with the request."""
    fake, api = airflow
    fake.answers["/api/v2/dags/d/dagRuns"] = lambda _: (
        400,
        {"detail": "waves: 'nope' is not one of ['web']"},
    )
    with pytest.raises(httpx.HTTPStatusError, match=r"400.*'nope' is not one of"):
        api.trigger("d", {"waves": ["nope"]})


def test_a_run_started_by_hand_has_no_logical_date(airflow: tuple[FakeAirflow, AirflowApi]) -> None:
    """Two drills of one plan may be asked for within one moment."""
    fake, api = airflow
    fake.answers["/api/v2/dags/d/dagRuns"] = lambda _: (200, {"dag_run_id": "manual__1"})
    assert api.trigger("d", {"reason": "test"}) == "manual__1"
    assert fake.asked[-1][3] == {"logical_date": None, "conf": {"reason": "test"}}


def test_what_is_not_there_is_none(airflow: tuple[FakeAirflow, AirflowApi]) -> None:
    """An XCom that no task left, and a DAG that is not built yet, are no errors."""
    _, api = airflow
    assert api.xcom("d", "r", "t", "key") is None
    assert api.dag("d") is None


def test_a_log_reads_as_lines_with_the_causes_of_failures(airflow: tuple[FakeAirflow, AirflowApi]) -> None:
    """Fields that a message brings along are kept; those that every message carries are left out."""
    fake, api = airflow
    repeated = {"dag_id": "d", "run_id": "r", "task_id": "t", "try_number": 2, "map_index": -1, "ti_id": "x"}
    fake.answers["/api/v2/dags/d/dagRuns/r/taskInstances/t/logs/2"] = lambda _: (
        200,
        {
            "content": [
                {
                    "timestamp": "12:00",
                    "level": "info",
                    "event": "Made a job.",
                    "job_id": "drsjob-1",
                    **repeated,
                },
                {
                    "level": "error",
                    "event": "Task failed",
                    "error_detail": [{"exc_type": "ValueError", "exc_value": "no", "frames": []}],
                },
            ]
        },
    )
    expected = "12:00 info Made a job. job_id='drsjob-1'\nerror Task failed\nValueError: no"
    assert expected == api.task_log("d", "r", "t", try_number=2)


def test_a_missing_dag_is_told_with_the_import_errors(airflow: tuple[FakeAirflow, AirflowApi]) -> None:
    """Whoever waits for a plan's DAG learns why it does not come."""
    fake, api = airflow
    fake.answers["/api/v2/dags"] = lambda _: (200, {"dags": [{"dag_id": "other"}], "total_entries": 1})
    error = {"filename": "recovery_plans.py", "stack_trace": "KeyError: waves"}
    fake.answers["/api/v2/importErrors"] = lambda _: (200, {"import_errors": [error], "total_entries": 1})
    with pytest.raises(
        TimeoutError, match=r"(?s)no DAG mine.*DAGs: other\..*recovery_plans\.py:\nKeyError: waves"
    ):
        api.wait_for_dag("mine", timeout=0)
