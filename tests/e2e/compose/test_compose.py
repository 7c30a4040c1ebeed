"""docker-compose.yaml, run natively: drills on two Celery workers, and what becomes of them as parts die."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from demo import reaper
from demo.compose_stack import ComposeStack
from demo.drill_run import DrillRun
from tests.e2e.compose.plans import BEREFT, OWN_DAG, TEN
from tests.e2e.plans import DATABASE
from tests.e2e.proof import answers, assert_launched_once

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1200)]

WORKERS = ("airflow-worker-1", "airflow-worker-2")
DROPPED = "ConnectionDropped"


def test_a_drill_outlives_a_killed_worker_and_a_killed_triggerer(
    stack: ComposeStack, start_drill: Callable[..., DrillRun]
) -> None:
    """The worker dies while DRS has made the job and the reply is under way: the other one finds the job. The
    triggerer dies while the next wave waits, and waits on when Docker has started it again.
    """
    hang = {"kind": "connection_drop", "when": "after", "seconds": 120, "count": 1}
    stack.simulator.arm(**hang, operations=["StartRecovery"], servers=[DATABASE[1]])
    run = start_drill(BEREFT)
    run.wait_until(lambda: DROPPED in answers(run), 120, "the call that hangs")
    (killed,) = [worker for worker in WORKERS if runs_now(stack, run, worker, "wave_first.start_recovery")]
    stack.kill(killed)
    run.wait_for_task("wave_second.wait_until_launched", "deferred", timeout=180)
    stack.restart("airflow-triggerer")
    run.wait(timeout=240)
    assert_launched_once(run)
    assert answers(run) == [None, DROPPED, None]
    stack.start_component(killed)  # it is taken for another worker, with the name of the one that died


def test_the_order_system_and_ten_drills_at_once_are_all_green(
    stack: ComposeStack, start_drill: Callable[..., DrillRun]
) -> None:
    """The plan that comes along, and ten others, each with servers of its own. Both workers take part;
    nothing is launched twice, nothing is left.
    """
    runs = [start_drill(plan) for plan in ("order-system", *TEN)]
    deadline = time.monotonic() + 600
    for run in runs:
        run.wait(timeout=deadline - time.monotonic())
        assert_launched_once(run)
    assert all(sum(executions(stack, run, worker) for run in runs) for worker in WORKERS)
    assert "was asked by mounted code" in runs[1].log("wave_both.validate")
    stack.api.wait_for_dag(OWN_DAG)
    # Nobody is warned of the volume that all workers mount.
    warned = [finding["seen"] for run in runs for finding in run.xcom("preflight", "findings")]
    assert [seen for seen in warned if "local folder" in seen] == []


def test_the_service_for_debugging_has_what_the_others_have(stack: ComposeStack) -> None:
    """Settings, plans, connections and the way to AWS: `doctor` finds nothing that stops a drill."""
    done = stack.run("airflow-cli", "python", "-m", "drs", "doctor", TEN[-1], "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    assert [each for each in json.loads(done.stdout)["findings"] if each["severity"] == "error"] == []


def test_no_process_has_a_capability_or_can_get_one(stack: ComposeStack) -> None:
    """As in the containers, where Docker sees to it: every part works without the rights of root."""
    for name in stack.components:
        status = Path(f"/proc/{stack.processes.session(name)}/status").read_text()
        held = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
        assert (held["CapEff"], held["CapPrm"], held["NoNewPrivs"]) == ("0" * 16, "0" * 16, "1"), name


def executions(stack: ComposeStack, run: DrillRun, worker: str) -> int:
    """How many tasks of a run a worker has executed."""
    lines = stack.processes.log(worker).read_text(errors="replace").splitlines()
    return sum("Executing workload" in line and run.run_id in line for line in lines)


def runs_now(stack: ComposeStack, run: DrillRun, worker: str, task_id: str) -> bool:
    """Whether the process of a task, whose title bears the task instance's id, is one of this worker's."""
    (wanted,) = [instance["id"] for instance in run.task_instances() if instance["task_id"] == task_id]
    return any(wanted in title(pid) for pid in reaper.members(stack.processes.session(worker)))


def title(pid: int) -> str:
    try:
        return " ".join(psutil.Process(pid).cmdline())
    except psutil.Error:
        return ""  # ended meanwhile
