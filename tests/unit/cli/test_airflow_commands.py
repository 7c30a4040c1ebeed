"""`drill`, `runs` and `logs` when something is wrong; end-to-end tests show them when all is well."""

from __future__ import annotations

import functools
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest

from drs.cli import airflow_drill, airflow_stillness, main
from drs.run.ledger import Ledger
from drs.run.records import WaveOutcome
from tests.unit.drill import APPLICATION, make_plan, make_run
from tests.unit.evidence.runs import cleanup, outcome, passed_run
from tests.unit.fake_airflow import Answer, FakeAirflow, fake_airflow

DAG = "drs_drill__billing"


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeAirflow]:
    """An Airflow that has the DAG of the plan billing and accepts the token."""
    for name in ("TOKEN", "USER", "PASSWORD"):
        monkeypatch.delenv(f"DRS_AIRFLOW_{name}", raising=False)
    with fake_airflow() as airflow:
        monkeypatch.setenv("DRS_AIRFLOW_URL", airflow.url)
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        airflow.answers[f"/api/v2/dags/{DAG}"] = lambda _: (
            200,
            {"dag_id": DAG, "is_paused": False, "is_stale": False},
        )
        airflow.answers[f"/api/v2/dags/{DAG}/dagRuns"] = lambda _: (200, {})
        yield airflow


def run(dag_id: str, run_id: str, state: str = "success", **fields: Any) -> dict[str, Any]:
    return {
        "dag_id": dag_id,
        "dag_run_id": run_id,
        "state": state,
        "run_type": "manual",
        "run_after": "2026-01-01T00:00:00Z",
        "queued_at": None,
        "start_date": "2026-01-01T00:00:00Z",
        "end_date": "2026-01-01T00:01:30Z",
        "triggering_user_name": "ada",
        "conf": {},
        **fields,
    }


def test_only_what_was_asked_for_is_sent(fake: FakeAirflow, capsys: pytest.CaptureFixture[str]) -> None:
    """The DAG's defaults apply to all other parameters.

    With --no-wait, the command only looks afterwards whether the run can begin.
    """
    argv = ["drill", "include/plans/billing.yaml", "--no-wait", "--json", "--waves", "database", "web"]
    argv += ["--exclude", "s-1", "--recovery-point", "latest", "--execution-type", "DRILL", "--token", "mine"]
    assert main(argv) == 0
    (method, path, token, body) = next(each for each in fake.asked if each[0] == "POST")
    assert (method, path, token) == ("POST", f"/api/v2/dags/{DAG}/dagRuns", "Bearer mine")
    assert body["conf"] == {
        "waves": ["database", "web"],
        "exclude_servers": ["s-1"],
        "recovery_point": "latest",
        "execution_type": "DRILL",
    }
    printed = json.loads(capsys.readouterr().out)
    assert (printed["plan"], printed["run_id"], printed["state"]) == ("billing", body["dag_run_id"], "queued")


def ends_as(fake: FakeAirflow, ledger: Ledger, state: str, evidence: Any) -> None:
    """Every run that is asked for has ended in this state, with these records."""
    original = fake.answer
    store: Any = ledger._store

    def answer(method: str, url: str, token: str | None, body: Any) -> Answer:
        place = urlsplit(url).path.partition("/dagRuns/")[2].partition("/")[2]
        if "/dagRuns/" not in url:
            return original(method, url, token, body)
        if place == "taskInstances":
            return 200, {"task_instances": [], "total_entries": 0}
        if place == "taskInstances/evidence/xcomEntries/return_value":
            return 200, {"value": evidence}
        if place.startswith("taskInstances/begin/xcomEntries/"):
            value = store.get(place.rpartition("/")[2])
            return (404, {"detail": "not found"}) if value is None else (200, {"value": value})
        return 200, {"state": state}

    fake.answer = answer  # type: ignore[method-assign]


def test_the_last_lines_say_what_a_pass_was(fake: FakeAirflow, capsys: pytest.CaptureFixture[str]) -> None:
    """A part of the plan, an objective that was missed, and an instance that somebody else ended."""
    ledger = passed_run(make_run(waves=["application"]))
    first, *others = [item for item in cleanup().instances if item.server_id in APPLICATION]
    lost = first.model_copy(update={"lost": "job drsjob-0cc ended it"})
    ledger.save_cleanup(cleanup(instances=(lost, *others)))
    ends_as(fake, ledger, "success", {"not_met": [{"code": "RTO_MISSED", "says": "the RTO was missed"}]})
    assert main(["drill", "billing"]) == 0
    lines = capsys.readouterr().out.splitlines()
    last = lines[next(number for number, line in enumerate(lines) if line.startswith("The PARTIAL")) :]
    assert last[0].startswith("The PARTIAL run (1 of 2 waves) of billing passed after ")
    assert "  MISSED: the RTO was missed" in last
    assert (
        "  clean-up: 2 instances launched, all gone; 1 LOST, not terminated by this run: "
        f"{first.recovery_instance_id} of {first.server_id} (job drsjob-0cc ended it)" in last
    )


