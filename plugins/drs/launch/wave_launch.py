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
from drs.errors import (
    BEFORE_CLEAN_UP,
    ConcurrentJobsLimitExceeded,
    DrillFailed,
    DrsUnavailable,
    RecoveryInstanceExists,
)
from drs.launch.before_call import BeforeCall, WhyHeld, look_before_call
from drs.launch.earlier_try import compare
from drs.launch.wait_messages import planned_waits, why_paused
from drs.launch.wave_record import WaveRecord
from drs.run.guards import launches_as_drill, refuse_unapproved
from drs.run.ledger import Ledger
from drs.run.log import Log
from drs.run.ownership import LOOK_BEHIND, find_made_by, is_own, job_tags
from drs.run.records import Call, LaunchRecord, ResolvedServer, RunRecord
from drs.run.timeline import THROTTLE_BOUND, CallNow, Finished, ServerSlot, WaitUntil
from drs.text import shown
from drs.text.tables import named
from drs.text.times import clock_time, duration, utc_now

if TYPE_CHECKING:
    from drs.aws.calls import DrsCalls


AWAY = dt.timedelta(seconds=15)
"""The longest time between the intent of a call and its send. A process that was away for longer, because its
worker was frozen, looks at everything again before it makes the call. Clean-up waits longer than this for the
job of a call without a reply (:data:`drs.cleanup.situation.SETTLE`).
"""


TIMES_AWAY = 4
"""How often in a row that may happen before the task fails."""


class _NotSentError(Exception):
    """The last check before the send of a call found a reason not to make it.

    :param closed: clean-up of the run has begun
    """

    def __init__(self, *, closed: bool) -> None:
        super().__init__()
        self.closed = closed


