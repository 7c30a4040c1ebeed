"""Drills that meet trouble: held servers, failed launches, runs ended by hand, broken and edited plans."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from demo.drill_run import DrillRun
from demo.stack import Stack
from tests.e2e.plans import AFTER_PREFLIGHT, APPLICATION, DATABASE, DIRECTORY, WEB, write_plan

pytestmark = pytest.mark.e2e

Drill = Callable[..., DrillRun]


def servers_of(call: dict[str, Any]) -> list[str]:
    return [server["sourceServerID"] for server in call["parameters"]["sourceServers"]]


def assert_clean_and_red(run: DrillRun) -> None:
    """The run failed, and nothing that it launched is left."""
    assert run.state() == "failed", run.describe()
    assert not [instance for instance in run.instances() if instance.state != "terminated"], run.describe()


def test_held_servers_follow_and_free_ones_go_at_once(stack: Stack, plans: Path, start_drill: Drill) -> None:
    """A foreign job holds two of a wave's four servers for 45 s from the first call that it refuses: the free
    ones are started at once, the held ones when their holder ends, and the drill succeeds.
    """
    held, free = WEB[:2], WEB[2:4]
    web = ("web", [*held, *free])
    write_plan(plans, "held", [web], launch="{jobs: per_wave}", first_wave_extra=AFTER_PREFLIGHT)
    foreign = {"kind": "foreign_job", "servers": held, "seconds": 45, "from": "first_refused_call"}
    run = start_drill("held")
    run.wait_for_task("preflight", "success", timeout=180)
    stack.simulator.arm(**foreign)
    assert run.wait(timeout=180) == "success", run.describe()

    calls = run.journal(operation="StartRecovery")
    first, second, *retries = calls
    assert (first["error"], servers_of(first)) == ("ConflictException", [*held, *free])
    assert (second["error"], servers_of(second)) == (None, free)
    assert second["time"] - first["time"] < 5
    assert [call["error"] for call in retries] == ["ConflictException", None]
    assert all(servers_of(call) == held for call in retries)
    assert 30 <= retries[0]["time"] - first["time"] <= 36
    assert 45 <= retries[1]["time"] - first["time"] <= 56, "the holder's end was not noticed early"

    log = run.log("wave_web.start_recovery")
    (holder,) = [job["jobID"] for job in run.jobs() if job["initiatedBy"] == "DIAGNOSTIC"]
    for said in (
        *held,
        holder,
        "Planned waits: 30 s, 60 s, 120 s, then every 120 s",
        "No job holds these servers, so they are started at once",
    ):
        assert said in log, said


def test_a_failed_optional_server_is_a_warning_and_a_missing_instance_id_is_found_elsewhere(
    stack: Stack, plans: Path, run_drill: Drill
) -> None:
    """What happens to a server of an optional group never stops the drill. At times DRS leaves the id of a
    recovery instance out of its jobs: the server counts as launched all the same.
    """
    write_plan(plans, "lenient", [("database", DATABASE[:1]), ("web", WEB[:1])], optional=["web"])
    stack.simulator.arm(kind="no_recovery_instance_id", servers=DATABASE[:1])
    stack.simulator.arm(kind="launch_failed", servers=[WEB[0]], raw_error="no capacity")
    run = run_drill("lenient")
    assert run.state() == "success", run.describe()
    assert "not launched (optional)" in run.log("wave_web.wait_until_launched")
    (instance,) = [instance for instance in run.instances() if instance.server_id == DATABASE[0]]
    assert instance.instance_id in run.log("wave_database.wait_until_launched")


def test_marked_failed_while_a_task_is_up_for_retry(stack: Stack, plans: Path, start_drill: Drill) -> None:
    """A run that is marked failed between two tries of a task terminates what it launched."""
    write_plan(plans, "ended-in-retry", [("database", DATABASE[:2])])
    stack.simulator.arm(kind="stuck_conversion", servers=DATABASE[:2], seconds=10)
    run = start_drill("ended-in-retry")
    run.wait_for_task("wave_database.wait_until_launched", "deferred", timeout=180)
    # Only the task makes this call, not the trigger that wakes it; botocore sends it four times.
    stack.simulator.arm(kind="internal_error", operations=["DescribeRecoveryInstances"], count=4)
    run.wait_for_task("wave_database.wait_until_launched", "up_for_retry", timeout=180)
    run.mark("failed")
    run.wait(timeout=120)
    assert_clean_and_red(run)
    assert {instance.server_id for instance in run.instances()} == set(DATABASE[:2])


def test_marked_failed_between_two_servers_starts_no_further_one(plans: Path, start_drill: Drill) -> None:
    """A run that is marked failed during the delay between two servers does not start the second one."""
    write_plan(plans, "ended-in-delay", [("database", DATABASE[:2])], launch="{server_delay: 20s}")
    run = start_drill("ended-in-delay")
    run.wait_for_task("wave_database.start_recovery", "deferred", timeout=180)
    run.mark("failed")
    run.wait(timeout=120)
    assert_clean_and_red(run)
    assert [servers_of(call) for call in run.journal(operation="StartRecovery")] == [DATABASE[:1]]
    assert "[STOPPED_BY_HAND]" in run.log("verdict")


def test_run_parameters_choose_waves_and_servers_and_keep_instances(
    stack: Stack, plans: Path, run_drill: Drill
) -> None:
    """A wave left out, its approval included, and an excluded server are not launched; what is launched stays
    running, is named, and clean-up does not touch it; the run is green.
    """
    approved = "delay_before: 1s, approval: {}"
    waves = [("a", DATABASE[:1]), ("b", WEB[:1]), ("c", APPLICATION[:2])]
    path = write_plan(plans, "chosen", waves)
    path.write_text(path.read_text().replace("[b], delay_before: 1s", f"[b], {approved}"))
    conf = {
        "waves": ["a", "c"],
        "exclude_servers": [APPLICATION[0]],
        "keep_instances": True,
        "reason": "a test",
    }
    run = run_drill("chosen", conf)
    assert run.state() == "success", run.describe()
    started = [servers_of(call) for call in run.journal(operation="StartRecovery")]
    assert started == [DATABASE[:1], [APPLICATION[1]]]
    states = run.task_states()
    assert (states["wave_b.approve"], states["wave_b.start_recovery"]) == ("skipped", "skipped")
    assert run.xcom("evidence")["reason"] == "a test"

    kept = run.instances()
    assert [instance.state for instance in kept] == ["running", "running"]
    log = run.log("terminate")
    assert all(instance.instance_id in log for instance in kept)
    assert not run.journal(operation="TerminateRecoveryInstances")
    drs = stack.simulator.client("drs", "us-east-1")
    drs.terminate_recovery_instances(recoveryInstanceIDs=[instance.instance_id for instance in kept])


def test_unknown_run_parameters_are_refused(plans: Path, run_drill: Drill) -> None:
    """A misspelt key in `conf` is an error, not a drill of everything."""
    write_plan(plans, "misspelt", [("database", DATABASE[:1])])
    run = run_drill("misspelt", {"wave": ["database"]})
    assert run.state() == "failed"
    log = run.log("begin")
    assert "INVALID_FIELD" in log
    assert "waves" in log
    assert not run.journal(service="drs")


def test_another_account_is_refused(plans: Path, run_drill: Drill) -> None:
    """A plan for an account that the connection does not lead to launches nothing."""
    path = write_plan(plans, "elsewhere", [("directory", DIRECTORY[:1])])
    path.write_text(path.read_text().replace("111122223333", "999988887777"))
    run = run_drill("elsewhere")
    assert run.state() == "failed"
    assert "ACCOUNT_MISMATCH" in run.log("preflight")
    assert not run.journal(operation="StartRecovery")


def test_broken_plans_are_told_at_once_and_others_stay(stack: Stack, plans: Path, start_drill: Drill) -> None:
    """One import error lists all five broken files with line, key and remedy; the other plans' DAGs stay."""
    target = 'target: {region: us-east-1, account_id: "111122223333"}'
    group = f"protection_groups: {{g: {{source_servers: [{WEB[0]}]}}}}"
    wave = "waves: [{name: w, protection_groups: [g]}]"
    broken = {
        "bad-duplicate": (f"name: bad-duplicate\n{target}\n{group}\n{wave}\n{wave}\n", 5, "waves"),
        "bad-unknown": (f"name: bad-unknown\n{target}\n{group}\ncolour: blue\n{wave}\n", 4, "colour"),
        "bad-empty": (
            f"name: bad-empty\n{target}\n{group}\nwaves:\n  - name: w\n    protection_groups: []\n",
            6,
            "waves[0].protection_groups",
        ),
        "bad-cycle": (
            f"name: bad-cycle\n{target}\nprotection_groups: {{g: {{source_servers: [{WEB[0]}]}}, "
            f"h: {{source_servers: [{WEB[1]}]}}}}\nwaves:\n"
            "  - {name: one, protection_groups: [g], depends_on: [two]}\n"
            "  - {name: two, protection_groups: [h], depends_on: [one]}\n",
            5,
            "depends_on",
        ),
        "bad-twice": (
            f"name: bad-twice\n{target}\nprotection_groups:\n  g: {{source_servers: [{WEB[0]}]}}\n"
            f"  h: {{source_servers: [{WEB[0]}]}}\nwaves:\n  - {{name: one, protection_groups: [g]}}\n"
            "  - {name: two, protection_groups: [h]}\n",
            5,
            "protection_groups.h.source_servers[0]",
        ),
    }
    for name, (text, _, _) in broken.items():
        (plans / f"{name}.yaml").write_text(text)
    try:
        run = start_drill("single-server", {"dry_run": True})

        def told() -> str:
            errors = [error["stack_trace"] for error in stack.api.import_errors()]
            return errors[0] if len(errors) == 1 else ""

        run.wait_until(lambda: all(name in told() for name in broken), 60, "the import error")
        for name, (_, line, key) in broken.items():
            place = f"{plans / name}.yaml:{line}"
            entry = told().split(place, 1)
            assert len(entry) == 2, f"{place} is not in:\n{told()}"
            head = entry[1].splitlines()
            assert key in head[0]
            assert "What to do:" in "\n".join(head[1:4])
        known = {dag["dag_id"] for dag in stack.api.dags()}
        assert {"drs_drill__single-server", "drs_drill__order-system", "drs_drill__fleet"} <= known
        assert run.wait(timeout=120) == "success", run.describe()
    finally:
        for name in broken:
            (plans / f"{name}.yaml").unlink()


