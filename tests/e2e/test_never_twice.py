"""Nothing is launched twice: whatever becomes of the process that calls DRS, of its replies, of its task.

The drills of the table run side by side, each on servers of its own: what they wait for most is Airflow,
which misses a killed worker only when its heartbeats stay away for 30 s.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from demo.drill_run import DrillRun
from demo.stack import Stack
from tests.e2e.plans import APPLICATION, DATABASE, WEB, write_plan
from tests.e2e.proof import answers, assert_launched_once
from tests.e2e.workers import kill_task_alone, kill_worker

pytestmark = pytest.mark.e2e

START = "wave_first.start_recovery"
LAUNCHED = "wave_first.wait_until_launched"
DROPPED, LOST, DENIED = "ConnectionDropped", "InternalServerException", "AccessDeniedException"


def hang(when: str, server: str) -> dict[str, Any]:
    """The first call for the server gets no reply for longer than its process lives."""
    return {**drop(when, server), "seconds": 120}


def drop(when: str, server: str) -> dict[str, Any]:
    """The first call for the server loses its connection."""
    return lose("connection_drop", when, server)


def lose(kind: str, when: str, server: str) -> dict[str, Any]:
    return {"kind": kind, "when": when, "operations": ["StartRecovery"], "servers": [server], "count": 1}


def no_tags(server: str) -> dict[str, Any]:
    """The account refuses tags on jobs."""
    return {"kind": "tags_refused", "servers": [server]}


def lasting(server: str) -> dict[str, Any]:
    """The server's job stays live until the test reaches it."""
    return {"kind": "stuck_conversion", "servers": [server], "seconds": 30}


def call_hangs(run: DrillRun) -> bool:
    return DROPPED in answers(run)


def job_is_live(run: DrillRun) -> bool:
    return run.task_states().get(LAUNCHED) in ("running", "deferred")


def clear(run: DrillRun, task_id: str) -> None:
    run.clear(task_id)


def end(run: DrillRun, task_id: str) -> None:
    run.mark("failed")


@dataclass(frozen=True)
class Case:
    """One drill of one wave.

    :param servers: launched one after the other
    :param faults: what happens to its calls
    :param strike: what is done to it and its `start_recovery`; None where the faults are trouble enough
    :param answers: how DRS answers its StartRecovery calls in the end
    :param moment: when the strike comes
    :param tries: how often Airflow runs its `start_recovery` at least; more often when the machine is slow
    :param state: how the run ends
    :param unsure: without tags and without a reply it is not certain whose job it is: the run is red, names
        the job, launches nothing again and terminates nothing
    """

    servers: Sequence[str]
    faults: Sequence[dict[str, Any]]
    strike: Callable[[DrillRun, str], None] | None
    answers: Sequence[str | None]
    moment: Callable[[DrillRun], bool] = call_hangs
    tries: int = 2
    state: str = "success"
    unsure: bool = False


A, B, C, D, E, F = DATABASE
K, L, M, N, P, Q = APPLICATION[:6]
CASES = {
    "killed-before-the-call": Case([A], [hang("before", A)], kill_worker, [DROPPED, None]),
    "killed-before-the-reply": Case([B], [hang("after", B)], kill_worker, [DROPPED]),
    "killed-after-the-reply": Case([C, D], [hang("before", D)], kill_worker, [None, DROPPED, None]),
    "killed-before-the-call-without-tags": Case(
        [E], [no_tags(E), hang("before", E)], kill_worker, [DENIED, DROPPED, None]
    ),
    "killed-before-the-reply-without-tags": Case(
        [F], [no_tags(F), hang("after", F)], kill_worker, [DENIED, DROPPED], unsure=True
    ),
    "killed-under-a-live-worker": Case([K], [hang("after", K)], kill_task_alone, [DROPPED]),
    "cleared-before-the-reply": Case([L], [hang("after", L)], clear, [DROPPED]),
    "cleared-while-its-job-is-live": Case([M], [lasting(M)], clear, [None], moment=job_is_live),
    "ended-before-the-reply": Case([P], [hang("after", P)], end, [DROPPED], tries=1, state="failed"),
    "reply-lost": Case([N], [drop("after", N)], None, [DROPPED], tries=1),
    "reply-lost-without-tags": Case(
        [Q], [no_tags(Q), lose("internal_error", "after", Q)], None, [DENIED, LOST], tries=1, unsure=True
    ),
}


