"""A plan runs once at a time, however close together two runs of it begin."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from demo.drill_run import DrillRun
from demo.stack import Stack
from tests.e2e.plans import DIRECTORY, write_plan
from tests.e2e.proof import assert_launched_once

pytestmark = pytest.mark.e2e


def test_of_two_runs_triggered_together_one_touches_nothing(
    stack: Stack, plans: Path, start_drill: Callable[..., DrillRun]
) -> None:
    """It is red, names the other run and what to do, and calls nothing; the other run ends green."""
    write_plan(plans, "contended", [("directory", DIRECTORY[:1])])
    stack.api.wait_for_dag("drs_drill__contended")
    with ThreadPoolExecutor() as pool:
        runs = list(pool.map(start_drill, ["contended"] * 2))
    ended = {run.wait(): run for run in runs}
    assert ended.keys() == {"success", "failed"}, "\n".join(run.describe() for run in runs)
    winner, loser = ended["success"], ended["failed"]
    assert_launched_once(winner)

    log = loser.log("begin")
    assert "[PLAN_ALREADY_EXECUTING]" in log, log
    assert f"What to do: Wait for {winner.run_id} to end, or stop it with `python -m drs stop" in log, log
    assert "[PLAN_ALREADY_EXECUTING]" in loser.log("verdict")
    ran = {each["task_id"] for each in loser.task_instances() if each["state"] in ("success", "failed")}
    assert ran == {"open", "begin", "verdict"}
    callers = {call["user_agent"].partition("Caller/")[2].partition(" ")[0] for call in winner.journal()}
    assert not {caller for caller in callers if "Begin" in caller or "Verdict" in caller}
    (start,) = winner.journal(operation="StartRecovery")
    assert start["parameters"]["tags"]["drs-drills:dag-run"] == winner.run_id
