"""The client of Airflow's REST API: logins, lost replies, refusals."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from werkzeug.utils import redirect

from drs.cli.airflow_api import AirflowApi, AirflowError, Login, NotAllowed, Refused, Unreachable
from drs.cli.airflow_logs import as_text, texts
from tests.unit.fake_airflow import Answer, FakeAirflow, fake_airflow

RUN = "/api/v2/dags/d/dagRuns/r"
RUNS = "/api/v2/dags/d/dagRuns"


@pytest.fixture
def fake() -> Iterator[FakeAirflow]:
    with fake_airflow() as airflow:
        yield airflow


def client(fake: FakeAirflow, login: Login | None = None, waited: list[float] | None = None) -> AirflowApi:
    http = httpx.Client(base_url=fake.url, trust_env=False)
    return AirflowApi(http, login or Login(), sleep=(waited if waited is not None else []).append)


def test_one_token_serves_every_call(fake: FakeAirflow) -> None:
    """The client fetches the token before the first call and sends it with every call."""
    fake.answers[RUN] = lambda _: (200, {"state": "running"})
    api = client(fake)
    assert [api.run_state("d", "r"), api.run_state("d", "r")] == ["running", "running"]
    assert [token for _, _, token, _ in fake.asked] == [None, "Bearer secret", "Bearer secret"]


def test_a_user_logs_in_with_a_password(fake: FakeAirflow) -> None:
    """The client sends the login to the address that Airflow's own auth managers use."""
    fake.answers[RUN] = lambda _: (200, {"state": "running"})
    client(fake, Login(user="ada", password="pw")).run_state("d", "r")
    assert fake.asked[0] == ("POST", "/auth/token", None, {"username": "ada", "password": "pw"})


def test_a_given_token_is_used_as_it_is(fake: FakeAirflow) -> None:
    """The client does not fetch another token, not even when Airflow refuses the given one."""
    fake.answers[RUN] = lambda _: (401, {"detail": "Token Expired"})
    with pytest.raises(NotAllowed, match=r"(?s)does not accept this login.*Token Expired.*DRS_AIRFLOW_TOKEN"):
        client(fake, Login(token="mine")).run_state("d", "r")
    asked = [(path, token) for _, path, token, _ in fake.asked]
    assert asked == [(RUN, "Bearer mine"), ("/api/v2/monitor/health", None)]


def test_an_expired_token_is_fetched_anew(fake: FakeAirflow) -> None:
    """The token may expire while a drill waits for an approval."""
    tokens = iter(["first", "second"])
    fake.answers["/auth/token"] = lambda _: (201, {"access_token": next(tokens)})
    fake.answers[RUN] = lambda _: (401, {}) if fake.asked[-1][2] == "Bearer first" else (200, {"state": "ok"})
    assert client(fake).run_state("d", "r") == "ok"


@pytest.mark.parametrize(
    ("login", "who"),
    [(Login(), "clients without a login"), (Login(user="ada", password="no"), "user ada")],
)
def test_no_token_is_told_with_what_to_set(fake: FakeAirflow, login: Login, who: str) -> None:
    """If Airflow requires a login, its answer here is 401, 403 or 404, depending on the auth manager."""
    fake.answers["/auth/token"] = lambda _: (403, {"detail": "only if all admins"})
    with pytest.raises(NotAllowed, match=rf"(?s)no token to {who}: 403, only if all.*DRS_AIRFLOW_USER"):
        client(fake, login).run_state("d", "r")


def test_what_a_user_may_not_do_is_told(fake: FakeAirflow) -> None:
    """A 403 means a missing permission, so the error does not advise another login."""
    fake.answers[RUN] = lambda _: (403, {"detail": "Forbidden"})
    with pytest.raises(NotAllowed, match="does not let this user do that"):
        client(fake).run_state("d", "r")


def test_a_get_outlives_a_restart_of_the_server(fake: FakeAirflow) -> None:
    """After a server error, the client repeats a GET twice, each time after a pause."""
    answers: Iterator[Answer] = iter([(502, "bad gateway"), (503, "soon"), (200, {"state": "running"})])
    fake.answers[RUN] = lambda _: next(answers)
    waited: list[float] = []
    assert client(fake, Login(token="t"), waited).run_state("d", "r") == "running"
    assert waited == [0.5, 1.5]


