"""People who approve, reject and stay silent: asked in the Airflow UI, answered by its REST API."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from demo.drill_run import DrillRun
from demo.stack import Stack
from tests.e2e.plans import APPLICATION, DATABASE, WEB, write_plan
from tests.e2e.questions import answer, await_question

pytestmark = pytest.mark.e2e

Drill = Callable[..., DrillRun]
TWO_WAVES = [("database", DATABASE[:1]), ("web", WEB[:1])]
APPROVE = "wave_web.approve"


@pytest.fixture
def asking(plans: Path, start_drill: Drill) -> Drill:
    """Run a plan of two waves up to the question before the second one."""

    def asking(name: str, approval: str = "", conf: dict[str, Any] | None = None) -> DrillRun:
        write_plan(plans, name, TWO_WAVES, wave_extra=f"delay_before: 1s, approval: {{{approval}}}")
        run = start_drill(name, conf)
        await_question(run, APPROVE)
        return run

    return asking


def started(run: DrillRun) -> list[str]:
    """The servers that DRS was asked to start, in the order of the calls."""
    calls = run.journal(operation="StartRecovery")
    return [server["sourceServerID"] for call in calls for server in call["parameters"]["sourceServers"]]


def end(run: DrillRun) -> str:
    """The run's state at its end, with nothing left of it."""
    state = run.wait()
    assert not [instance for instance in run.instances() if instance.is_left], run.describe()
    return state


def test_a_wave_waits_for_a_yes(stack: Stack, asking: Drill) -> None:
    """The question shows the wave's servers, who asked and why, and the wave before; the answer is evidence.
    A launch that is cleared and tried again does not ask again.
    """
    run = asking("approved", conf={"reason": "an audit"})
    question = stack.api.question(run.dag_id, run.run_id, APPROVE)
    assert question["subject"] == "DRILL of plan approved: approve wave web?"
    for told in (WEB[0], "an audit", "wave database: 1", "it is rejected"):
        assert told in question["body"]
    assert started(run) == DATABASE[:1]

    answer(run, APPROVE, "Approve", "go ahead")
    run.wait_for_task("wave_web.start_recovery", "success", timeout=180)
    run.clear("wave_web.start_recovery")
    assert end(run) == "success", run.describe()
    assert started(run) == [DATABASE[0], WEB[0]]
    given = run.xcom("evidence")["approvals"]["web"]
    assert (given["approved"], given["answered"], given["comment"]) == (True, "by a person", "go ahead")


def test_a_no_fails_the_run_and_cleans_up(asking: Drill) -> None:
    """The log names who said no and why; the wave is not launched, and its tasks are not merely skipped."""
    run = asking("rejected")
    answer(run, APPROVE, "Reject", "not today")
    assert end(run) == "failed", run.describe()
    assert started(run) == DATABASE[:1]
    assert "[APPROVAL_REJECTED] Wave web rejected by " in run.log(APPROVE)
    assert "not today" in run.log("verdict")
    assert run.task_states()["wave_web.start_recovery"] == "upstream_failed"


def test_silence_is_what_the_plan_says_it_is(plans: Path, run_drill: Drill) -> None:
    """After the plan's time: yes for the wave whose plan says so, which goes on record; no for any other."""
    path = write_plan(plans, "unanswered", [*TWO_WAVES, ("application", APPLICATION[:1])])
    for wave, rule in {"web": "timeout: 3s, on_timeout: approve", "application": "timeout: 3s"}.items():
        given = f"[{wave}], delay_before: 1s"
        path.write_text(path.read_text().replace(given, f"{given}, approval: {{{rule}}}"))
    run = run_drill("unanswered")
    assert end(run) == "failed", run.describe()
    assert started(run) == [DATABASE[0], WEB[0]]
    assert run.xcom("evidence")["approvals"]["web"]["answered"] == "by time-out"
    assert "[APPROVAL_TIMEOUT] Nobody answered within 3 s" in run.log("verdict")


def test_an_answer_of_somebody_whom_the_plan_does_not_name_counts_for_nothing(asking: Drill) -> None:
    """Airflow lets everybody answer here, where everybody is its administrator."""
    run = asking("strangers", "approvers: [alice]")
    answer(run, APPROVE)
    assert end(run) == "failed", run.describe()
    assert started(run) == DATABASE[:1]
    assert "the plan names alice" in run.log("verdict")


def test_nobody_is_asked_about_what_may_be_skipped(plans: Path, run_drill: Drill) -> None:
    """The run asked to skip the approvals, and passes."""
    write_plan(plans, "unasked", TWO_WAVES, wave_extra="delay_before: 0s, approval: {skippable: true}")
    run = run_drill("unasked", {"skip_approvals": True})
    assert end(run) == "success", run.describe()
    assert started(run) == [DATABASE[0], WEB[0]]
    assert run.task_states()[APPROVE] == "skipped"


def test_an_approval_marked_as_success_by_hand_approves_nothing(stack: Stack, asking: Drill) -> None:
    """Nor does an approval that was given before its task was cleared and marked by hand."""
    run = asking("believed-approval")
    stack.api.set_task_state(run.dag_id, run.run_id, APPROVE, "success")
    run.wait_for_task("wave_web.start_recovery", "failed", timeout=180)
    assert "[APPROVAL_REJECTED] Wave web needs an approval" in run.log("wave_web.start_recovery")
    assert end(run) == "failed", run.describe()

    run.clear(APPROVE)
    answer(run, APPROVE)
    run.wait_for_task("wave_web.start_recovery", "success", timeout=180)
    run.clear(APPROVE)
    await_question(run, APPROVE)
    stack.api.set_task_state(run.dag_id, run.run_id, APPROVE, "success")
    assert end(run) == "failed", run.describe()
    assert "nobody has approved wave web" in run.log("verdict")
    assert started(run) == [DATABASE[0], WEB[0]]


def test_a_run_that_is_ended_while_it_asks_cleans_up(asking: Drill) -> None:
    """The question is closed together with the run."""
    run = asking("ended-while-asking")
    run.mark("failed")
    assert end(run) == "failed", run.describe()
    assert started(run) == DATABASE[:1]
    assert run.task_states()["terminate"] == "success"
