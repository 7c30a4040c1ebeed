"""``watch``: what stands still and what is left, with Airflow, or by age on the day on which it is down."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from drs.run.records import CleanupRecord
from drs.text.times import utc_now
from tests.unit.cli.simulated_aws import ACCOUNT, OTHER_REGION, REGION, WEB, Aws, plan_text, run_of
from tests.unit.drill import APPLICATION, DATABASE, make_plan, make_run
from tests.unit.fake_airflow import FakeAirflow, fake_airflow

DAG, RUN, HERE = "drs_drill__orders", "manual__1", "0123456789ab"
BEAT = "2026-01-01T00:00:00+00:00"


class Airflow:
    """A healthy Airflow with runs that a test gives it."""

    def __init__(self, fake: FakeAirflow) -> None:
        self.fake = fake
        self.runs: dict[str, str] = {}
        self.tasks: list[dict[str, Any]] = []
        beat = {"status": "healthy"}
        self.answer("/monitor/health", dict.fromkeys(("scheduler", "triggerer", "dag_processor"), beat))
        self.answer("/variables", {"variables": [], "total_entries": 0})
        self.answer("/variables/drs_installation", {"key": "drs_installation", "value": HERE})
        self.answer(f"/dags/{DAG}", {"dag_id": DAG, "is_paused": False, "is_stale": False})
        fake.answers["/api/v2/dags/~/dagRuns"] = self._listed

    def answer(self, path: str, answer: Any, status: int = 200) -> None:
        self.fake.answers[f"/api/v2{path}"] = lambda _: (status, answer)

    def run(self, state: str, run_id: str = RUN, **records: Any) -> None:
        """A run of the plan orders is in this state, and has these records in its ledger."""
        self.runs[run_id] = state
        path = f"/dags/{DAG}/dagRuns/{quote(run_id)}"
        self.answer(path, _run(run_id, state))
        task = {"task_id": "wave_database.validate", "map_index": -1, "state": "running", "try_number": 1}
        times = {"start_date": utc_now().isoformat(), "end_date": None, "queued_when": None}
        tasks = [{**task, **times, "scheduled_when": None}]
        self.answer(f"{path}/taskInstances", {"task_instances": tasks, "total_entries": 1})
        known = {"run": run_of("orders", run_id, HERE).model_dump(mode="json"), **records}
        for key, value in known.items():
            self.answer(f"{path}/taskInstances/begin/xcomEntries/{key}", {"value": value})

    def _listed(self, query: dict[str, list[str]]) -> tuple[int, Any]:
        (state,) = query["state"]
        return 200, {"dag_runs": [_run(run, of) for run, of in self.runs.items() if of == state]}


def _run(run_id: str, state: str) -> dict[str, Any]:
    return {"dag_id": DAG, "dag_run_id": run_id, "state": state, "start_date": utc_now().isoformat()}


@pytest.fixture
def airflow(monkeypatch: pytest.MonkeyPatch) -> Iterator[Airflow]:
    for name in ("TOKEN", "USER", "PASSWORD"):
        monkeypatch.delenv(f"DRS_AIRFLOW_{name}", raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with fake_airflow() as fake:
        monkeypatch.setenv("DRS_AIRFLOW_URL", fake.url)
        yield Airflow(fake)


@pytest.fixture
def watch(aws: Aws, plans: Path, tmp_path: Path) -> Any:
    """Run `watch` with additional options."""

    def run(*options: str) -> Any:
        return aws.run("watch", "--plans", str(plans), "--path", str(tmp_path / "evidence"), *options)

    return run


# --- without Airflow ------------------------------------------------------------------------------------


def test_nothing_left_is_exit_code_0(aws: Aws, watch: Any) -> None:
    """With --quiet, cron has nothing to mail."""
    result = watch("--no-airflow")
    assert (result.code, result.err) == (0, "")
    assert f"0 findings. Looked at {ACCOUNT}/{REGION}; Airflow was not asked." in result.out
    quiet = watch("--no-airflow", "--quiet")
    assert (quiet.code, quiet.out, quiet.err) == (0, "", "")


def test_without_airflow_the_age_decides(aws: Aws, watch: Any) -> None:
    """A young instance is listed with its run, an old one is a finding."""
    job = aws.launch([DATABASE[0]], run=RUN, installation=HERE)
    young = watch("--no-airflow")
    assert young.code == 0
    row = next(line for line in young.out.splitlines() if job in line)
    assert all(text in row for text in (DATABASE[0], "orders", RUN, "its run may still be active"))
    old = watch("--no-airflow", "--older-than", "0s", "--quiet")
    assert old.code == 1
    assert old.out.startswith(f"[ORPHANED_DRILL_INSTANCE] 1 drill instance(s) of plan orders, run {RUN}")
    assert f"`python -m drs cleanup orders --run {RUN}`" in old.out
    assert aws.left(job) == 1


def test_without_airflow_one_installation_can_be_chosen(aws: Aws, watch: Any) -> None:
    """Several Airflows may share the account."""
    aws.launch([DATABASE[0]], run=RUN, installation="another")
    options = ("--no-airflow", "--older-than", "0s", "--installation")
    assert watch(*options, "another").code == 1
    other = watch(*options, HERE)
    assert other.code == 0
    assert "another Airflow's" in other.out


def test_an_airflow_that_is_down_is_said_and_the_age_decides(
    aws: Aws, watch: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also with --quiet: cron mails it."""
    monkeypatch.setattr("drs.cli.airflow_api.PAUSES", ())
    monkeypatch.setenv("DRS_AIRFLOW_URL", "http://127.0.0.1:9")
    aws.launch([DATABASE[0]], run=RUN, installation=HERE)
    result = watch("--quiet")
    assert (result.code, result.out) == (0, "")
    assert "Airflow could not be asked, so only the age of instances was judged." in result.err
    assert "Airflow at http://127.0.0.1:9 cannot be reached" in result.err
    assert watch("--older-than", "0s").code == 1


