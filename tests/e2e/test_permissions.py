"""What a full drill calls, held against the policy that is published for it."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from demo.drill_run import DrillRun
from demo.stack import REPOSITORY, Stack
from tests.e2e.plans import DATABASE, WEB, write_plan

pytestmark = pytest.mark.e2e


def published() -> set[str]:
    """The actions that the policies allow drs-drills itself; what DRS may do is allowed apart."""
    policies = [
        json.loads((REPOSITORY / "include" / "iam" / f"{name}.json").read_text())
        for name in ("drill", "ssm-checks")
    ]
    statements = [each for policy in policies for each in policy["Statement"]]
    own = [each for each in statements if each["Sid"].startswith("Drill")]
    return {action for statement in own for action in statement["Action"]}


def actions(call: dict[str, Any]) -> set[str]:
    """The permissions that a call needs: those of its name; a job that is tagged as it is made, one more."""
    tagging = {"drs:TagResource"} if call["parameters"].get("tags") else set()
    return {f"{call['service']}:{call['operation']}"} | tagging


def test_a_drill_calls_what_its_policy_allows_and_nothing_else(
    stack: Stack, plans: Path, run_drill: Callable[..., DrillRun]
) -> None:
    """From a recovery point, beside an execution of one of AWS's own recovery plans, with every kind of check
    that calls AWS: nothing is missing from the policies, and nothing in them is unused.
    """
    checks = "validation: [{type: instance_status}, {type: ssm}]"
    write_plan(plans, "permitted", [("database", DATABASE[:1])], first_wave_extra=checks)
    stack.simulator.arm(kind="plan_execution", servers=WEB[-1:])
    run = run_drill("permitted", {"recovery_point": dt.datetime.now(dt.UTC).isoformat()})
    assert run.state() == "success", run.describe()
    called = set().union(*(actions(call) for call in run.journal()))
    missing, unused = sorted(called - published()), sorted(published() - called)
    print(f"called {len(called)} actions; missing from the policies: {missing}; unused: {unused}")
    assert (missing, unused) == ([], [])
