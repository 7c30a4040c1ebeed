"""Waiting in the triggerer: what ends a wait, what does not, and what is logged meanwhile."""

from __future__ import annotations

import asyncio
import datetime as dt
import importlib
import json
import re
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
from airflow.triggers.base import BaseTrigger
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    EndpointConnectionError,
    NoCredentialsError,
)

from drs.tasks import triggers
from drs.tasks.hook import DrsHook
from drs.tasks.triggers import DrsHoldersTrigger, DrsJobsEndedTrigger, DrsJobStartedTrigger
from tests.unit.drill import NOW, after

JOB = "drsjob-1"
A = "s-" + "a" * 17
ELSEWHERE: dict[str, Any] = {
    "aws_conn_id": "aws_dr",
    "region_name": "eu-central-1",
    "verify": "/etc/ca.pem",
    "botocore_config": {"retries": {"mode": "adaptive"}},
}

Look = list[dict[str, Any]] | Exception


def job(job_id: str = JOB, status: str = "STARTED", *, server: str = "PENDING") -> dict[str, Any]:
    """An item of DescribeJobs."""
    return {
        "jobID": job_id,
        "status": status,
        "creationDateTime": NOW.isoformat(),
        "participatingServers": [{"sourceServerID": A, "launchStatus": server}],
    }


def event(seconds: float, name: str) -> dict[str, Any]:
    """An item of DescribeJobLogItems."""
    return {
        "logDateTime": after(seconds).isoformat(),
        "event": name,
        "eventData": {"sourceServerID": A},
    }


def refusal(code: str, status: int = 400) -> ClientError:
    response: Any = {
        "Error": {"Code": code, "Message": "no"},
        "ResponseMetadata": {"HTTPStatusCode": status},
    }
    return ClientError(response, "DescribeJobs")


class FakeDrs:
    """An asynchronous DRS that gives one answer at each look and repeats the last one, and a clock that moves
    only while somebody sleeps.
    """

    def __init__(self, looks: Sequence[Look], logs: Sequence[list[dict[str, Any]]] = ()) -> None:
        self.looks = list(looks)
        self.logs = list(logs)
        self.now = NOW
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.sleeps: list[float] = []
        self.hooks: list[DrsHook] = []

    async def sleep(self, seconds: float) -> None:
        self.sleeps.append(seconds)
        self.now += dt.timedelta(seconds=seconds)

    def get_paginator(self, operation: str) -> FakeDrs:
        self._operation = operation
        return self

    async def paginate(self, **parameters: Any) -> AsyncIterator[dict[str, Any]]:
        operation = self._operation
        self.asked.append((operation, parameters))
        answers: list[Any] = self.looks if operation == "describe_jobs" else self.logs
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if isinstance(answer, Exception):
            raise answer
        # A page for each item: nothing may be read from the first page alone.
        for item in answer:
            yield {"items": [item]}


@pytest.fixture
def drs(monkeypatch: pytest.MonkeyPatch) -> Callable[..., FakeDrs]:
    """Replace DRS by a fake one, and the clock by the fake's clock."""

    def make(looks: Sequence[Look], logs: Sequence[list[dict[str, Any]]] = ([],)) -> FakeDrs:
        fake = FakeDrs(looks, logs)

        @asynccontextmanager
        async def connection() -> AsyncIterator[FakeDrs]:
            yield fake

        async def get_async_conn(hook: DrsHook) -> Any:
            fake.hooks.append(hook)
            return connection()

        monkeypatch.setattr(DrsHook, "get_async_conn", get_async_conn)
        monkeypatch.setattr(triggers, "utc_now", lambda: fake.now)
        monkeypatch.setattr(asyncio, "sleep", fake.sleep)
        return fake

    return make


async def outcome(trigger: BaseTrigger) -> dict[str, Any]:
    """The single event of a trigger."""
    events = [each.payload async for each in trigger.run()]
    assert len(events) == 1
    payload: dict[str, Any] = events[0]
    return payload


def holders_trigger(*holders: str, seconds: float = 60, **parameters: Any) -> DrsHoldersTrigger:
    return DrsHoldersTrigger(holders=list(holders), poll=3, deadline=after(seconds).isoformat(), **parameters)


