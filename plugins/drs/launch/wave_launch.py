"""Launches one wave along its timeline, and never launches a server twice.

Before each call the launch writes to the run's ledger which servers it is about to start, and after the call
the job id. A later try that finds such records looks for the run's own jobs before it calls DRS again.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from drs.aws import call_errors
from drs.aws.jobs import Job, live_holders
from drs.errors import ConcurrentJobsLimitExceeded, DrillFailed, DrsUnavailable, RecoveryInstanceExists
from drs.launch.earlier_try import compare
from drs.launch.real_recoveries import find_real_recoveries
from drs.launch.wait_messages import planned_waits, why_paused
from drs.launch.wave_record import WaveRecord
from drs.run.guards import launches_as_drill, refuse_unapproved
from drs.run.ledger import Ledger
from drs.run.log import Log
from drs.run.ownership import JOB_CLOCK_SKEW, find_made_by, job_tags
from drs.run.records import Call, LaunchRecord, ResolvedServer, RunRecord
from drs.run.timeline import THROTTLE_BOUND, CallNow, Finished, ServerSlot, WaitUntil
from drs.times import clock_time, duration, utc_now

if TYPE_CHECKING:
    from drs.aws.calls import DrsCalls


class WaveLaunch:
    """One try at launching a wave.

    :param hook: calls DRS
    :param ledger: the run's records
    :param run: the run
    :param wave: the wave's name
    :param closed: whether clean-up of the run has begun; called before every launch call
    :param log: where people follow the launch
    :param now: the clock
    """

    def __init__(
        self,
        *,
        hook: DrsCalls,
        ledger: Ledger,
        run: RunRecord,
        wave: str,
        closed: Callable[[], bool],
        log: Log,
        now: Callable[[], dt.datetime] = utc_now,
    ) -> None:
        self._hook = hook
        self._ledger = ledger
        self._run = run
        self._wave = wave
        self._closed = closed
        self._log = log
        self._now = now
        self._names: dict[str, str] = {}
        self._snapshots: dict[str, str] = {}
        self._opens_at = now()
        self._record = WaveRecord(ledger, wave, run.read_plan().launch_for(wave), now)

    @property
    def record(self) -> LaunchRecord:
        return self._record.saved

    def begin(self, servers: Sequence[ResolvedServer], opens_at: dt.datetime) -> None:
        """Read this run's record of the wave, or write the first one.

        :param servers: the servers to launch; after preflight was cleared they may differ from the record's
        :param opens_at: when the first of them may be launched
        """
        self._names = {server.server_id: server.name for server in servers}
        self._snapshots = {server.server_id: server.snapshot_id for server in servers if server.snapshot_id}
        self._opens_at = opens_at
        self._record.open(servers, opens_at)

    def reconcile(self) -> None:
        """Compare an earlier try's record with DRS: keep what is launched or live, launch the rest again."""
        due = max(self._now(), self._opens_at)
        for call in self.record.unanswered:
            self._settle(call, self._hook.jobs_since(call.at - JOB_CLOCK_SKEW))
        slots = self._record.timeline.servers
        compared = compare(
            slots,
            jobs={job.job_id: job for job in self._hook.describe_jobs(self.record.jobs)},
            present={
                (str(item.get("jobID")), str(item.get("sourceServerID")))
                for item in self._hook.recovery_instances(slot.server_id for slot in slots)
            },
        )
        for server_id in compared.kept:
            job_id = self._record.timeline.slot(server_id).job_id
            self._log.info("Server %s was started before in %s; it is kept.", self._label(server_id), job_id)
        for server_id, why in compared.lost.items():
            self._log.info("Server %s is launched again: %s.", self._label(server_id), why)
        timeline = self._record.timeline.task_retried(due).relaunched(compared.to_launch, due)
        self._record.move_to(timeline)

    def advance(self) -> WaitUntil | Finished:
        """Make every call that is due.

        :return: what to wait for before the next call of this method, or that every server was started or
            given up
        """
        while True:
            self._release_ended_holders()
            step = self._record.timeline.next_step(self._now())
            if not isinstance(step, CallNow):
                return step
            self._call(step.server_ids)

    def _release_ended_holders(self) -> None:
        timeline = self._record.timeline
        holders = {slot.holder for slot in timeline.servers if slot.waiting and slot.holder}
        if not holders:
            return
        live = {job.job_id for job in self._hook.describe_jobs(holders) if job.live}
        if ended := holders - live:
            self._log.info("The holding job ended: %s. Its servers are tried now.", ", ".join(sorted(ended)))
            self._record.move_to(timeline.released(ended, self._now()))

    # --- one call ---------------------------------------------------------------------------------------

    def _call(self, server_ids: Sequence[str]) -> None:
        refuse_unapproved(self._run, self._ledger, self._wave)
        is_drill = launches_as_drill(self._run, self._ledger)
        if not (server_ids := self._without_real_recoveries(server_ids, is_drill=is_drill)):
            return
        # First write the intent, then check whether clean-up has begun. Clean-up does it the other way round,
        # so that either clean-up sees the intent or this task sees clean-up.
        call = self._record.intend(server_ids)
        if self._closed():
            self._record.answer(call, not_made=True)
            raise DrillFailed(
                f"Clean-up of this run has begun; wave {self._wave} starts no further server.",
                remedy=(
                    "Nothing to fix if somebody ended the run. To launch the wave again, clear this task "
                    "with all tasks after it, 'terminate' included."
                ),
            )
        tags = job_tags(self._run, self._wave) if call.tagged else {}
        try:
            job = self._hook.start_recovery(
                call.servers, tags=tags, is_drill=is_drill, snapshots=self._snapshots
            )
        except (ClientError, BotoCoreError) as error:
            self._refused(call, error)
        else:
            self._started(call, job)

    def _without_real_recoveries(self, server_ids: Sequence[str], *, is_drill: bool) -> Sequence[str]:
        """The servers that may be launched now, because DRS shows no real recovery of them.

        :raises RecoveryInstanceExists: a server that is not optional runs in recovery
        """
        try:
            found = find_real_recoveries(self._hook, server_ids, is_drill=is_drill)
        except (ClientError, BotoCoreError) as error:
            if not call_errors.unavailable(error):
                raise
            self._pause(error, why_paused(error))
            return ()
        if found.starting:
            self._put_back(sorted(found.starting), found.starting, "Not launched yet")
        for server_id, why in found.running.items():
            if not self._record.timeline.slot(server_id).optional:
                raise RecoveryInstanceExists(f"Server {self._label(server_id)} is not launched: {why}.")
            self._record.move_to(self._record.timeline.given_up([server_id], why))
        return [
            server_id
            for server_id in server_ids
            if server_id not in found.starting and server_id not in found.running
        ]

    def _started(self, call: Call, job: Job, *, found: bool = False) -> None:
        servers = [server_id for server_id in call.servers if server_id in job.server_ids] or call.servers
        self._record.answer(call, self._record.timeline.started(servers, job.job_id), job_id=job.job_id)
        # If an earlier call whose reply was lost had made a job of these servers, DRS would have refused this
        # call. So the earlier call made none.
        for earlier in self.record.unanswered:
            if earlier.at < call.at and set(earlier.servers) & set(servers):
                self._record.answer(earlier, not_made=True)
        how = "was found, started by a call whose reply was lost," if found else "started"
        self._log.info("Job %s %s for %s.", job.job_id, how, self._labels(servers))

    def _refused(self, call: Call, error: ClientError | BotoCoreError) -> None:
        """DRS did not answer a call with a job: find out why, then wait or go on where that helps.

        :raises DrillError: neither waiting nor going on helps
        """
        code = call_errors.error_code(error)
        if call_errors.reply_unknown(error):
            if not self._settle(call, self._hook.jobs_since(call.at - JOB_CLOCK_SKEW)):
                self._pause(error, why_paused(error))
            return
        if code == call_errors.CONFLICT:
            self._conflict(call)
            return
        self._record.answer(call, error=code)
        self._wait_or_go_on(call, error)

    def _wait_or_go_on(self, call: Call, error: ClientError | BotoCoreError) -> None:
        code = call_errors.error_code(error)
        if code in call_errors.THROTTLED or call_errors.unreached(error):
            self._pause(error, why_paused(error))
        elif code == call_errors.QUOTA:
            self._out_of_quota(error)
        elif code == call_errors.NOT_FOUND and self._all_optional(call.servers):
            why = f"DRS does not know it ({error})"
            self._record.move_to(self._record.timeline.given_up(call.servers, why))
        elif call.tagged and call_errors.refuses_tags(error):
            self._go_on_without_tags(error)
        else:
            raise call_errors.explain(error, f"to start {self._labels(call.servers)}") or error

    def _all_optional(self, server_ids: Sequence[str]) -> bool:
        return all(self._record.timeline.slot(server_id).optional for server_id in server_ids)

    def _go_on_without_tags(self, error: Exception) -> None:
        self._log.warning(
            "This account refuses tags on DRS jobs (%s). The launch goes on without tags: this run then "
            "recognises its jobs by their servers and time. Allow drs:TagResource to make that certain.",
            error,
        )
        self._record.refuse_tags()

    def _conflict(self, call: Call) -> None:
        """A live job holds some of the servers. It may be this run's own, if an earlier call lost its reply.

        This call was sent once and refused, so it made no job, and a job that looks like its own is somebody
        else's. That is recorded first, because the next call of DRS may fail.
        """
        self._record.answer(call, error=call_errors.CONFLICT)
        live = self._hook.live_jobs()
        for earlier in self.record.unanswered:
            if set(earlier.servers) & set(call.servers) and self._settle(earlier, live):
                return
        holders = live_holders(live, call.servers)
        if not holders:
            self._log.warning(
                "DRS refused the call for %s, though no live job holds any of them.",
                self._labels(call.servers),
            )
        self._put_back(call.servers, holders, "DRS refused the call")
        if holders and (free := [server_id for server_id in call.servers if server_id not in holders]):
            self._log.info("Not held, so started at once: %s.", self._labels(free))

    def _put_back(self, server_ids: Sequence[str], holders: Mapping[str, Job], why: str) -> None:
        """Try servers later, when the jobs that hold them may have ended; servers that no job holds at once.

        :param holders: the live job that holds a server, by server id
        :param why: why they are not launched now, for the log
        """
        timeline = self._record.timeline.refused(server_ids, holders, self._now())
        self._record.move_to(timeline)
        for job in {job.job_id: job for job in holders.values()}.values():
            held = [server_id for server_id, holder in holders.items() if holder.job_id == job.job_id]
            self._log.warning("%s: %s held by %s.", why, self._labels(held), job.describe())
        for slot in timeline.servers:
            if slot.server_id in server_ids and slot.refused_since is not None:
                self._log_refusal(slot)

    def _log_refusal(self, slot: ServerSlot) -> None:
        label = self._label(slot.server_id)
        if slot.given_up:
            self._log.error("Server %s is given up: %s.", label, slot.given_up)
        else:
            self._log.warning("Server %s: %s", label, planned_waits(slot, self._record.timeline))

    def _settle(self, call: Call, jobs: Sequence[Job]) -> bool:
        """Look for the job that a call without a known reply made.

        :return: whether the job was found
        :raises DrsUnavailable: several jobs may be the call's
        """
        found = find_made_by(call, jobs, self._run, self.record.all_job_ids)
        if len(found) == 1:
            self._started(call, found[0], found=True)
            return True
        if found:
            raise DrsUnavailable(
                f"The reply to starting {self._labels(call.servers)} was lost, and {len(found)} jobs would "
                f"fit: {', '.join(job.describe() for job in found)}. Nothing shows which is this run's.",
                remedy=(
                    "Look at these jobs in the DRS console and terminate their instances, then trigger a new "
                    "run."
                ),
                retryable=False,
            )
        return False

    def _pause(self, error: Exception, why: str) -> None:
        """Make no call for a while.

        :raises DrsUnavailable: the pauses have lasted too long
        """
        now = self._now()
        timeline = self._record.timeline.paused(now, why, retry_after=call_errors.retry_after(error))
        self._record.move_to(timeline)
        if timeline.paused_for(now) >= THROTTLE_BOUND:
            raise DrsUnavailable(
                f"{why}, for {duration(timeline.paused_for(now))} now; the last answer was: {error}"
            )
        assert timeline.paused_until is not None
        self._log.warning("%s (%s); next call at %s.", why, error, clock_time(timeline.paused_until))

    def _out_of_quota(self, error: Exception) -> None:
        """Wait until a job has ended.

        :raises ConcurrentJobsLimitExceeded: the wait has lasted too long
        """
        now = self._now()
        timeline = self._record.timeline.paused(now, "quota")
        self._record.move_to(timeline)
        live = self._hook.live_jobs()
        jobs = ", ".join(job.job_id for job in live) or "none that DRS lists"
        if timeline.paused_for(now) >= timeline.conflict_timeout:
            raise ConcurrentJobsLimitExceeded(
                f"DRS's quota is used up ({error}), for {duration(timeline.paused_for(now))} now. "
                f"Jobs in progress: {jobs}."
            )
        assert timeline.paused_until is not None
        self._log.warning(
            "DRS's quota is used up (%s). Jobs in progress (%d): %s. Next call at %s.",
            error,
            len(live),
            jobs,
            clock_time(timeline.paused_until),
        )

    # --- names for messages -----------------------------------------------------------------------------

    def _label(self, server_id: str) -> str:
        return self._labels([server_id])

    def _labels(self, server_ids: Sequence[str]) -> str:
        return ", ".join(
            f"{server_id} ({self._names[server_id]})" if server_id in self._names else server_id
            for server_id in server_ids
        )
