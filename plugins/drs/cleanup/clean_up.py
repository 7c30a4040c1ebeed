"""Terminates what a run launched, and proves that it is gone. Touches nothing else.

Clean-up only ever terminates a recovery instance that DRS marks as a drill and that a job of this run
launched. DRS cannot cancel a job, so clean-up waits for live jobs. If the reply to a launch call was lost,
clean-up first gives the call time to show its job.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from botocore.exceptions import BotoCoreError, ClientError

from drs.aws import call_errors
from drs.aws.calls import DrsCalls, chunks
from drs.aws.jobs import Job
from drs.aws.quotas import MAX_SERVERS_PER_JOB
from drs.cleanup.drill_instances import DescribeEc2
from drs.cleanup.incomplete import incomplete, more_to_come, recorded_launches
from drs.cleanup.look import Look, recorded_jobs
from drs.cleanup.lost import with_losses
from drs.cleanup.prices import cost_listing
from drs.cleanup.situation import LOOK_AGAIN, TRIES, Situation
from drs.errors import AccessDenied, CleanupIncomplete
from drs.run.ledger import Ledger, SupersededError
from drs.run.log import Log
from drs.run.records import CleanupRecord, InstanceRecord, LaunchRecord, RunRecord, TerminateCall
from drs.text import shown
from drs.text.times import clock_time, utc_now

EC2_LOOKS = 9
"""Looks, 10 s apart, after which an instance that EC2 still shows alive counts as a survivor: EC2 may show a
state that is a minute old."""
REFUSED_PAUSE = dt.timedelta(seconds=30)
"""How long clean-up waits after a call that DRS refused or did not answer."""
CLEAR_TERMINATE = "Then clear the task 'terminate'."
TIME_IS_OVER = "the time for clean-up is over"
GONE = frozenset({"terminated"})
GOING = frozenset({"shutting-down"})


@dataclass(frozen=True)
class WaitForJobs:
    """Nothing can be done before one of these jobs ends, or before ``until``."""

    job_ids: tuple[str, ...]
    until: dt.datetime


@dataclass(frozen=True)
class Proven:
    """Clean-up has ended: every instance is gone in DRS and in EC2, or is kept because of a rule or because
    it is a real recovery.
    """


Outcome = WaitForJobs | Proven


class CleanUp:
    """One try at a run's clean-up.

    :param hook: calls DRS
    :param describe_ec2: lists the EC2 instances that match the given filters
    :param ledger: the run's records
    :param run: the run
    :param log: where people follow the clean-up
    :param keep: why a drill's instances are kept; empty if they are terminated
    :param try_number: the try of the task ``terminate`` that this is
    :param now: the clock
    """

    def __init__(
        self,
        *,
        hook: DrsCalls,
        describe_ec2: DescribeEc2,
        ledger: Ledger,
        run: RunRecord,
        log: Log,
        keep: str = "",
        try_number: int = 1,
        now: Callable[[], dt.datetime] = utc_now,
    ) -> None:
        self._hook = hook
        self._ledger = ledger
        self._recorded = ledger.at_once()
        self._run = run
        self._log = log
        self._why_kept = keep
        self._try_number = try_number
        self._now = now
        plan = run.read_plan()
        self._timeout = plan.cleanup.timeout
        self._connection = plan.target.aws_conn_id
        self._waves = [wave.name for wave in plan.waves]
        self._logged: set[str] = set()
        self._live: Sequence[Job] = ()
        self._look = Look(
            hook=hook, describe_ec2=describe_ec2, run=run, save=self._save, note=self._log_once, now=now
        )
        self.record: CleanupRecord = CleanupRecord(started_at=now(), try_number=try_number)

    def begin(self, *, resumed: bool) -> None:
        """Read the record of an earlier clean-up of this run, or write the first one.

        :param resumed: the same try goes on after a wait; otherwise a new try starts, with its whole time. A
            wait may have been that of ``keep_for``, after which only the record of an earlier try is there.
        """
        existing = self._ledger.cleanup()
        if existing is None:
            self._save(self.record)
        elif resumed and existing.try_number == self._try_number:
            self.record = existing
        else:
            self._save(
                existing.model_copy(
                    update={
                        "started_at": self._now(),
                        "try_number": self._try_number,
                        "earlier_calls": len(existing.terminate_calls),
                        "ec2_looks": 0,
                        "proven": False,
                        "kept": False,
                        "why_kept": "",
                        "ended_at": None,
                    }
                )
            )

    def advance(self) -> Outcome:
        """Do what can be done now.

        :return: what to wait for before the next call of this method, or that clean-up has ended
        :raises CleanupIncomplete: an instance survived, or a job is still live when the time is over
        :raises AccessDenied: AWS does not let clean-up see what is left
        """
        # Before each look at DRS: a start_recovery that was frozen may still have added a call.
        self._recorded = self._ledger.at_once()
        try:
            return self._advance()
        except (ClientError, BotoCoreError) as error:
            called = any(launch.calls for launch in self._launches())
            if call_errors.unavailable(error) or (called and call_errors.no_credentials(error)):
                return self._wait_for_aws(error)
            self._raise_explained(error)

    def _advance(self) -> Outcome:
        if not self._run.is_drill:
            return self._leave()
        seen = self._look.drs(self._launches(), self.record)
        self._live = seen.blocking_jobs
        # The first step that decides ends this call; a step that does not apply returns None.
        for step in (
            self._keep,
            self._stop_when_time_is_over,
            self._wait_for_late_listing,
            self._terminate_what_is_due,
            self._report_survivors,
            self._wait_for_lost_replies,
            self._wait_for_unlisted_instances,
        ):
            if (outcome := step(seen)) is not None:
                return outcome
        return self._prove()

    # --- the steps, in their order ----------------------------------------------------------------------

    def _leave(self) -> Proven:
        """A real recovery: nothing is terminated, and DRS is not even called."""
        jobs = sorted(recorded_jobs(self._launches()))
        self._end(jobs=tuple(jobs), kept=True, why_kept="this is a real recovery")
        self._log.warning(
            "This is a real recovery: nothing is terminated. The instances that its %d job(s) launched keep "
            "running: %s",
            len(jobs),
            ", ".join(jobs) or "no job was started",
        )
        return Proven()

    def _keep(self, seen: Situation) -> Outcome | None:
        """If a rule says so, keep the instances, as soon as no job can launch more of them."""
        live = seen.live_launch_jobs
        if not self._why_kept or not (seen.left or live):
            return None
        if live and self._time_is_over():
            raise self._incomplete(TIME_IS_OVER, seen.left, live)
        if live:
            return WaitForJobs(tuple(job.job_id for job in live), self._deadline())
        if waits := [at for at in (seen.settles_at, seen.listed_by) if at]:
            return WaitForJobs((), max(waits))
        self._end(kept=True, why_kept=self._why_kept, left=seen.left)
        self._log.warning(
            "%d drill instance(s) are kept: %s. They cost money until somebody terminates them "
            "(python -m drs cleanup %s), or the next drill of their servers replaces them:\n%s",
            len(seen.left),
            self._why_kept,
            self._run.read_plan().name,
            self._listing(seen.left),
        )
        return Proven()

    def _stop_when_time_is_over(self, seen: Situation) -> Outcome | None:
        """After the deadline clean-up starts nothing more: either everything is gone, or it failed."""
        if not self._time_is_over():
            return None
        if seen.left or seen.live_launch_jobs:
            raise self._incomplete(TIME_IS_OVER, seen.left, seen.blocking_jobs)
        return self._prove()

    def _wait_for_late_listing(self, seen: Situation) -> Outcome | None:
        """Before an instance gets another TERMINATE job, look once more: DRS may have listed it too long."""
        return WaitForJobs((), seen.look_again_at) if seen.look_again_at else None

    def _terminate_what_is_due(self, seen: Situation) -> Outcome | None:
        """Start the TERMINATE jobs that can be started, and wait for these and for the live jobs."""
        ids = [item.recovery_instance_id for item in seen.to_terminate]
        accepted = [self._terminate(batch, seen) for batch in chunks(ids, MAX_SERVERS_PER_JOB)]
        refused = not all(accepted)
        before = {call.job_id for call in seen.record.terminate_calls}
        started = [call.job_id for call in self.record.terminate_calls if call.job_id not in before]
        waiting = [job.job_id for job in seen.blocking_jobs] + [job_id for job_id in started if job_id]
        if live := [job.job_id for job in seen.live_launch_jobs]:
            self._log_once(
                f"Waiting for {len(live)} LAUNCH job(s) of this run to end (DRS cannot cancel a job): "
                f"{', '.join(live)}."
            )
        if waiting or refused:
            until = self._now() + REFUSED_PAUSE if refused else self._deadline()
            return WaitForJobs(tuple(waiting), until)
        return None

    def _report_survivors(self, seen: Situation) -> Outcome | None:
        """Fail if an instance outlived all of its TERMINATE jobs."""
        if seen.survivors:
            raise self._incomplete(
                f"{TRIES} TERMINATE jobs for each instance did not remove all of them",
                seen.left,
                seen.live_launch_jobs,
            )
        return None

    def _wait_for_lost_replies(self, seen: Situation) -> Outcome | None:
        """Give a launch call whose reply was lost the time to show its job."""
        if seen.settles_at is None:
            return None
        self._log_once(
            "The reply to a StartRecovery call is not known, or DRS does not list its job yet; clean-up "
            "looks again for the job."
        )
        return WaitForJobs((), seen.settles_at)

    def _wait_for_unlisted_instances(self, seen: Situation) -> Outcome | None:
        """Give DRS the time to list an instance that a job has launched."""
        if seen.listed_by is None:
            return None
        listed = ", ".join(f"{server_id} (job {job_id})" for job_id, server_id in seen.unlisted)
        self._log_once(
            f"DRS says that these servers were launched and lists no instance of them: {listed}. "
            "Clean-up looks again, because DRS may list an instance late."
        )
        return WaitForJobs((), min(seen.listed_by, self._now() + REFUSED_PAUSE))

    def _prove(self) -> Outcome:
        """DRS lists none of the run's instances any more; check that EC2 agrees."""
        states = self._look.ec2_states(self.record)
        alive = {instance: state for instance, state in states.items() if state not in GONE}
        if not alive:
            self._end(proven=True)
            self._log.info(
                "Clean-up is proven: DRS lists no recovery instance of this run's %d job(s), and EC2 shows "
                "%d instance(s) terminated.",
                len(self.record.jobs),
                len(states),
            )
            if self.record.unsure:
                self._log.error(
                    "The proof does not cover job(s) %s, which may be this run's or somebody else's.",
                    ", ".join(self.record.unsure),
                )
            return Proven()
        going = all(state in GOING for state in alive.values())
        if self._time_is_over() or (not going and self.record.ec2_looks >= EC2_LOOKS):
            listing = ", ".join(f"{instance} ({state})" for instance, state in sorted(alive.items()))
            raise CleanupIncomplete(
                f"DRS lists no instance of this run any more, but EC2 still shows: {listing}.",
                remedy=f"Terminate them: aws ec2 terminate-instances --region "
                f"{self._run.read_plan().target.region} --instance-ids {' '.join(sorted(alive))}",
            )
        self._save(self.record.model_copy(update={"ec2_looks": self.record.ec2_looks + (0 if going else 1)}))
        return WaitForJobs((), min(self._now() + LOOK_AGAIN, self._deadline()))

    def _terminate(self, instance_ids: Sequence[str], seen: Situation) -> bool:
        """Start one TERMINATE job.

        If DRS refuses several instances together, each is tried alone, so that one that cannot be terminated
        now (another job holds it, it is gone, or it fails back) does not keep the others running.

        :return: false if DRS refused the call for now
        """
        self._intend(instance_ids)
        try:
            job = self._hook.terminate_recovery_instances(instance_ids)
        except (ClientError, BotoCoreError) as error:
            if call_errors.certainly_refused(error):
                self._withdraw(instance_ids)
            self._refuse_without_permission(error, seen)
            self._log.warning("DRS refused to terminate %s: %s", ", ".join(instance_ids), shown.line(error))
            for_all = call_errors.unavailable(error) or call_errors.error_code(error) == call_errors.QUOTA
            if len(instance_ids) > 1 and not for_all:
                for instance_id in instance_ids:
                    self._terminate([instance_id], seen)
            return False
        made = TerminateCall(job_id=job.job_id, instances=tuple(instance_ids), at=job.created)
        calls = tuple(
            made if _is_intent(call, instance_ids) else call for call in self.record.terminate_calls
        )
        self._save(self.record.model_copy(update={"terminate_calls": calls}))
        self._log.info(
            "Job %s terminates %d drill instance(s):\n%s",
            job.job_id,
            len(instance_ids),
            self._listing([item for item in seen.left if item.recovery_instance_id in instance_ids]),
        )
        return True

    def _intend(self, instance_ids: Sequence[str]) -> None:
        """Write down which instances are about to be terminated. If the reply is lost, they are not taken for
        instances that somebody else has ended.
        """
        if not any(_is_intent(call, instance_ids) for call in self.record.terminate_calls):
            intent = TerminateCall(instances=tuple(instance_ids), at=self._now() - self._hook.clock_ahead)
            self._save(
                self.record.model_copy(update={"terminate_calls": (*self.record.terminate_calls, intent)})
            )

    def _withdraw(self, instance_ids: Sequence[str]) -> None:
        """Take back an intent that came to nothing. What somebody else ends after it is lost."""
        calls = tuple(call for call in self.record.terminate_calls if not _is_intent(call, instance_ids))
        self._save(self.record.model_copy(update={"terminate_calls": calls}))

    def _refuse_without_permission(self, error: ClientError | BotoCoreError, seen: Situation) -> None:
        """Fail if the role may not terminate instances: waiting does not help."""
        if call_errors.error_code(error) not in call_errors.DENIED:
            return
        explained = call_errors.explain(
            error,
            "to terminate this run's drill instances",
            connection=self._connection,
            then=CLEAR_TERMINATE,
        )
        assert explained is not None
        parts = [explained.message, f"These drill instances still exist:\n{self._listing(seen.left)}"]
        if live := seen.live_launch_jobs:
            parts.append(f"{more_to_come(live)}")
        raise AccessDenied("\n".join(parts), remedy=explained.remedy) from error

    # --- failures ---------------------------------------------------------------------------------------

    def _wait_for_aws(self, error: ClientError | BotoCoreError) -> WaitForJobs:
        """AWS cannot be asked at this moment. Instances cost money and hours are left, so try again.

        What a job launches meanwhile is cleaned up as soon as AWS answers.
        """
        explained = call_errors.explain(error, "what clean-up asked for", connection=self._connection)
        assert explained is not None  # these errors all have a code
        if self._time_is_over():
            raise self._incomplete(
                f"AWS cannot be asked what is left, and {TIME_IS_OVER}: {explained.message.rstrip('.')}",
                self.record.instances,
                self._live,
                unseen=explained.remedy,
            ) from error
        self._log.warning("%s", explained.message)
        self._log.warning(
            "Clean-up looks again every 30 s until %s. What to do: %s",
            clock_time(self._deadline()),
            explained.remedy,
        )
        return WaitForJobs((), self._now() + REFUSED_PAUSE)

    def _raise_explained(self, error: ClientError | BotoCoreError) -> NoReturn:
        """Raise the coded failure for an error of AWS, with what the run launched by its own records."""
        explained = call_errors.explain(
            error, "what clean-up asked for", connection=self._connection, then=CLEAR_TERMINATE
        )
        if explained is None:
            raise error
        launched = recorded_launches(self._recorded, self._waves)
        message = f"{explained.message}\n{launched}" if launched else explained.message
        raise type(explained)(message, remedy=explained.remedy) from error

    def _incomplete(
        self,
        why: str,
        left: Sequence[InstanceRecord],
        live: Sequence[Job] = (),
        *,
        unseen: str = "",
    ) -> CleanupIncomplete:
        """The failure of this clean-up.

        :param unseen: AWS could not be asked, so more may be there than ``left`` and ``live``: what to do
            about that
        """
        region = self._run.read_plan().target.region
        known = (left or live) and not unseen
        launched = "" if known else recorded_launches(self._recorded, self._waves)
        return incomplete(
            why, region=region, left=left, live=live, launched=launched, cause=unseen, now=self._now()
        )

    # --- the record and the log -------------------------------------------------------------------------

    def _launches(self) -> list[LaunchRecord]:
        return [record for wave in self._waves if (record := self._recorded.launch(wave)) is not None]

    def _time_is_over(self) -> bool:
        return self._now() >= self._deadline()

    def _deadline(self) -> dt.datetime:
        return self.record.started_at + self._timeout

    def _listing(self, items: Sequence[InstanceRecord]) -> str:
        return cost_listing(items, self._now())

    def _log_once(self, text: str) -> None:
        if text not in self._logged:
            self._logged.add(text)
            self._log.info(text)

    def _end(self, *, left: Sequence[InstanceRecord] = (), **fields: Any) -> None:
        """Record the end of clean-up, with every instance that the run launched.

        :param left: the instances that are kept
        """
        instances = self.record.instances
        if self._run.is_drill:
            instances = with_losses(self.record, self._recorded, self._run, left)
        self._save(self.record.model_copy(update={**fields, "instances": instances, "ended_at": self._now()}))

    def _save(self, record: CleanupRecord) -> None:
        """Save the record.

        :raises SupersededError: a newer try of the task owns it
        """
        current = self._ledger.cleanup()
        if current is not None and current.try_number > self._try_number:
            raise SupersededError(f"Try {current.try_number} of this task has taken over clean-up.")
        self._ledger.save_cleanup(record)
        self.record = record


def _is_intent(call: TerminateCall, instance_ids: Sequence[str]) -> bool:
    """Whether this is the call for these instances, and DRS has not answered it."""
    return not call.job_id and call.instances == tuple(instance_ids)
