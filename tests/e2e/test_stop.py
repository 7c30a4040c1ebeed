"""`drs stop` against a real Airflow: the run ends, is cleaned up, and says who stopped it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from demo.drill_run import DrillRun
from demo.stack import Stack
from tests.e2e.command_line import check_quoted, drs
from tests.e2e.plans import DATABASE, WEB, write_plan

pytestmark = pytest.mark.e2e

Drill = Callable[..., DrillRun]


def test_a_frozen_drill_is_stopped_and_cleaned_up(stack: Stack, plans: Path, start_drill: Drill) -> None:
    """Its DAG was paused in mid-wave. The command unpauses it, follows clean-up to its proof, and pauses it
    again. Evidence, verdict and `drs runs` say who stopped the drill, and why.
    """
    waves = [("database", DATABASE[:2]), ("web", WEB[:1])]
    write_plan(plans, "frozen", waves, first_wave_extra="next_wave_when: launched")
    stack.simulator.arm(kind="stuck_conversion", servers=[DATABASE[0]], seconds=25)
    run = start_drill("frozen")
    run.wait_for_task("wave_database.wait_until_launched", "deferred", timeout=180)
    stack.api.pause(run.dag_id)
    run.wait_until(lambda: bool(run.instances()), what="the instance of the other server")
    robbed = drs(stack, "cleanup", "frozen", "--plans", str(plans), "--yes")
    assert (robbed.returncode, "because its DAG is paused" in robbed.stderr) == (1, True), robbed
    assert {instance.state for instance in run.instances()} == {"running"}

    watched = drs(stack, "watch", "--plans", str(plans))
    assert watched.returncode == 1, watched
    check_quoted("a frozen drill", "watch", watched.stdout, plan="frozen")

    stopped = drs(stack, "stop", "frozen", "--reason", "the wrong fleet")
    print(stopped.stdout, stopped.stderr)
    check_quoted("a frozen drill", "stop", stopped.stdout, plan="frozen")
    assert stopped.returncode == 0, stopped.stdout + stopped.stderr
    assert "cut off: wave_database.wait_until_launched" in stopped.stdout
    assert "It is unpaused until the run has ended" in stopped.stdout
    assert "2 instances launched, all gone" in stopped.stdout
    assert run.state() == "failed"
    assert {instance.state for instance in run.instances()} == {"terminated"}
    dag = stack.api.dag(run.dag_id)
    assert dag is not None
    assert dag["is_paused"]

    verdict = run.log("verdict")
    assert "[STOPPED_BY_HAND]" in verdict
    by = run.xcom("begin", "stop")["by"]
    assert f"{by} stopped the run at " in verdict
    assert "the wrong fleet" in verdict
    assert "wave_database.wait_until_launched was cut off by that" in verdict
    (failure,) = run.xcom("evidence")["failures"]
    assert (failure["task_id"], failure["code"]) == (
        "wave_database.wait_until_launched",
        "STOPPED_BY_HAND",
    )
    listed = drs(stack, "runs", "frozen", "--failed")
    assert "STOPPED_BY_HAND (wave_database.wait_until_launched)" in listed.stdout
    again = drs(stack, "stop", "frozen")
    assert (again.returncode, "Nothing to stop" in again.stdout) == (0, True)


def test_a_run_that_never_began_is_stopped_and_red(stack: Stack, plans: Path) -> None:
    """It was triggered while the DAG was paused. If its first task were skipped, it would end green."""
    write_plan(plans, "never-begun", [("web", WEB[-1:])])
    dag_id = "drs_drill__never-begun"
    stack.api.wait_for_dag(dag_id)
    run_id = stack.api.trigger(dag_id)
    stopped = drs(stack, "stop", "never-begun", "--json")
    assert stopped.returncode == 0, stopped.stdout + stopped.stderr
    (run,) = json.loads(stopped.stdout)["runs"]
    assert (run["run_id"], run["state"], run["nothing_left"]) == (run_id, "failed", True)
    assert stack.simulator.journal(operation="StartRecovery") == []
    assert "[STOPPED_BY_HAND]" in stack.api.task_log(dag_id, run_id, "verdict", 1)
