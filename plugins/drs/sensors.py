"""Sensors that hold a wave's gates: its jobs left PENDING; its servers are launched."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow.providers.amazon.aws.sensors.base_aws import AwsBaseSensor
from airflow.providers.amazon.aws.utils.mixins import aws_template_fields

from drs import settings
from drs.drill_task import chosen_wave, coded_failures, hook_parameters, run_ledger, use_target, wait
from drs.errors import JobStartTimeout, JobTimeout, ServerLaunchFailed
from drs.hook import DrsHook
from drs.jobs import Job, ServerOutcome, clock_time, judge, utc_now
from drs.ledger import LaunchRecord, Ledger, RunRecord, ServerRecord, WaveOutcome, WaveResolution
from drs.plan import Launch
from drs.states import JobStatus
from drs.tables import table
from drs.triggers import DrsJobsEndedTrigger, DrsJobStartedTrigger

if TYPE_CHECKING:
    from airflow.sdk import Context


class _WaveSensor(AwsBaseSensor[DrsHook]):
    """Wait for the jobs that this run made for one wave.

    :param wave: the wave's name
    """

    aws_hook_class = DrsHook
    template_fields: Sequence[str] = aws_template_fields()

    def __init__(self, *, wave: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.wave = wave

    def _load(self, context: Context) -> tuple[Ledger, RunRecord, WaveResolution, LaunchRecord]:
        ledger = run_ledger(context)
        run = ledger.run()
        resolution = chosen_wave(ledger, run, self.wave)
        use_target(self, run)
        launch = ledger.launch(self.wave)
        if launch is None:
            raise LookupError(f"Wave {self.wave} has no record of its launch.")
        return ledger, run, resolution, launch


class DrsJobStartedSensor(_WaveSensor):
    """Wait until every job of a wave has left PENDING.

    .. seealso:: https://docs.aws.amazon.com/drs/latest/APIReference/API_DescribeJobs.html

    :param wave: the wave's name
    """

    def execute(self, context: Context) -> None:
        return self.execute_complete(context, None)

    @coded_failures
    def execute_complete(self, context: Context, event: dict[str, Any] | None = None) -> None:
        """Judge the jobs; wait (again) while any of them is PENDING and has time left."""
        ledger, run, _, launch = self._load(context)
        bound = run.read_plan().launch_for(self.wave).start_timeout
        while True:
            jobs = self.hook.describe_jobs(launch.jobs)
            pending = [job for job in jobs if job.status == JobStatus.PENDING]
            if not pending:
                break
            deadline = max(job.created for job in pending) + bound
            left = (deadline - utc_now()).total_seconds()
            if left <= 0:
                raise JobStartTimeout(self._stuck(pending, bound))
            self.log.info("%d of %d jobs are PENDING.", len(pending), len(jobs))
            every = max(1, math.ceil(settings.poll_interval_near()))
            trigger = DrsJobStartedTrigger(
                job_ids=[job.job_id for job in jobs],
                waiter_delay=every,
                waiter_max_attempts=math.ceil(left / every) + 1,
                **hook_parameters(self),
            )
            wait(self, trigger, deadline, resume="execute_complete")
        ledger.save_reached(self.wave, "started", utc_now())
        self.log.info("All %d jobs of wave %s have left PENDING.", len(jobs), self.wave)

    def _stuck(self, pending: Sequence[Job], bound: dt.timedelta) -> str:
        logs = {job.job_id: self.hook.job_log(job.job_id) for job in pending}
        described = "; ".join(
            f"{job.describe()}, servers {', '.join(sorted(job.server_ids))}, last event: "
            f"{logs[job.job_id][-1].describe() if logs[job.job_id] else 'none'}"
            for job in pending
        )
        return (
            f"Wave {self.wave}: {len(pending)} job(s) still PENDING {bound.total_seconds():.0f} s after they "
            f"were made: {described}."
        )


class DrsJobLaunchedSensor(_WaveSensor):
    """Wait until every job of a wave has ended, then judge each server by its own launch status.

    DRS's job log appears in the task's log as it is written. A job that COMPLETED proves nothing: one with a
    FAILED server fails the wave.

    .. seealso:: https://docs.aws.amazon.com/drs/latest/APIReference/API_ParticipatingServer.html

    :param wave: the wave's name
    """

    def execute(self, context: Context) -> list[dict[str, Any]]:
        return self.execute_complete(context, None)

    @coded_failures
    def execute_complete(self, context: Context, event: dict[str, Any] | None = None) -> list[dict[str, Any]]:
        """Judge the servers; wait (again) while any job is live and has time left.

        :return: a record for each server
        """
        ledger, run, resolution, launch = self._load(context)
        settled: Launch = run.read_plan().launch_for(self.wave)
        while True:
            jobs = self.hook.describe_jobs(launch.jobs)
            live = [job for job in jobs if job.live]
            if not live:
                break
            deadline = max(job.created for job in live) + settled.job_timeout
            if utc_now() >= deadline:
                break
            trigger = DrsJobsEndedTrigger(
                job_ids=[job.job_id for job in jobs],
                deadline=deadline.isoformat(),
                near=settings.poll_interval_near(),
                far=settings.poll_interval(),
                **hook_parameters(self),
            )
            wait(self, trigger, deadline, resume="execute_complete")
        outcome = WaveOutcome(servers=tuple(self._judge(jobs, launch, resolution)))
        ledger.save_outcome(self.wave, outcome)
        self._report(outcome, live, settled)
        ledger.save_reached(self.wave, "launched", utc_now())
        return [server.model_dump(mode="json") for server in outcome.servers]

    def _judge(
        self, jobs: Sequence[Job], launch: LaunchRecord, resolution: WaveResolution
    ) -> list[ServerRecord]:
        by_id = {job.job_id: job for job in jobs}
        instances = {
            (str(item.get("jobID")), str(item.get("sourceServerID"))): str(item["recoveryInstanceID"])
            for item in self.hook.recovery_instances(server.server_id for server in resolution.servers)
        }
        outcomes: dict[str, ServerOutcome] = {}
        for job_id, server_ids in launch.jobs.items():
            if job_id in by_id:
                log = self.hook.job_log(job_id)
                judged = judge(by_id[job_id], log, instances, server_ids)
                outcomes |= {outcome.server_id: outcome for outcome in judged}
        records = []
        for server in resolution.servers:
            slot = launch.timeline.slot(server.server_id)
            outcome = outcomes.get(server.server_id)
            job = by_id.get(slot.job_id or "")
            missing = slot.given_up or f"DRS no longer lists its job {slot.job_id}"
            finished = outcome.finished_at if outcome else None
            records.append(
                ServerRecord(
                    server_id=server.server_id,
                    name=server.name,
                    optional=server.optional,
                    job_id=slot.job_id,
                    launched=outcome.launched if outcome else False,
                    instance_id=outcome.instance_id if outcome else None,
                    seconds=(finished - job.created).total_seconds() if finished and job else None,
                    error=outcome.error if outcome else f"not started: {missing}",
                )
            )
        return records

    def _report(self, outcome: WaveOutcome, live: Sequence[Job], settled: Launch) -> None:
        rows = [
            (
                server.server_id,
                server.name,
                "launched"
                if server.launched
                else ("not launched (optional)" if server.optional else "FAILED"),
                server.instance_id or "-",
                f"{server.seconds:.0f} s" if server.seconds is not None else "-",
                server.job_id or "-",
            )
            for server in outcome.servers
        ]
        header = ("server", "name", "launch", "instance", "took", "job")
        self.log.info("Wave %s:\n%s", self.wave, table(header, rows))
        failed = [server for server in outcome.servers if not server.launched]
        for server in failed:
            say = self.log.warning if server.optional else self.log.error
            say("%s (%s) in %s: %s", server.server_id, server.name, server.job_id or "no job", server.error)
        required = [server for server in failed if not server.optional]
        if live and required:
            raise JobTimeout(self._timed_out(live, settled.job_timeout))
        if required:
            why = "; ".join(
                f"{server.server_id} ({server.name}) in job {server.job_id or '-'}: {server.error}"
                for server in required
            )
            raise ServerLaunchFailed(
                f"Wave {self.wave}: {len(required)} of {len(outcome.servers)} servers did not launch. {why}"
            )

    def _timed_out(self, live: Sequence[Job], bound: dt.timedelta) -> str:
        described = []
        for job in live:
            log = self.hook.job_log(job.job_id)
            last = log[-1].describe() if log else "none"
            described.append(f"{job.describe()}, last event: {last}")
        return (
            f"Wave {self.wave}: {len(live)} job(s) had not ended by {clock_time(utc_now())}, "
            f"{bound.total_seconds() / 60:.0f} min after they were made: {'; '.join(described)}."
        )
