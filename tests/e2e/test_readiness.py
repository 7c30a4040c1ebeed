"""Readiness on a real Airflow: one mapped task a plan, red where a drill would be refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from demo.drill_run import DrillRun
from demo.stack import Stack
from drs.cli.airflow_api import TaskInstance
from tests.e2e.plans import DATABASE, DIRECTORY, WEB, write_plan

pytestmark = pytest.mark.e2e

DAG_ID = "drs_readiness"


def test_exactly_the_plans_that_cannot_be_drilled_are_red(
    stack: Stack, plans: Path, start_drill: Callable[..., DrillRun]
) -> None:
    """A stalled server, an unknown one and a broken file fail their own plan's task, each with its code; a
    good plan, and one whose drill holds its own servers, are green. Nothing is launched.
    """
    write_plan(plans, "ready-busy", [("web", WEB[:1])])
    write_plan(plans, "ready-good", [("directory", DIRECTORY)])
    write_plan(plans, "ready-stalled", [("database", DATABASE[:2])])
    write_plan(plans, "ready-unknown", [("database", ["s-00000000000000000"])])
    broken = write_plan(plans, "ready-torn", [("database", DATABASE[:1])], top="colour: red")
    stack.simulator.arm(kind="stuck_conversion", servers=WEB[:1])
    stack.simulator.arm(kind="replication", servers=[DATABASE[1]], state="STALLED")
    busy = start_drill("ready-busy")
    busy.wait_for_task("wave_web.wait_until_started", "success")

    stack.simulator.clear_journal()
    stack.api.wait_for_dag(DAG_ID)
    stack.api.unpause(DAG_ID)
    run_id = stack.api.trigger(DAG_ID)
    assert stack.api.wait_for_run(DAG_ID, run_id, timeout=240) == "failed"

    instances = [each for each in stack.api.task_instances(DAG_ID, run_id) if each["task_id"] == "preflight"]
    asked = {each["rendered_map_index"]: each for each in instances}
    states = {name: each["state"] for name, each in asked.items() if name.startswith("ready-")}
    assert states == {
        "ready-busy": "success",
        "ready-good": "success",
        "ready-stalled": "failed",
        "ready-torn": "failed",
        "ready-unknown": "failed",
    }, log_of(stack, run_id, asked["ready-good"]) + log_of(stack, run_id, asked["ready-busy"])
    # The plan `fleet` has both the stalled server and the one that somebody else's drill, to it, holds.
    held = log_of(stack, run_id, asked["fleet"])
    assert all(code in held for code in ("UNHEALTHY_SERVER_REPLICATION", "SERVER_CONFLICT")), held
    assert [asked[name]["state"] for name in ("order-system", "single-server")] == ["success"] * 2
    for name, code, named in (
        ("ready-stalled", "UNHEALTHY_SERVER_REPLICATION", DATABASE[1]),
        ("ready-unknown", "SOURCE_SERVER_NOT_FOUND", "s-00000000000000000"),
        ("ready-torn", "INVALID_FIELD", f"{broken}:2  colour"),
    ):
        assert asked[name]["try_number"] == 1
        log = log_of(stack, run_id, asked[name])
        failure = log[log.index(f"[{code}]") :]
        assert named in failure
        assert "What to do: " in failure
    assert stack.simulator.journal(operation="StartRecovery") == []
    assert busy.task_states()["wave_web.wait_until_launched"] in {"deferred", "running", "scheduled"}


def log_of(stack: Stack, run_id: str, instance: TaskInstance) -> str:
    return stack.api.task_log(DAG_ID, run_id, "preflight", instance["try_number"], instance["map_index"])
