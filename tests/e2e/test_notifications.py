"""A real Airflow notifies people of a drill by SNS and sends its metrics to CloudWatch."""

from __future__ import annotations

import datetime as dt
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from demo.drill_run import DrillRun
from demo.stack import Stack
from drs.aws.metrics import NAMESPACE
from tests.e2e.plans import APPLICATION, DATABASE, WEB, write_plan

pytestmark = pytest.mark.e2e

REGION = "us-east-1"
Drill = Callable[..., DrillRun]


@pytest.fixture
def topic(stack: Stack) -> str:
    """An SNS topic in the drill's account and Region."""
    arn: str = stack.simulator.client("sns", REGION).create_topic(Name="dr-drills")["TopicArn"]
    return arn


def told(run: DrillRun) -> list[dict[str, Any]]:
    """What was published since the run was triggered."""
    return [call["parameters"] for call in run.journal(operation="Publish")]


def subjects(run: DrillRun) -> list[str]:
    return [message["Subject"] for message in told(run)]


def measured(stack: Stack, name: str, unit: str, plan: str = "", wave: str = "") -> dict[str, Any]:
    """Sum and number of a metric's values in the last hour, of one wave or of all."""
    now = dt.datetime.now(dt.UTC)
    dimensions = [{"Name": "Plan", "Value": plan}, {"Name": "Wave", "Value": wave}] if plan else []
    points = stack.simulator.client("cloudwatch", REGION).get_metric_statistics(
        Namespace=NAMESPACE,
        MetricName=name,
        Unit=unit,
        Dimensions=dimensions,
        StartTime=now - dt.timedelta(hours=1),
        EndTime=now + dt.timedelta(hours=1),
        Period=7200,
        Statistics=["Sum", "SampleCount"],
    )["Datapoints"]
    return {
        "sum": sum(point["Sum"] for point in points),
        "values": sum(point["SampleCount"] for point in points),
    }


def test_a_drill_is_told_and_measured_and_a_broken_notifier_fails_nothing(
    stack: Stack, plans: Path, topic: str, run_drill: Drill
) -> None:
    """One message for each event, and one warning for each that the broken notifier lost; braces in a reason
    are text. The RTO is far away, so nothing is said of it.
    """
    top = (
        "objectives: {rto: 1h}\n"
        f"notifications: {{sns_topic_arn: {topic!r}, notifiers: "
        '[{notifier: tests.e2e.notifiers.Broken, parameters: {text: "{{ drs.subject }}"}}]}'
    )
    approval = "delay_before: 1s, approval: {timeout: 2s, on_timeout: approve}"
    waves = [("database", DATABASE[:2]), ("web", WEB[:1])]
    write_plan(plans, "told", waves, top=top, wave_extra=approval)
    run = run_drill("told", {"reason": "{{ 7 * 6 }} {% if"})

    assert run.state() == "success", run.describe()
    first, *between, last = told(run)
    assert (first["Subject"], last["Subject"]) == ("DRILL of told: begun", "DRILL of told: passed")
    assert sorted(message["Subject"] for message in between) == [
        "DRILL of told: approve wave web?",
        "DRILL of told: wave database completed",
        "DRILL of told: wave web completed",
    ]
    for message in told(run):
        assert "Reason: {{ 7 * 6 }} {% if" in message["Message"]
        assert f"{stack.api.url}/dags/{run.dag_id}/runs/{quote(run.run_id)}" in message["Message"]
    broken = "notifier tests.e2e.notifiers.Broken"
    lost = f"Notice 'started' by {broken} failed: ConnectionError: the pager is down"
    assert f"{lost}; unsaid: DRILL of told: begun" in run.log("begin")
    assert lost in run.xcom("begin", "remarks.begin")[0]

    assert measured(stack, "DRS.RecoveryJob.Count", "Count", "told", "database")["sum"] == 2
    assert measured(stack, "DRS.RecoveryJob.Failed", "Count", "told", "database") == {"sum": 0, "values": 1}
    assert measured(stack, "DRS.RecoveryJob.Duration", "Seconds", "told", "database")["values"] == 2
    assert measured(stack, "DRS.ConflictException.Count", "Count", "told", "web") == {"sum": 0, "values": 1}
    assert measured(stack, "Orchestration.Wave.Duration", "Seconds", "told", "web")["values"] == 1
    assert measured(stack, "DRS.RecoveryJob.Count", "Count")["sum"] >= 3
    assert len(run.journal(operation="PutMetricData")) == 6  # one for each of three tasks of two waves


def test_a_failure_and_a_passed_rto_are_told_when_they_happen(
    stack: Stack, plans: Path, topic: str, start_drill: Drill
) -> None:
    """The alarm rings at the RTO while the run continues; each failure and the end are sent once."""
    top = f"objectives: {{rto: 12s}}\nnotifications: {{sns_topic_arn: {topic!r}}}"
    write_plan(
        plans, "late", [("application", APPLICATION[:1])], top=top, first_wave_extra="delay_before: 40s"
    )
    stack.simulator.arm(kind="launch_failed", servers=APPLICATION[:1], raw_error="no capacity")
    run = start_drill("late")
    run.wait_until(lambda: len(told(run)) >= 2, 60, "two messages")
    assert subjects(run) == ["DRILL of late: begun", "DRILL of late: RTO exceeded"]
    assert "not launched and validated: application" in told(run)[1]["Message"]
    run.wait(240)
    assert run.state() == "failed", run.describe()
    assert subjects(run)[2:] == [
        "DRILL of late: SERVER_LAUNCH_FAILED in wave_application.wait_until_launched",
        "DRILL of late: FAILED: SERVER_LAUNCH_FAILED in wave_application.wait_until_launched",
    ]
    assert "[SERVER_LAUNCH_FAILED]" in told(run)[3]["Message"]
    assert measured(stack, "DRS.RecoveryJob.Failed", "Count", "late", "application")["sum"] == 1
    with closing(sqlite3.connect(stack.home / "airflow.db")) as database:
        versions = database.execute("SELECT count(*) FROM dag_version WHERE dag_id = ?", [run.dag_id])
        assert versions.fetchone() == (1,), "the alarm makes each parsing of the plan a new version"
