"""What a plan costs the DAG processor: build time and serialised size, beside a plain loop in the same run.

    python -m bench.dag_build

A plan of three waves makes 18 tasks. Both sides build as many tasks with the same edges in a fresh process;
the plain loop reads no YAML and uses empty operators. Imports are left out on both sides: they are paid once
a file. "In a task" is what a worker builds of the folder: the one DAG that it runs.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

SIZES = (1, 100, 300)
ROUNDS = 5
WAVES = 3
TASKS = 6 + 4 * WAVES

PLAN = """\
name: {name}
description: A plan to be measured
target: {{region: us-east-1, account_id: "111122223333"}}
schedule: "0 6 1 * *"
protection_groups:
{groups}
waves:
{waves}
"""


def write_plans(folder: Path, count: int) -> None:
    for plan in range(count):
        groups, waves = [], []
        for wave in range(WAVES):
            servers = [f"s-{plan:013x}{wave:02x}{server:02x}" for server in range(2)]
            groups.append(f"  tier-{wave}: {{source_servers: [{', '.join(servers)}]}}")
            waves.append(f"  - {{name: tier-{wave}, protection_groups: [tier-{wave}]}}")
        text = PLAN.format(name=f"plan-{plan:04d}", groups="\n".join(groups), waves="\n".join(waves))
        (folder / f"plan-{plan:04d}.yaml").write_text(text)


def measure(count: int, folder: Path) -> dict[str, Any]:
    """One process's measurement: seconds to build, and bytes once serialised."""
    from airflow.sdk import DAG
    from airflow.serialization.serialized_objects import DagSerialization

    from drs.dag_factory import build_dags

    def built(build: Any) -> tuple[float, list[DAG]]:
        begun = time.perf_counter()
        dags = list(build())
        return time.perf_counter() - begun, dags

    ours_seconds, ours = built(lambda: build_dags(folder).values())
    plain_seconds, plain = built(lambda: [plain_dag(number) for number in range(count)])
    assert {len(dag.tasks) for dag in [*ours, *plain]} == {TASKS}
    assert len(ours) == len(plain) == count
    only_seconds, only = built(lambda: build_dags(folder, only=ours[-1].dag_id).values())
    assert [dag.dag_id for dag in only] == [ours[-1].dag_id]
    begun = time.perf_counter()
    size = sum(len(json.dumps(DagSerialization.to_dict(dag))) for dag in ours)
    serialise = time.perf_counter() - begun
    plain_size = sum(len(json.dumps(DagSerialization.to_dict(dag))) for dag in plain)
    return {
        "ours_ms": 1000 * ours_seconds / count,
        "plain_ms": 1000 * plain_seconds / count,
        "one_ms": 1000 * only_seconds,
        "serialise_ms": 1000 * serialise / count,
        "ours_kib": size / count / 1024,
        "plain_kib": plain_size / count / 1024,
    }


def plain_dag(number: int) -> Any:
    """The same tasks and edges from empty operators."""
    from airflow.providers.standard.operators.empty import EmptyOperator
    from airflow.sdk import DAG, TaskGroup

    with DAG(dag_id=f"plain-{number:04d}", schedule="0 6 1 * *", catchup=False) as dag:
        setup = EmptyOperator(task_id="setup")
        begin = EmptyOperator(task_id="begin")
        preflight = EmptyOperator(task_id="preflight")
        setup >> begin >> preflight
        before = preflight
        closing = [EmptyOperator(task_id=name) for name in ("terminate", "evidence", "verdict")]
        for wave in range(WAVES):
            with TaskGroup(group_id=f"wave_tier-{wave}"):
                start, started, launched, validated = (
                    EmptyOperator(task_id=name)
                    for name in ("start_recovery", "wait_until_started", "wait_until_launched", "validate")
                )
            before >> start >> started >> launched >> validated >> closing[0]
            before = started
        closing[0].as_teardown(setups=setup)
        closing[1].as_teardown(setups=setup)
        closing[2].as_teardown(setups=setup, on_failure_fail_dagrun=True)
        closing[0] >> closing[1] >> closing[2]
    return dag


def main() -> None:
    if len(sys.argv) == 3:
        print(json.dumps(measure(int(sys.argv[1]), Path(sys.argv[2]))))
        return
    print(f"{TASKS} tasks a plan; medians of {ROUNDS} fresh processes; ms and KiB for one plan\n")
    print("| plans | build | plain loop | ratio | in a task | serialise | size | plain loop's size |")
    print("|---|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as scratch:
        environment = {**os.environ, "AIRFLOW_HOME": f"{scratch}/airflow"}
        for count in SIZES:
            folder = Path(scratch) / str(count)
            folder.mkdir()
            write_plans(folder, count)
            command = [sys.executable, "-m", "bench.dag_build", str(count), str(folder)]
            rounds = [
                json.loads(
                    subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
                    .stdout.strip()
                    .splitlines()[-1]
                )
                for _ in range(ROUNDS)
            ]
            middle = {key: statistics.median(values[key] for values in rounds) for key in rounds[0]}
            ratio = statistics.median(values["ours_ms"] / values["plain_ms"] for values in rounds)
            times = " | ".join(f"{middle[key]:.1f} ms" for key in ("ours_ms", "plain_ms"))
            later = " | ".join(f"{middle[key]:.1f} ms" for key in ("one_ms", "serialise_ms"))
            sizes = " | ".join(f"{middle[key]:.1f} KiB" for key in ("ours_kib", "plain_kib"))
            print(f"| {count} | {times} | {ratio:.2f} | {later} | {sizes} |")


if __name__ == "__main__":
    main()