def ended_trigger(*jobs: str, seconds: float = 3600) -> DrsJobsEndedTrigger:
    return DrsJobsEndedTrigger(
        job_ids=list(jobs or (JOB,)), near=3, far=15, deadline=after(seconds).isoformat()
    )


def started_trigger(*jobs: str, seconds: float = 300, **parameters: Any) -> DrsJobStartedTrigger:
    return DrsJobStartedTrigger(
        job_ids=list(jobs or (JOB,)), near=3, far=15, deadline=after(seconds).isoformat(), **parameters
    )


TRIGGERS = [
    holders_trigger(JOB, **ELSEWHERE),
    DrsJobsEndedTrigger(job_ids=[JOB], near=3, far=15, deadline=NOW.isoformat(), **ELSEWHERE),
    started_trigger(JOB, **ELSEWHERE),
]


@pytest.mark.parametrize("trigger", TRIGGERS, ids=lambda trigger: type(trigger).__name__)
def test_a_trigger_survives_its_way_into_the_triggerer(trigger: BaseTrigger) -> None:
    """It is stored as JSON under its class's path and made again from that, with connection and Region."""
    path, fields = json.loads(json.dumps(trigger.serialize()))
    module, _, name = path.rpartition(".")
    again = getattr(importlib.import_module(module), name)(**fields)
    assert again.serialize() == trigger.serialize()
    assert ELSEWHERE.items() <= fields.items()


async def test_the_trigger_reaches_drs_as_its_task_does(drs: Callable[..., FakeDrs]) -> None:
    """It uses the task's connection, Region, certificate and botocore configuration."""
    fake = drs([[job(status="COMPLETED")]])
    await outcome(holders_trigger(JOB, **ELSEWHERE))
    (hook,) = fake.hooks
    assert (hook.aws_conn_id, hook._region_name, hook._verify) == (
        "aws_dr",
        "eu-central-1",
        "/etc/ca.pem",
    )
    config: Any = hook._config
    assert config.retries == {"mode": "adaptive"}


async def test_a_wait_without_holders_lasts_to_its_time_and_asks_nothing(
    drs: Callable[..., FakeDrs],
) -> None:
    """The trigger sleeps once."""
    fake = drs([[]])
    assert await outcome(holders_trigger()) == {"status": "deadline"}
    assert (fake.asked, fake.sleeps) == ([], [60])


async def test_a_wait_ends_when_one_of_the_holders_does(drs: Callable[..., FakeDrs]) -> None:
    """The other job still holds its servers, but those of this one can be launched."""
    both = [job("drsjob-1"), job("drsjob-2")]
    fake = drs([both, both, [job("drsjob-1"), job("drsjob-2", "COMPLETED")]])
    assert await outcome(holders_trigger("drsjob-1", "drsjob-2")) == {"status": "success"}
    assert fake.sleeps == [3, 3]
    assert fake.asked[0] == ("describe_jobs", {"filters": {"jobIDs": ["drsjob-1", "drsjob-2"]}})


async def test_a_young_terminate_job_is_looked_at_every_second(drs: Callable[..., FakeDrs]) -> None:
    """It takes about a minute; one that takes much longer is looked at as seldom as any other job."""
    terminate = job() | {"type": "TERMINATE", "creationDateTime": after(-100).isoformat()}
    drs_calls = drs([[terminate]])
    assert await outcome(holders_trigger(JOB, seconds=30)) == {"status": "deadline"}
    assert drs_calls.sleeps == [1] * 20 + [3, 3, 3, 1]


async def test_a_holder_that_drs_no_longer_lists_has_ended(drs: Callable[..., FakeDrs]) -> None:
    """It holds no servers any more."""
    drs([[]])
    assert await outcome(holders_trigger(JOB)) == {"status": "success"}


async def test_a_wait_ends_at_its_deadline_to_the_second(drs: Callable[..., FakeDrs]) -> None:
    """The last pause is shortened. A wait that begins after its deadline looks once."""
    fake = drs([[job()]])
    assert await outcome(holders_trigger(JOB, seconds=7)) == {"status": "deadline"}
    assert fake.sleeps == [3, 3, 1]
    assert await outcome(holders_trigger(JOB, seconds=-5)) == {"status": "deadline"}
    assert sum(fake.sleeps) == 7


