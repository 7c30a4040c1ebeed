"""The watch on a real Airflow: what people do to a running drill, and what Airflow then leaves alone."""

from __future__ import annotations

import datetime as dt
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from demo.drill_run import DrillRun
from demo.stack import REPOSITORY, Stack
from drs.cli.airflow_api import NotFound
from drs.run.ownership import INSTALLATION_TAG
from tests.e2e.plans import DATABASE, DIRECTORY, WEB, write_plan

pytestmark = pytest.mark.e2e

WATCH = "drs_watch"
MEMORY = "drs_watch"


class Watch:
    """Triggers the DAG of the watch as a person does, and reads its log."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        stack.api.wait_for_dag(WATCH)

    def look(self) -> str:
        """One run of the watch: the log of its task. The run is red if it found anything."""
        run_id = self._stack.api.trigger(WATCH)
        state = self._stack.api.wait_for_run(WATCH, run_id, timeout=120)
        log = self._stack.api.task_log(WATCH, run_id, "watch")
        assert state == ("failed" if "What to do: " in log else "success"), log
        return log

    def finding(self, run: DrillRun) -> str:
        """The log of a look if it says something of this run; other tests may have left something, too."""
        log = self.look()
        return log if run.run_id in log else ""

    def age(self, seconds: float) -> None:
        """Let the watch believe that it has seen everything for that much longer."""
        memory = json.loads(self._stack.api.variable(MEMORY) or "{}")
        for seen in memory["found"].values():
            since = dt.datetime.fromisoformat(seen["since"]) - dt.timedelta(seconds=seconds)
            seen["since"] = since.isoformat()
        self._stack.api.set_variable(MEMORY, json.dumps(memory))


@pytest.fixture
def watch(stack: Stack) -> Watch:
    return Watch(stack)


@pytest.fixture
def trigger(stack: Stack, plans: Path) -> Iterator[Callable[[str], DrillRun]]:
    """Start a drill of a plan. What it has left when the test ends is terminated."""
    names: list[str] = []

    def start(plan: str) -> DrillRun:
        names.append(plan)
        return DrillRun.trigger(stack, plans / f"{plan}.yaml")

    yield start
    for name in names:
        command(stack, plans, "cleanup", name, "--yes")


def command(stack: Stack, plans: Path, *argv: str) -> subprocess.CompletedProcess[str]:
    """Run a command as the on-call engineer does."""
    return subprocess.run(
        [sys.executable, "-m", "drs", *argv, "--plans", str(plans)],
        env={**stack.environment, "DRS_AIRFLOW_URL": stack.api.url},
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )


def left(run: DrillRun) -> list[str]:
    return [instance.instance_id for instance in run.instances() if instance.is_left]


def test_a_dag_that_is_paused_in_mid_run_is_red_and_the_drill_goes_on_when_it_is_unpaused(
    stack: Stack, plans: Path, start_drill: Callable[..., DrillRun], watch: Watch
) -> None:
    """The finding says how to go on; the command and `status` say the same."""
    waves = [("database", DATABASE[:1]), ("web", WEB[:1])]
    write_plan(plans, "paused", waves, wave_extra="delay_before: 30s")
    run = start_drill("paused")
    run.wait_for_task("wave_database.validate", "success", timeout=180)
    stack.api.pause(run.dag_id)
    found = watch.finding(run)
    print(found)
    assert f"[DRILL_FROZEN] Run {run.run_id} of plan paused (a drill) is active but does not go on" in found
    assert f"its DAG {run.dag_id} is paused" in found
    assert left(run)[0] in found
    assert f"What to do: Unpause the DAG {run.dag_id}" in found
    shown = command(stack, plans, "watch")
    assert shown.returncode == 1, shown.stdout + shown.stderr
    assert f"[DRILL_FROZEN] Run {run.run_id} of plan paused" in shown.stdout
    assert "DRILL_FROZEN" in command(stack, plans, "status").stdout
    assert not run.has_ended()
    stack.api.unpause(run.dag_id)
    assert run.wait(240) == "success", run.describe()
    assert watch.finding(run) == ""


def test_a_dag_that_is_deleted_in_mid_run_leaves_orphans_and_the_watch_ends_them(
    stack: Stack, plans: Path, trigger: Callable[[str], DrillRun], watch: Watch
) -> None:
    """At first it only says when it will; an hour after it first saw them it does, and is green again."""
    waves = [("directory", DIRECTORY), ("web", WEB[1:2])]
    write_plan(plans, "deleted", waves, wave_extra="delay_before: 10m")
    run = trigger("deleted")
    run.wait_for_task("wave_directory.validate", "success", timeout=180)
    run.wait_for_task("wave_web.start_recovery", "deferred", timeout=180)
    (installation,) = {job["tags"][INSTALLATION_TAG] for job in run.jobs()}
    assert installation == stack.api.variable("drs_installation")
    assert len(left(run)) == 2
    stack.api.delete_dag(run.dag_id)
    with pytest.raises(NotFound):
        run.state()
    found = watch.finding(run)
    print(found)
    assert f"[ORPHANED_DRILL_INSTANCE] 2 drill instance(s) of plan deleted, run {run.run_id}" in found
    assert "Airflow does not know this run any more (it or its DAG was deleted)" in found
    assert all(instance in found for instance in left(run))
    assert f"`python -m drs cleanup deleted --run {run.run_id}`" in found
    assert "the watch terminates them" in found
    assert len(left(run)) == 2
    watch.age(3600)
    assert f"Terminating what run {run.run_id} of deleted has left." in watch.look()
    run.wait_until(lambda: not left(run), 60, "the end of its instances")
    assert watch.finding(run) == ""


def test_a_run_in_which_every_task_is_marked_success_is_green_and_the_watch_is_red(
    stack: Stack, plans: Path, trigger: Callable[[str], DrillRun], watch: Watch
) -> None:
    """Airflow believes the person. AWS still has the instance."""
    waves = [("database", DATABASE[2:3]), ("web", WEB[2:3])]
    write_plan(plans, "marked", waves, wave_extra="delay_before: 10m")
    run = trigger("marked")
    run.wait_for_task("wave_database.validate", "success", timeout=180)
    run.wait_for_task("wave_web.start_recovery", "deferred", timeout=180)
    wave = ("validate", "wait_until_launched", "wait_until_started", "start_recovery")
    for task_id in ("verdict", "evidence", "terminate", *(f"wave_web.{name}" for name in wave)):
        stack.api.set_task_state(run.dag_id, run.run_id, task_id, "success")
    assert run.wait(120) == "success", run.describe()
    (instance,) = left(run)
    found = watch.finding(run)
    print(found)
    assert f"[ORPHANED_DRILL_INSTANCE] 1 drill instance(s) of plan marked, run {run.run_id}" in found
    assert "the run has ended (success), and no rule keeps them" in found
    assert instance in found
    done = command(stack, plans, "cleanup", "marked", "--run", run.run_id, "--yes")
    assert done.returncode == 0, done.stdout + done.stderr
    assert watch.finding(run) == ""
