"""Codes that no other test raises on a real Airflow: each appears in the task's log with its remedy."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from demo.drill_run import DrillRun
from demo.stack import Stack
from tests.e2e.plans import DATABASE, HERE, QUICK, write_plan

pytestmark = pytest.mark.e2e

Drill = Callable[..., DrillRun]
ACCOUNT = "111122223333"
UNINITIALISED, SILENT = "eu-west-1", "us-west-2"
UNREAD, STUCK, SLOW = DATABASE[0], DATABASE[1], DATABASE[2]


@pytest.fixture(scope="module")
def crowd(running_stack: Stack) -> None:
    """More servers than fit into one job, more servers than DRS runs jobs, and two Regions without DRS."""
    series = [
        {"count": count, "id_prefix": f"s-7cc0{number}", "hostname": f"{size}-{{n}}", "tags": {"Size": size}}
        for number, (size, count) in enumerate({"large": 101, "many": 21}.items())
    ]
    regions = {"us-east-1": {"servers": series}, UNINITIALISED: {"initialized": False}, SILENT: {}}
    running_stack.simulator.add_fleet({"accounts": {ACCOUNT: {"regions": regions}}})


def write_tagged_plan(folder: Path, name: str, tags: str, jobs: str) -> None:
    """Write a plan of one wave that holds the servers with these tags."""
    path = write_plan(folder, name, [("main", DATABASE[:1])], launch=f"{{jobs: {jobs}}}")
    path.write_text(path.read_text().replace(f"source_servers: [{DATABASE[0]}]", f"server_tags: {tags}"))


@pytest.mark.usefixtures("crowd")
def test_what_cannot_succeed_is_refused_with_its_code_and_remedy(
    stack: Stack, plans: Path, start_drill: Drill
) -> None:
    """Eight plans run at once, and none of them launches anything."""
    for name, server in (("code-waves", DATABASE[3]), ("code-past", DATABASE[4]), ("code-unread", UNREAD)):
        write_plan(plans, name, [("main", [server])])
    for name, region in (("code-region", UNINITIALISED), ("code-silent", SILENT)):
        write_plan(plans, name, [("main", DATABASE[:1])], target=HERE.replace("us-east-1", region))
    write_tagged_plan(plans, "code-large", "{Size: large}", "per_wave")
    write_tagged_plan(plans, "code-many", "{Size: many}", "per_server")
    write_tagged_plan(plans, "code-tags", "{Size: huge}", "per_wave")
    stack.simulator.arm(kind="internal_error", operations=["GetLaunchConfiguration"], servers=[UNREAD])
    stack.simulator.arm(kind="internal_error", region=SILENT)
    dry: dict[str, Any] = {"dry_run": True}
    past = {**dry, "recovery_point": "2022-01-01T00:00Z"}
    cases = {
        "code-waves": ("begin", "PLAN_HAS_NO_WAVES", {"waves": []}),
        "code-past": ("preflight", "RECOVERY_POINT_NOT_FOUND", past),
        "code-unread": ("preflight", "CHECK_UNAVAILABLE", dry),
        "code-region": ("preflight", "DRS_NOT_INITIALIZED", dry),
        "code-silent": ("preflight", "DRS_UNAVAILABLE", dry),
        "code-large": ("preflight", "WAVE_SIZE_LIMIT_EXCEEDED", dry),
        "code-many": ("preflight", "CONCURRENT_JOBS_LIMIT_EXCEEDED", dry),
        "code-tags": ("preflight", "TAG_RESOLUTION_EMPTY", dry),
    }
    runs = {name: start_drill(name, conf) for name, (_, _, conf) in cases.items()}
    for name, (task, code, _) in cases.items():
        run = runs[name]
        assert run.wait(timeout=180) == "failed", run.describe()
        assert run.task_states()[task] == "failed", run.describe()
        end = run.log(task).split(f"[{code}]", 1)
        assert len(end) == 2, run.log(task)
        assert "What to do: " in end[1]
        assert f"[{code}]" in run.log("verdict")
        assert "[DRILL_FAILED]" in run.log("verdict")
    assert not stack.simulator.journal(operation="StartRecovery")


def test_jobs_that_take_too_long_are_given_up_with_their_codes(
    stack: Stack, plans: Path, start_drill: Drill
) -> None:
    """One job does not leave PENDING, one does not end; once they end, nothing of them is left."""
    write_plan(plans, "code-stuck", [("main", [STUCK])], launch=QUICK.replace("}", ", start_timeout: 3s}"))
    write_plan(plans, "code-slow", [("main", [SLOW])], launch=QUICK.replace("}", ", job_timeout: 4s}"))
    stack.simulator.arm(kind="stuck_pending", servers=[STUCK])
    stack.simulator.arm(kind="stuck_conversion", servers=[SLOW])
    cases = {
        "code-stuck": ("wave_main.wait_until_started", "JOB_START_TIMEOUT", STUCK),
        "code-slow": ("wave_main.wait_until_launched", "JOB_TIMEOUT", "CONVERSION_START"),
    }
    runs = {name: start_drill(name) for name in cases}
    for name, (task, code, named) in cases.items():
        runs[name].wait_for_task(task, "failed", timeout=120)
        log = runs[name].log(task)
        assert f"[{code}]" in log
        assert named in log.split(f"[{code}]", 1)[1]
        assert "What to do: " in log
    stack.simulator.disarm()
    for name in cases:
        assert runs[name].wait(timeout=180) == "failed", runs[name].describe()
        assert not [instance for instance in runs[name].instances() if instance.is_left]
