"""Publishes a wave's measures to CloudWatch and to Airflow's own metrics, each value once."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from drs import compat, settings
from drs.aws.jobs import Job
from drs.aws.metrics import NAMESPACE, PLAN, WAVE
from drs.notify import measures
from drs.notify.measures import Found, Value
from drs.run.ledger import Ledger
from drs.run.records import LaunchRecord, WaveOutcome
from drs.tasks.best_effort import attempt, never_fails
from drs.tasks.hook import DrsHook

if TYPE_CHECKING:
    from airflow.sdk import Context


@never_fails
def measure_calls(context: Context, ledger: Ledger, wave: str, launch: LaunchRecord) -> None:
    """Publish the conflicts, once all of the wave's calls are made."""
    _publish(context, ledger, wave, measures.of_calls(launch.calls))


@never_fails
def measure_start(
    context: Context, ledger: Ledger, wave: str, launch: LaunchRecord, reached: dt.datetime
) -> None:
    """Publish how long the wave took to start, once all of its jobs have left PENDING."""
    delay = ledger.run().read_plan().launch_for(wave).server_delay
    _publish(context, ledger, wave, measures.of_wave(launch.calls, reached, delay, ledger.measured(wave)))


@never_fails
def measure_stuck(context: Context, ledger: Ledger, wave: str, job_ids: Iterable[str]) -> None:
    """Publish jobs that did not leave PENDING in time as failed."""
    found: dict[str, tuple[Value, ...]] = {}
    for job_id in job_ids:
        found |= measures.judged(job_id, failed=True)
    _publish(context, ledger, wave, found)


@never_fails
def measure_jobs(
    context: Context, ledger: Ledger, wave: str, jobs: Iterable[Job], outcome: WaveOutcome
) -> None:
    """Publish the durations and failures of the wave's jobs, once its servers are judged."""
    _publish(context, ledger, wave, measures.of_jobs(jobs, outcome.servers))


def _publish(context: Context, ledger: Ledger, wave: str, found: Found) -> None:
    known = ledger.measured(wave)
    fresh = found.keys() - known
    if not fresh:
        return
    # Recorded before they are published: a task that is cut off in between loses values, and repeats none.
    ledger.save_measured(wave, known | fresh)
    values = measures.summed(value for about in found if about in fresh for value in found[about])
    if not values:
        return
    plan = ledger.run().read_plan()
    task_id = context["ti"].task_id
    attempt(ledger, task_id, "Publishing measures to Airflow", lambda: _to_airflow(plan.name, wave, values))
    if settings.metrics():
        target = plan.target
        attempt(
            ledger,
            task_id,
            "Publishing measures to CloudWatch",
            lambda: _to_cloudwatch(target.aws_conn_id, target.region, plan.name, wave, values),
        )


def _to_airflow(plan: str, wave: str, values: Sequence[Value]) -> None:
    tags = {"plan": plan, "wave": wave}
    for value in values:
        if value.metric.unit == "Count":
            compat.count(value.metric.stat, int(value.value), tags)
        else:
            compat.timing(value.metric.stat, dt.timedelta(seconds=value.value), tags)


def _to_cloudwatch(connection: str, region: str, plan: str, wave: str, values: Sequence[Value]) -> None:
    """Put every value three times: by plan and wave, by plan, and without dimensions. An alarm cannot search.

    .. seealso:: https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricData.html
    """
    at = dt.datetime.now(dt.UTC)
    of_plan, of_wave = {"Name": PLAN, "Value": plan}, {"Name": WAVE, "Value": wave}
    data: list[dict[str, Any]] = [
        {
            "MetricName": value.metric.name,
            "Unit": value.metric.unit,
            "Value": value.value,
            "Timestamp": at,
            "Dimensions": dimensions,
        }
        for value in values
        for dimensions in ([of_plan, of_wave], [of_plan], [])
    ]
    client = DrsHook(aws_conn_id=connection, region_name=region).client_of("cloudwatch")
    client.put_metric_data(Namespace=NAMESPACE, MetricData=data)
