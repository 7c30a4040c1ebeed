"""Waiting for DRS in the triggerer, where it costs no worker slot.

Every trigger ends by its own deadline and tells no verdict: the task that resumes reads DRS again and judges.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from abc import abstractmethod
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from airflow.providers.amazon.aws.triggers.base import AwsBaseWaiterTrigger
from airflow.triggers.base import BaseTrigger, TriggerEvent
from botocore.exceptions import BotoCoreError, ClientError

from drs.aws.call_errors import unavailable
from drs.aws.jobs import Job, JobWatch, LogEvent
from drs.run.records import CheckResult
from drs.tasks.hook import DrsHook
from drs.tasks.shared_client import shared_client
from drs.times import utc_now
from drs.validation.runner import Validation
from drs.validation.wave_to_check import WaveToCheck


class DrsJobStartedTrigger(AwsBaseWaiterTrigger):
    """Wait until every job has left PENDING.

    :param job_ids: the jobs
    :param waiter_delay: seconds between two looks
    :param waiter_max_attempts: looks at the most
    """

    aws_hook_class = DrsHook

    def __init__(
        self,
        *,
        job_ids: list[str],
        waiter_delay: int = 3,
        waiter_max_attempts: int = 100,
        aws_conn_id: str | None = "aws_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(
            serialized_fields={"job_ids": job_ids},
            waiter_name="job_started",
            waiter_args={"filters": {"jobIDs": job_ids}},
            failure_message="DRS no longer lists the jobs",
            status_message="Jobs still PENDING",
            status_queries=["items[?status=='PENDING'].jobID"],
            return_value=None,
            waiter_delay=waiter_delay,
            waiter_max_attempts=waiter_max_attempts,
            aws_conn_id=aws_conn_id,
            **kwargs,
        )


class _DrsPollTrigger(BaseTrigger):
    """Look at DRS again and again until there is something to tell or the deadline has come.

    :param deadline: when to give up, ISO 8601
    :param fields: the subclass's own parameters, for serialization
    """

    def __init__(
        self,
        *,
        deadline: str,
        fields: Mapping[str, Any],
        aws_conn_id: str | None = "aws_default",
        region_name: str | None = None,
        verify: bool | str | None = None,
        botocore_config: dict[str, Any] | None = None,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.deadline = deadline
        self._fields = dict(fields)
        self._hook_parameters = {
            "aws_conn_id": aws_conn_id,
            "region_name": region_name,
            "verify": verify,
            "botocore_config": botocore_config,
        }

    def serialize(self) -> tuple[str, dict[str, Any]]:
        path = f"{type(self).__module__}.{type(self).__qualname__}"
        return path, {"deadline": self.deadline, **self._fields, **self._hook_parameters}

    @abstractmethod
    async def look(self, client: Any) -> float | None:
        """Look once.

        :return: seconds until the next look; ``None`` when there is something to tell
        """

    async def run(self) -> AsyncIterator[TriggerEvent]:
        deadline = dt.datetime.fromisoformat(self.deadline)
        async with AsyncExitStack() as stack:
            client = None
            while True:
                try:
                    # Opening asks STS, where the connection assumes a role: that may fail like any call.
                    if client is None:
                        client = await stack.enter_async_context(shared_client(self._hook_parameters))
                    pause = await self.look(client)
                except (ClientError, BotoCoreError) as error:
                    if not unavailable(error):
                        # The resumed task meets the same refusal, and explains it.
                        yield TriggerEvent({"status": "error", "message": str(error)})
                        return
                    self.log.warning("DRS did not answer (%s); looking again in 15 s.", error)
                    pause = 15.0
                if pause is None:
                    yield TriggerEvent({"status": "success"})
                    return
                left = (deadline - utc_now()).total_seconds()
                if left <= 0:
                    yield TriggerEvent({"status": "deadline"})
                    return
                await asyncio.sleep(min(pause, left))


class DrsHoldersTrigger(_DrsPollTrigger):
    """Wait until a point in time, or until one of the jobs that hold servers has ended.

    :param deadline: the point in time, ISO 8601
    :param holders: job ids; none waits for the time alone
    :param poll: seconds between two looks at the holders
    """

    def __init__(self, *, holders: list[str], poll: float, **kwargs: Any) -> None:
        super().__init__(fields={"holders": holders, "poll": poll}, **kwargs)
        self.holders = holders
        self.poll = poll

    async def look(self, client: Any) -> float | None:
        if not self.holders:
            return float("inf")
        live = {job.job_id for job in await describe_jobs(client, self.holders) if job.live}
        return None if set(self.holders) - live else self.poll


class DrsJobsEndedTrigger(_DrsPollTrigger):
    """Wait until every job has ended; write DRS's own job log events into the task's log as they happen.

    :param deadline: when to give up, ISO 8601
    :param job_ids: the jobs
    :param near: seconds between two looks when an end is near
    :param far: seconds between two looks when none can be
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
                await self._tell(client, job)
        listed = {job.job_id for job in jobs}
        if listed.issuperset(self.job_ids) and not any(job.live for job in jobs):
            return None
        return self._watch.next_look(jobs)

    async def _tell(self, client: Any, job: Job) -> None:
        for event in self._watch.new_events(job, await job_log(client, job.job_id)):
            self.log.info("%s  %s", job.job_id, event.describe())
        if remark := self._watch.silence(job, utc_now()):
            self.log.warning(remark)
        if not job.live:
            self._ended.add(job.job_id)


