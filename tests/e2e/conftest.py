"""One stack for all end-to-end tests: a simulated DRS and a real Airflow, and drills run in it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from demo.drill_run import DrillRun
from demo.stack import REPOSITORY, Stack


def connection(role_arn: str, external_id: str) -> str:
    """An Airflow connection that assumes a role, for the shortest session that STS gives: botocore renews one
    that ends within 15 minutes, so each call is made in a session of its own.
    """
    arguments = {"ExternalId": external_id, "DurationSeconds": 900}
    extra = {"role_arn": role_arn, "assume_role_kwargs": arguments}
    return json.dumps({"conn_type": "aws", "extra": extra})


BILLING_ROLE = "arn:aws:iam::444455556666:role/drs-drills"
CONNECTIONS = {
    "AIRFLOW_CONN_AWS_BILLING": connection(BILLING_ROLE, "billing-drills"),
    "AIRFLOW_CONN_AWS_STRANGER": connection(BILLING_ROLE, "a-guess"),
}
SPEED = 300.0
"""How many times faster than real the simulated DRS is: it launches within 2 s, unless a fault delays it."""
WATCH = {"AIRFLOW__DRS__WATCH_TERMINATES": "True"}
"""The watch of the stack runs only when a test triggers it; then it may end what it has seen for an hour."""
NOTIFIERS = {"AIRFLOW__DRS__ALLOWED_NOTIFIERS": "airflow.*, tests.e2e.notifiers.*"}
"""The notifiers that plans of these tests may name."""
SPARING = {"AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.75"}
"""Several Airflows run side by side in the tests, each of which would look for work four times a second."""
STARTED_RUNS = pytest.StashKey[list[DrillRun]]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show the runs of a failed test: their tasks' states and logs, the ends of the components' logs."""
    report = yield
    if report.failed and report.when == "call":
        for run in item.stash.get(STARTED_RUNS, []):
            try:
                report.sections.append((f"drill {run.run_id}", run.describe()))
            except Exception as error:  # the stack itself may be what failed
                report.sections.append((f"drill {run.run_id}", f"{error!r}\n{run.stack.describe()}"))
    return report


@pytest.fixture(scope="package")
def plans(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The stack's folder of plans: a copy of include/plans, for tests to add to and to edit."""
    folder = tmp_path_factory.mktemp("plans")
    shutil.copytree(REPOSITORY / "include" / "plans", folder, dirs_exist_ok=True)
    return folder


@pytest.fixture(scope="module", autouse=True)
def _module_tidies_up(plans: Path) -> Iterator[None]:
    """A plan is gone when what wrote it has ended: Airflow would build its DAG for all the tests to come."""
    with tidied(plans):
        yield


@pytest.fixture(autouse=True)
def _test_tidies_up(plans: Path) -> Iterator[None]:
    with tidied(plans):
        yield


@contextmanager
def tidied(folder: Path) -> Iterator[None]:
    """Leave a folder as it was found, but for what was edited in it."""
    found = set(folder.iterdir())
    yield
    for path in set(folder.iterdir()) - found:
        path.unlink()


@pytest.fixture(scope="package")
def running_stack(tmp_path_factory: pytest.TempPathFactory, plans: Path) -> Iterator[Stack]:
    """The stack, started once in each process that runs these tests, and ended before other tests."""
    with Stack(
        tmp_path_factory.mktemp("stack"),
        plans=plans,
        settings={**CONNECTIONS, **SPARING, **WATCH, **NOTIFIERS},
        speed=SPEED,
    ) as stack:
        yield stack


@pytest.fixture
def stack(running_stack: Stack) -> Stack:
    """The stack, whole, with no fault armed and an empty journal."""
    for component in running_stack.components:
        if not running_stack.processes.is_running(component):
            running_stack.start_component(component)
    running_stack.simulator.disarm()
    running_stack.simulator.clear_journal()
    return running_stack


@pytest.fixture
def start_drill(
    stack: Stack, plans: Path, request: pytest.FixtureRequest
) -> Iterator[Callable[..., DrillRun]]:
    """Start a drill of a plan by its name; what is still running when the test ends is ended."""
    runs = request.node.stash[STARTED_RUNS] = []

    def start(plan: str, conf: dict[str, Any] | None = None) -> DrillRun:
        run = DrillRun.trigger(stack, plans / f"{plan}.yaml", conf)
        runs.append(run)
        return run

    yield start
    stack.simulator.disarm()
    for run in runs:
        if not run.has_ended():
            run.mark("failed")
            run.wait()


@pytest.fixture
def run_drill(start_drill: Callable[..., DrillRun]) -> Callable[..., DrillRun]:
    """Run a drill of a plan to its end."""

    def run(plan: str, conf: dict[str, Any] | None = None, timeout: float = 180) -> DrillRun:
        drill = start_drill(plan, conf)
        drill.wait(timeout)
        return drill

    return run
