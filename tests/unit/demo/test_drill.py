"""What `make drill` shows and how it ends."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from demo import drill as demo_drill
from demo.drill import plan_file, summary
from demo.drill_run import Instance
from demo.processes import StackError
from demo.progress import JobView, Picture, WaveView
from demo.screen import LiveScreen, PlainScreen

DATABASE = WaveView(
    name="database",
    servers={"s-1": "orders-db-1", "s-2": "orders-db-2"},
    tasks=(("start_recovery", "success"), ("wait_until_launched", "deferred")),
    jobs=(JobView("drsjob-1", "LAUNCH", "STARTED", ("orders-db-1",), launched=0, is_ours=True),),
    instances=(Instance("i-1", "s-1", "drsjob-1", "running"),),
)
PICTURE = Picture(run_state="running", tasks=(("begin", "success"),), waves=(DATABASE,))


def said(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return [line.split("] ", 1)[1] for line in capsys.readouterr().out.splitlines()]


def test_without_a_terminal_each_change_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    """The first look reports everything; the next reports only what is different."""
    screen = PlainScreen()
    screen.show(PICTURE)
    assert said(capsys) == [
        "begin: success",
        "wave database: start_recovery success",
        "wave database: wait_until_launched deferred",
        "wave database: LAUNCH job drsjob-1 (orders-db-1) STARTED",
        "wave database: instance i-1 of orders-db-1 running",
    ]
    ended = replace(DATABASE.jobs[0], status="COMPLETED")
    screen.show(replace(PICTURE, waves=(replace(DATABASE, jobs=(ended,)),)))
    assert said(capsys) == ["wave database: LAUNCH job drsjob-1 (orders-db-1) COMPLETED"]


def test_a_job_of_somebody_else_is_told_as_such(capsys: pytest.CaptureFixture[str]) -> None:
    """A job that holds our servers must not look like one of ours."""
    foreign = replace(DATABASE.jobs[0], is_ours=False)
    PlainScreen().show(
        replace(PICTURE, tasks=(), waves=(replace(DATABASE, tasks=(), instances=(), jobs=(foreign,)),))
    )
    assert said(capsys) == ["wave database: LAUNCH job drsjob-1 (orders-db-1, not this drill's) STARTED"]


def test_on_a_terminal_the_table_has_waves_jobs_and_waiting_servers(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that is in no job yet has a row too."""
    monkeypatch.setenv("COLUMNS", "160")
    with LiveScreen() as screen:
        screen.say("Airflow runs it")
        screen.show(PICTURE)
    shown = capsys.readouterr().out
    rows = [
        [cell.strip() for cell in line.split("│")[1:-1]] for line in shown.splitlines() if "orders-db" in line
    ]
    assert "Airflow runs it" in shown
    assert rows == [
        ["database", "wait_until_launched deferred", "orders-db-1", "drsjob-1", "LAUNCH STARTED", "0/1", "1"],
        ["", "", "orders-db-2", "", "none yet", "", ""],
    ]


def test_the_summary_counts_launched_terminated_and_left() -> None:
    """An instance that is left is named: somebody has to end it."""
    instances = (
        Instance("i-1", "s-1", "drsjob-1", "terminated"),
        Instance("i-2", "s-2", "drsjob-2", "running"),
    )
    told = summary(
        "orders", replace(PICTURE, run_state="failed", waves=(replace(DATABASE, instances=instances),)), 61
    )
    assert told[0] == "Drill of orders: failed after 61.0 s"
    assert told[2].split() == ["database", "2/2", "1", "1"]
    assert told[3].strip() == "left in EC2: instance i-2 of orders-db-2"


@pytest.mark.parametrize(("state", "left"), [("running", True), ("stopped", True), ("terminated", False)])
def test_an_instance_is_left_until_ec2_says_that_it_is_gone(state: str, left: bool) -> None:
    """A stopped instance still costs its volumes."""
    assert Instance("i-1", "s-1", "drsjob-1", state).is_left is left


def test_a_plan_is_found_by_name_or_by_file(tmp_path: Path) -> None:
    """`PLAN=order-system` and `PLAN=some/where/order-system.yaml` both work."""
    named = plan_file("order-system")
    copy = tmp_path / "order-system.yaml"
    copy.write_text(named.read_text())
    assert plan_file(str(copy)) == copy


def test_an_unknown_plan_is_told_with_those_that_exist() -> None:
    """A typing error is fixed from the message alone."""
    with pytest.raises(
        StackError, match=r"no plan .*order-sytem\.yaml.*: fleet, order-system, single-server"
    ):
        plan_file("order-sytem")


def test_a_broken_plan_is_told_in_the_loaders_words(tmp_path: Path) -> None:
    """With file, line, key and remedy, and before anything is started."""
    broken = tmp_path / "broken.yaml"
    broken.write_text("name: broken\nwaves: []\n")
    with pytest.raises(StackError, match=r"(?s)broken cannot be used.*broken\.yaml:.*What to do"):
        plan_file(str(broken))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["drill", "--plan", "nope"], "There is no plan"),
        (["drill", "--fleet", "nope.yaml"], "cannot read the fleet file"),
        (["drill", "--speed", "0"], "must be more than 0"),
        (["airflow", "--port", "70000"], "a port is a number from 1 to 65535"),
        ([], "required: command"),
    ],
)
def test_wrong_usage_is_one_message_and_exit_code_2(arguments: list[str], message: str) -> None:
    """Nothing is started, and no traceback is shown."""
    command = [sys.executable, "-m", "demo", *arguments]
    ended: Any = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert message in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize("code", [0, 1])
def test_the_logs_of_a_drill_are_kept_only_if_it_did_not_succeed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], code: int
) -> None:
    """The last line names the folder; the exit code is that of the drill."""
    home = tmp_path / "drill-1"
    monkeypatch.setattr(demo_drill, "new_home", lambda: home)
    monkeypatch.setattr(demo_drill, "_run", lambda _stack, _file: code)
    fleet = Path("include/fleets/default.yaml")
    assert demo_drill.drill("order-system", fleet, 60) == code
    assert home.exists() is bool(code)
    assert (f"All logs are kept in {home}" in capsys.readouterr().out) is bool(code)