def test_aws_that_cannot_be_read_is_exit_code_3(watch: Any, plans: Path) -> None:
    """The place is named, and the others are read all the same."""
    (plans / "elsewhere.yaml").write_text(plan_text("elsewhere", account="999988887777"))
    result = watch("--no-airflow")
    assert result.code == 3
    assert f"[ACCOUNT_MISMATCH] The watch cannot read account 999988887777, Region {REGION}" in result.out
    assert f"Looked at {ACCOUNT}/{REGION}" in result.out


def test_a_folder_that_does_not_exist_is_exit_code_2(aws: Aws, tmp_path: Path) -> None:
    """It must not look like a folder without plans."""
    assert aws.run("watch", "--plans", str(tmp_path / "nowhere"), "--no-airflow").code == 2


# --- with Airflow ---------------------------------------------------------------------------------------


def test_an_active_run_owns_its_instances_however_old(aws: Aws, watch: Any, airflow: Airflow) -> None:
    """Its age does not matter to Airflow."""
    aws.launch([DATABASE[0]], run=RUN, installation=HERE)
    airflow.run("running")
    result = watch("--older-than", "0s")
    assert (result.code, result.err) == (0, "")
    assert "1 active run." in result.out


@pytest.mark.parametrize(
    ("dag", "why"),
    [
        ({"is_paused": True, "is_stale": False}, f"its DAG {DAG} is paused"),
        ({"is_paused": False, "is_stale": True}, f"Airflow has no usable DAG {DAG} any more"),
        (None, f"Airflow has no usable DAG {DAG} any more"),
    ],
)
def test_a_run_whose_dag_is_not_scheduled_is_frozen(
    aws: Aws, watch: Any, airflow: Airflow, dag: dict[str, Any] | None, why: str
) -> None:
    """With what it has, and how to go on."""
    job = aws.launch([DATABASE[0]], run=RUN, installation=HERE)
    airflow.run("running")
    airflow.answer(f"/dags/{DAG}", {"dag_id": DAG, **dag} if dag else {"detail": "gone"}, 200 if dag else 404)
    result = watch()
    assert result.code == 1
    assert result.out.startswith(f"[DRILL_FROZEN] Run {RUN} of plan orders")
    assert why in result.out
    assert job in result.out


def test_a_scheduler_that_is_down_freezes_every_run(watch: Any, airflow: Airflow) -> None:
    """The health report says so, long before any task's time-out."""
    airflow.run("running")
    airflow.answer(
        "/monitor/health", {"scheduler": {"status": "unhealthy", "latest_scheduler_heartbeat": BEAT}}
    )
    assert f"Airflow's scheduler does not run (last heartbeat {BEAT})" in watch().out


def test_a_task_is_silent_since_it_began(watch: Any, airflow: Airflow) -> None:
    """Airflow's API tells since when, so the first look is enough."""
    airflow.run("running")
    path = f"/dags/{DAG}/dagRuns/{RUN}/taskInstances"
    task = {"task_id": "wave_database.validate", "map_index": -1, "state": "running", "try_number": 1}
    times = {"start_date": BEAT, "end_date": None, "queued_when": BEAT, "scheduled_when": BEAT}
    airflow.answer(path, {"task_instances": [{**task, **times}], "total_entries": 1})
    assert "its task wave_database.validate has been running for" in watch().out