class WaveLaunch:
    """One try at launching a wave.

    :param hook: calls DRS
    :param ledger: the run's records
    :param run: the run
    :param wave: the wave's name
    :param closed: whether clean-up of the run has begun; called directly before every launch call
    :param log: where people follow the launch
    :param still_standing: checks, before every launch call, that what the run launched is still there; raises
        :class:`~drs.errors.RecoveryInstanceLost` if not
    :param why_held: why a drill instance of somebody else holds its server
    :param try_number: the try of the wave's task that this is
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
        still_standing: Callable[[], None] = lambda: None,
        why_held: WhyHeld = lambda _: None,
        try_number: int = 1,
        now: Callable[[], dt.datetime] = utc_now,
    ) -> None:
        self._hook = hook
        self._ledger = ledger
        self._run = run
        self._wave = wave
        self._closed = closed
        self._still_standing = still_standing
        self._why_held = why_held
        self._log = log
        self._now = now
        self._names: dict[str, str] = {}
        self._snapshots: dict[str, str] = {}
        self._opens_at = now()
        self._times_away = 0
        self._record = WaveRecord(ledger, wave, run.read_plan().launch_for(wave), try_number, now)

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
        if unanswered := self.record.unanswered:
            jobs = self._jobs_of_run()
            for call in unanswered:
                self._settle(call, jobs)
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
            self._log.info(
                "Server %s was started before, in job %s; that launch is kept.",
                self._label(server_id),
                job_id,
            )
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
        holders = timeline.waits_for(self._now())
        if not holders:
            return
        live = {job.job_id for job in self._hook.describe_jobs(holders) if job.live}
        if ended := holders - live:
            held = any(slot.waiting and slot.holder in ended for slot in timeline.servers)
            then = "the servers that it held are tried now" if held else "DRS's quota has room again"
            self._log.info("Job %s has ended; %s.", ", ".join(sorted(ended)), then)
            self._record.move_to(timeline.released(ended, self._now()))

    # --- one call ---------------------------------------------------------------------------------------

    def _call(self, server_ids: Sequence[str]) -> None:
        refuse_unapproved(self._run, self._ledger, self._wave)
        is_drill = launches_as_drill(self._run, self._ledger)
        if not (server_ids := self._free(server_ids, is_drill=is_drill)):
            return
        # First write the intent, then check whether clean-up has begun. Clean-up does it the other way round,
        # so that either clean-up sees the intent or this task sees clean-up.
        call = self._record.intend(server_ids)
        tags = job_tags(self._run, self._wave) if call.tagged else {}
        try:
            job = self._hook.start_recovery(
                call.servers,
                tags=tags,
                is_drill=is_drill,
                snapshots=self._snapshots,
                last_check=lambda: self._check_before_send(call),
            )
        except _NotSentError as reason:
            self._not_sent(call, closed=reason.closed)
        except (ClientError, BotoCoreError) as error:
            self._refused(call, error)
        else:
            self._times_away = 0
            self._started(call, job)

    def _check_before_send(self, call: Call) -> None:
        """Look once more directly before the request is sent.

        The process may have been frozen since it looked at DRS: then clean-up may have begun, or Airflow may
        have started another try. The clock is looked at last, because the other two looks take time. The
        window that stays is between this check and the first byte on the wire.

        :raises _NotSentError: the call must not be made now
        :raises drs.run.ledger.SupersededError: another try of the task has taken over
        """
        if self._closed():
            raise _NotSentError(closed=True)
        self._record.check_owned()
        if self._now() - call.at > AWAY:
            raise _NotSentError(closed=False)

    def _not_sent(self, call: Call, *, closed: bool) -> None:
        """Record that a call was not made.

        :raises DrillFailed: clean-up of the run has begun
        :raises DrsUnavailable: every try to make a call takes too long
        """
        self._record.answer(call, not_made=True)
        if closed:
            raise DrillFailed(
                f"Clean-up of this run has begun; wave {self._wave} starts no further server.",
                remedy=(
                    "Nothing to fix if somebody ended the run. To launch the wave again, clear this task "
                    "with all tasks after it, 'terminate' included."
                ),
            )
        self._times_away += 1
        if self._times_away >= TIMES_AWAY:
            raise DrsUnavailable(
                f"{TIMES_AWAY} times in a row more than {duration(AWAY.total_seconds())} passed between the "
                f"decision to launch {self._labels(call.servers)} and the moment to send the call.",
                remedy=(
                    "Look at the worker: it is overloaded, or a proxy or STS answers slowly. Then clear this "
                    "task or start a new run."
                ),
            )
        self._log.warning(
            "This process was away for more than %s directly before it was to launch %s. It looks at DRS "
            "again before it makes the call.",
            duration(AWAY.total_seconds()),
            self._labels(call.servers),
        )

    def _free(self, server_ids: Sequence[str], *, is_drill: bool) -> Sequence[str]:
        """The servers that may be launched now: nothing of this run launches them, nobody else holds them,
        and DRS shows no real recovery of them.

        :raises RecoveryInstanceExists: a server that is not optional runs in a real recovery
        :raises drs.errors.RecoveryInstanceLost: an instance that this run launched is not there any more
        """
        try:
            self._still_standing()
            found = look_before_call(
                self._hook,
                server_ids,
                is_drill=is_drill,
                is_own=self._is_own,
                why_held=self._why_held,
                now=self._now(),
            )
            self._adopt(found.own)
            self._settle_earlier(server_ids)
        except (ClientError, BotoCoreError) as error:
            if not call_errors.unavailable(error):
                raise
            self._pause(error, why_paused(error))
            return ()
        server_ids = [each for each in server_ids if self._record.timeline.slot(each).waiting]
        self._keep_away(found)
        taken = {*found.starting, *found.running, *found.held}
        return [server_id for server_id in server_ids if server_id not in taken]

    def _settle_earlier(self, server_ids: Sequence[str]) -> None:
        """Look for the jobs of earlier calls for these servers whose replies were lost. DRS may list them by
        now.

        :raises DrsUnavailable: jobs without tags may be those of a call
        """
        earlier = [call for call in self.record.unanswered if set(call.servers) & set(server_ids)]
        if earlier:
            jobs = self._jobs_of_run()
            for call in earlier:
                self._settle(call, jobs)

    def _keep_away(self, found: BeforeCall) -> None:
        """Put back or give up the servers that others hold or run."""
        others = {server_id: job for server_id, job in found.starting.items() if server_id not in found.own}
        if others:
            self._put_back(sorted(others), others, "Some servers are not launched yet")
        for server_id, why in found.running.items():
            if not self._record.timeline.slot(server_id).optional:
                raise RecoveryInstanceExists(f"Server {self._label(server_id)} is not launched: {why}.")
            self._record.move_to(self._record.timeline.given_up([server_id], why))
        held = {server_id: why for server_id, why in found.held.items() if server_id not in others}
        if held:
            self._record.move_to(self._record.timeline.held(held, self._now()))
            for server_id, why in held.items():
                self._log.warning("Server %s is not launched yet: %s.", self._label(server_id), why)
                self._log_refusal(self._record.timeline.slot(server_id))

    def _is_own(self, job: Job) -> bool:
        return is_own(job, self._run, self.record.all_job_ids)

    def _adopt(self, own: Mapping[str, Job]) -> None:
        """Keep the launch of servers that a job of this run launches, though the record does not say so."""
        for job in {job.job_id: job for job in own.values()}.values():
            servers = [server_id for server_id, each in own.items() if each.job_id == job.job_id]
            self._record.adopt(job, servers)
            self._log.info(
                "Job %s is this run's own and launches %s; that launch is kept, and no other is started.",
                job.describe(),
                self._labels(servers),
            )

    def _jobs_of_run(self) -> list[Job]:
        """Every job since this run began, however the worker's clock and AWS's differ."""
        return self._hook.jobs_since(self._run.began_at - LOOK_BEHIND)

    def _started(self, call: Call, job: Job, *, found: bool = False) -> None:
        servers = [server_id for server_id in call.servers if server_id in job.server_ids] or call.servers
        self._record.answer(call, self._record.timeline.started(servers, job.job_id), job_id=job.job_id)
        # If an earlier call whose reply was lost had made a job of these servers, DRS would have refused this
        # call. So the earlier call made none.
        for earlier in self.record.unanswered:
            if earlier.at < call.at and set(earlier.servers) & set(servers):
                self._record.answer(earlier, not_made=True)
        how = " The reply to the call that started it was lost; the job was found." if found else ""
        self._log.info("Job %s launches %s.%s", job.job_id, self._labels(servers), how)

    def _refused(self, call: Call, error: ClientError | BotoCoreError) -> None:
        """DRS did not answer a call with a job: find out why, then wait or go on where that helps.

        :raises DrillError: neither waiting nor going on helps
        """
        code = call_errors.error_code(error)
        if call_errors.reply_unknown(error):
            if not self._settle(call, self._jobs_of_run()):
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
            why = f"DRS does not know this server ({shown.line(error)})"
            self._record.move_to(self._record.timeline.given_up(call.servers, why))
        elif call.tagged and call_errors.refuses_tags(error):
            self._go_on_without_tags(error)
        else:
            doing, then = f"to start {self._labels(call.servers)}", f"Then, {BEFORE_CLEAN_UP}"
            raise call_errors.explain(error, doing, then=then) or error

    def _all_optional(self, server_ids: Sequence[str]) -> bool:
        return all(self._record.timeline.slot(server_id).optional for server_id in server_ids)

    def _go_on_without_tags(self, error: Exception) -> None:
        self._log.warning(
            "This account refuses tags on DRS jobs (%s). The launch goes on without tags. If the reply to a "
            "call is lost, the run then cannot know its job, and fails. Allow drs:TagResource.",
            shown.line(error),
        )
        self._record.refuse_tags()

    def _conflict(self, call: Call) -> None:
        """A live job holds some of the servers. It may be this run's own, if an earlier call lost its reply.

        This call was sent once and refused, so it made no job. That is recorded first, because the next call
        of DRS may fail. A live job with this run's token is the run's own: of a call whose reply was lost, or
        of a try whose worker was frozen.
        """
        self._record.answer(call, error=call_errors.CONFLICT)
        live = self._hook.live_jobs()
        own = live_holders([job for job in live if self._is_own(job)], call.servers)
        self._adopt(own)
        refused = [server_id for server_id in call.servers if server_id not in own]
        for earlier in self.record.unanswered:
            if set(earlier.servers) & set(refused) and self._settle(earlier, live):
                return
        holders = live_holders(live, refused)
        if refused and not holders and not own:
            self._log.warning(
                "DRS refused the call for %s, though no live job holds any of them.", self._labels(refused)
            )
        if not holders and own:  # this run's own job was the reason, so the others are due now
            return
        self._put_back(refused, holders, "DRS refused the call")
        if holders and (free := [server_id for server_id in refused if server_id not in holders]):
            self._log.info("No job holds these servers, so they are started at once: %s.", self._labels(free))

    def _put_back(self, server_ids: Sequence[str], holders: Mapping[str, Job], why: str) -> None:
        """Try servers later, when the jobs that hold them may have ended; servers that no job holds at once.

        :param holders: the live job that holds a server, by server id
        :param why: why they are not launched now, for the log
        """
        timeline = self._record.timeline.refused(server_ids, holders, self._now())
        self._record.move_to(timeline)
        for job in {job.job_id: job for job in holders.values()}.values():
            held = [server_id for server_id, holder in holders.items() if holder.job_id == job.job_id]
            self._log.warning("%s: job %s holds %s.", why, job.describe(), self._labels(held))
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

        :return: whether the job was found, beyond doubt
        :raises DrsUnavailable: jobs without tags may be the call's
        """
        found = find_made_by(call, jobs, self._run, self.record.all_job_ids)
        if found.certain:
            self._started(call, max(found.certain, key=lambda job: (job.live, job.created)), found=True)
            return True
        if found.possible:
            described = ", ".join(job.describe() for job in found.possible)
            raise DrsUnavailable(
                f"The reply to starting {self._labels(call.servers)} was lost, and this account refuses tags "
                f"on jobs. {len(found.possible)} job(s) without tags would fit: {described}. Nothing shows "
                "whether this run or somebody else started them. So the servers are not launched again, and "
                "the instances of these jobs are not terminated.",
                remedy=(
                    "Look at these jobs in the DRS console. If nobody else started them, terminate their "
                    "instances. Then trigger a new run. Allow drs:TagResource, so that a run recognises its "
                    "jobs."
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
                f"{why}, for {duration(timeline.paused_for(now))} now; the last answer was: "
                f"{shown.line(error)}"
            )
        assert timeline.paused_until is not None
        self._log.warning(
            "%s (%s). The next call is at %s.", why, shown.line(error), clock_time(timeline.paused_until)
        )

    def _out_of_quota(self, error: Exception) -> None:
        """Wait until a job has ended.

        :raises ConcurrentJobsLimitExceeded: the wait has lasted too long
        """
        now = self._now()
        live = self._hook.live_jobs()
        timeline = self._record.timeline.paused(now, "quota", until_one_of=[job.job_id for job in live])
        self._record.move_to(timeline)
        jobs = ", ".join(job.job_id for job in live) or "none that DRS lists"
        if timeline.paused_for(now) >= timeline.conflict_timeout:
            raise ConcurrentJobsLimitExceeded(
                f"DRS's quota is used up ({shown.line(error)}), for {duration(timeline.paused_for(now))} "
                f"now. Jobs in progress: {jobs}."
            )
        assert timeline.paused_until is not None
        self._log.warning(
            "DRS's quota is used up (%s). Jobs in progress (%d): %s. The next call is at %s, or when one of "
            "them has ended.",
            shown.line(error),
            len(live),
            jobs,
            clock_time(timeline.paused_until),
        )

    # --- names for messages -----------------------------------------------------------------------------

    def _label(self, server_id: str) -> str:
        return self._labels([server_id])

    def _labels(self, server_ids: Sequence[str]) -> str:
        return ", ".join(
            named(server_id, self._names[server_id]) if server_id in self._names else server_id
            for server_id in server_ids
        )