def test_a_server_that_stays_away_is_named(fake: FakeAirflow) -> None:
    """The error has Airflow's address, the reason, and which option to set."""
    http = httpx.Client(base_url="http://127.0.0.1:1", trust_env=False)
    with pytest.raises(Unreachable, match=r"(?s)http://127.0.0.1:1 .*refused.*DRS_AIRFLOW_URL"):
        AirflowApi(http, Login(), sleep=lambda _: None).run_state("d", "r")


def test_something_else_at_the_address_is_told(fake: FakeAirflow) -> None:
    """A proxy's page or another program on the port is not taken for Airflow."""
    fake.answers[RUN] = lambda _: (200, "<html>hello</html>")
    with pytest.raises(AirflowError, match="does not answer as the API of Airflow 3 does"):
        client(fake).run_state("d", "r")


def test_an_address_that_moved_is_told(fake: FakeAirflow) -> None:
    """For example http instead of https.

    The client does not follow a redirect, because it would send the login there.
    """
    fake.answers["/auth/token"] = lambda _: (301, redirect("https://airflow.example/auth/token", 301))
    with pytest.raises(AirflowError, match=r"\(301, to https://airflow.example/auth/token\)"):
        client(fake).run_state("d", "r")


def test_a_refusal_is_told_in_airflows_words(fake: FakeAirflow) -> None:
    """The error has Airflow's explanation, because the status code alone does not say what is wrong."""
    fake.answers[RUNS] = lambda _: (400, {"detail": "waves: 'nope' is not one of ['web']"})
    with pytest.raises(Refused, match=r"400: waves: 'nope' is not one of"):
        client(fake).trigger("d", {"waves": ["nope"]})


def test_a_run_started_by_hand_has_an_id_of_its_own_and_no_logical_date(fake: FakeAirflow) -> None:
    """Two drills of one plan that are triggered at the same moment get different ids."""
    fake.answers[RUNS] = lambda _: (200, {})
    first, second = client(fake).trigger("d", {"reason": "test"}), client(fake).trigger("d")
    assert first != second
    bodies = [body for method, _, _, body in fake.asked if method == "POST"]
    assert bodies[0] == {"dag_run_id": first, "logical_date": None, "conf": {"reason": "test"}}


def test_a_trigger_whose_reply_is_lost_is_asked_about_and_never_sent_again(fake: FakeAirflow) -> None:
    """The run exists, so the client follows it. A second trigger would start a second drill."""

    def lost(_: Any) -> Answer:
        fake.answers[f"{RUNS}/{fake.asked[-1][3]['dag_run_id']}"] = lambda _: (200, {"state": "queued"})
        return 502, "bad gateway"

    fake.answers[RUNS] = lost
    run_id = client(fake).trigger("d")
    assert [(method, path) for method, path, _, _ in fake.asked[1:]] == [
        ("POST", RUNS),
        ("GET", "/api/v2/monitor/health"),
        ("GET", f"{RUNS}/{run_id}"),
    ]


def test_a_trigger_that_never_came_to_be_is_said_to_be_open(fake: FakeAirflow) -> None:
    """A slow server may still start the run later, so the operator is advised to check first."""
    fake.answers[RUNS] = lambda _: (502, "bad gateway")
    with pytest.raises(Unreachable, match=r"(?s)did not confirm run manual__.*does not list.*Check whether"):
        client(fake).trigger("d")


def test_a_list_longer_than_a_page_is_whole(fake: FakeAirflow) -> None:
    """A run of a big plan has more tasks than one answer of Airflow holds."""
    tasks = [{"task_id": f"t{number}"} for number in range(250)]

    def page(query: dict[str, list[str]]) -> Answer:
        offset, limit = int(query["offset"][0]), int(query["limit"][0])
        return 200, {"task_instances": tasks[offset : offset + limit], "total_entries": len(tasks)}

    fake.answers[f"{RUN}/taskInstances"] = page
    found = client(fake).task_instances("d", "r")
    assert [task["task_id"] for task in found] == [task["task_id"] for task in tasks]


