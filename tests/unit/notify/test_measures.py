"""What a wave measures: each call and job once, and time without the pauses that plan and DRS demanded."""

from __future__ import annotations

import datetime as dt

import pytest

from drs.aws.metrics import CONFLICTS, FAILED_JOBS, JOB_DURATION, JOBS, METRICS, WAVE_DURATION
from drs.notify import measures
from drs.notify.measures import Found, Value
from drs.run.records import Call, ServerRecord
from tests.unit.drill import after, make_job

DELAY = dt.timedelta(seconds=15)


def call(seconds: float, *servers: str, job_id: str = "drsjob-1") -> Call:
    return Call(at=after(seconds), servers=servers or (f"s-{seconds}",), job_id=job_id)


def refused(seconds: float, error: str, *servers: str) -> Call:
    return Call(at=after(seconds), servers=servers or (f"s-{seconds}",), error=error)


def values(found: Found) -> list[Value]:
    return measures.summed(value for about in found.values() for value in about)


def duration(*calls: Call, reached: float, known: frozenset[str] = frozenset()) -> list[float]:
    found = measures.of_wave(calls, after(reached), DELAY, known)
    return [value.value for value in values(found)]


def server(job_id: str | None, *, launched: bool = True, seconds: float | None = 60.0) -> ServerRecord:
    return ServerRecord(
        server_id="s-1", name="db-1", job_id=job_id, launched=launched, optional=False, seconds=seconds
    )


def test_conflicts_are_counted_and_none_is_a_value_too() -> None:
    """An alarm without data cannot tell anything."""
    conflict = refused(0, "ConflictException")
    assert values(measures.of_calls([conflict, call(30), refused(60, "ThrottlingException")])) == [
        Value(CONFLICTS, 1)
    ]
    assert values(measures.of_calls([call(0)])) == [Value(CONFLICTS, 0)]


@pytest.mark.parametrize(
    ("calls", "reached", "expected"),
    [
        ([call(0)], 20, 20),
        ([call(0), call(15), call(30)], 50, 20),  # two delays between servers
        ([call(0), call(25)], 45, 30),  # the second call came 10 s late
        ([refused(0, "ConflictException", "s-1"), call(30, "s-1", job_id="drsjob-1")], 50, 20),
        ([refused(0, "ThrottlingException", "s-1"), call(5, "s-1", job_id="drsjob-1")], 10, 5),
        (
            # s-1 is held; s-2 is launched meanwhile, and s-1 when its holder has ended.
            [
                refused(0, "ConflictException", "s-1"),
                call(15, "s-2", job_id="drsjob-1"),
                call(90, "s-1", job_id="drsjob-2"),
            ],
            95,
            5,
        ),
    ],
)
def test_a_wave_takes_from_its_first_call_to_the_gate_without_pauses(
    calls: list[Call], reached: float, expected: float
) -> None:
    """The delay between servers and the wait for a holder do not count; a late call does."""
    assert duration(*calls, reached=reached) == [expected]


def test_a_wave_that_is_launched_anew_is_measured_from_its_new_calls() -> None:
    """A retry of the task measures nothing again."""
    first, second = call(0), call(500)
    known = frozenset(measures.of_wave([first], after(20), DELAY, frozenset()))
    assert duration(first, reached=700, known=known) == []
    assert duration(first, second, reached=510, known=known) == [10]


def test_a_job_is_judged_by_its_servers() -> None:
    """If one server did not launch, the job failed, whatever its own state is."""
    jobs = [make_job(f"drsjob-{n}", status="COMPLETED", ended=after(300)) for n in (1, 2)]
    servers = [server("drsjob-1"), server("drsjob-2", launched=False), server(None, launched=False)]
    assert values(measures.of_jobs(jobs, servers)) == [
        Value(JOBS, 2),
        Value(FAILED_JOBS, 1),
        Value(JOB_DURATION, 300),
        Value(JOB_DURATION, 300),
    ]


def test_a_job_that_has_not_ended_in_time_has_failed_and_no_duration() -> None:
    """Its duration is not known."""
    found = measures.of_jobs([make_job("drsjob-1", status="STARTED")], [server("drsjob-1", launched=False)])
    assert values(found) == [Value(JOBS, 1), Value(FAILED_JOBS, 1)]


def test_a_job_without_a_time_of_its_end_takes_as_long_as_its_last_server() -> None:
    """DRS sets the end time late."""
    servers = [server("drsjob-1", seconds=60), server("drsjob-1", seconds=90)]
    found = measures.of_jobs([make_job("drsjob-1", status="COMPLETED")], servers)
    assert Value(JOB_DURATION, 90) in values(found)


def test_a_wave_is_measured_in_seconds_and_jobs_are_counted() -> None:
    """As the alarms expect."""
    assert {metric.name: metric.unit for metric in METRICS} == {
        "DRS.ConflictException.Count": "Count",
        "DRS.RecoveryJob.Duration": "Seconds",
        "Orchestration.Wave.Duration": "Seconds",
        "DRS.RecoveryJob.Count": "Count",
        "DRS.RecoveryJob.Failed": "Count",
    }
    assert WAVE_DURATION in METRICS