def in_the_triggerer(trigger: BaseTrigger) -> Any:
    """The trigger as the triggerer makes it from what Airflow has stored."""
    _, fields = json.loads(json.dumps(trigger.serialize()))
    return type(trigger)(**fields)


@pytest.mark.parametrize("ahead", [-290, 290], ids=["behind", "ahead"])
async def test_a_wait_lasts_as_long_as_the_worker_meant(drs: Callable[..., FakeDrs], ahead: float) -> None:
    """The clock of the triggerer differs from the worker's by minutes."""
    fake = drs([[job()]])
    trigger = in_the_triggerer(holders_trigger(seconds=60))
    fake.now += dt.timedelta(seconds=ahead)
    assert await outcome(trigger) == {"status": "deadline"}
    assert sum(fake.sleeps) == 60


async def test_a_wait_that_a_restarted_triggerer_begins_again_has_its_end(
    drs: Callable[..., FakeDrs],
) -> None:
    """The deadline counts, and five minutes by which the clocks may differ."""
    fake = drs([[job()]])
    trigger = holders_trigger(seconds=3600)
    fake.now += dt.timedelta(seconds=3500)
    assert await outcome(in_the_triggerer(trigger)) == {"status": "deadline"}
    assert sum(fake.sleeps) == 100 + 300


async def test_a_wait_whose_time_is_over_before_it_is_stored_lasts_no_time(
    drs: Callable[..., FakeDrs],
) -> None:
    """It looks once."""
    fake = drs([[job()]])
    trigger = holders_trigger(seconds=-30)
    assert trigger.seconds == 0
    assert await outcome(in_the_triggerer(trigger)) == {"status": "deadline"}
    assert fake.sleeps == []


@pytest.mark.parametrize(
    "error",
    [
        refusal("ThrottlingException", 429),
        refusal("InternalServerException", 500),
        EndpointConnectionError(endpoint_url="https://drs"),
    ],
)
async def test_a_drs_that_does_not_answer_is_asked_again(
    drs: Callable[..., FakeDrs], error: ClientError | BotoCoreError
) -> None:
    """Every 15 s, until the deadline."""
    fake = drs([error, error, [job(status="COMPLETED")]])
    assert await outcome(holders_trigger(JOB)) == {"status": "success"}
    assert fake.sleeps == [15, 15]
    drs([error])
    assert await outcome(holders_trigger(JOB)) == {"status": "deadline"}


@pytest.mark.parametrize("error", [refusal("AccessDeniedException"), NoCredentialsError()])
async def test_a_refusal_that_stays_goes_back_to_the_task(
    drs: Callable[..., FakeDrs], error: ClientError | BotoCoreError
) -> None:
    """At once: the task gets the same refusal and explains it."""
    fake = drs([error])
    assert await outcome(ended_trigger()) == {"status": "error", "message": str(error)}
    assert fake.sleeps == []


async def test_the_end_is_that_of_all_jobs(drs: Callable[..., FakeDrs]) -> None:
    """The task judges whether the jobs succeeded."""
    fake = drs(
        [
            [job("drsjob-1"), job("drsjob-2")],
            [job("drsjob-1", "COMPLETED"), job("drsjob-2")],
            [job("drsjob-1", "COMPLETED"), job("drsjob-2", "COMPLETED", server="FAILED")],
        ]
    )
    assert await outcome(ended_trigger("drsjob-1", "drsjob-2")) == {"status": "success"}
    assert fake.sleeps == [15, 15]


async def test_it_looks_more_often_near_an_end(drs: Callable[..., FakeDrs]) -> None:
    """It looks often while a job is PENDING or launches servers, and seldom in between."""
    fake = drs(
        [
            [job(status="PENDING")],
            [job()],
            [job()],
            [job(server="IN_PROGRESS")],
            [job(status="COMPLETED")],
        ]
    )
    await outcome(ended_trigger())
    assert fake.sleeps == [3, 15, 15, 3]