def test_a_plan_file_broken_in_mid_wave_lets_its_drill_clean_up(
    stack: Stack, plans: Path, start_drill: Drill
) -> None:
    """The drill ends red and leaves nothing; a new run of the broken plan is refused with the error."""
    path = write_plan(plans, "breaks", [("database", DATABASE[:2]), ("web", WEB[:2])], wave_extra="")
    stack.simulator.arm(kind="stuck_conversion", servers=[DATABASE[0]], seconds=25)
    run = start_drill("breaks")
    run.wait_for_task("wave_database.wait_until_launched", "deferred", timeout=180)
    whole = path.read_text()
    try:
        path.write_text(whole.replace("waves:", "wavess:"))
        run.wait(timeout=150)
        assert_clean_and_red(run)
        assert {instance.server_id for instance in run.instances()} == set(DATABASE[:2])
        assert run.task_states()["wave_web.start_recovery"] == "removed"
        assert "drs_drill__breaks" in {dag["dag_id"] for dag in stack.api.dags()}
        again = stack.api.trigger("drs_drill__breaks")
        assert stack.api.wait_for_run("drs_drill__breaks", again, timeout=60) == "failed"
        assert "wavess" in stack.api.task_log("drs_drill__breaks", again, "begin")
    finally:
        path.write_text(whole)


