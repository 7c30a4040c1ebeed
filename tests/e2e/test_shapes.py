"""Drills of other shapes: branches, one job a wave, servers found by tags."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from demo.drill_run import DrillRun
from demo.stack import Stack

pytestmark = pytest.mark.e2e


def _servers(call: dict[str, Any]) -> list[str]:
    return [server["sourceServerID"] for server in call["parameters"]["sourceServers"]]


def test_branches_run_side_by_side_with_one_job_a_wave(
    stack: Stack, run_drill: Callable[..., DrillRun]
) -> None:
    """The plan `fleet`: 32 servers found by tags in five jobs; database and reporting follow directory
    together; the failed launch of an optional server stops nothing.
    """
    reporting = "s-7df5e6d7c8b900001"
    stack.simulator.arm(kind="launch_failed", servers=[reporting], raw_error="no capacity")
    run = run_drill("fleet", timeout=300)
    assert run.state() == "success", run.describe()
    calls = run.journal(operation="StartRecovery")
    assert [call["error"] for call in calls] == [None] * 5
    assert sorted(len(_servers(call)) for call in calls) == [2, 2, 6, 10, 12]
    times = {len(_servers(call)): call["time"] for call in calls if len(_servers(call)) > 2}
    report_call = next(call for call in calls if reporting in _servers(call))
    assert abs(report_call["time"] - times[6]) < 5, "the branches did not run side by side"
    assert times[6] < times[10] < times[12]
    assert "no capacity" in run.log("wave_reporting.wait_until_launched")
    assert {instance.state for instance in run.instances()} == {"terminated"}
    assert len(run.instances()) == 31
