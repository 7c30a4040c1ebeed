"""Measures are published to CloudWatch and Airflow once, and never fail the drill."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from moto import mock_aws
from moto.cloudwatch.models import MetricDatum, cloudwatch_backends
from moto.core.models import DEFAULT_ACCOUNT_ID

from drs import compat
from drs.aws.metrics import NAMESPACE
from drs.run.ledger import Ledger
from drs.run.records import Call, LaunchRecord, ServerRecord, WaveOutcome
from drs.run.timeline import Timeline
from drs.tasks.publish_measures import measure_calls, measure_jobs, measure_start, measure_stuck
from tests.unit.drill import NOW, after, make_job, make_run
from tests.unit.task_harness import make_context

Sums = Callable[..., dict[str, float]]
TIMELINE = Timeline(
    jobs="per_wave", server_delay=15, conflict_backoff=(30,), conflict_timeout=1800, servers=()
)
LAUNCH = LaunchRecord(
    timeline=TIMELINE,
    calls=(
        Call(at=NOW, servers=("s-1",), error="ConflictException"),
        Call(at=after(30), servers=("s-1",), job_id="drsjob-1"),
    ),
)
SERVER = ServerRecord(server_id="s-1", name="db-1", job_id="drsjob-1", launched=True, optional=False)
ENDED = make_job("drsjob-1", status="COMPLETED", ended=after(600))


@pytest.fixture
def run(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> Ledger:
    monkeypatch.setenv("AIRFLOW__DRS__METRICS", "True")
    ledger.save_run(make_run())
    return ledger


@pytest.fixture
def put() -> Iterator[Sums]:
    """The sums of the published values, by metric, with exactly these dimensions.

    moto's GetMetricStatistics would include values with more dimensions.
    """

    def sums(*dimensions: tuple[str, str]) -> dict[str, float]:
        found: dict[str, float] = {}
        backend = cloudwatch_backends[DEFAULT_ACCOUNT_ID]["us-east-1"]
        for datum in backend.metric_data:
            assert isinstance(datum, MetricDatum)
            assert datum.namespace == NAMESPACE
            if [(each.name, each.value) for each in datum.dimensions] == list(dimensions):
                found[datum.name] = found.get(datum.name, 0) + datum.value
        return found

    with mock_aws():
        yield sums


def whole_wave(ledger: Ledger) -> None:
    """Publish what the three tasks of a wave measure."""
    context = make_context()
    measure_calls(context, ledger, "database", LAUNCH)
    measure_start(context, ledger, "database", LAUNCH, after(40))
    measure_jobs(context, ledger, "database", [ENDED], WaveOutcome(servers=(SERVER,)))


@pytest.mark.parametrize(
    "dimensions", [(), (("Plan", "orders"),), (("Plan", "orders"), ("Wave", "database"))], ids=len
)
def test_cloudwatch_gets_each_value_of_a_wave_of_its_plan_and_of_all(
    run: Ledger, put: Sums, dimensions: tuple[tuple[str, str], ...]
) -> None:
    """An alarm cannot add values up over dimensions."""
    whole_wave(run)
    assert put(*dimensions) == {
        "DRS.ConflictException.Count": 1,
        "Orchestration.Wave.Duration": 10,
        "DRS.RecoveryJob.Count": 1,
        "DRS.RecoveryJob.Failed": 0,
        "DRS.RecoveryJob.Duration": 600,
    }
    assert run.notes(make_context()["ti"].task_id) == ()


def test_a_retried_task_does_not_count_twice(run: Ledger, put: Sums) -> None:
    """A job that did not start in time, and is judged again at its end, also counts once."""
    measure_stuck(make_context(), run, "database", ["drsjob-1"])
    whole_wave(run)
    whole_wave(run)
    assert put() == {
        "DRS.ConflictException.Count": 1,
        "Orchestration.Wave.Duration": 10,
        "DRS.RecoveryJob.Count": 1,
        "DRS.RecoveryJob.Failed": 1,
    }


def test_airflow_counts_and_times_the_same(run: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even if nothing is published to CloudWatch."""
    monkeypatch.setenv("AIRFLOW__DRS__METRICS", "False")
    told: dict[str, Any] = {}
    stats = compat._stats()
    monkeypatch.setattr(stats, "incr", lambda name, count, tags: told.update({name: (count, tags)}))
    monkeypatch.setattr(stats, "timing", lambda name, time, tags: told.update({name: (time, tags)}))
    whole_wave(run)
    tags = {"plan": "orders", "wave": "database"}
    assert told == {
        "drs.conflict_exceptions": (1, tags),
        "drs.wave.duration": (dt.timedelta(seconds=10), tags),
        "drs.recovery_jobs": (1, tags),
        "drs.recovery_jobs_failed": (0, tags),
        "drs.recovery_job.duration": (dt.timedelta(seconds=600), tags),
    }


def test_measures_that_cannot_be_published_are_noted_and_fail_nothing(
    run: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """CloudWatch may refuse them, or not answer."""
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    monkeypatch.setenv("AWS_ENDPOINT_URL_CLOUDWATCH", "http://127.0.0.1:9")
    measure_calls(make_context(), run, "database", LAUNCH)
    (note,) = run.notes(make_context()["ti"].task_id)
    assert note.startswith("Publishing measures to CloudWatch failed: EndpointConnectionError")


def test_measuring_a_run_without_records_fails_nothing(
    ledger: Ledger, caplog: pytest.LogCaptureFixture
) -> None:
    """An error in measuring never fails the wave."""
    measure_start(make_context(), ledger, "database", LAUNCH, after(40))
    assert "measure_start failed: DrillFailed" in caplog.text
