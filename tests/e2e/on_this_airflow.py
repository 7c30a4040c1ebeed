"""One drill on the Airflow of this environment, in which the package is installed.

``.ci/test-airflow`` gives pytest the name of this file. Other runs of the tests do not collect it, because
its name does not begin with ``test_``.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from demo.drill_run import DrillRun
from demo.stack import Stack
from tests.e2e.command_line import drs
from tests.e2e.conftest import SPARING, SPEED
from tests.e2e.plans import DATABASE, WEB, write_plan
from tests.e2e.proof import assert_launched_once
from tests.e2e.questions import answer, await_question

pytestmark = pytest.mark.e2e

Drill = Callable[..., DrillRun]
PLAN = "anywhere"
APPROVE = "wave_web.approve"
ALARM = f"DRILL of {PLAN}: RTO exceeded"


@pytest.fixture(scope="module")
def running_stack(tmp_path_factory: pytest.TempPathFactory, plans: Path) -> Iterator[Stack]:
    """A stack whose plugins folder is empty: the package is installed, and Airflow finds it so."""
    nothing = tmp_path_factory.mktemp("plugins")
    home = tmp_path_factory.mktemp("stack")
    with Stack(home, plans=plans, plugins=nothing, speed=SPEED, settings=SPARING) as stack:
        yield stack


@pytest.fixture
def begun(stack: Stack, plans: Path, start_drill: Drill) -> DrillRun:
    """A drill of two waves. Launches take a while; the second wave needs an approval; the RTO is short."""
    topic = stack.simulator.client("sns", "us-east-1").create_topic(Name="dr-drills")["TopicArn"]
    top = f"objectives: {{rto: 15s}}\nnotifications: {{sns_topic_arn: {topic!r}}}"
    waves = [("database", DATABASE[:1]), ("web", WEB[:1])]
    write_plan(plans, PLAN, waves, top=top, wave_extra="delay_before: 0s, approval: {}")
    stack.simulator.arm(kind="stuck_conversion", servers=[DATABASE[0], WEB[0]], seconds=12)
    return start_drill(PLAN)


def alarms(run: DrillRun) -> int:
    """How often people were notified that the RTO has passed."""
    calls = run.journal(operation="Publish")
    return sum(call["parameters"]["Subject"] == ALARM for call in calls)


def wait_for_the_alarm(run: DrillRun) -> None:
    """The drill waits for its approval meanwhile."""
    await_question(run, APPROVE)
    run.wait_until(lambda: alarms(run) > 0, 60, "the alarm at the RTO")


def assert_all_is_well(stack: Stack, run: DrillRun) -> None:
    """The run passed, launched each server once and left none; its approval, record and alarm are there."""
    run.wait()
    assert_launched_once(run)
    assert run.xcom("begin", "cleanup")["proven"], run.describe()
    given = run.xcom("evidence")["approvals"]["web"]
    assert (given["approved"], given["answered"]) == (True, "by a person")
    assert alarms(run) == 1
    verified = drs(stack, "evidence", "verify", PLAN, "--path", str(stack.home / "drs-evidence"))
    assert verified.returncode == 0, verified.stdout + verified.stderr
    assert stack.api.import_errors() == []
    with closing(sqlite3.connect(stack.home / "airflow.db")) as database:
        versions = database.execute("SELECT count(*) FROM dag_version WHERE dag_id = ?", [run.dag_id])
        assert versions.fetchone() == (1,), "each parsing of the plan makes a new version of its DAG"


def test_short_a_drill_passes(stack: Stack, begun: DrillRun) -> None:
    """Its alarm rings, and a person approves."""
    wait_for_the_alarm(begun)
    answer(begun, APPROVE)
    assert_all_is_well(stack, begun)


def test_whole_a_drill_outlives_its_triggerer_and_is_cleared_in_mid_launch(
    stack: Stack, begun: DrillRun
) -> None:
    """The triggerer is killed while the drill waits in it. The cleared run launches nothing again, and asks
    again.
    """
    begun.wait_for_task("wave_database.wait_until_launched", "deferred", timeout=180)
    stack.restart("triggerer")
    wait_for_the_alarm(begun)
    answer(begun, APPROVE)
    begun.wait_for_task("wave_web.wait_until_launched", "deferred", timeout=180)
    begun.clear("begin")
    begun.wait_for_task("preflight", "success", timeout=180)
    answer(begun, APPROVE)
    assert_all_is_well(stack, begun)
