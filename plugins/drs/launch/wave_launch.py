"""Launches one wave along its timeline, and never launches a server twice.

What is about to be launched is written to the run's ledger before the call, the job id after it. A try that
finds earlier records looks for its own jobs before it calls again.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from drs.aws import call_errors
from drs.aws.jobs import Job, live_holders
from drs.aws.states import InitiatedBy, LaunchStatus
from drs.errors import ConcurrentJobsLimitExceeded, DrillFailed, DrsUnavailable, RecoveryInstanceExists
from drs.plan import Launch
from drs.run.guards import launches_as_drill, refuse_unapproved
from drs.run.ledger import Ledger
from drs.run.log import Log
from drs.run.ownership import JOB_CLOCK_SKEW, find_made_by, job_tags
from drs.run.records import Call, LaunchRecord, ResolvedServer, RunRecord
from drs.run.timeline import THROTTLE_BOUND, CallNow, Finished, ServerSlot, Timeline, WaitUntil
from drs.times import clock_time, utc_now

if TYPE_CHECKING:
    from drs.aws.calls import DrsCalls


class WaveLaunch:
    """One try at launching a wave.

    :param hook: DRS
    :param ledger: the run's records
    :param run: the run
    :param wave: the wave's name
    :param closed: tells whether clean-up of the run has begun; asked before every call
    :param log: where a person reads along
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
        self._settings: Launch = run.read_plan().launch_for(wave)
        self.record: LaunchRecord = LaunchRecord(timeline=self._timeline((), now()))

    def begin(self, servers: Sequence[ResolvedServer], opens_at: dt.datetime) -> None:
        """Take up this run's record of the wave, or open it.

        :param servers: the servers to launch; a cleared preflight may have resolved others than before
        :param opens_at: when the first of them may be launched
        """
        self._names = {server.server_id: server.name for server in servers}
        self._snapshots = {server.server_id: server.snapshot_id for server in servers if server.snapshot_id}
        self._opens_at = opens_at
        timeline = self._timeline(servers, opens_at)
        existing = self._ledger.launch(self._wave)
        if existing is None:
            self._save(LaunchRecord(timeline=timeline))
            return
        self.record = existing
        known = {slot.server_id: slot for slot in existing.timeline.servers}
        slots = tuple(known.get(slot.server_id, slot) for slot in timeline.servers)
        if slots != existing.timeline.servers:
            timeline = existing.timeline.model_copy(update={"servers": slots})
            self._save(existing.model_copy(update={"timeline": timeline}))

    def reconcile(self) -> None:
        """Compare an earlier try's record with DRS: keep what is launched or live, put back what is not."""
        due = max(self._now(), self._opens_at)
        for call in self.record.unanswered:
            self._settle(call, self._hook.jobs_since(call.at - JOB_CLOCK_SKEW))
        jobs = {job.job_id: job for job in self._hook.describe_jobs(self.record.jobs)}
        present = {
            (item.get("jobID"), item.get("sourceServerID"))
            for item in self._hook.recovery_instances(slot.server_id for slot in self.record.timeline.servers)
        }
        again = []
        for slot in self.record.timeline.servers:
            if slot.job_id is None:
                again.append(slot.server_id)
                continue
            job = jobs.get(slot.job_id)
            if job is not None and (job.live or self._stands(job, slot.server_id, present)):
                self._log.info(
                    "Server %s was started before in %s; it is kept.", self._label(slot), slot.job_id
                )
            else:
                ended = "is unknown to DRS" if job is None else "left no instance of it"
                self._log.info(
                    "Server %s is launched anew: job %s %s.", self._label(slot), slot.job_id, ended
                )
                again.append(slot.server_id)
        timeline = self.record.timeline.task_retried(due).relaunched(again, due)
        self._save(self.record.model_copy(update={"timeline": timeline}))

    def advance(self) -> WaitUntil | Finished:
        """Make every call that is due; say what to wait for next, or that every server has its answer."""
        while True:
            self._release_ended_holders()
            step = self.record.timeline.next_step(self._now())
            if not isinstance(step, CallNow):
                return step
            self._call(step.server_ids)

    # --- one call ---------------------------------------------------------------------------------------

    def _call(self, server_ids: Sequence[str]) -> None:
        refuse_unapproved(self._run, self._ledger, self._wave)
        is_drill = launches_as_drill(self._run, self._ledger)
        if not (server_ids := self._without_real_recoveries(server_ids, is_drill=is_drill)):
            return
        now = self._now()
        tagged = not self.record.tags_refused
        call = Call(at=now, servers=tuple(server_ids), tagged=tagged)
        # The intent is written first and the run's end looked for second: clean-up, which does the same in
        # the other order, then either sees the intent or is seen by this task.
        self._save(
            self.record.model_copy(
                update={"calls": (*self.record.calls, call), "timeline": self.record.timeline.called(now)}
            )
        )
        if self._closed():
            self._answer(call, not_made=True)
            raise DrillFailed(
                f"Clean-up of this run has begun; wave {self._wave} starts no further server.",
                remedy=(
                    "Nothing to mend if the run was ended. To launch the wave again, clear this task with all"
                    " after it, 'terminate' included."
                ),
            )
        tags = job_tags(self._run, self._wave) if tagged else {}
        try:
            job = self._hook.start_recovery(
                call.servers, tags=tags, is_drill=is_drill, snapshots=self._snapshots
            )
        except (ClientError, BotoCoreError) as error:
            self._refused(call, error)
        else:
            self._started(call, job)

    def _without_real_recoveries(self, server_ids: Sequence[str], *, is_drill: bool) -> Sequence[str]:
        """Those of the servers that may be called for now: DRS terminates what a server runs as in recovery.

        Preflight looked too, before approvals, delays and backoffs. A real recovery that is under way holds
        its servers: a drill does not call for them, which DRS would grant in the moment of its end. Jobs are
        looked at first, so that one which ends meanwhile is seen by its instance.

        :raises RecoveryInstanceExists: a server that is not optional runs in recovery
        """
        try:
            live = self._hook.live_jobs() if is_drill else ()
            instances = self._hook.recovery_instances(server_ids)
        except (ClientError, BotoCoreError) as error:
            if not call_errors.unavailable(error):
                raise
            self._pause(error, _why_paused(error))
            return ()
        recoveries = [job for job in live if job.initiated_by == InitiatedBy.START_RECOVERY]
        if holders := live_holders(recoveries, server_ids):
            self._put_back(sorted(holders), holders, "Not called for")
            server_ids = [server_id for server_id in server_ids if server_id not in holders]
        real = {
            item["sourceServerID"]: f"it runs in recovery: {item['recoveryInstanceID']} is no drill's, and "
            "DRS would terminate it when the server is launched"
            for item in instances
            if item.get("isDrill") is not True
        }
        for server_id, why in real.items():
            if not self.record.timeline.slot(server_id).optional:
                raise RecoveryInstanceExists(f"Server {self._labels([server_id])} is not launched: {why}.")
            timeline = self.record.timeline.given_up([server_id], why)
            self._save(self.record.model_copy(update={"timeline": timeline}))
        return [server_id for server_id in server_ids if server_id not in real]

    def _started(self, call: Call, job: Job, *, found: bool = False) -> None:
        servers = [server_id for server_id in call.servers if server_id in job.server_ids] or call.servers
        self._answer(call, self.record.timeline.started(servers, job.job_id), job_id=job.job_id)
        # Had an earlier call, its reply lost, made a job of these servers, DRS would have refused this one.
        for earlier in self.record.unanswered:
            if earlier.at < call.at and set(earlier.servers) & set(servers):
                self._answer(earlier, not_made=True)
        verb = "found, made by a call whose reply was lost" if found else "started"
        self._log.info("Job %s %s for %s.", job.job_id, verb, self._labels(servers))

    def _refused(self, call: Call, error: ClientError | BotoCoreError) -> None:
        code = call_errors.error_code(error)
        if call_errors.reply_unknown(error):
            if not self._settle(call, self._hook.jobs_since(call.at - JOB_CLOCK_SKEW)):
                self._pause(error, _why_paused(error))
            return
        if code == call_errors.CONFLICT:
            self._conflict(call)
            return
        self._answer(call, error=code)
        if code in call_errors.THROTTLED or call_errors.unreached(error):
            self._pause(error, _why_paused(error))
        elif code == call_errors.NOT_FOUND and all(
            self.record.timeline.slot(server_id).optional for server_id in call.servers
        ):
            timeline = self.record.timeline.given_up(call.servers, f"DRS does not know it ({error})")
            self._save(self.record.model_copy(update={"timeline": timeline}))
        elif code == call_errors.QUOTA:
            self._out_of_quota(error)
        elif code in call_errors.DENIED and call.tagged and "TagResource" in str(error):
            self._log.warning(
                "This account refuses tags on DRS jobs (%s). Going on without: this run's jobs are then told "
                "by their servers and time. Allow drs:TagResource to tell them for certain.",
                error,
            )
            self._save(self.record.model_copy(update={"tags_refused": True}))
        else:
            raise call_errors.explain(error, f"to start {self._labels(call.servers)}") or error

    def _conflict(self, call: Call) -> None:
        """A live job holds some of the servers: perhaps our own, of an earlier call whose reply was lost.

        This call went out once and was refused: it has made no job, and one that looks like its own is
        somebody else's. That is written down before DRS is asked anything, which may fail.
        """
        self._answer(call, error=call_errors.CONFLICT)
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
        """Try servers later, when their holders may have ended; those that nobody holds at once."""
        timeline = self.record.timeline.refused(server_ids, holders, self._now())
        self._save(self.record.model_copy(update={"timeline": timeline}))
        for job in {job.job_id: job for job in holders.values()}.values():
            held = [server_id for server_id, holder in holders.items() if holder.job_id == job.job_id]
            self._log.warning("%s: %s held by %s.", why, self._labels(held), job.describe())
        self._log_planned_waits(timeline, [s for s in timeline.servers if s.server_id in set(server_ids)])

    def _log_planned_waits(self, timeline: Timeline, slots: Sequence[ServerSlot]) -> None:
        waits = [f"{span:.0f} s" for span in timeline.conflict_backoff]
        for slot in slots:
            if slot.refused_since is None:
                continue
            until = slot.refused_since + dt.timedelta(seconds=timeline.conflict_timeout)
            if slot.given_up:
                self._log.error("Server %s is given up: %s.", self._label(slot), slot.given_up)
                continue
            self._log.warning(
                "Server %s: refusal %d; next try at %s. Planned waits: %s, then every %s while its holder is "
                "live, until %s at the latest; sooner when the holder ends.",
                self._label(slot),
                slot.refusals,
                clock_time(slot.not_before),
                ", ".join(waits),
                waits[-1],
                clock_time(until),
            )

    def _settle(self, call: Call, jobs: Sequence[Job]) -> bool:
        """Find the job that a call without a known reply made; true when the call is settled by it."""
        taken = self.record.all_job_ids
        found = find_made_by(call, jobs, self._run, taken)
        if len(found) == 1:
            self._started(call, found[0], found=True)
            return True
        if found:
            raise DrsUnavailable(
                f"The reply to starting {self._labels(call.servers)} was lost, and {len(found)} jobs would "
                f"fit: {', '.join(job.describe() for job in found)}. Which is this run's cannot be told.",
                remedy="Look at these jobs in the DRS console, terminate their instances, then trigger anew.",
                retryable=False,
            )
        return False

    def _pause(self, error: Exception, why: str) -> None:
        now = self._now()
        timeline = self.record.timeline.paused(now, why, retry_after=call_errors.retry_after(error))
        self._save(self.record.model_copy(update={"timeline": timeline}))
        if timeline.paused_for(now) >= THROTTLE_BOUND:
            raise DrsUnavailable(
                f"{why}, for {timeline.paused_for(now):.0f} s now; the last answer was: {error}"
            )
        assert timeline.paused_until is not None
        self._log.warning("%s (%s); next call at %s.", why, error, clock_time(timeline.paused_until))

    def _out_of_quota(self, error: Exception) -> None:
        now = self._now()
        timeline = self.record.timeline.paused(now, "quota")
        self._save(self.record.model_copy(update={"timeline": timeline}))
        live = self._hook.live_jobs()
        jobs = ", ".join(job.job_id for job in live) or "none that can be seen"
        if timeline.paused_for(now) >= timeline.conflict_timeout:
            raise ConcurrentJobsLimitExceeded(
                f"DRS's quota is used up ({error}), for {timeline.paused_for(now):.0f} s now. "
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

    # --- the record -------------------------------------------------------------------------------------

    def _release_ended_holders(self) -> None:
        timeline = self.record.timeline
        holders = {slot.holder for slot in timeline.servers if slot.waiting and slot.holder}
        if not holders:
            return
        live = {job.job_id for job in self._hook.describe_jobs(holders) if job.live}
        if ended := holders - live:
            self._log.info("The holding job ended: %s. Its servers are tried now.", ", ".join(sorted(ended)))
            self._save(self.record.model_copy(update={"timeline": timeline.released(ended, self._now())}))

    def _answer(
        self,
        call: Call,
        timeline: Timeline | None = None,
        *,
        job_id: str | None = None,
        error: str | None = None,
        not_made: bool = False,
    ) -> None:
        """Write down how a call ended, and where that leaves the timeline.

        The delay to the next call counts from here: DRS may have seen the call as late as this.
        """
        settled = (timeline or self.record.timeline).called(self._now())
        calls = tuple(
            call.model_copy(update={"job_id": job_id, "error": error, "not_made": not_made})
            if made == call
            else made
            for made in self.record.calls
        )
        self._save(self.record.model_copy(update={"calls": calls, "timeline": settled}))

    def _save(self, record: LaunchRecord) -> None:
        self._ledger.save_launch(self._wave, record)
        self.record = record

    def _timeline(self, servers: Sequence[ResolvedServer], opens_at: dt.datetime) -> Timeline:
        return Timeline(
            jobs=self._settings.jobs,
            server_delay=self._settings.server_delay.total_seconds(),
            conflict_backoff=tuple(span.total_seconds() for span in self._settings.conflict_backoff),
            conflict_timeout=self._settings.conflict_timeout.total_seconds(),
            servers=tuple(
                ServerSlot(server_id=server.server_id, optional=server.optional, not_before=opens_at)
                for server in servers
            ),
        )

    def _stands(self, job: Job, server_id: str, present: set[tuple[object, object]]) -> bool:
        launched = any(
            p.server_id == server_id and p.status == LaunchStatus.LAUNCHED for p in job.participants
        )
        return launched and (job.job_id, server_id) in present

    def _label(self, slot: ServerSlot) -> str:
        return self._labels([slot.server_id])

    def _labels(self, server_ids: Sequence[str]) -> str:
        return ", ".join(
            f"{server_id} ({self._names[server_id]})" if server_id in self._names else server_id
            for server_id in server_ids
        )


def _why_paused(error: Exception) -> str:
    """Why no call is made for a while."""
    if call_errors.error_code(error) in call_errors.THROTTLED:
        return "DRS throttles this account"
    return "DRS cannot be reached" if call_errors.unreached(error) else "DRS gave no usable answer"