async def describe_jobs(client: Any, job_ids: Iterable[str]) -> list[Job]:
    pages = client.get_paginator("describe_jobs").paginate(filters={"jobIDs": list(job_ids)})
    return [Job.from_api(item) async for page in pages for item in page["items"]]


async def job_log(client: Any, job_id: str) -> list[LogEvent]:
    pages = client.get_paginator("describe_job_log_items").paginate(jobID=job_id)
    return [LogEvent.from_api(item) async for page in pages for item in page["items"]]


class DrsValidationTrigger(BaseTrigger):
    """Make the checks of a wave's launched servers, and tell each result in the task's log as it is known.

    The event brings the results; what they mean for the drill is the task's to say.

    :param wave: a :class:`~drs.validation.wave_to_check.WaveToCheck` as JSON
    :param poll: seconds between two looks of one check
    """

    def __init__(
        self,
        *,
        wave: dict[str, Any],
        poll: float,
        aws_conn_id: str | None = "aws_default",
        region_name: str | None = None,
        verify: bool | str | None = None,
        botocore_config: dict[str, Any] | None = None,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.wave = wave
        self.poll = poll
        self._hook_parameters = {
            "aws_conn_id": aws_conn_id,
            "region_name": region_name,
            "verify": verify,
            "botocore_config": botocore_config,
        }

    def serialize(self) -> tuple[str, dict[str, Any]]:
        path = f"{type(self).__module__}.{type(self).__qualname__}"
        return path, {"wave": self.wave, "poll": self.poll, **self._hook_parameters}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        async with self._validation() as validation:
            results = await validation.run()
        yield TriggerEvent(
            {"status": "success", "results": [each.model_dump(mode="json") for each in results]}
        )

    async def look_once(self) -> tuple[CheckResult, ...] | None:
        """The results, if one look of every check decides them all."""
        async with self._validation() as validation:
            return await validation.look_once()

    @asynccontextmanager
    async def _validation(self) -> AsyncIterator[Validation]:
        wave = WaveToCheck.model_validate(self.wave)
        self._names = {server.server_id: server.name for server in wave.servers}
        async with AsyncExitStack() as stack:
            clients = _OpenClients(stack, self._hook_parameters)
            yield Validation(wave, clients, every=self.poll, tell=self._tell, now=utc_now)

    def _tell(self, result: CheckResult) -> None:
        say = self.log.info if result.passed else self.log.warning
        say(
            "%s of %s (%s): %s after %.0f s: %s",
            result.check,
            result.server_id,
            self._names[result.server_id],
            "passed" if result.passed else "FAILED",
            result.seconds,
            result.seen,
        )


class _OpenClients:
    """The shared clients that a validation uses, each opened when a check first asks for it."""

    def __init__(self, stack: AsyncExitStack, parameters: Mapping[str, Any]) -> None:
        self._stack = stack
        self._parameters = parameters
        self._open: dict[str, Any] = {}
        self._lock = asyncio.Lock()

    async def __call__(self, service: str) -> Any:
        async with self._lock:
            if service not in self._open:
                # A command that botocore sent again might run twice.
                client = shared_client(self._parameters, service, repeats=service != "ssm")
                self._open[service] = await self._stack.enter_async_context(client)
            return self._open[service]