def test_a_dry_run_is_named_in_the_last_lines(fake: FakeAirflow, capsys: pytest.CaptureFixture[str]) -> None:
    """And a run of the whole plan is just a run."""
    ends_as(fake, passed_run(make_run(dry_run=True)), "success", {"not_met": []})
    assert main(["drill", "billing"]) == 0
    assert "The DRY RUN of billing passed after " in capsys.readouterr().out
    ledger = passed_run(make_run())
    first, second = outcome("database").servers
    live = second.model_copy(update={"launched": False, "live": True})
    ledger.save_outcome("database", WaveOutcome(servers=(first, live)))
    ends_as(fake, ledger, "failed", None)
    assert main(["drill", "billing"]) == 1
    out = capsys.readouterr().out
    assert "The run of billing failed after " in out
    assert "1 (1 still launching when the wait ended)" in out
    assert "MISSED" not in out


def test_a_stale_dag_is_no_dag(fake: FakeAirflow, capsys: pytest.CaptureFixture[str]) -> None:
    """Airflow keeps a plan's DAG after the file is removed, but does not run it."""
    fake.answers[f"/api/v2/dags/{DAG}"] = lambda _: (
        200,
        {"dag_id": DAG, "is_paused": False, "is_stale": True},
    )
    fake.answers["/api/v2/dags"] = lambda _: (
        200,
        {"dags": [{"dag_id": "drs_drill__web"}, {"dag_id": "x"}], "total_entries": 2},
    )
    assert main(["drill", "billing"]) == 2
    printed = capsys.readouterr().err
    assert "[RECOVERY_PLAN_NOT_FOUND]" in printed
    assert "DAGs of these plans: web." in printed


def test_a_user_who_may_trigger_and_not_look_is_told_that_the_run_goes_on(
    fake: FakeAirflow, capsys: pytest.CaptureFixture[str]
) -> None:
    """The exit code is 3, because the command cannot see how the drill ends."""
    original = fake.answer

    def answer(method: str, url: str, token: str | None, body: Any) -> Any:
        return (403, {"detail": "Forbidden"}) if "/dagRuns/" in url else original(method, url, token, body)

    fake.answer = answer  # type: ignore[method-assign]
    assert main(["drill", "billing", "--json"]) == 3
    out, printed = capsys.readouterr()
    assert "does not let this user do that" in printed
    assert "goes on in Airflow" in printed
    assert json.loads(out)["state"] is None


def test_a_refused_login_is_exit_code_3(fake: FakeAirflow, capsys: pytest.CaptureFixture[str]) -> None:
    """The message names the variable to set."""
    fake.answers["/auth/token"] = lambda _: (401, {"detail": "Invalid credentials"})
    assert main(["runs"]) == 3
    assert "DRS_AIRFLOW_TOKEN" in capsys.readouterr().err


@pytest.mark.parametrize(
    "argv",
    [
        ["runs", "--airflow-url", "localhost:8080"],
        ["runs", "--limit", "0"],
        ["drill", "billing", "--timeout", "5"],
    ],
)
def test_wrong_usage_is_exit_code_2(argv: list[str]) -> None:
    """For example an address without a scheme, an empty list, or a duration without a unit."""
    with pytest.raises(SystemExit) as caught:
        main(argv)
    assert caught.value.code == 2


def test_none_of_these_commands_needs_airflow_in_its_process(fake: FakeAirflow) -> None:
    """The commands start much faster than Airflow can be imported, and do not need it to be installed."""
    code = (
        "import sys\n"
        "from drs.cli import main\n"
        "codes = [main(argv.split()) for argv in ('drill billing --no-wait', 'runs', 'logs last', "
        "'status --no-aws')]\n"
        "print(codes, 'airflow' in sys.modules)"
    )
    fake.answers["/api/v2/dags/~/dagRuns"] = lambda _: (200, {"dag_runs": [run(DAG, "r")]})
    path = f"/api/v2/dags/{DAG}/dagRuns/r/taskInstances"
    fake.answers[path] = lambda _: (200, {"task_instances": [], "total_entries": 0})
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.splitlines()[-1] == "[0, 0, 0, 1] False", done.stderr