def test_a_plan_validly_edited_in_mid_wave_does_not_move_its_drill(plans: Path, start_drill: Drill) -> None:
    """The file now names other servers and another Region; the running drill launches what it began with."""
    waves = [("database", DATABASE[:1]), ("web", WEB[:1])]
    path = write_plan(plans, "edited", waves, wave_extra="delay_before: 20s")
    run = start_drill("edited")
    run.wait_for_task("wave_web.start_recovery", "deferred", timeout=180)
    write_plan(
        plans, "edited", [("database", DATABASE[:1]), ("web", APPLICATION[:3])], launch="{jobs: per_wave}"
    )
    path.write_text(path.read_text().replace("us-east-1", "eu-central-1"))
    assert run.wait(timeout=150) == "success", run.describe()
    assert [servers_of(call) for call in run.journal(operation="StartRecovery")] == [DATABASE[:1], WEB[:1]]
    assert {call["region"] for call in run.journal(service="drs")} == {"us-east-1"}
    assert {instance.state for instance in run.instances()} == {"terminated"}


def test_a_wave_renamed_in_mid_drill_ends_it_red_and_clean(plans: Path, start_drill: Drill) -> None:
    """The wave's new name is unknown to the running drill, so that wave starts nothing."""
    write_plan(
        plans, "renamed", [("database", DATABASE[:1]), ("web", WEB[:1])], wave_extra="delay_before: 20s"
    )
    run = start_drill("renamed")
    run.wait_for_task("wave_web.start_recovery", "deferred", timeout=180)
    write_plan(plans, "renamed", [("database", DATABASE[:1]), ("front", WEB[:1])])
    run.wait(timeout=150)
    assert_clean_and_red(run)
    assert [servers_of(call) for call in run.journal(operation="StartRecovery")] == [DATABASE[:1]]
    assert "[DRILL_FAILED]" in run.log("verdict")
    assert "PLAN_CHANGED" in run.log("wave_front.start_recovery")
