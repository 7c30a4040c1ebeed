"""What a drill costs under KubernetesExecutor, where each start and each resumption of a task is a pod.

    python -m bench.pod_starts [--speed 60] [--defer-after 60]

Runs a drill of three waves of two servers, gates on ``launched``, on a real Airflow (SQLite, LocalExecutor)
and the simulated DRS, and counts the processes in which its tasks ran: with KubernetesExecutor each would be
a pod. A second table has what each of them costs before its task does anything: what Airflow loads in a pod,
what drs-drills adds to that, and the building of the one DAG, measured in fresh processes.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from bench.drill_overhead import DAG_ID, PLAN, RESUMES, WAVES
from demo.stack import REPOSITORY, Stack

ROUNDS = 5
LOADED_BY_AIRFLOW = (
    "airflow.sdk.execution_time.execute_workload",  # the command of a pod, and what it loads when it runs
    "airflow.executors.workloads",
    "airflow.executors.base_executor",
    "airflow.sdk.execution_time.supervisor",
    "airflow.sdk.execution_time.task_runner",
    "airflow.providers.standard.operators.empty",
)
PROBE = """
import json, sys, time
begun, used = time.perf_counter(), time.process_time()
def passed():
    global begun, used
    wall, cpu = time.perf_counter() - begun, time.process_time() - used
    begun, used = time.perf_counter(), time.process_time()
    return wall, cpu
import MODULES
spans = [passed()]
import drs.dag_factory
spans.append(passed())
from pathlib import Path
assert drs.dag_factory.build_dags(Path(sys.argv[1]), only=sys.argv[2])
spans.append(passed())
print(json.dumps(spans))
"""
PARTS = ("Airflow", "drs-drills on top of it", "build the one DAG")


def starts(stack: Stack, run_id: str) -> dict[str, int]:
    """How many processes each task of the run started in: once at its begin, and at each resumption."""
    return {
        task["task_id"]: sum(
            RESUMES in str(message["event"])
            for message in stack.api.task_messages(DAG_ID, run_id, task["task_id"])
        )
        for task in stack.api.task_instances(DAG_ID, run_id)
    }


def drill(folder: Path, speed: float, defer_after: float) -> dict[str, int]:
    """Run the drill on an Airflow of its own."""
    plans, home = folder / "plans", folder / "home"
    plans.mkdir()
    home.mkdir()
    (plans / "measured.yaml").write_text(PLAN.replace("GATE", "launched"))
    settings = {"AIRFLOW__DRS__DEFER_AFTER": f"{defer_after:g}"}
    with Stack(home, plans=plans, speed=speed, settings=settings) as stack:
        stack.api.wait_for_dag(DAG_ID)
        stack.api.unpause(DAG_ID)
        run_id = stack.api.trigger(DAG_ID, {"reason": "measurement"})
        state = stack.api.wait_for_run(DAG_ID, run_id, timeout=3600)
        assert state == "success", stack.describe()
        return starts(stack, run_id)


def imports(plans: Path) -> list[tuple[float, float]]:
    """Wall and CPU seconds of each part, medians of fresh processes."""
    environment = {**os.environ, "AIRFLOW_HOME": str(plans.parent / "airflow")}
    command = [
        sys.executable,
        "-c",
        PROBE.replace("MODULES", ", ".join(LOADED_BY_AIRFLOW)),
        str(plans),
        DAG_ID,
    ]
    rounds: list[list[tuple[float, float]]] = [
        json.loads(
            subprocess.run(
                command, cwd=REPOSITORY, env=environment, check=True, capture_output=True, text=True
            )
            .stdout.strip()
            .splitlines()[-1]
        )
        for _ in range(ROUNDS)
    ]
    return [
        (
            statistics.median(spans[part][0] for spans in rounds),
            statistics.median(spans[part][1] for spans in rounds),
        )
        for part in range(len(PARTS))
    ]


def rows(counted: dict[str, int]) -> list[tuple[Any, ...]]:
    """A row for each task, the tasks of the waves added up."""
    table: dict[str, list[int]] = {}
    for task_id, count in counted.items():
        name = task_id.rpartition(".")[2]
        table.setdefault(name, []).append(count)
    return [(name, len(counts), sum(counts), max(counts)) for name, counts in table.items()]


def main() -> None:
    parser = argparse.ArgumentParser(description="What a drill costs under KubernetesExecutor.")
    parser.add_argument("--speed", type=float, default=60.0)
    parser.add_argument("--defer-after", type=float, default=0.0, help="the setting defer_after, in seconds")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        counted = drill(Path(scratch), options.speed, options.defer_after)
        spent = imports(Path(scratch) / "plans")
    print(
        f"{len(WAVES)} waves of 2 servers, gates on launched, speed {options.speed:g}, "
        f"defer_after {options.defer_after:g}\n"
    )
    print("| task | tasks | pods | most for one task |\n|---|---|---|---|")
    for row in rows(counted):
        print(f"| {' | '.join(map(str, row))} |")
    print(f"| whole drill | {len(counted)} | {sum(counted.values())} | |")
    print(f"\nBefore a pod's task does anything; medians of {ROUNDS} fresh processes\n")
    print("| part | wall (s) | CPU (s) |\n|---|---|---|")
    for part, (wall, cpu) in zip(PARTS, spent, strict=True):
        print(f"| {part} | {wall:.2f} | {cpu:.2f} |")


if __name__ == "__main__":
    main()
