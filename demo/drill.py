"""`make drill`: one drill from start to end, as a user would run it, in a stack of its own."""

from __future__ import annotations

import shutil
import time
from datetime import UTC, datetime
from pathlib import Path

from botocore.exceptions import BotoCoreError, ClientError

from demo.drill_run import DrillRun
from demo.processes import StackError
from demo.progress import Observer, Picture
from demo.scratch import claimed, new_home
from demo.screen import Screen, screen
from demo.stack import REPOSITORY, Stack, first_access_key
from drs.cli.airflow_api import FINISHED, AirflowError
from drs.cli.airflow_logs import for_operators
from drs.plan import PlanError, load_plan

PLANS = REPOSITORY / "include" / "plans"
LOOK_EVERY = 0.5
"""Seconds between two looks at the drill."""
SILENCE = 60.0
"""Seconds without an answer of Airflow or DRS after which the drill is given up."""


def plan_file(name: str) -> Path:
    """The file of a plan that was named by its path, or by its name in include/plans.

    :raises StackError: there is none, or it cannot be used.
    """
    path = Path(name)
    if path.suffix not in {".yaml", ".yml"}:
        path = PLANS / f"{name}.yaml"
    if not path.is_file():
        known = ", ".join(sorted(plan.stem for plan in PLANS.glob("*.yaml")))
        raise StackError(f"There is no plan {path}. Name a file, or one of these: {known}.")
    try:
        load_plan(path)
    except PlanError as error:
        raise StackError(str(error)) from error
    return path


def drill(plan: str, fleet: Path, speed: float) -> int:
    """Run a drill and show it.

    :param plan: path or name of a plan.
    :return: 0 if the run succeeded and left no instance behind, else 1.
    :raises StackError: the drill could not be started.
    """
    file = plan_file(plan)
    first_access_key(fleet)  # a fleet that cannot be used is refused before anything is made
    home = new_home()
    with claimed(home):
        (home / "plans").mkdir()
        shutil.copy(file, home / "plans")
        try:
            code = _run(Stack(home, plans=home / "plans", fleet=fleet, speed=speed), file)
        except BaseException:
            print(f"\nAll logs are kept in {home}", flush=True)
            raise
        if code == 0:
            shutil.rmtree(home)
        else:
            print(f"\nAll logs are kept in {home}", flush=True)
    return code


def _run(stack: Stack, file: Path) -> int:
    with screen() as shown:
        shown.say(f"Starting Airflow and a simulated DRS, {stack.speed:g} times as fast as the real one ...")
        with stack:
            run = DrillRun.trigger(stack, file, {"reason": "make drill"})
            shown.say(f"Airflow runs {run.dag_id} (user interface: {stack.api.url})")
            picture = watch(run, shown)
            took = datetime.now(UTC) - run.started
            reasons = failures(run)
            shown.say(f"The run ended: {picture.run_state}. Ending Airflow and the simulated DRS ...")
    print("\n".join(["", *reasons, *summary(run.plan.name, picture, took.total_seconds())]), flush=True)
    return 0 if picture.run_state == "success" and not any(wave.left for wave in picture.waves) else 1


def watch(run: DrillRun, shown: Screen) -> Picture:
    """Show the run until it has ended, and give the last picture of it.

    :raises StackError: a component died, or Airflow does not answer any more.
    """
    observer = Observer(run)
    last_answer = time.monotonic()
    while True:
        run.stack.check()
        try:
            picture = observer.look()
        except (AirflowError, BotoCoreError, ClientError) as error:  # a moment's lock, or an armed fault
            if time.monotonic() - last_answer > SILENCE:
                raise StackError(f"For {SILENCE:g} s there was no look at the drill: {error}") from error
        else:
            last_answer = time.monotonic()
            shown.show(picture)
            if picture.run_state in FINISHED:
                return picture
        time.sleep(LOOK_EVERY)


def failures(run: DrillRun) -> list[str]:
    """What the failed tasks said on their last try that an operator needs."""
    told: list[str] = []
    for task in run.task_instances():
        if task["state"] == "failed":
            messages = run.stack.api.task_messages(
                run.dag_id, run.run_id, task["task_id"], task["try_number"]
            )
            told += [f"{task['task_id']} failed:", *(f"  {line}" for line in for_operators(messages)), ""]
    return told


def summary(plan: str, picture: Picture, seconds: float) -> list[str]:
    """How the drill ended: per wave what was launched, what was terminated, and what is left."""
    lines = [
        f"Drill of {plan}: {picture.run_state} after {seconds:.1f} s",
        f"  {'wave':<20} {'launched':>8} {'terminated':>10} {'left':>4}",
    ]
    for wave in picture.waves:
        launched = f"{wave.launched}/{len(wave.servers)}"
        terminated = len(wave.instances) - len(wave.left)
        lines.append(f"  {wave.name:<20} {launched:>8} {terminated:>10} {len(wave.left):>4}")
        lines += [f"    left in EC2: {wave.name_of(instance)}" for instance in wave.left]
    return lines