def test_runs_are_those_of_plans(fake: FakeAirflow, capsys: pytest.CaptureFixture[str]) -> None:
    """Another DAG whose id begins the same way is left out. A run that has not begun has no times."""
    found = [
        run(DAG, "manual__2"),
        run("drs_drills_of_mine", "manual__x"),
        run("drs_drill__web", "scheduled__1", "queued", start_date=None, triggering_user_name=None),
    ]
    fake.answers["/api/v2/dags/~/dagRuns"] = lambda _: (200, {"dag_runs": found, "total_entries": 3})
    assert main(["runs"]) == 0
    _, _, *rows = capsys.readouterr().out.splitlines()
    assert [row.split() for row in rows] == [
        ["billing", "manual__2", "DRILL", "success", "2026-01-01", "00:00:00", "1", "min", "30", "s", "ada"],
        ["web", "scheduled__1", "DRILL", "queued", "-", "-", "manual"],
    ]


def test_a_missed_run_is_no_success(fake: FakeAirflow, capsys: pytest.CaptureFixture[str]) -> None:
    """Airflow says success, and nothing was launched."""
    record = make_run(run_type="scheduled", missed="Missed: it was late.").model_dump(mode="json")
    runs = [run(DAG, name, run_type=kind) for name, kind in (("a", "scheduled"), ("b", "scheduled"))]
    fake.answers[f"/api/v2/dags/{DAG}/dagRuns"] = lambda _: (200, {"dag_runs": runs, "total_entries": 2})
    path = f"/api/v2/dags/{DAG}/dagRuns/a/taskInstances/begin/xcomEntries/run"
    fake.answers[path] = lambda _: (200, {"value": record})
    assert main(["runs", "billing"]) == 0
    assert [row.split()[3] for row in capsys.readouterr().out.splitlines()[2:]] == ["missed", "success"]
    assert main(["runs", "billing", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [(each["state"], each["missed"]) for each in told] == [
        ("success", "Missed: it was late."),
        ("success", None),
    ]


def value_of(value: Any, _: dict[str, list[str]]) -> Answer:
    """The answer to a request for an XCom with this value."""
    return 200, {"value": value}


def test_dry_and_partial_runs_are_marked(fake: FakeAirflow, capsys: pytest.CaptureFixture[str]) -> None:
    """By the run's own record: Airflow's form names every wave, which is a run of the whole plan. Without a
    record, what was asked for decides.
    """
    waves = ["database", "application"]
    asked: dict[str, dict[str, Any]] = {
        "part": {"waves": waves[:1]},
        "whole": {"waves": waves, "dry_run": False},
        "excluded": {"waves": waves, "exclude_servers": [APPLICATION[0]]},
        "dry": {"dry_run": True, "execution_type": "RECOVERY"},
        "queued": {"waves": waves[:1]},
    }
    runs = [run(DAG, name, conf=conf) for name, conf in asked.items()]
    fake.answers[f"/api/v2/dags/{DAG}/dagRuns"] = lambda _: (200, {"dag_runs": runs, "total_entries": 5})
    for name in ("part", "whole", "excluded"):
        conf = asked[name]
        record = make_run(waves=conf["waves"], exclude_servers=tuple(conf.get("exclude_servers", ())))
        path = f"/api/v2/dags/{DAG}/dagRuns/{name}/taskInstances/begin/xcomEntries/run"
        fake.answers[path] = functools.partial(value_of, record.model_dump(mode="json"))
    assert main(["runs", "billing"]) == 0
    header, _, *rows = capsys.readouterr().out.splitlines()
    assert "began (UTC)" in header
    cells = [re.split(" {2,}", row) for row in rows]
    assert {name: kind for _, name, kind, *_ in cells} == {
        "part": "DRILL (partial)",
        "whole": "DRILL",
        "excluded": "DRILL (partial)",
        "dry": "RECOVERY (dry run)",
        "queued": "DRILL (partial)",
    }


@pytest.fixture
def object_store(fake: FakeAirflow) -> FakeAirflow:
    """An Airflow whose XCom backend keeps values in an object store, with one run that failed."""
    ends_as(fake, passed_run(make_run()), "failed", "s3://bucket/xcom/evidence.json")
    original = fake.answer

    def answer(method: str, url: str, token: str | None, body: Any) -> Answer:
        path = urlsplit(url).path
        if "/xcomEntries/" in path:
            return 200, {"value": f"s3://bucket/xcom/{path.rpartition('/')[2]}.json"}
        if "/logs/" in path:
            return 200, {"content": []}
        if path.endswith("/taskInstances"):
            tasks = [{"task_id": "preflight", "map_index": -1, "state": "failed", "try_number": 1}]
            tasks[0] |= {"start_date": None, "end_date": "1"}
            return 200, {"task_instances": tasks, "total_entries": 1}
        if path.endswith("/dagRuns") and method == "GET":
            runs = [run(DAG, "r", "failed", conf={"waves": ["web"]}), run(DAG, "s", run_type="scheduled")]
            return 200, {"dag_runs": runs, "total_entries": 2}
        return original(method, url, token, body)

    fake.answer = answer  # type: ignore[method-assign]
    return fake


@pytest.mark.parametrize("command", ["drill billing", "drill billing --json", "runs billing", "runs --json"])
def test_records_in_an_object_store_are_named_in_place_of_a_traceback(
    object_store: FakeAirflow, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Airflow's API has only the addresses of such values. What it has is shown."""
    assert main(command.split()) == (1 if command.startswith("drill") else 0)
    out, err = capsys.readouterr()
    assert "Airflow keeps its records in an object store" in err
    assert "s3://bucket/xcom/" in err
    if "--json" not in command:
        assert "preflight" in out
        assert "not readable" in out
    elif command.startswith("drill"):
        printed = json.loads(out)
        assert (printed["state"], printed["evidence"]) == ("failed", None)
        assert printed["failures"][0]["code"] is None
        assert "cannot be read" in printed["failures"][0]["message"]
    else:
        failed, scheduled = json.loads(out)
        assert failed["failures"][0]["task_id"] == "preflight"
        assert "object store" in failed["unreadable"]
        assert "object store" in scheduled["unreadable"]


@pytest.mark.parametrize(
    ("options", "param", "says", "told"),
    [
        (
            ["--waves", "databse", "web"],
            "waves: 'databse' is not one of ['database']\n\nFailed validating 'enum' in schema['items']",
            "--waves: plan billing has no wave databse. No run was triggered.",
            "Its waves are: database, web. Did you mean database?",
        ),
        (
            ["--exclude", "s-1"],
            "exclude_servers: 's-1' does not match '^s-[0-9a-f]{17}$'\n\nFailed validating 'pattern'",
            "--exclude: 's-1' does not match '^s-[0-9a-f]{17}$'. No run was triggered.",
            "Correct --exclude.",
        ),
    ],
)
def test_a_refused_parameter_has_our_code(
    fake: FakeAirflow,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    param: str,
    says: str,
    told: str,
) -> None:
    """Airflow answers with the error of a JSON Schema, of which only the first line is for people."""
    fake.answers[f"POST /api/v2/dags/{DAG}/dagRuns"] = lambda _: (
        400,
        {"detail": f"Invalid input for param {param}"},
    )
    fake.answers[f"/api/v2/dags/{DAG}/details"] = lambda _: (
        200,
        {"params": {"waves": {"value": ["database", "web"], "schema": {}}}},
    )
    assert main(["drill", "billing", *options]) == 2
    printed = capsys.readouterr().err
    assert f"[INVALID_FIELD] {says}" in printed
    assert told in printed
    assert "schema" not in printed


def test_airflow_refuses_a_wave_in_these_words() -> None:
    """As long as it does, the command recognises it."""
    from airflow.exceptions import ParamValidationError
    from airflow.sdk.definitions.param import ParamsDict

    from drs.dag_factory import run_parameters

    params = ParamsDict(run_parameters(make_plan()))
    with pytest.raises(ParamValidationError) as refused:
        params["waves"] = ["nope"]
    found = airflow_drill._REFUSED_PARAMETER.search(str(refused.value))
    assert found
    assert found[1] == "waves"


def test_a_run_that_cannot_go_on_is_exit_code_3(
    fake: FakeAirflow, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last lines do not say that it goes on."""
    monkeypatch.setattr(airflow_stillness, "STILL", 0)
    ends_as(fake, passed_run(make_run()), "running", None)
    fake.answers["/api/v2/monitor/health"] = lambda _: (200, {"scheduler": {"status": "unhealthy"}})
    assert main(["drill", "billing"]) == 3
    out, err = capsys.readouterr()
    assert "the run does not go on: Airflow's scheduler does not run" in out
    assert "[DRILL_FROZEN] Run manual__" in err
    assert "is still active in Airflow: http://" in err
    assert main(["drill", "billing", "--no-wait"]) == 0
    assert "The run does not begin: Airflow's scheduler does not run." in capsys.readouterr().err


def test_a_failed_run_names_its_causes_and_not_its_verdict(
    fake: FakeAirflow, capsys: pytest.CaptureFixture[str]
) -> None:
    """The verdict only sums up other failures, so it is left out. A task that was killed has no code."""
    fake.answers[f"/api/v2/dags/{DAG}/dagRuns"] = lambda query: (
        200,
        {"dag_runs": [run(DAG, "r", query["state"][0])], "total_entries": 1},
    )
    tasks = [
        {"task_id": task_id, "state": "failed", "map_index": -1, "try_number": 1, "end_date": ended}
        for task_id, ended in (("verdict", "3"), ("terminate", "2"), ("preflight", "1"))
    ]
    path = f"/api/v2/dags/{DAG}/dagRuns/r/taskInstances"
    fake.answers[path] = lambda _: (200, {"task_instances": tasks, "total_entries": 3})
    record = {"code": "SERVER_CONFLICT", "message": "It is held.", "remedy": "Wait."}
    fake.answers[f"{path}/begin/xcomEntries/failure.preflight"] = lambda _: (200, {"value": record})
    assert main(["runs", "billing", "--failed"]) == 0
    assert capsys.readouterr().out.rstrip().endswith("SERVER_CONFLICT (preflight), no code (terminate)")


def test_a_run_id_of_several_plans_needs_the_plan(
    fake: FakeAirflow, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two plans with the same schedule have runs with the same id."""
    same = [run(DAG, "scheduled__1"), run("drs_drill__web", "scheduled__1"), run(DAG, "scheduled__12")]
    fake.answers["/api/v2/dags/~/dagRuns"] = lambda _: (200, {"dag_runs": same, "total_entries": 3})
    assert main(["logs", "scheduled__1"]) == 2
    printed = capsys.readouterr().err
    assert "billing, web" in printed
    assert "--plan" in printed


def test_logs_of_a_task_that_a_run_does_not_have_name_those_it_has(
    fake: FakeAirflow, capsys: pytest.CaptureFixture[str]
) -> None:
    """After a typing error, the message lists the tasks of the run."""
    fake.answers["/api/v2/dags/~/dagRuns"] = lambda _: (
        200,
        {"dag_runs": [run(DAG, "r")], "total_entries": 1},
    )
    task = {"task_id": "preflight", "state": "success", "map_index": -1, "try_number": 1, "start_date": None}
    fake.answers[f"/api/v2/dags/{DAG}/dagRuns/r/taskInstances"] = lambda _: (
        200,
        {"task_instances": [task], "total_entries": 1},
    )
    assert main(["logs", "last", "--task", "prefligth"]) == 2
    assert "Its tasks: preflight." in capsys.readouterr().err


def log_of(content: list[dict[str, str]], _: dict[str, list[str]]) -> Answer:
    """The answer to a request for this log."""
    return 200, {"content": content}


def test_the_logs_of_every_try_are_to_be_had(fake: FakeAirflow, capsys: pytest.CaptureFixture[str]) -> None:
    """A task that passed may have failed tries before. A task that never began has no log."""
    fake.answers["/api/v2/dags/~/dagRuns"] = lambda _: (
        200,
        {"dag_runs": [run(DAG, "r")], "total_entries": 1},
    )
    tasks = [
        {"task_id": "preflight", "state": "success", "map_index": -1, "try_number": 2, "start_date": "1"},
        {"task_id": "later", "state": None, "map_index": -1, "try_number": 0, "start_date": None},
    ]
    path = f"/api/v2/dags/{DAG}/dagRuns/r/taskInstances"
    fake.answers[path] = lambda _: (200, {"task_instances": tasks, "total_entries": 2})
    for number in (1, 2):
        content = [{"level": "info", "event": f"Try {number}."}]
        fake.answers[f"{path}/preflight/logs/{number}"] = functools.partial(log_of, content)
    assert main(["logs", "last", "--all", "--json"]) == 0
    logs = json.loads(capsys.readouterr().out)["logs"]
    assert [(log["task_id"], log["try_number"], log["messages"][0]["event"]) for log in logs] == [
        ("preflight", 1, "Try 1."),
        ("preflight", 2, "Try 2."),
    ]