async def test_drs_s_own_events_stand_in_the_log_once(
    drs: Callable[..., FakeDrs], capsys: pytest.CaptureFixture[str]
) -> None:
    """They are logged as they happen, including those of the last look, when the job has ended."""
    start, conversion, end = event(1, "JOB_START"), event(60, "CONVERSION_START"), event(500, "LAUNCH_END")
    drs(
        [[job()], [job()], [job(status="COMPLETED")]],
        [[start], [start, conversion], [start, conversion, end]],
    )
    await outcome(ended_trigger())
    assert re.findall(rf"{JOB}  (\S+) UTC  {A}  (\w+)", capsys.readouterr().out) == [
        ("06:00:01", "JOB_START"),
        ("06:01:00", "CONVERSION_START"),
        ("06:08:20", "LAUNCH_END"),
    ]


async def test_the_log_of_an_ended_job_is_read_no_more(drs: Callable[..., FakeDrs]) -> None:
    """The other jobs may run for another hour."""
    first, second = job("drsjob-1", "COMPLETED"), job("drsjob-2")
    fake = drs([[first, second], [first, second], [first, {**second, "status": "COMPLETED"}]])
    await outcome(ended_trigger("drsjob-1", "drsjob-2"))
    asked = [parameters["jobID"] for operation, parameters in fake.asked if "log" in operation]
    assert asked == ["drsjob-1", "drsjob-2", "drsjob-2", "drsjob-2"]


async def test_a_silent_job_is_a_warning_in_the_log(
    drs: Callable[..., FakeDrs], capsys: pytest.CaptureFixture[str]
) -> None:
    """A conversion that hangs looks like one that takes long, so a person is warned."""
    drs([[job()]], [[event(0, "CONVERSION_START")]])
    assert await outcome(ended_trigger(seconds=900)) == {"status": "deadline"}
    assert capsys.readouterr().out.count("has written no event for 10 min") == 1


ONE, TWO = "drsjob-1", "drsjob-2"


@pytest.mark.parametrize(
    ("looks", "sleeps"),
    [
        ([[job(ONE, "STARTED"), job(TWO, "STARTED")]], []),
        ([[job(ONE, "COMPLETED"), job(TWO, "COMPLETED")]], []),
        ([[job(ONE, "STARTED"), job(TWO, "COMPLETED")]], []),
        ([[job(ONE, "PENDING"), job(TWO, "PENDING")], [job(ONE), job(TWO)]], [3]),
        ([[job(ONE, "STARTED"), job(TWO, "PENDING")], [job(ONE), job(TWO)]], [3]),
        ([[job(ONE, "STARTED")], [job(ONE), job(TWO)]], [15]),
        ([[job(ONE, "PENDING")], [job(ONE), job(TWO, "PENDING")], [job(ONE), job(TWO)]], [15, 3]),
        ([[], [job(ONE), job(TWO)]], [15]),
    ],
    ids=[
        "all started",
        "all completed",
        "started and completed",
        "all pending",
        "one pending",
        "one not listed",
        "not listed, then pending",
        "none listed",
    ],
)
async def test_jobs_have_started_when_drs_lists_each_of_them_as_no_longer_pending(
    drs: Callable[..., FakeDrs], looks: Sequence[Look], sleeps: list[float]
) -> None:
    """DRS is asked about both jobs every 3 s, and every 15 s while it does not list one of them yet."""
    fake = drs(looks)
    assert await outcome(started_trigger(ONE, TWO)) == {"status": "success"}
    assert fake.sleeps == sleeps
    assert fake.asked == [("describe_jobs", {"filters": {"jobIDs": [ONE, TWO]}})] * len(looks)


@pytest.mark.parametrize("looks", [[[job(status="PENDING")]], [[]]], ids=["pending", "not listed"])
async def test_jobs_that_do_not_start_are_left_to_the_task_to_judge(
    drs: Callable[..., FakeDrs], looks: Sequence[Look]
) -> None:
    """The trigger ends at its deadline with an event, not with an exception; the task then names the jobs."""
    fake = drs(looks)
    assert await outcome(started_trigger(seconds=20)) == {"status": "deadline"}
    assert sum(fake.sleeps) == 20


async def test_a_refusal_while_jobs_are_to_start_goes_back_to_the_task(drs: Callable[..., FakeDrs]) -> None:
    """The trigger does not ask again: the task meets the same refusal and explains it."""
    error = refusal("AccessDeniedException")
    fake = drs([error])
    assert await outcome(started_trigger()) == {"status": "error", "message": str(error)}
    assert (len(fake.asked), fake.sleeps) == (1, [])
