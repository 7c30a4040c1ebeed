"""A real recovery: the one way that starts it, and how every other way is refused."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from demo.drill_run import DrillRun
from demo.stack import Stack
from tests.e2e.plans import WEB, write_plan
from tests.e2e.questions import answer, await_question

pytestmark = pytest.mark.e2e

Drill = Callable[..., DrillRun]
SERVER = WEB[11]
APPROVE = "approve_recovery"
APPROVE_WAVE = "wave_web.approve"
RECOVERY = {"execution_type": "RECOVERY", "reason": "us-east-1 is down"}


@pytest.fixture
def recover(plans: Path, start_drill: Drill) -> Drill:
    """Trigger a run of a plan that allows a recovery, by default for one."""

    def recover(
        name: str, conf: dict[str, Any] | None = None, *, allowed: bool = True, approval: str = ""
    ) -> DrillRun:
        top = f"allow_recovery: {str(allowed).lower()}"
        write_plan(plans, name, [("web", [SERVER])], top=top, first_wave_extra=approval)
        return start_drill(name, RECOVERY if conf is None else conf)

    return recover


@pytest.fixture
def no_recovery_left(stack: Stack) -> Iterator[None]:
    """End by hand what a real recovery launched, so that other tests find the server as it was."""
    yield
    drs = stack.simulator.client("drs", "us-east-1")
    items = drs.describe_recovery_instances(filters={"sourceServerIDs": [SERVER]})["items"]
    if ids := [item["recoveryInstanceID"] for item in items]:
        drs.terminate_recovery_instances(recoveryInstanceIDs=ids)


def kinds(run: DrillRun) -> list[bool]:
    """The ``isDrill`` of each StartRecovery call."""
    return [call["parameters"]["isDrill"] for call in run.journal(operation="StartRecovery")]


@pytest.mark.usefixtures("no_recovery_left")
def test_a_recovery_is_approved_launched_and_left_alone(stack: Stack, recover: Drill) -> None:
    """Started by hand with a reason, of a plan that allows it, approved by a person: nothing is launched
    before, and nothing is terminated after.
    """
    run = recover("recovered")
    await_question(run, APPROVE)
    question = stack.api.question(run.dag_id, run.run_id, APPROVE)
    assert "This is a real recovery" in question["body"]
    assert SERVER in question["body"]
    assert kinds(run) == []
    answer(run, APPROVE, "Approve", "the bridge agreed")

    assert run.wait() == "success", run.describe()
    assert kinds(run) == [False]
    assert "The RECOVERY passed: 1 server(s) launched in 1 wave(s)" in run.log("verdict")
    assert "This is a real recovery: nothing is terminated" in run.log("terminate")
    assert run.journal(operation="TerminateRecoveryInstances") == []
    assert [instance.state for instance in run.instances()] == ["running"]
    evidence = run.xcom("evidence")
    assert evidence["execution_type"] == "RECOVERY"
    (given,) = evidence["approvals"].values()
    assert (given["answered"], given["comment"]) == ("by a person", "the bridge agreed")


@pytest.mark.usefixtures("no_recovery_left")
def test_a_recovery_that_is_marked_as_failed_terminates_nothing(stack: Stack, recover: Drill) -> None:
    """What it launched keeps running; the run is red."""
    stack.simulator.arm(kind="stuck_conversion", servers=[SERVER], seconds=10)
    run = recover("abandoned")
    await_question(run, APPROVE)
    answer(run, APPROVE)
    run.wait_for_task("wave_web.wait_until_launched", "deferred", timeout=180)
    run.mark("failed")
    assert run.wait() == "failed", run.describe()
    assert "The recovery did not pass" in run.log("verdict")
    run.wait_until(lambda: len(run.instances()) == 1, 60, "the launch to end")
    assert run.journal(operation="TerminateRecoveryInstances") == []
    assert [instance.state for instance in run.instances()] == ["running"]


def reject(stack: Stack, run: DrillRun) -> None:
    answer(run, APPROVE, "Reject", "no need")


def mark_as_success(stack: Stack, run: DrillRun) -> None:
    stack.api.set_task_state(run.dag_id, run.run_id, APPROVE, "success")


def mark_as_skipped(stack: Stack, run: DrillRun) -> None:
    stack.api.set_task_state(run.dag_id, run.run_id, APPROVE, "skipped")


def approve_the_wave_alone(stack: Stack, run: DrillRun) -> None:
    """Approved, but cleared and marked as success before the launch; the wave's own approval is given."""
    answer(run, APPROVE)
    await_question(run, APPROVE_WAVE)
    run.clear(APPROVE)
    await_question(run, APPROVE)
    mark_as_success(stack, run)
    await_question(run, APPROVE_WAVE)
    answer(run, APPROVE_WAVE)


@pytest.mark.parametrize(
    ("act", "code"),
    [
        (reject, "APPROVAL_REJECTED"),
        (mark_as_skipped, "INVALID_EXECUTION_TYPE"),
        (approve_the_wave_alone, "INVALID_EXECUTION_TYPE"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_without_a_yes_nothing_is_launched(
    stack: Stack, recover: Drill, act: Callable[[Stack, DrillRun], None], code: str
) -> None:
    """A person rejects it, or marks its task by hand: the run is red, and DRS was not asked to start
    anything, not even as a drill.
    """
    approval = "approval: {}" if act is approve_the_wave_alone else ""
    run = recover(f"refused-{act.__name__.replace('_', '-')}", approval=approval)
    await_question(run, APPROVE)
    act(stack, run)
    assert run.wait() == "failed", run.describe()
    assert f"[{code}]" in run.log("verdict")
    assert kinds(run) == []


def test_what_may_not_be_a_recovery_is_refused_before_anything_is_asked(recover: Drill) -> None:
    """Triggered by API, where no form helps, the run fails with a code and what to do."""
    run = recover("forbidden", allowed=False)
    assert run.wait() == "failed", run.describe()
    assert "[INVALID_EXECUTION_TYPE]" in run.log("begin")
    assert "What to do: " in run.log("begin")
    assert run.journal(service="drs") == []


def test_a_drill_of_a_plan_that_allows_a_recovery_asks_nobody(recover: Drill) -> None:
    """It is a drill like any other, and so is the dry run of a recovery."""
    run = recover("rehearsed", {})
    assert run.wait() == "success", run.describe()
    assert kinds(run) == [True]
    assert run.task_states()[APPROVE] == "skipped"
    assert not [instance for instance in run.instances() if instance.is_left]

    dry = recover("rehearsed", {**RECOVERY, "dry_run": True})
    assert dry.wait() == "success", dry.describe()
    assert "Dry run of a RECOVERY: preflight passed, nothing was launched" in dry.log("verdict")
    assert kinds(dry) == []
