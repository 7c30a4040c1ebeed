"""What people do to a drill in the Airflow UI: clear tasks, clear the run, mark tasks as they please."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from demo.drill_run import DrillRun
from demo.stack import Stack
from tests.e2e.plans import DATABASE, WEB, write_plan

pytestmark = pytest.mark.e2e

Drill = Callable[..., DrillRun]


def starts(run: DrillRun) -> Counter[str]:
    """How often DRS accepted a call that starts each server."""
    calls = [call for call in run.journal(operation="StartRecovery") if call["status"] == 202]
    return Counter(
        server["sourceServerID"] for call in calls for server in call["parameters"]["sourceServers"]
    )


def ended(run: DrillRun, timeout: float = 180) -> str:
    """The run's state after it ended again, with nothing left of it."""
    state = run.wait(timeout=timeout)
    assert not [instance for instance in run.instances() if instance.state != "terminated"], run.describe()
    return state


def test_a_failed_wave_cleared_before_clean_up_launches_what_failed(
    stack: Stack, plans: Path, start_drill: Drill
) -> None:
    """The other wave still runs: the cleared one keeps the server that launched and launches the other."""
    write_plan(
        plans,
        "mended",
        [("database", DATABASE[:2]), ("web", WEB[:1])],
        wave_extra="depends_on: [], delay_before: 50s",
    )
    stack.simulator.arm(kind="launch_failed", servers=[DATABASE[1]], raw_error="no capacity", count=1)
    run = start_drill("mended")
    # The scheduler is through with the failure: a person is not as quick as this test.
    run.wait_for_task("wave_database.validate", "upstream_failed", timeout=180)
    run.clear("wave_database.start_recovery")
    assert ended(run) == "success", run.describe()
    assert starts(run) == {DATABASE[0]: 1, DATABASE[1]: 2, WEB[0]: 1}
    assert "is kept" in run.log("wave_database.start_recovery")


def test_a_wave_cleared_after_the_end_is_launched_again_without_the_others(
    plans: Path, run_drill: Drill
) -> None:
    """Clearing one task of a finished run is enough: setup, clean-up and verdict come along. The run is red,
    because clean-up had ended the first wave before the second was launched: they were not up together.
    """
    write_plan(plans, "again", [("database", DATABASE[:1]), ("web", WEB[:1])])
    run = run_drill("again")
    assert run.state() == "success", run.describe()
    run.clear("wave_web.start_recovery")
    run.wait_until(lambda: not run.has_ended(), 30, "the run to go on")
    assert ended(run) == "failed", run.describe()
    assert starts(run) == {DATABASE[0]: 1, WEB[0]: 2}
    verdict = run.log("verdict")
    assert f"of server {DATABASE[0]}" in verdict
    assert "the waves were not up together" in verdict


def test_a_whole_run_cleared_in_mid_launch_launches_nothing_twice(
    stack: Stack, plans: Path, start_drill: Drill
) -> None:
    """The run begins again, knows its own jobs by its token, and leaves nothing."""
    write_plan(plans, "restarted", [("database", DATABASE[:2])])
    stack.simulator.arm(kind="stuck_conversion", servers=[DATABASE[0]], seconds=25)
    run = start_drill("restarted")
    run.wait_for_task("wave_database.wait_until_launched", "deferred", timeout=180)
    token = run.xcom("begin", "run")["token"]
    run.clear("begin")
    run.wait_for_task("preflight", "success", timeout=180)
    assert ended(run) == "success", run.describe()
    assert run.xcom("begin", "run")["token"] == token
    assert starts(run) == dict.fromkeys(DATABASE[:2], 1)


def test_a_cleared_run_that_is_refused_cleans_up_what_it_had_launched_without_tags(
    stack: Stack, plans: Path, start_drill: Drill
) -> None:
    """Its jobs have no tags, and no task of the wave runs again: the copy of the launch names them."""
    write_plan(plans, "refused-again", [("database", DATABASE[:2])])
    stack.simulator.arm(kind="tags_refused")
    stack.simulator.arm(kind="stuck_conversion", servers=[DATABASE[0]], seconds=25)
    run = start_drill("refused-again")
    run.wait_for_task("wave_database.wait_until_launched", "deferred", timeout=180)
    stack.simulator.arm(kind="replication", servers=[DATABASE[1]], state="STALLED")
    run.clear("begin")
    run.wait_for_task("preflight", "failed", timeout=180)
    assert ended(run) == "failed", run.describe()
    assert "UNHEALTHY_SERVER_REPLICATION" in run.log("verdict")
    assert starts(run) == dict.fromkeys(DATABASE[:2], 1)
    assert {instance.server_id for instance in run.instances()} == set(DATABASE[:2])
    assert run.xcom("begin", "cleanup")["proven"]


def test_tasks_marked_as_success_by_hand_prove_nothing(stack: Stack, plans: Path, start_drill: Drill) -> None:
    """The verdict believes records, not states: neither that the launch ended well, nor that clean-up did."""
    write_plan(plans, "believed", [("database", DATABASE[:1])])
    stack.simulator.arm(kind="stuck_conversion", servers=[DATABASE[0]], seconds=25)
    run = start_drill("believed")
    run.wait_for_task("wave_database.wait_until_launched", "deferred", timeout=180)
    stack.api.set_task_state(run.dag_id, run.run_id, "wave_database.wait_until_launched", "success")
    run.wait_for_task("terminate", "deferred", timeout=180)
    stack.api.set_task_state(run.dag_id, run.run_id, "terminate", "success")
    assert run.wait(timeout=180) == "failed", run.describe()
    log = run.log("verdict")
    assert "wave database has no record of its servers being launched" in log
    assert "clean-up is not proven complete" in log
    run.clear("terminate")
    run.wait_for_task("terminate", "success", timeout=120)
    assert not [instance for instance in run.instances() if instance.is_left]
