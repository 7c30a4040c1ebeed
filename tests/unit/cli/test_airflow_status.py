"""`status`: which parts of Airflow or DRS are down, and what that means for a drill."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from drs.cli import main
from tests.unit.fake_airflow import Answer, FakeAirflow, fake_airflow

BEAT = "2026-01-01T00:00:00+00:00"
SEEN = "2026-01-01 00:00:00 UTC"


def health(**states: str | None) -> dict[str, Any]:
    parts = ("scheduler", "triggerer", "dag_processor")
    healthy: dict[str, Any] = {"metadatabase": {"status": "healthy"}}
    for part in parts:
        healthy[part] = {"status": states.get(part, "healthy"), f"latest_{part}_heartbeat": BEAT}
    return healthy


def always(answer: dict[str, Any]) -> Callable[[dict[str, list[str]]], Answer]:
    """An endpoint that always gives this answer."""
    return lambda _: (200, answer)


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeAirflow]:
    """A healthy Airflow with one plan."""
    for name in ("TOKEN", "USER", "PASSWORD"):
        monkeypatch.delenv(f"DRS_AIRFLOW_{name}", raising=False)
    with fake_airflow() as airflow:
        monkeypatch.setenv("DRS_AIRFLOW_URL", airflow.url)
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        dags = [{"dag_id": "drs_drill__billing", "is_paused": True}, {"dag_id": "other", "is_paused": False}]
        answers = {
            "/monitor/health": health(),
            "/version": {"version": "3.3.2"},
            "/dags": {"dags": dags, "total_entries": 2},
            "/importErrors": {"import_errors": [], "total_entries": 0},
            "/dags/~/dagRuns": {"dag_runs": []},
            "/variables": {"variables": [], "total_entries": 0},
        }
        for path, answer in answers.items():
            airflow.answers[f"/api/v2{path}"] = always(answer)
        yield airflow


def states(capsys: pytest.CaptureFixture[str]) -> dict[str, tuple[bool, str]]:
    return {check["what"]: (check["good"], check["seen"]) for check in json.loads(capsys.readouterr().out)}


def test_an_airflow_that_is_well(fake: FakeAirflow, capsys: pytest.CaptureFixture[str]) -> None:
    """The result has every component, the version, and the plans that Airflow read.

    Other DAGs do not count.
    """
    assert main(["status", "--no-aws", "--json"]) == 0
    assert states(capsys) == {
        "Airflow's scheduler": (True, f"last heartbeat {SEEN}"),
        "Airflow's triggerer": (True, f"last heartbeat {SEEN}"),
        "Airflow's dag processor": (True, f"last heartbeat {SEEN}"),
        "Airflow's metadatabase": (True, ""),
        "Airflow": (True, f"3.3.2 at {fake.url}"),
        "plans in Airflow": (True, "1, of which 1 paused (no next run: billing)"),
        "drills": (True, "0 active runs, nothing stands still or is left"),
    }


@pytest.mark.parametrize("state", ["unhealthy", None])
def test_a_part_that_is_down_or_never_ran(
    fake: FakeAirflow, capsys: pytest.CaptureFixture[str], state: str | None
) -> None:
    """Airflow reports a component that is down as unhealthy, and has no state for one that never ran."""
    fake.answers["/api/v2/monitor/health"] = lambda _: (200, health(triggerer=state))
    assert main(["status", "--no-aws", "--json"]) == 1
    good, seen = states(capsys)["Airflow's triggerer"]
    assert not good
    assert "Start `airflow triggerer`" in seen
    assert SEEN in seen


def test_import_errors_are_told_without_their_stack(
    fake: FakeAirflow, capsys: pytest.CaptureFixture[str]
) -> None:
    """The exception lists the broken plans. The rest of the stack trace does not help an operator."""
    stack = (
        'Traceback (most recent call last):\n  File "x.py", line 1\nRuntimeError: Plans:\n\nbilling\n  line 3'
    )
    error = {"filename": "recovery_plan_errors.py", "stack_trace": stack, "timestamp": BEAT}
    fake.answers["/api/v2/importErrors"] = lambda _: (200, {"import_errors": [error], "total_entries": 1})
    assert main(["status", "--no-aws"]) == 1
    printed = capsys.readouterr().out
    assert "import of recovery_plan_errors.py:\nRuntimeError: Plans:\n\nbilling\n  line 3\n" in printed
    assert "Traceback" not in printed


def test_parts_are_told_without_a_login_too(fake: FakeAirflow, capsys: pytest.CaptureFixture[str]) -> None:
    """The health report needs no login. Everything that needs one is reported as a single failed check."""
    fake.answers["/auth/token"] = lambda _: (403, {"detail": "Forbidden"})
    assert main(["status", "--no-aws", "--json"]) == 1
    printed = states(capsys)
    assert printed["Airflow's triggerer"][0]
    assert printed["Airflow's API"] == (False, "a request failed, see below")


def test_a_folder_without_plans_says_so(
    fake: FakeAirflow, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Without plans it is unknown where DRS should be checked, so the check fails."""
    for folder in (tmp_path, tmp_path / "nope"):
        assert main(["status", "--plans", str(folder), "--json"]) == 1
        assert states(capsys)["DRS"] == (False, "not checked: no valid plan names an account and Region")
