"""What DRS refuses for a while: servers that somebody else holds, calls too many, jobs too many."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from demo.drill_run import DrillRun
from demo.stack import Stack
from tests.e2e.plans import AFTER_PREFLIGHT, APPLICATION, DATABASE, WEB, write_plan
from tests.e2e.proof import assert_launched_once, jobs_made, servers_of, start_calls

pytestmark = pytest.mark.e2e

Drill = Callable[..., DrillRun]
CONFLICT, QUOTA = "ConflictException", "ServiceQuotaExceededException"
THROTTLED = "ThrottlingException"
JOBS_IN_PROGRESS = 20


def test_a_holder_that_outlasts_the_bound_is_named_with_what_to_do(
    stack: Stack, plans: Path, start_drill: Drill
) -> None:
    """The held server is tried up to `conflict_timeout` and never launched; the free one is launched, and
    terminated again.
    """
    held, free = DATABASE[:2]
    bounds = "{server_delay: 1s, conflict_backoff: [4s], conflict_timeout: 10s}"
    database = ("database", [held, free])
    write_plan(plans, "outlasted", [database], launch=bounds, first_wave_extra=AFTER_PREFLIGHT)
    run = start_drill("outlasted")
    run.wait_for_task("preflight", "success", timeout=180)
    stack.simulator.arm(kind="foreign_job", servers=[held], seconds=600, **{"from": "first_refused_call"})
    assert run.wait() == "failed", run.describe()
    assert jobs_made(run) == {held: 0, free: 1}
    assert {(i.server_id, i.state) for i in run.instances()} == {(free, "terminated")}

    refused = [call for call in start_calls(run) if servers_of(call) == [held]]
    assert {call["error"] for call in refused} == {CONFLICT}
    assert refused[-1]["time"] - refused[0]["time"] >= 10

    (holder,) = stack.simulator.live_jobs("us-east-1")
    log = run.log("wave_database.start_recovery")
    failure = log[log.index("[SERVER_CONFLICT]") :]
    for said in (held, f"last held by {holder}", "What to do: Wait for the job that holds the server to end"):
        assert said in failure, failure
    assert "[SERVER_CONFLICT]" in run.log("verdict")


def test_throttling_and_a_used_up_quota_are_waited_out(stack: Stack, plans: Path, start_drill: Drill) -> None:
    """DRS asks for 12 s of silence, and gets them; its 20th job is the wave's first server, and the second
    follows when that job has ended.
    """
    first, second = DATABASE[2:4]
    others = [*WEB, *APPLICATION][: JOBS_IN_PROGRESS - 1]
    write_plan(plans, "crowded", [("database", [first, second])], first_wave_extra=AFTER_PREFLIGHT)
    run = start_drill("crowded")
    run.wait_for_task("preflight", "success", timeout=180)
    throttle = {"kind": "throttle", "operations": ["StartRecovery"], "servers": [first]}
    stack.simulator.arm(**throttle, count=1, retry_after=12)
    stack.simulator.arm(kind="stuck_conversion", servers=[first], seconds=8)
    for server in others:
        stack.simulator.arm(kind="foreign_job", servers=[server], seconds=600)
    run.wait()
    assert_launched_once(run)

    throttled, made, *crowded = start_calls(run)
    assert [throttled["error"], made["error"]] == [THROTTLED, None]
    assert made["time"] - throttled["time"] >= 12
    *refused, last = [call["error"] for call in crowded]
    assert set(refused) == {QUOTA}
    assert last is None
    log = run.log("wave_database.start_recovery")
    assert f"Jobs in progress ({JOBS_IN_PROGRESS}): drsjob-" in log