@pytest.mark.parametrize("known", ["dag_id_prefix_pattern", "dag_id_pattern"], ids=["3.3", "3.2"])
def test_runs_are_asked_for_by_the_beginning_of_their_dag(fake: FakeAirflow, known: str) -> None:
    """Airflow ignores a parameter that its version does not know, and would return the runs of all DAGs."""
    runs = [{"dag_id": name} for name in ("other", "drs_drill__a", "drs_drill__b")]

    def listed(query: dict[str, list[str]]) -> Answer:
        text = query.get(known, [""])[0]
        return 200, {"dag_runs": [run for run in runs if run["dag_id"].startswith(text)]}

    fake.answers["/api/v2/dags/~/dagRuns"] = listed
    found = client(fake).runs(limit=100, beginning={"dag_id": "drs_drill__"})
    assert [run["dag_id"] for run in found] == ["drs_drill__a", "drs_drill__b"]


def test_what_is_not_there_is_none(fake: FakeAirflow) -> None:
    """An XCom that no task stored and a DAG that Airflow has not read yet are None, not errors."""
    api = client(fake)
    assert api.xcom("d", "r", "t", "key") is None
    assert api.dag("d") is None


def test_what_a_person_types_cannot_reach_another_path(fake: FakeAirflow) -> None:
    """A slash in an id is quoted, so it stays part of the id."""
    assert client(fake).dag("../../auth/token") is None
    assert (
        client(fake)
        .answer_link("d", "manual__2026-01-01T00:00:00+00:00", "approve")
        .endswith("/dags/d/runs/manual__2026-01-01T00:00:00+00:00/tasks/approve/required_actions")
    )


def test_a_log_reads_as_lines_with_the_causes_of_failures() -> None:
    """The fields of the single message are shown; those that every message has are left out."""
    repeated = {"dag_id": "d", "run_id": "r", "task_id": "t", "try_number": 2, "map_index": -1, "ti_id": "x"}
    made = {"timestamp": "12:00", "level": "info", "event": "Made a job.", "job_id": "drsjob-1", **repeated}
    assert as_text(made) == "12:00 info Made a job. job_id='drsjob-1'"
    causes = [{"exc_type": "ValueError", "exc_value": "no", "frames": []}]
    failed = {"level": "error", "event": "Task failed", "error_detail": causes}
    assert as_text(failed) == "error Task failed\nValueError: no"


def test_airflow_s_folds_are_plain_lines_in_a_terminal() -> None:
    """Airflow's page folds what is between the two commands. Those in a text of somebody else are shown."""
    events = ["::group::Pre Execute", "DAG bundles loaded", "::endgroup::", "Reason: ::group::x"]
    shown = ["Pre Execute", "DAG bundles loaded", "Reason: \\x3a:group::x"]
    assert list(texts({"event": event} for event in events)) == shown


# --- a database that is down ------------------------------------------------------------------------------


def no_database(fake: FakeAirflow) -> None:
    health = {part: {"status": "unhealthy"} for part in ("metadatabase", "scheduler", "triggerer")}
    fake.answers["/api/v2/monitor/health"] = lambda _: (200, health)


@pytest.mark.parametrize(
    ("path", "answer"),
    [
        ("/auth/token", (401, {"detail": "Invalid credentials"})),
        (RUN, (401, {"detail": "Not authenticated"})),
        (RUN, (403, {"detail": "Forbidden"})),
        (RUN, (500, {"detail": {"reason": "Database error"}})),
    ],
)
def test_a_database_that_is_down_is_no_wrong_login(fake: FakeAirflow, path: str, answer: Answer) -> None:
    """Without it, Airflow finds no user, and some of its auth managers then say `Invalid credentials`."""
    no_database(fake)
    fake.answers[path] = lambda _: answer
    with pytest.raises(Unreachable, match=r"(?s)does not reach its database \(.*nothing about your login"):
        client(fake, Login(user="ada", password="right")).run_state("d", "r")


def always(answer: Answer, _: Any) -> Answer:
    return answer


def test_a_wrong_login_is_one_while_the_database_answers(fake: FakeAirflow) -> None:
    """The health report decides. Without one, the login is what the message is about."""
    fake.answers["/auth/token"] = lambda _: (401, {"detail": "Invalid credentials"})
    answers: list[Answer] = [(200, {"metadatabase": {"status": "healthy"}}), (404, {}), (500, "no")]
    for health in answers:
        fake.answers["/api/v2/monitor/health"] = functools.partial(always, health)
        with pytest.raises(NotAllowed, match="Invalid credentials"):
            client(fake, Login(user="ada", password="wrong")).run_state("d", "r")
