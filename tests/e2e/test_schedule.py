"""A plan's schedule: a tick that went by while its DAG was paused fires nothing, the next one drills."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest

from demo.drill_run import DrillRun
from demo.stack import Stack
from drs.plan import load_plan
from drs.plan.naming import dag_id
from tests.e2e.plans import WEB, write_plan

pytestmark = pytest.mark.e2e

MISSED = dt.timedelta(minutes=40)


def daily(at: dt.datetime) -> str:
    """A schedule with one tick a day."""
    return f'schedule: "{at.minute} {at.hour} * * *"\nallow_recovery: true'


def test_unpausing_fires_no_missed_drill_and_the_next_tick_drills(stack: Stack, plans: Path) -> None:
    """The missed run launches nothing, is no failed drill, and says what it was. The run on time is a drill,
    though its plan allows a recovery.
    """
    now = dt.datetime.now(dt.UTC)
    path = write_plan(plans, "scheduled", [("web", WEB[5:6])], top=daily(now - MISSED))
    stack.api.wait_for_dag(dag_id("scheduled"))
    stack.api.unpause(dag_id("scheduled"))
    missed = next_run(stack, path, [])
    assert missed.wait() == "success", missed.describe()
    assert "Missed: this scheduled run was due at " in missed.log("verdict")
    assert missed.journal() == []
    states = missed.task_states()
    assert {task: state for task, state in states.items() if state != "skipped"} == {
        "open": "success",
        "verdict": "success",
    }

    # Airflow makes up for this tick too: it is less than a minute old.
    write_plan(plans, "scheduled", [("web", WEB[5:6])], top=daily(dt.datetime.now(dt.UTC)))
    drilled = next_run(stack, path, [missed.run_id])
    assert drilled.wait() == "success", drilled.describe()
    (call,) = drilled.journal(operation="StartRecovery")
    assert call["parameters"]["isDrill"] is True
    assert drilled.xcom("evidence")["initiator"] == "scheduled"


def next_run(stack: Stack, path: Path, known: list[str]) -> DrillRun:
    """The run that the scheduler makes of the plan, besides those that are known."""
    plan, started = load_plan(path), dt.datetime.now(dt.UTC)
    return DrillRun(stack, plan, stack.api.wait_for_new_run(dag_id(plan.name), known, 90), started)
