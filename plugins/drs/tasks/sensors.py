"""Sensors that open a wave's gates: ``started`` when its jobs have left PENDING, ``launched`` when its
servers are up.
"""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseSensorOperator
from airflow.sdk.exceptions import AirflowSensorTimeout

from drs import settings
from drs.aws.jobs import Job, LogEvent, ServerOutcome, judge, parse_time
from drs.aws.states import JobStatus, LaunchStatus
from drs.errors import AccessDenied, DrillFailed, JobStartTimeout, JobTimeout, ServerLaunchFailed
from drs.explain.wave_report import (
    causes,
    details,
    failed_servers,
    last_event,
    remedy,
    servers_table,
    silence,
)
from drs.plan import Launch
from drs.run.ledger import Ledger
from drs.run.records import LaunchRecord, ServerRecord, WaveOutcome, WaveResolution
from drs.run.standing import LISTING_DELAY
from drs.tasks.aws_task import AwsTask
from drs.tasks.drill_task import chosen_wave, coded_failures, hook_parameters, run_ledger, use_target, wait
from drs.tasks.publish_measures import measure_jobs, measure_start, measure_stuck
from drs.tasks.triggers import DrsHoldersTrigger, DrsJobsEndedTrigger, DrsJobStartedTrigger
from drs.text import shown
from drs.text.times import SEARCH_CLOCK_SKEW, clock_time, duration, utc_now

if TYPE_CHECKING:
    from airflow.sdk import Context

THEN_LAUNCH_AGAIN = (
    "Before clean-up: clear this wave's start_recovery with all tasks after it, which launches again what "
    "did not launch. After clean-up: start a new run."
)
ONCE_ENDED = "Once the job has ended, start a new run."


