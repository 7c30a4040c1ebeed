"""What becomes of two drills, one in a wave and one in clean-up, when a part of the installation is away.

    python -m bench.outages                                  # every part, killed, away for 60 s and for 180 s
    python -m bench.outages --parts airflow-apiserver --away 60

docker-compose.yaml, run natively: CeleryExecutor with two workers, PostgreSQL, Redis, the simulated DRS. A
part is killed without a warning and started again after the time. What exits by itself meanwhile is started
again at once, as the file's restart policy says. Two plans of one wave with two servers each.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from demo.compose_stack import ComposeStack, new_project
from demo.drill_run import DrillRun
from demo.processes import StackError
from drs.cli.airflow_api import AirflowError
from drs.run.proof import TERMINATE_TASK_ID, VERDICT_TASK_ID

WORKERS = ("airflow-worker-1", "airflow-worker-2")
PARTS: dict[str, Sequence[str]] = {
    "airflow-apiserver": ("airflow-apiserver",),
    "airflow-scheduler": ("airflow-scheduler",),
    "airflow-dag-processor": ("airflow-dag-processor",),
    "airflow-triggerer": ("airflow-triggerer",),
    "airflow-worker (both)": WORKERS,
    "redis": ("redis",),
    "postgres": ("postgres",),
    "DRS (5xx to every call)": (),
}
"""The components of each part. One without components is a fault of the simulated DRS."""
AWAY = (0, 60, 180)
IN_WAVE, IN_CLEAN_UP = "outage-wave", "outage-clean-up"
SERVERS = {
    IN_WAVE: ("s-3c1730a9e0771ea14", "s-3c1730a9e0771ea15"),
    IN_CLEAN_UP: ("s-57eae3bdae1f0a261", "s-57eae3bdae1f0a262"),
}
PLAN = """\
name: {name}
target: {{region: us-east-1, account_id: "111122223333"}}
protection_groups:
  servers: {{source_servers: [{servers}]}}
waves:
  - {{name: servers, protection_groups: [servers]}}
"""
LAUNCHED = "wave_servers.wait_until_launched"
PATIENCE = 1800.0


class Docker:
    """Starts a component again that has ended by itself."""

    def __init__(self, stack: ComposeStack) -> None:
        self._stack = stack
        self.away: set[str] = set()
        self.restarts: list[str] = []

    def look(self) -> None:
        for name in self._stack.components:
            if name not in self.away and not self._stack.processes.is_running(name):
                self.restarts.append(name)
                self._stack._launch(name)

    def wait(self, condition: Callable[[], bool], seconds: float, what: str) -> None:
        """Wait until a condition holds. Airflow may not answer meanwhile."""
        deadline = time.monotonic() + seconds
        while True:
            self.look()
            try:
                if condition():
                    return
            except (AirflowError, OSError) as error:
                what = f"{what} (last: {error})" if "(last:" not in what else what
            if time.monotonic() > deadline:
                raise TimeoutError(f"Waited {seconds:g} s for {what}.")
            time.sleep(1)

    def pause(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            self.look()
            time.sleep(0.5)


@contextmanager
def outage(stack: ComposeStack, docker: Docker, part: str) -> Iterator[None]:
    """The part is away."""
    components = PARTS[part]
    if not components:
        stack.simulator.arm(kind="internal_error")
        yield
        stack.simulator.disarm()
        return
    docker.away = set(components)
    for component in components:
        stack.kill(component)
    yield
    for component in components:
        stack._launch(component)
    docker.away = set()


def reached(run: DrillRun, task_id: str, *states: str) -> Callable[[], bool]:
    return lambda: run.task_states().get(task_id) in states


def write_plans(plans: Path) -> None:
    for name, servers in SERVERS.items():
        (plans / f"{name}.yaml").write_text(PLAN.format(name=name, servers=", ".join(servers)))


def measure(stack: ComposeStack, plans: Path, part: str, away: int) -> list[dict[str, Any]]:
    """Let two drills run, with the part away in the wave of one and in the clean-up of the other."""
    docker = Docker(stack)
    stack.simulator.disarm()
    stack.simulator.arm(kind="stuck_conversion", servers=list(SERVERS[IN_WAVE]), seconds=90)
    # DRS refuses the termination twice: clean-up waits for 30 s each time.
    stack.simulator.arm(kind="internal_error", operations=["TerminateRecoveryInstances"], count=8)
    cleaning = DrillRun.trigger(stack, plans / f"{IN_CLEAN_UP}.yaml")
    docker.wait(reached(cleaning, LAUNCHED, "success"), 240, "the first drill's launch")
    launching = DrillRun.trigger(stack, plans / f"{IN_WAVE}.yaml")
    docker.wait(reached(launching, LAUNCHED, "deferred", "running"), 120, "the second drill's wave")
    docker.wait(reached(cleaning, TERMINATE_TASK_ID, "deferred"), 120, "the first drill's clean-up")
    with outage(stack, docker, part):
        docker.pause(away)
    rows = []
    for moment, run in (("in a wave", launching), ("in clean-up", cleaning)):
        docker.wait(run.has_ended, PATIENCE, f"the end of {run.run_id}")
        docker.wait(lambda run=run: bool(run.task_instances()), 60, "Airflow")  # type: ignore[misc]
        rows.append({"part": part, "away": away, "moment": moment, **ended(run), "exits": docker.restarts})
    return rows


def ended(run: DrillRun) -> dict[str, Any]:
    """How a drill ended: its colour, the tasks that took several tries, what is left, and its record."""
    tries = {each["task_id"]: each["try_number"] for each in run.task_instances()}
    codes = {
        task: code["code"]
        for task in tries
        if isinstance(code := run.xcom("begin", f"failure.{task}"), dict) and task != VERDICT_TASK_ID
    }
    evidence = run.xcom("evidence") or {}
    return {
        "colour": run.state(),
        "codes": codes,
        "tries": {task: number for task, number in tries.items() if number > 1},
        "left": sum(instance.is_left for instance in run.instances()),
        "record": bool(evidence),
    }


def row(found: dict[str, Any]) -> str:
    tries = ", ".join(f"{task} {number}" for task, number in found["tries"].items()) or "-"
    codes = ", ".join(f"{task}: {code}" for task, code in found["codes"].items())
    colour = f"{found['colour']} ({codes})" if codes else found["colour"]
    away = f"away {found['away']} s" if found["away"] else "killed"
    record = "yes" if found["record"] else "NO"
    exits = f" (exited too: {', '.join(sorted(set(found['exits'])))})" if found["exits"] else ""
    cells = (found["part"] + exits, away, found["moment"], colour, tries, str(found["left"]), record)
    return f"| {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--parts", nargs="+", choices=sorted(PARTS), default=list(PARTS))
    parser.add_argument("--away", nargs="+", type=int, default=list(AWAY), help="seconds")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        (Path(scratch) / "project").mkdir()
        project = new_project(Path(scratch) / "project")
        plans = project / "include" / "plans"
        write_plans(plans)
        with ComposeStack(Path(scratch) / "home", project) as stack:
            print("| part | how | when | colour | tasks with several tries | left | record |", flush=True)
            print("|---|---|---|---|---|---|---|", flush=True)
            for part in options.parts:
                for away in options.away:
                    try:
                        for found in measure(stack, plans, part, away):
                            print(row(found), flush=True)
                    except (TimeoutError, StackError, AirflowError) as error:
                        print(f"| {part} | {away} s | - | {error} | - | - | - |", flush=True)


if __name__ == "__main__":
    main()
