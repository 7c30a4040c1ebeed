"""Instances are terminated or kept, by the plan's rule or a person's answer; a survivor is named."""

from __future__ import annotations

import datetime as dt
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from demo.drill_run import DrillRun, Instance
from demo.stack import REPOSITORY, Stack
from tests.e2e.plans import DIRECTORY, write_plan
from tests.e2e.questions import answer, await_question

pytestmark = pytest.mark.e2e

Drill = Callable[..., DrillRun]
ASK = "approve_cleanup"


def left(run: DrillRun) -> list[Instance]:
    """The run's instances that still cost money."""
    return [instance for instance in run.instances() if instance.is_left]


def clean_up_by_hand(stack: Stack, plans: Path, plan: str) -> subprocess.CompletedProcess[str]:
    """Run the command that the on-call engineer runs."""
    return subprocess.run(
        [sys.executable, "-m", "drs", "cleanup", plan, "--plans", str(plans), "--yes"],
        env=stack.environment,
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )


def end_by_hand(stack: Stack, plans: Path, run: DrillRun) -> None:
    done = clean_up_by_hand(stack, plans, run.plan.name)
    assert done.returncode == 0, done.stdout + done.stderr
    assert left(run) == []


@pytest.fixture
def asking(plans: Path, start_drill: Drill) -> Drill:
    """Run a plan of two servers up to the question before its clean-up."""

    def asking(name: str, rule: str = "", conf: dict[str, Any] | None = None) -> DrillRun:
        top = f"cleanup: {{when: after_approval{rule}}}"
        write_plan(plans, name, [("directory", DIRECTORY)], top=top)
        run = start_drill(name, conf)
        await_question(run, ASK)
        return run

    return asking


def test_a_survivor_makes_the_run_red_until_clean_up_is_cleared(
    stack: Stack, plans: Path, run_drill: Drill
) -> None:
    """The log and the verdict end with code, instance and cost; the other instance is gone. Once DRS lets the
    survivor go, clearing the task terminates it.
    """
    write_plan(plans, "survived", [("directory", DIRECTORY)])
    stack.simulator.arm(kind="termination_survivor", servers=DIRECTORY[:1])
    run = run_drill("survived")
    assert run.state() == "failed", run.describe()
    (survivor,) = left(run)
    assert survivor.server_id == DIRECTORY[0]
    for log in (run.log("terminate"), run.log("verdict")):
        assert "[CLEANUP_INCOMPLETE]" in log
        assert survivor.instance_id in log
        for told in ("cost so far", "USD a day", "Prices: on-demand, Linux, us-east-1, as of "):
            assert told in log, told

    stack.simulator.disarm()
    run.clear("terminate")
    run.wait_until(lambda: not left(run), 60, "the survivor's end")
    run.wait_for_task("verdict", "success", "failed", timeout=180)
    assert run.task_states()["terminate"] == "success"


def test_instances_that_a_person_keeps_stay(stack: Stack, plans: Path, asking: Drill) -> None:
    """The question names them with their cost; the run is green and says so; the command ends them."""
    run = asking("kept-by-answer")
    question = stack.api.question(run.dag_id, run.run_id, ASK)
    assert (
        question["subject"] == "Drill of plan kept-by-answer: terminate the 2 drill instance(s) of this run?"
    )
    assert all(instance.instance_id in question["body"] for instance in left(run))
    assert "USD an hour" in question["body"]

    answer(run, ASK, "Keep", "a look at the logs")
    assert run.wait() == "success", run.describe()
    assert len(left(run)) == 2
    assert not run.journal(operation="TerminateRecoveryInstances")
    assert "2 instance(s) are kept and cost money" in run.log("verdict")
    assert "a look at the logs" in run.log("terminate")
    end_by_hand(stack, plans, run)


def test_silence_terminates(asking: Drill) -> None:
    """When nobody answers within the plan's time, the instances are terminated."""
    run = asking("unanswered-cleanup", ", approval_timeout: 3s")
    assert run.wait() == "success", run.describe()
    assert left(run) == []
    assert "terminated, decided by time-out" in run.log(ASK)


def test_a_run_that_is_ended_while_it_asks_is_cleaned_up(asking: Drill) -> None:
    """Clean-up does not wait for the answer."""
    run = asking("ended-while-asking-to-clean")
    run.mark("failed")
    assert run.wait() == "failed", run.describe()
    assert left(run) == []


def test_after_a_failed_wave_on_success_keeps(stack: Stack, plans: Path, run_drill: Drill) -> None:
    """The run is red, and the launched server's instance stays; the log explains the failed one."""
    write_plan(plans, "kept-for-a-look", [("directory", DIRECTORY)], top="cleanup: {when: on_success}")
    raw_error = "InsufficientInstanceCapacity: no m5.large in us-east-1a"
    stack.simulator.arm(kind="launch_failed", servers=DIRECTORY[:1], raw_error=raw_error)
    run = run_drill("kept-for-a-look")
    assert run.state() == "failed", run.describe()
    assert [instance.server_id for instance in left(run)] == DIRECTORY[1:]
    log = run.log("terminate")
    assert "1 drill instance(s) are kept: the plan terminates only after a success" in log
    assert "USD a day" in log
    explained = run.log("wave_directory.wait_until_launched").splitlines()
    at = [
        next(number for number, line in enumerate(explained) if told in line)
        for told in (
            "[SERVER_LAUNCH_FAILED]",
            "cause: ",
            "retry: safe",
            "What to do: ",
            "Task failed: SERVER_LAUNCH_FAILED.",
        )
    ]
    assert at == sorted(at)
    end_by_hand(stack, plans, run)


def test_a_drill_that_passed_is_kept_for_a_while(plans: Path, run_drill: Drill) -> None:
    """The instances are terminated after `keep_for`, and the run is green."""
    write_plan(plans, "kept-a-while", [("directory", DIRECTORY)], top="cleanup: {keep_for: 8s}")
    run = run_drill("kept-a-while")
    assert run.state() == "success", run.describe()
    assert left(run) == []
    (call,) = run.journal(operation="TerminateRecoveryInstances")
    reached = run.xcom("begin", "reached.directory.launched")
    assert call["time"] - dt.datetime.fromisoformat(reached).timestamp() >= 8