class _WaveSensor(AwsTask, BaseSensorOperator):
    """Wait for the jobs that this run made for one wave.

    :param wave: the wave's name
    """

    def __init__(self, *, wave: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.wave = wave

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """Look at DRS once more if no triggerer ran until the bound had passed.

        Airflow would fail the task without a retry, although the servers may have been up for long.
        """
        try:
            return super().resume_execution(next_method, next_kwargs, context)
        except AirflowSensorTimeout:
            self.log.warning(
                "No triggerer ran until the time of this wait was over; the task now looks at DRS itself."
            )
            return self.execute(context)

    def _load(self, context: Context) -> tuple[Ledger, Launch, WaveResolution, LaunchRecord]:
        ledger = run_ledger(context)
        run = ledger.run()
        resolution = chosen_wave(ledger, run, self.wave)
        use_target(self, run)
        launch = ledger.launch(self.wave)
        if launch is None:
            raise DrillFailed(
                f"Wave {self.wave} has no record of its launch.",
                remedy="Clear the wave's task 'start_recovery' with all tasks after it.",
            )
        return ledger, run.read_plan().launch_for(self.wave), resolution, launch

    def _handle_early_end(self, event: dict[str, Any] | None, job_ids: Iterable[str] = ()) -> None:
        """Log why the trigger gave up early, and repeat its calls: if AWS refuses them here too, the task
        fails. If AWS refuses only the trigger, pause before the task defers again.

        :param job_ids: the jobs of which the trigger reads the logs
        """
        if event and event.get("status") == "error":
            self.log.warning("The wait ended early: %s", shown.line(event.get("message")))
            for job_id in job_ids:
                self.hook.job_log(job_id)
            time.sleep(settings.poll_interval_near())


def _made_at(job_id: str, jobs: Mapping[str, Job], launch: LaunchRecord) -> dt.datetime:
    """When a job was made, by AWS's clock.

    The call of a job that DRS does not list yet was timed by the clock of another worker. It may be behind.
    """
    return jobs[job_id].created if job_id in jobs else launch.called_at(job_id) + SEARCH_CLOCK_SKEW


def _named_by(servers: Iterable[ServerRecord], jobs: Iterable[Job]) -> dt.datetime | None:
    """When DRS must have named the instances of the servers that it reports as LAUNCHED, by AWS's clock.

    :return: ``None`` if it names all of them
    """
    launched = {
        (job.job_id, each.server_id): job.ended
        for job in jobs
        for each in job.participants
        if each.status == LaunchStatus.LAUNCHED
    }
    unnamed = [each for each in servers if not each.launched]
    ended = [launched.get((each.job_id or "", each.server_id)) for each in unnamed]
    return max((at + LISTING_DELAY for at in ended if at), default=None)


class DrsJobStartedSensor(_WaveSensor):
    """Wait until every job of a wave has left PENDING.

    .. seealso:: https://docs.aws.amazon.com/drs/latest/APIReference/API_DescribeJobs.html

    :param wave: the wave's name
    """

    def execute(self, context: Context) -> None:
        return self.execute_complete(context, None)

    @coded_failures
    def execute_complete(self, context: Context, event: dict[str, Any] | None = None) -> None:
        """Judge the jobs; wait (again) while any of them is PENDING and has time left.

        A job that DRS does not list yet is as good as PENDING.
        """
        ledger, settings_of_wave, resolution, launch = self._load(context)
        bound = settings_of_wave.start_timeout
        while True:
            jobs = {job.job_id: job for job in self.hook.describe_jobs(launch.jobs)}
            pending = {
                job_id: _made_at(job_id, jobs, launch)
                for job_id in launch.jobs
                if job_id not in jobs or jobs[job_id].status == JobStatus.PENDING
            }
            if not pending:
                break
            deadline = max(pending.values()) + bound
            if utc_now() - self.hook.clock_ahead >= deadline:
                measure_stuck(context, ledger, self.wave, pending)
                self._give_up(list(pending), jobs, resolution, launch, bound)
                break
            self.log.info("%d of %d jobs are PENDING.", len(pending), len(launch.jobs))
            self._handle_early_end(event)
            until = deadline + self.hook.clock_ahead
            trigger = DrsJobStartedTrigger(
                job_ids=list(launch.jobs),
                deadline=until.isoformat(),
                near=settings.poll_interval_near(),
                far=settings.poll_interval(),
                **hook_parameters(self),
            )
            event = wait(self, trigger, until, resume="execute_complete")
        reached = utc_now()
        ledger.save_reached(self.wave, "started", reached)
        measure_start(context, ledger, self.wave, launch, reached)
        self.log.info("%d job(s) of wave %s have left PENDING.", len(launch.jobs) - len(pending), self.wave)

    def _give_up(
        self,
        stuck: Sequence[str],
        jobs: Mapping[str, Job],
        resolution: WaveResolution,
        launch: LaunchRecord,
        bound: dt.timedelta,
    ) -> None:
        """Fail the task, unless every server of the stuck jobs is optional."""
        logs = {job_id: self.hook.job_log(job_id) for job_id in stuck if job_id in jobs}
        described = []
        for job_id in stuck:
            what = jobs[job_id].describe() if job_id in jobs else f"{job_id} (not listed by DRS)"
            last = last_event(logs.get(job_id, ()))
            described.append(f"{what}, servers {', '.join(launch.jobs[job_id])}, last event: {last}")
        text = (
            f"Wave {self.wave}: {len(stuck)} job(s) still PENDING {duration(bound.total_seconds())} after "
            f"they were made: {'; '.join(described)}."
        )
        servers = self._pending_servers(resolution, launch, stuck)
        if all(server.optional for server in servers):
            self.log.warning("%s All of their servers are optional: the drill goes on.", text)
            return
        failed = failed_servers(servers, jobs, logs, utc_now())
        raise JobStartTimeout(text, remedy=remedy(failed, ONCE_ENDED), details=details(servers, failed))

    @staticmethod
    def _pending_servers(
        resolution: WaveResolution, launch: LaunchRecord, stuck: Sequence[str]
    ) -> list[ServerRecord]:
        """The servers of the jobs that have not started."""
        names = {server.server_id: server.name for server in resolution.servers}
        return [
            ServerRecord(
                server_id=server_id,
                name=names.get(server_id, server_id),
                optional=launch.timeline.slot(server_id).optional,
                job_id=job_id,
                launched=False,
            )
            for job_id in stuck
            for server_id in launch.jobs[job_id]
        ]


class DrsJobLaunchedSensor(_WaveSensor):
    """Wait until every job of a wave has ended, then judge each server by its own launch status.

    DRS's job log appears in the task's log as it is written. A job that COMPLETED proves nothing: if one of
    its servers is FAILED, the wave fails.

    .. seealso:: https://docs.aws.amazon.com/drs/latest/APIReference/API_ParticipatingServer.html

    :param wave: the wave's name
    """

    def execute(self, context: Context) -> list[dict[str, Any]]:
        return self.execute_complete(context, None)

    @coded_failures
    def execute_complete(self, context: Context, event: dict[str, Any] | None = None) -> list[dict[str, Any]]:
        """Judge the servers; wait (again) while any job is live and has time left, or while DRS has not named
        the instance of a server that it reports as LAUNCHED.

        :return: a record for each server
        """
        ledger, settings_of_wave, resolution, launch = self._load(context)
        while True:
            jobs = self.hook.describe_jobs(launch.jobs)
            live = [job for job in jobs if job.live]
            self._handle_early_end(event, [job.job_id for job in live])
            deadlines = [job.created + settings_of_wave.job_timeout for job in live]
            # A job that DRS does not list yet gets as much time as one that has to start.
            missing = set(launch.jobs) - {job.job_id for job in jobs}
            deadlines += [_made_at(each, {}, launch) + settings_of_wave.start_timeout for each in missing]
            now = utc_now() - self.hook.clock_ahead
            if deadlines and now < max(deadlines):
                until = max(deadlines) + self.hook.clock_ahead
                event = wait(self, self._until_ended(launch, until), until, resume="execute_complete")
                continue
            servers = self._judge(jobs, launch, resolution)
            named_by = _named_by(servers, jobs)
            if named_by is None or now >= named_by:
                break
            self.log.info("DRS reports servers as LAUNCHED and does not name their instances yet.")
            step = dt.timedelta(seconds=settings.poll_interval())
            until = min(now + step, named_by) + self.hook.clock_ahead
            event = wait(self, self._until(until), until, resume="execute_complete")
        if event is None:  # no trigger has logged the events
            self._log_events(jobs, servers)
        outcome = WaveOutcome(servers=tuple(servers))
        before = ledger.outcome(self.wave)
        known = before is not None and before.same_launches(outcome)
        if not known:  # a frozen try that goes on must not make its wave look judged after it was validated
            ledger.save_outcome(self.wave, outcome)
        try:
            self._report(outcome, jobs, live, settings_of_wave)
            if not known or ledger.reached(self.wave, "launched") is None:
                ledger.save_reached(self.wave, "launched", utc_now())
        finally:  # only now: later waves count their delays from the gate
            measure_jobs(context, ledger, self.wave, jobs, outcome)
        return [server.model_dump(mode="json") for server in outcome.servers]

    def _log_events(self, jobs: Sequence[Job], servers: Sequence[ServerRecord]) -> None:
        """Log the events of the jobs, except for those that the failure of this task tells."""
        failed = [server for server in servers if not server.launched]
        fails = any(not server.optional for server in failed)
        told = {server.server_id for server in failed} if fails else set[str]()
        for job in jobs:
            for item in self.hook.job_log(job.job_id):
                if item.server_id not in told:
                    self.log.info("%s  %s", job.job_id, item.describe())

    def _until_ended(self, launch: LaunchRecord, deadline: dt.datetime) -> DrsJobsEndedTrigger:
        return DrsJobsEndedTrigger(
            job_ids=list(launch.jobs),
            deadline=deadline.isoformat(),
            near=settings.poll_interval_near(),
            far=settings.poll_interval(),
            **hook_parameters(self),
        )

    def _until(self, deadline: dt.datetime) -> DrsHoldersTrigger:
        return DrsHoldersTrigger(
            holders=[],
            deadline=deadline.isoformat(),
            poll=settings.poll_interval(),
            **hook_parameters(self),
        )

    def _judge(
        self, jobs: Sequence[Job], launch: LaunchRecord, resolution: WaveResolution
    ) -> list[ServerRecord]:
        by_id = {job.job_id: job for job in jobs}
        listed = {
            (str(item.get("jobID")), str(item.get("sourceServerID"))): item
            for item in self.hook.recovery_instances(server.server_id for server in resolution.servers)
        }
        instances = {launch: str(item["recoveryInstanceID"]) for launch, item in listed.items()}
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
            missing = slot.given_up or (
                f"DRS does not list its job {slot.job_id}"
                if slot.job_id
                else "this run did not request a launch of this server"
            )
            finished = outcome.finished_at if outcome else None
            launched = outcome is not None and outcome.launched
            data_of = listed.get((slot.job_id or "", server.server_id), {}).get("pointInTimeSnapshotDateTime")
            records.append(
                ServerRecord(
                    server_id=server.server_id,
                    name=server.name,
                    optional=server.optional,
                    job_id=slot.job_id,
                    launched=launched,
                    instance_id=outcome.instance_id if outcome else None,
                    seconds=(finished - job.created).total_seconds() if finished and job else None,
                    error=outcome.error if outcome else missing,
                    live=job.live if job else False,
                    requested_at=job.created if job else None,
                    launched_at=finished if launched else None,
                    point_in_time=parse_time(data_of) if data_of else None,
                )
            )
        return records

    def _report(self, outcome: WaveOutcome, jobs: Sequence[Job], live: Sequence[Job], launch: Launch) -> None:
        """Log how the launch of each server ended; fail the task if a required server did not launch."""
        if all(server.launched for server in outcome.servers):
            self._log_servers(outcome)
            return
        logs = {job.job_id: self.hook.job_log(job.job_id) for job in jobs}
        failed = failed_servers(outcome.servers, {job.job_id: job for job in jobs}, logs, utc_now())
        required = [each for each in failed if not each.server.optional]
        if not required:
            self._log_servers(outcome)
            for each in failed:
                self.log.warning("%s: %s", each.where, shown.line(each.raw_error or each.server.error))
                self.log.warning("%s What to do: %s", each.explanation.cause, each.explanation.remedy)
            return
        listed = details(outcome.servers, failed)
        still_live = {job.job_id for job in live}
        if any(each.server.job_id in still_live for each in required):
            what = self._timed_out(live, logs, launch.job_timeout)
            raise JobTimeout(what, remedy=remedy(required, ONCE_ENDED), details=listed)
        what = (
            f"Wave {self.wave}: {len(required)} of {len(outcome.servers)} servers did not launch. "
            f"{causes(required)}"
        )
        denied = any(each.explanation.denied for each in required)
        failure = AccessDenied if denied else ServerLaunchFailed
        raise failure(what, remedy=remedy(required, THEN_LAUNCH_AGAIN), details=listed)

    def _log_servers(self, outcome: WaveOutcome) -> None:
        launched = sum(server.launched for server in outcome.servers)
        self.log.info(
            "Wave %s: %d of %d servers launched.\n%s",
            self.wave,
            launched,
            len(outcome.servers),
            servers_table(outcome.servers),
        )

    def _timed_out(
        self, live: Sequence[Job], logs: Mapping[str, Sequence[LogEvent]], bound: dt.timedelta
    ) -> str:
        described = "; ".join(
            f"{job.describe()}, {silence(job, logs[job.job_id], utc_now())}, "
            f"last event: {last_event(logs[job.job_id])}"
            for job in live
        )
        return (
            f"Wave {self.wave}: {len(live)} job(s) had not ended by {clock_time(utc_now())}, "
            f"{duration(bound.total_seconds())} after they were made: {described}."
        )
