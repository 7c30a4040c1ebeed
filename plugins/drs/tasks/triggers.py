"""Waiting for DRS in the triggerer, where it occupies no worker slot.

Every trigger ends by its own deadline. None of them decides anything: the task that resumes reads DRS again
and decides.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from abc import abstractmethod
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import AsyncExitStack
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent
from botocore.exceptions import BotoCoreError, ClientError

from drs import settings
from drs.aws.call_errors import unavailable
from drs.aws.clients import AsyncAwsClients
from drs.aws.jobs import AT_THE_END, TERMINATION, Job, JobWatch, LogEvent
from drs.aws.states import JobStatus, JobType
from drs.run.records import CheckResult
from drs.tasks.shared_client import shared_client
from drs.tasks.task_log import quiet_trigger
from drs.text import shown
from drs.text.tables import named
from drs.text.times import SEARCH_CLOCK_SKEW, utc_now
from drs.validation.runner import Validation
from drs.validation.wave_to_check import WaveToCheck

AT_ONCE = 100
"""Events of a job that are logged in one step of the event loop."""


class _DrsTrigger(BaseTrigger):
    """A trigger that reaches AWS as the task that defers to it does.

    :param fields: the subclass's own parameters, for serialization
    """

    def __init__(
        self,
        *,
        fields: Mapping[str, Any],
        aws_conn_id: str | None = "aws_default",
        region_name: str | None = None,
        verify: bool | str | None = None,
        botocore_config: dict[str, Any] | None = None,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._fields = dict(fields)
        self._hook_parameters = {
            "aws_conn_id": aws_conn_id,
            "region_name": region_name,
            "verify": verify,
            "botocore_config": botocore_config,
        }

    def serialize(self) -> tuple[str, dict[str, Any]]:
        path = f"{type(self).__module__}.{type(self).__qualname__}"
        return path, {**self._fields, **self._hook_parameters}


class _DrsPollTrigger(_DrsTrigger):
    """Look at DRS again and again until there is something to report or the deadline has come.

    :param deadline: when to give up, ISO 8601, by the clock of the worker that defers
    :param fields: the subclass's own parameters, for serialization
    :param seconds: how long that is from the deferral on. The worker that defers leaves it out.
    """

    def __init__(
        self,
        *,
        deadline: str,
        fields: Mapping[str, Any],
        seconds: float | None = None,
        **hook_parameters: Any,
    ) -> None:
        self.deadline = deadline
        if seconds is None:
            seconds = max((dt.datetime.fromisoformat(deadline) - utc_now()).total_seconds(), 0.0)
        self.seconds = seconds
        super().__init__(fields={"deadline": deadline, "seconds": seconds, **fields}, **hook_parameters)

    @abstractmethod
    async def look(self, client: Any) -> float | None:
        """Look once.

        :return: seconds until the next look; ``None`` when there is something to report
        """

    def _ends(self, began: dt.datetime) -> dt.datetime:
        """When to give up, by the triggerer's clock, which may differ from the worker's by minutes.

        The wait lasts as long as the worker meant, or shorter if a triggerer that was restarted begins it
        again.
        """
        deadline = dt.datetime.fromisoformat(self.deadline)
        return min(began + dt.timedelta(seconds=self.seconds), deadline + SEARCH_CLOCK_SKEW)

    async def run(self) -> AsyncIterator[TriggerEvent]:
        quiet_trigger()
        ends = self._ends(utc_now())
        async with AsyncExitStack() as stack:
            client = None
            while True:
                try:
                    # To open a client of an assumed role calls STS, which may fail like any other call.
                    if client is None:
                        client = await stack.enter_async_context(shared_client(self._hook_parameters))
                    pause = await self.look(client)
                except (ClientError, BotoCoreError) as error:
                    if not unavailable(error):
                        # The resumed task gets the same refusal, and explains it.
                        yield TriggerEvent({"status": "error", "message": str(error)})
                        return
                    self.log.warning(
                        "DRS did not answer (%s). The trigger looks again in 15 s.", shown.line(error)
                    )
                    pause = 15.0
                if pause is None:
                    yield TriggerEvent({"status": "success"})
                    return
                left = (ends - utc_now()).total_seconds()
                if left <= 0:
                    yield TriggerEvent({"status": "deadline"})
                    return
                await asyncio.sleep(min(pause, left))


class DrsHoldersTrigger(_DrsPollTrigger):
    """Wait until a point in time, or until one of the jobs that hold servers has ended.

    :param deadline: the point in time, ISO 8601
    :param holders: job ids; if empty, wait only for the point in time
    :param poll: seconds between two looks at the holders; while a TERMINATE job among them is young, at most
        :data:`~drs.aws.jobs.AT_THE_END`
    """

    def __init__(self, *, holders: list[str], poll: float, **kwargs: Any) -> None:
        super().__init__(fields={"holders": holders, "poll": poll}, **kwargs)
        self.holders = holders
        self.poll = poll

    async def look(self, client: Any) -> float | None:
        if not self.holders:
            return float("inf")
        live = {job.job_id: job for job in await describe_jobs(client, self.holders) if job.live}
        if set(self.holders) - live.keys():
            return None
        brief = utc_now() - TERMINATION
        ending = any(job.type == JobType.TERMINATE and job.created > brief for job in live.values())
        return min(AT_THE_END, self.poll) if ending else self.poll


class DrsJobStartedTrigger(_DrsPollTrigger):
    """Wait until every job has left PENDING. A job that DRS does not list yet is as good as PENDING.

    :param deadline: when to give up, ISO 8601
    :param job_ids: the jobs
    :param near: seconds between two looks while DRS lists every job
    :param far: seconds between two looks while DRS does not list one of them yet
    """

    def __init__(self, *, job_ids: list[str], near: float, far: float, **kwargs: Any) -> None:
        super().__init__(fields={"job_ids": job_ids, "near": near, "far": far}, **kwargs)
        self.job_ids = job_ids
        self.near = near
        self.far = far

    async def look(self, client: Any) -> float | None:
        jobs = await describe_jobs(client, self.job_ids)
        if not {job.job_id for job in jobs}.issuperset(self.job_ids):
            return self.far
        return self.near if any(job.status == JobStatus.PENDING for job in jobs) else None


class DrsJobsEndedTrigger(_DrsPollTrigger):
    """Wait until every job has ended, and copy the events of DRS's job log into the task's log as they
    happen.

    :param deadline: when to give up, ISO 8601
    :param job_ids: the jobs
    :param near: seconds between two looks when a job may end soon
    :param far: seconds between two looks when no job can end soon
    """

    def __init__(self, *, job_ids: list[str], near: float, far: float, **kwargs: Any) -> None:
        super().__init__(fields={"job_ids": job_ids, "near": near, "far": far}, **kwargs)
        self.job_ids = job_ids
        self._watch = JobWatch(near=near, far=far)
        self._ended: set[str] = set()

    async def look(self, client: Any) -> float | None:
        jobs = await describe_jobs(client, self.job_ids)
        for job in jobs:
            if job.job_id not in self._ended:
                await self._log_news(client, job)
        listed = {job.job_id for job in jobs}
        if listed.issuperset(self.job_ids) and not any(job.live for job in jobs):
            return None
        return self._watch.next_look(jobs)

    async def _log_news(self, client: Any, job: Job) -> None:
        events = self._watch.new_events(job, await job_log(client, job.job_id))
        for number, event in enumerate(events, 1):
            self.log.info("%s  %s", job.job_id, event.describe())
            if number % AT_ONCE == 0:
                await asyncio.sleep(0)  # other triggers go on
        if silence := self._watch.silence(job, utc_now()):
            self.log.warning(silence)
        if not job.live:
            self._ended.add(job.job_id)


async def describe_jobs(client: Any, job_ids: Iterable[str]) -> list[Job]:
    pages = client.get_paginator("describe_jobs").paginate(filters={"jobIDs": list(job_ids)})
    return [Job.from_api(item) async for page in pages for item in page["items"]]


async def job_log(client: Any, job_id: str) -> list[LogEvent]:
    pages = client.get_paginator("describe_job_log_items").paginate(jobID=job_id)
    return [LogEvent.from_api(item) async for page in pages for item in page["items"]]


class DrsValidationTrigger(_DrsTrigger):
    """Make the checks of a wave's launched servers, and log each result as soon as it is known.

    The event brings the results; the task decides what they mean for the drill.

    :param wave: a :class:`~drs.validation.wave_to_check.WaveToCheck` as JSON
    :param poll: seconds between two looks of one check
    """

    def __init__(self, *, wave: dict[str, Any], poll: float, **hook_parameters: Any) -> None:
        super().__init__(fields={"wave": wave, "poll": poll}, **hook_parameters)
        self.wave = wave
        self.poll = poll

    async def run(self) -> AsyncIterator[TriggerEvent]:
        quiet_trigger()
        async with AsyncExitStack() as stack:
            results = await self._validation(_OpenClients(stack, self._hook_parameters)).run()
        yield TriggerEvent(
            {"status": "success", "results": [each.model_dump(mode="json") for each in results]}
        )

    async def look_once(self, clients: AsyncAwsClients) -> tuple[CheckResult, ...] | None:
        """The results, if every check can be decided by looking once; else ``None``.

        :param clients: the clients of the worker, which does not wait for a triggerer
        """
        # Nothing is logged: the task goes on at once, and shows these results in its table.
        return await self._validation(clients, report=lambda _: None).look_once()

    def _validation(
        self, clients: AsyncAwsClients, report: Callable[[CheckResult], None] | None = None
    ) -> Validation:
        wave = WaveToCheck.model_validate(self.wave)
        self._names = {server.server_id: server.name for server in wave.servers}
        return Validation(
            wave,
            clients,
            every=self.poll,
            report=report or self._log_result,
            allowed=settings.allowed_code(),
            now=utc_now,
        )

    def _log_result(self, result: CheckResult) -> None:
        log = self.log.info if result.passed else self.log.warning
        log(
            "%s of %s: %s after %.0f s: %s",
            result.check,
            named(result.server_id, self._names[result.server_id]),
            "passed" if result.passed else "FAILED",
            result.seconds,
            shown.line(result.seen),
        )


class _OpenClients:
    """The shared clients of a validation. Each is opened when a check first needs it."""

    def __init__(self, stack: AsyncExitStack, parameters: Mapping[str, Any]) -> None:
        self._stack = stack
        self._parameters = parameters
        self._open: dict[str, Any] = {}
        self._lock = asyncio.Lock()

    async def __call__(self, service: str) -> Any:
        async with self._lock:
            if service not in self._open:
                # A command that botocore sends again might run twice.
                client = shared_client(self._parameters, service, repeats=service != "ssm")
                self._open[service] = await self._stack.enter_async_context(client)
            return self._open[service]