def test_a_run_that_was_triggered_and_never_began_is_no_drill(watch: Any, airflow: Airflow) -> None:
    """Its DAG is paused, so it waits, and it has launched nothing."""
    airflow.run("queued", run=None)
    airflow.answer(f"/dags/{DAG}", {"dag_id": DAG, "is_paused": True, "is_stale": False})
    assert watch().code == 0


@pytest.mark.parametrize(
    ("state", "why"), [("success", "has ended (success)"), (None, "does not know this run")]
)
def test_what_ended_or_deleted_runs_have_left_is_a_finding(
    aws: Aws, watch: Any, airflow: Airflow, state: str | None, why: str
) -> None:
    """However young: no run looks after it."""
    aws.launch([DATABASE[0]], run=RUN, installation=HERE)
    if state:
        airflow.run(state)
    result = watch("--json")
    assert result.code == 1
    (finding,) = json.loads(result.out)["findings"]
    assert (finding["code"], finding["plan"], finding["run"]) == ("ORPHANED_DRILL_INSTANCE", "orders", RUN)
    assert why in finding["message"]
    assert finding["region"] == REGION


def test_what_is_kept_by_rule_or_is_another_s_is_no_finding(aws: Aws, watch: Any, airflow: Airflow) -> None:
    """Each is listed with the reason."""
    kept = aws.launch([DATABASE[0]], run=RUN, installation=HERE)
    aws.launch([APPLICATION[0]], run="manual__2", installation="another")
    aws.launch([WEB[0]])
    cleanup = CleanupRecord(started_at=utc_now(), jobs=(kept,), kept=True, why_kept="asked")
    airflow.run("success", cleanup=cleanup.model_dump(mode="json"))
    result = watch("--json")
    assert result.code == 0
    reasons = {each["server_id"]: each["why"] for each in json.loads(result.out)["no_findings"]}
    assert reasons[DATABASE[0]] == "kept by rule: asked"
    assert "another Airflow's" in reasons[APPLICATION[0]]
    assert "no tags of a run" in reasons[WEB[0]]


def test_places_of_plans_whose_files_are_gone_are_looked_at(
    aws: Aws, watch: Any, airflow: Airflow, plans: Path
) -> None:
    """Airflow keeps the last run of each plan."""
    target = {"region": OTHER_REGION, "account_id": ACCOUNT}
    gone = make_run(make_plan(name="gone", target=target)).model_dump_json()
    variable = {"key": "drs_drill__gone__run", "value": gone}
    owner = {"key": "drs_drill__gone__owner", "value": "manual__1"}
    airflow.answer("/variables", {"variables": [variable, owner], "total_entries": 2})
    (plans / "orders.yaml").unlink()
    result = watch("--json")
    (unreadable,) = json.loads(result.out)["unreadable"]
    assert (result.code, unreadable["code"]) == (3, "DRS_NOT_INITIALIZED")
    assert (unreadable["account_id"], unreadable["region"]) == (ACCOUNT, OTHER_REGION)


def test_a_login_that_may_not_read_variables_judges_less_and_says_so(
    aws: Aws, watch: Any, airflow: Airflow
) -> None:
    """Whose a deleted run was cannot be known, so it is not called left."""
    aws.launch([DATABASE[0]], run=RUN, installation=HERE)
    for path in ("/variables", "/variables/drs_installation"):
        airflow.answer(path, {"detail": "Forbidden"}, 403)
    result = watch()
    assert result.code == 0
    assert "may not read the Airflow Variable drs_installation" in result.err


def test_status_has_a_line_for_the_drills(aws: Aws, plans: Path, airflow: Airflow) -> None:
    """Red with the same findings as the watch."""
    airflow.answer("/version", {"version": "3.3.2"})
    airflow.answer("/dags", {"dags": [{"dag_id": DAG, "is_paused": False}], "total_entries": 1})
    airflow.answer("/importErrors", {"import_errors": [], "total_entries": 0})
    aws.launch([DATABASE[0]], run=RUN, installation=HERE)
    airflow.run("running")

    def drills() -> dict[str, Any]:
        checks = json.loads(aws.run("status", "--plans", str(plans), "--json").out)
        found: dict[str, Any] = next(check for check in checks if check["what"] == "drills")
        return found

    assert (drills()["good"], drills()["seen"]) == (True, "1 active run, nothing stands still or is left")
    airflow.run("success")
    assert (drills()["good"], drills()["seen"]) == (False, "1 ORPHANED_DRILL_INSTANCE, see below")
    assert "`python -m drs cleanup orders" in drills()["more"]