@pytest.fixture(scope="module")
def drills(running_stack: Stack, plans: Path) -> Iterator[dict[str, DrillRun]]:
    """Each case's drill, after it has ended."""
    running_stack.simulator.disarm()
    for name, case in CASES.items():
        write_plan(plans, name, [("first", case.servers)])
        for fault in case.faults:
            running_stack.simulator.arm(**fault)
    runs: dict[str, DrillRun] = {}
    try:
        for name in CASES:
            runs[name] = DrillRun.trigger(running_stack, plans / f"{name}.yaml")
        strike_each_at_its_moment(runs)
        for run in runs.values():
            run.wait(timeout=240)
        yield runs
    finally:
        for run in runs.values():
            if not run.has_ended():
                run.mark("failed")


def strike_each_at_its_moment(runs: dict[str, DrillRun]) -> None:
    """Strike in the order in which the moments come: botocore lets a call hang for one minute only."""
    waiting = {name: case.strike for name, case in CASES.items() if case.strike}

    def all_struck() -> bool:
        for name, strike in list(waiting.items()):
            if CASES[name].moment(runs[name]):
                strike(runs[name], START)
                del waiting[name]
        return not waiting

    some_run = next(iter(runs.values()))
    some_run.wait_until(all_struck, 300, f"the moments of {', '.join(waiting)}")


@pytest.mark.parametrize("name", CASES)
def test_drs_makes_one_job_a_server(drills: dict[str, DrillRun], name: str) -> None:
    """The drill continues where it was, or ends if a person ended it, and leaves nothing."""
    run, case = drills[name], CASES[name]
    if case.unsure:
        assert_left_alone(run)
    else:
        assert_launched_once(run, state=case.state)
    assert answers(run) == case.answers, run.describe()
    assert tries(run, START) >= case.tries, run.describe()


def assert_left_alone(run: DrillRun) -> None:
    """The run ended red and named the job, and its instance still runs; then it is terminated here."""
    assert_launched_once(run, state="failed", ends="running")
    servers = [server for wave in run.plan.waves for server in run.plan.listed_servers(wave.name)]
    (job,) = [
        job["jobID"]
        for job in run.jobs()
        if job["initiatedBy"] == "START_DRILL"
        and [each["sourceServerID"] for each in job["participatingServers"]] == servers
    ]
    assert "[DRS_UNAVAILABLE]" in run.log(START)
    assert job in run.log(START)
    assert f"job(s) {job} have no tags and may be this run's" in run.log("verdict")
    drs = run.stack.simulator.client("drs", run.plan.target.region)
    items = drs.describe_recovery_instances(filters={"sourceServerIDs": servers})["items"]
    drs.terminate_recovery_instances(recoveryInstanceIDs=[item["recoveryInstanceID"] for item in items])


def test_a_launch_outlives_every_component_that_it_needs(
    stack: Stack, plans: Path, start_drill: Callable[..., DrillRun]
) -> None:
    """API servers, triggerer and scheduler die while it waits to call again; then the scheduler, with all its
    workers, while the call hangs.
    """
    write_plan(plans, "unsupported", [("first", WEB[1:3])], launch="{server_delay: 15s}")
    stack.simulator.arm(**hang("after", WEB[2]))
    run = start_drill("unsupported")
    run.wait_for_task(START, "deferred", timeout=180)
    dead = ("api-server", "execution-api", "triggerer", "scheduler")
    for component in dead:
        stack.kill(component)
    for component in dead:
        stack.start_component(component)
    run.wait_until(lambda: DROPPED in answers(run), 90, "the call that hangs")
    stack.restart("scheduler")
    run.wait(timeout=180)
    assert_launched_once(run)
    assert answers(run) == [None, DROPPED]


def tries(run: DrillRun, task_id: str) -> int:
    """How often Airflow ran a task."""
    (number,) = [each["try_number"] for each in run.task_instances() if each["task_id"] == task_id]
    return int(number)
