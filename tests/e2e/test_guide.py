"""The troubleshooting guide's three tests: a single server, sequential waves, the full recovery plan.

The delays of the plans are at their true length; DRS itself runs 300 times as fast. The two long drills run
side by side, on different servers.
"""

from __future__ import annotations

import datetime as dt
import itertools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from demo.drill_run import DrillRun
from demo.stack import Stack
from drs.plan import load_plan
from tests.e2e.plans import DATABASE, DIRECTORY, WEB, write_plan

pytestmark = pytest.mark.e2e

SEQUENTIAL = (("database", DATABASE[:1]), ("directory", DIRECTORY[:1]), ("web", WEB[:1]))


@dataclass(frozen=True)
class Finished:
    """A drill that has ended, and all that it did to DRS."""

    run: DrillRun
    state: str
    starts: list[dict[str, Any]]
    """The journal's StartRecovery calls for this plan's servers, in order."""


@pytest.fixture(scope="module")
def finished(running_stack: Stack, plans: Path) -> dict[str, Finished]:
    running_stack.simulator.disarm()
    write_plan(plans, "sequential-waves", SEQUENTIAL, launch="{}", wave_extra="")
    # The last wave is launched as slowly as DRS 60 times as fast: its sensor has something to wait for.
    slow = load_plan(plans / "order-system.yaml").listed_servers("web")
    running_stack.simulator.arm(kind="stuck_conversion", servers=slow, seconds=10)
    names = ("order-system", "sequential-waves")
    runs = {name: DrillRun.trigger(running_stack, plans / f"{name}.yaml") for name in names}
    return {name: _finish(run) for name, run in runs.items()}


def _finish(run: DrillRun) -> Finished:
    state = run.wait(timeout=420)
    servers = {server for wave in run.plan.waves for server in run.plan.listed_servers(wave.name)}
    starts = [call for call in run.journal(operation="StartRecovery") if set(_servers(call)) <= servers]
    return Finished(run, state, starts)


def _servers(call: dict[str, Any]) -> list[str]:
    return [server["sourceServerID"] for server in call["parameters"]["sourceServers"]]


def _left_pending(run: DrillRun, job_ids: list[str]) -> list[float]:
    """When the jobs left PENDING: the time of JOB_START in their logs."""
    drs = run.stack.simulator.client("drs", "us-east-1")
    logs = [drs.describe_job_log_items(jobID=job_id)["items"] for job_id in job_ids]
    starts = [event["logDateTime"] for log in logs for event in log if event["event"] == "JOB_START"]
    assert len(starts) == len(job_ids)
    return [dt.datetime.fromisoformat(start.replace("Z", "+00:00")).timestamp() for start in starts]


def _assert_terminated(finished: Finished) -> None:
    """Every instance that DRS made for the plan's servers is terminated in EC2."""
    servers = {server for call in finished.starts for server in _servers(call)}
    mine = [instance for instance in finished.run.instances() if instance.server_id in servers]
    assert {instance.server_id for instance in mine} == servers
    assert {instance.state for instance in mine} == {"terminated"}


def test_guide_test_1_single_server_launch(run_drill: Any) -> None:
    """One server is launched as a drill, is seen to have an instance, and is terminated again."""
    run = run_drill("single-server")
    assert run.state() == "success", run.describe()
    (start,) = run.journal(operation="StartRecovery")
    assert (start["status"], start["parameters"]["isDrill"]) == (202, True)
    assert [instance.state for instance in run.instances()] == ["terminated"]


def test_guide_test_2_sequential_wave_execution(finished: dict[str, Finished]) -> None:
    """With one server a wave, each wave begins 30 s after the gate before it, and nothing conflicts."""
    drill = finished["sequential-waves"]
    assert drill.state == "success", drill.run.describe()
    assert [_servers(call) for call in drill.starts] == [servers for _, servers in SEQUENTIAL]
    assert {call["error"] for call in drill.starts} == {None}
    times = [call["time"] for call in drill.starts]
    gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert all(30 <= gap <= 45 for gap in gaps), gaps
    _assert_terminated(drill)


def test_guide_test_3_full_recovery_plan(finished: dict[str, Finished]) -> None:
    """Six servers in three waves: 15 s between servers, 30 s before a wave, all launched, none refused."""
    drill = finished["order-system"]
    assert drill.state == "success", drill.run.describe()
    assert len(drill.starts) == 6
    assert {call["error"] for call in drill.starts} == {None}, "a ConflictException reached us"
    assert {call["parameters"]["isDrill"] for call in drill.starts} == {True}
    times = [call["time"] for call in drill.starts]
    for first, second in ((0, 1), (2, 3), (4, 5)):
        assert 15 <= times[second] - times[first] <= 25, times
    assert 105 <= times[-1] - times[0] <= 180, times
    _assert_terminated(drill)


def test_a_wave_begins_only_after_the_jobs_before_it_left_pending(finished: dict[str, Finished]) -> None:
    """The first call of each wave comes `delay_before` after the last JOB_START of the wave before."""
    drill = finished["order-system"]
    waves = [drill.starts[0:2], drill.starts[2:4], drill.starts[4:6]]
    for before, after in itertools.pairwise(waves):
        started = _left_pending(drill.run, [call["result"]["jobID"] for call in before])
        assert after[0]["time"] - max(started) >= 30


def test_the_drill_costs_no_worker_while_it_waits(finished: dict[str, Finished]) -> None:
    """The logs of the waiting tasks show that they were deferred, and DRS's own events as they happened."""
    log = finished["order-system"].run.log("wave_web.wait_until_launched")
    assert "Pausing task as DEFERRED" in log
    for event in ("JOB_START", "SNAPSHOT_END", "CONVERSION_START", "LAUNCH_START", "LAUNCH_END", "JOB_END"):
        assert event in log
