"""What the calls of DRS show beside their answers: the time by AWS's clock."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from email.utils import format_datetime
from typing import Any

import pytest

from drs.aws import calls
from drs.aws.calls import LOOK_BACK, Drs
from tests.unit.drill import NOW, after

JOB = {
    "jobID": "drsjob-1",
    "type": "LAUNCH",
    "status": "STARTED",
    "initiatedBy": "START_DRILL",
    "creationDateTime": "2026-03-01T06:00:00Z",
}
ENDED = {**JOB, "jobID": "drsjob-2", "status": "COMPLETED", "endDateTime": "2026-03-01T06:10:00Z"}


class Client:
    """A client of DRS that gives pages of jobs.

    :param dates: AWS's time in the answer of each page; ``None`` for an answer without a time
    """

    def __init__(self, *dates: dt.datetime | None) -> None:
        self.dates = dates
        self.asked: list[Any] = []

    def get_paginator(self, operation: str) -> Client:
        assert operation == "describe_jobs"
        return self

    def paginate(self, *, filters: Any) -> Iterator[Any]:
        self.asked.append(filters)
        for at, job in zip(self.dates, (JOB, ENDED), strict=False):
            headers = {"date": format_datetime(at, usegmt=True)} if at else {}
            yield {"items": [job], "ResponseMetadata": {"HTTPHeaders": headers}}


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls, "utc_now", lambda: NOW)


def drs(*dates: dt.datetime | None) -> Drs:
    client: Any = Client(*dates)
    return Drs(client)


def test_an_object_that_has_read_nothing_knows_no_skew() -> None:
    assert drs().clock_ahead == dt.timedelta(0)


@pytest.mark.parametrize("read", ["by their ids", "of a time"])
def test_every_read_of_jobs_shows_aws_s_clock(read: str) -> None:
    """DRS dates its jobs by it. The last page counts."""
    hook = drs(after(-100), after(-300))
    jobs = hook.describe_jobs(["drsjob-1"]) if read == "by their ids" else hook.jobs_since(NOW)
    assert [job.job_id for job in jobs] == ["drsjob-1", "drsjob-2"]
    assert hook.clock_ahead == dt.timedelta(seconds=300)


def test_an_answer_without_a_time_leaves_no_skew() -> None:
    """Nobody knows how old the last measurement is."""
    hook = drs(after(-100), None)
    hook.jobs_since(NOW)
    assert hook.clock_ahead == dt.timedelta(0)


def test_no_ids_are_no_call() -> None:
    """DRS would answer with all jobs."""
    client: Any = Client(NOW)
    assert Drs(client).describe_jobs([]) == []
    assert client.asked == []


def test_the_live_jobs_are_among_the_recent_ones() -> None:
    """Those of the last 24 hours. An ended job is recent, and not live."""
    client: Any = Client(NOW, NOW)
    hook = Drs(client)
    assert [job.job_id for job in hook.recent_jobs()] == ["drsjob-1", "drsjob-2"]
    assert [job.job_id for job in hook.live_jobs()] == ["drsjob-1"]
    since = (NOW - LOOK_BACK).strftime("%Y-%m-%dT%H:%M:%SZ")
    assert client.asked == [{"fromDate": since}] * 2
