"""Plans run by their schedules: what becomes of one tick in a plan that is ready, paused, edited, or busy."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from demo.drill_run import DrillRun
from demo.stack import Stack
from drs.plan import load_plan
from drs.plan.naming import dag_id
from drs.tasks.schedules import SCHEDULES
from tests.e2e.command_line import drs
from tests.e2e.plans import WEB, write_plan
from tests.e2e.questions import answer

pytestmark = pytest.mark.e2e

REGION = "us-east-1"
APPROVE = "wave_web.approve"
READY, PAUSED, EDITED, BUSY = "tick-ready", "tick-paused", "tick-edited", "tick-busy"
NAMES = (READY, PAUSED, EDITED, BUSY)
MINUTE = dt.timedelta(minutes=1)
TO_PARSE = dt.timedelta(seconds=25)
"""Within this time Airflow has read a plan that was written, also on a busy machine."""


@pytest.fixture
def topic(stack: Stack) -> str:
    """An SNS topic in the drill's account and Region."""
    arn: str = stack.simulator.client("sns", REGION).create_topic(Name="ticks")["TopicArn"]
    return arn


def test_a_tick_drills_a_plan_that_is_ready_and_no_other(
    stack: Stack, plans: Path, topic: str, start_drill: Callable[..., DrillRun]
) -> None:
    """One tick in four plans makes one drill. It is missed where the DAG was paused over it, and where the
    schedule was edited to name it afterwards. It is refused where a manual run is active. Both are told once
    and reported.
    """

    def write(name: str, tick: dt.datetime | None, **extra: str) -> Path:
        schedule = f'schedule: "{tick.minute} {tick.hour} * * *"\n' if tick else ""
        top = f"{schedule}notifications: {{sns_topic_arn: {topic!r}}}\nallow_recovery: true"
        return write_plan(plans, name, [("web", [WEB[NAMES.index(name)]])], top=top, **extra)

    question = "approval: {timeout: 15m}"
    write(BUSY, None, first_wave_extra=question)
    busy = start_drill(BUSY)
    busy.wait_for_task(APPROVE, "awaiting_input")

    tick = (dt.datetime.now(dt.UTC) + TO_PARSE).replace(second=0, microsecond=0) + MINUTE
    write(BUSY, tick, first_wave_extra=question)
    paths = {name: write(name, None if name == EDITED else tick) for name in NAMES if name != BUSY}
    for name, path in paths.items():
        stack.api.wait_for_dag(dag_id(name), digest=load_plan(path).digest)
        stack.api.unpause(dag_id(name))
    stack.api.pause(dag_id(PAUSED))
    busy.wait_until(lambda: known(stack) >= {READY, PAUSED, BUSY}, 60, "the schedules to be known")
    assert dt.datetime.now(dt.UTC) < tick, "the plans were not parsed in time"

    drilled = next_run(stack, paths[READY], timeout=120)
    stack.api.unpause(dag_id(PAUSED))
    paused = next_run(stack, paths[PAUSED])
    edited = next_run(stack, write(EDITED, tick))
    refused = next_run(stack, plans / f"{BUSY}.yaml", [busy.run_id])

    assert drilled.wait() == "success", drilled.describe()
    (call,) = drilled.journal(operation="StartRecovery")
    assert call["parameters"]["isDrill"] is True
    assert drilled.xcom("evidence")["initiator"] == "scheduled"

    due = f"Missed. This scheduled run was due at {tick:%Y-%m-%d %H:%M}:00 UTC, but "
    schedule = f'"{tick.minute} {tick.hour} * * *" (UTC)'
    for run, why in (
        (paused, "its DAG was unpaused only after that, at "),
        (edited, f"Airflow has known the plan's schedule {schedule} only since "),
    ):
        assert run.wait() == "success", run.describe()
        assert f"{due}{why}" in run.log("verdict")
        states = run.task_states()
        assert {task for task, state in states.items() if state != "skipped"} == {"open", "verdict"}
    assert refused.wait() == "failed", refused.describe()
    assert f"[PLAN_ALREADY_EXECUTING] Run {busy.run_id} of {dag_id(BUSY)} is active" in refused.log("begin")

    subjects = [call["parameters"]["Subject"] for call in drilled.journal(operation="Publish")]
    for name, fate in ((PAUSED, "missed"), (EDITED, "missed"), (BUSY, "refused, PLAN_ALREADY_EXECUTING")):
        assert subjects.count(f"DRILL of {name}: {fate}") == 1, subjects
        assert f"DRILL of {name}: passed" not in subjects

    stack.api.pause(dag_id(EDITED))
    told = {name: report(stack, plans, name) for name in (PAUSED, EDITED, BUSY, READY)}
    assert [[missed["fate"] for missed in told[name]["missed"]] for name in told] == [
        ["missed"],
        ["missed"],
        ["refused, PLAN_ALREADY_EXECUTING"],
        [],
    ]
    tomorrow = (tick + dt.timedelta(days=1)).isoformat()
    assert (told[PAUSED]["next_run"], told[PAUSED]["in_airflow"]) == (tomorrow, "active")
    assert (told[EDITED]["next_run"], told[EDITED]["in_airflow"]) == (None, "paused")

    answer(busy, APPROVE, "Reject")
    assert busy.wait() == "failed"
    record = json.loads(Path(busy.xcom("evidence")["path"]).read_text())
    (missed,) = record["missed_before"]
    assert (missed["run_id"], missed["code"]) == (refused.run_id, "PLAN_ALREADY_EXECUTING")


def known(stack: Stack) -> set[str]:
    """The plans of this test whose schedules Airflow knows."""
    kept = json.loads(stack.api.variable(SCHEDULES) or "{}")
    return {name for name in NAMES if dag_id(name) in kept}


def next_run(stack: Stack, path: Path, known: list[str] | None = None, timeout: float = 60) -> DrillRun:
    """The run that the scheduler makes of the plan, besides those that are known."""
    plan, started = load_plan(path), dt.datetime.now(dt.UTC)
    run_id = stack.api.wait_for_new_run(dag_id(plan.name), known or [], timeout)
    return DrillRun(stack, plan, run_id, started)


def report(stack: Stack, plans: Path, name: str) -> dict[str, Any]:
    """What the command says of the plan."""
    (told,) = json.loads(drs(stack, "report", name, "--plans", str(plans), "--json").stdout)
    return dict(told)
