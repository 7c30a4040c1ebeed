"""Terminates what a run launched, and proves it gone. Touches nothing else.

Only a recovery instance that DRS marks as a drill, and whose job this run made, is ever terminated. DRS
cannot cancel a job, so live ones are waited for; a call whose reply is unknown is given time to show its job.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from drs.aws import call_errors
from drs.aws.calls import PAGE, DrsCalls, chunks
from drs.aws.jobs import Job
from drs.aws.quotas import MAX_SERVERS_PER_JOB
from drs.cleanup.drill_instances import DescribeEc2, drill_instances, with_types
from drs.cleanup.prices import cost_listing
from drs.errors import AccessDenied, CleanupIncomplete
from drs.run.ledger import Ledger
from drs.run.log import Log
from drs.run.ownership import CALL_SPAN, own_launch_jobs
from drs.run.records import CleanupRecord, InstanceRecord, LaunchRecord, RunRecord, TerminateCall
from drs.tables import table
from drs.times import utc_now

SETTLE = dt.timedelta(seconds=20)
"""A call that was about to be made when its task was killed has shown its job by then; a killed task lives on
for at most one heartbeat (5 s by default)."""
TRIES = 2
"""TERMINATE jobs for one instance, before it counts as a survivor."""
LOOK_AGAIN = dt.timedelta(seconds=10)
REFUSED_PAUSE = dt.timedelta(seconds=30)
GONE = frozenset({"terminated"})
GOING = frozenset({"shutting-down"})


@dataclass(frozen=True)
class WaitForJobs:
    """Nothing can be done before one of these jobs ends, or before ``until``."""

    job_ids: tuple[str, ...]
    until: dt.datetime


@dataclass(frozen=True)
class Proven:
    """Every instance is gone, in DRS and in EC2; or is kept, by a rule or since it is a real recovery."""


class CleanUp:
    """One try at a run's clean-up.

    :param hook: DRS
    :param describe_ec2: EC2's DescribeInstances reservations flattened, for given filters
    :param ledger: the run's records
    :param run: the run
    :param log: where a person reads along
    :param keep: why a drill's instances are kept; empty where they are terminated
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
        now: Callable[[], dt.datetime] = utc_now,
    ) -> None:
        self._hook = hook
        self._describe_ec2 = describe_ec2
        self._ledger = ledger
        self._run = run
        self._log = log
        self._why_kept = keep
        self._now = now
        plan = run.read_plan()
        self._bound = plan.cleanup.timeout
        self._waves = [wave.name for wave in plan.waves]
        self._remarked: set[str] = set()
        self.record: CleanupRecord = CleanupRecord(started_at=now())

    def begin(self, *, resumed: bool) -> None:
        """Take up the record of this clean-up; a new try has its whole time again."""
        existing = self._ledger.cleanup()
        if existing is None:
            self._save(self.record)
        elif resumed:
            self.record = existing
        else:
            self._save(
                existing.model_copy(
                    update={
                        "started_at": self._now(),
                        "earlier_calls": len(existing.terminate_calls),
                        "ec2_looks": 0,
                        "proven": False,
                        "kept": False,
                        "why_kept": "",
                        "ended_at": None,
                    }
                )
            )

    def advance(self) -> WaitForJobs | Proven:
        """Do what can be done now; say what to wait for, or that the end is proven.

        :raises CleanupIncomplete: an instance survived, or a job is still live at the bound
        :raises AccessDenied: AWS does not let clean-up see what is left
        """
        try:
            return self._advance()
        except (ClientError, BotoCoreError) as error:
            if not call_errors.unavailable(error):
                connection = self._run.read_plan().target.aws_conn_id
                explained = call_errors.explain(error, "what clean-up asked for", connection=connection)
                if explained is None:
                    raise
                message = f"{explained.message}{self._launched()}"
                raise type(explained)(message, remedy=explained.remedy) from error
            # Hours are left, and instances cost money: a DRS that cannot be read for a minute is waited for.
            if self._past_bound():
                why = f"DRS does not answer ({error}), and the time is over"
                raise self._incomplete(self.record.instances, [], why) from error
            self._log.warning("DRS did not answer (%s); looking again in 30 s.", error)
            return WaitForJobs((), self._now() + REFUSED_PAUSE)

    def _advance(self) -> WaitForJobs | Proven:
        launches = self._launches()
        if not self._run.is_drill:
            return self._leave(launches)
        jobs = self._jobs(launches)
        own, remarks = own_launch_jobs(jobs, self._run, launches)
        for remark in remarks:
            self._remark(remark)
        self._account_for(own, launches)
        left = self._instances(launches, own)
        if self._why_kept and (left or any(job.live for job in own)):
            return self._keep(own, left, launches)
        live_launches = [job for job in own if job.live]
        calls = self.record.terminate_calls
        blocking = self._blocking(jobs, live_launches, left)
        if self._past_bound():
            if left or live_launches:
                raise self._incomplete(left, blocking, "the time for clean-up is over")
            return self._prove()
        held = frozenset().union(*(job.server_ids for job in blocking))
        blocking_ids = [job.job_id for job in blocking]
        going = {instance for call in calls if call.job_id in blocking_ids for instance in call.instances}
        due = [item for item in left if item.recovery_instance_id not in going and item.server_id not in held]
        tried_out = [item for item in due if self._tries(item) >= TRIES]
        if again := self._look_again_at(due, jobs):
            return WaitForJobs((), again)
        refused = False
        for batch in chunks(
            [item.recovery_instance_id for item in due if item not in tried_out], MAX_SERVERS_PER_JOB
        ):
            refused = not self._terminate(batch, left) or refused
        waiting = blocking_ids + [call.job_id for call in self.record.terminate_calls[len(calls) :]]
        if waiting:
            if live_launches:
                self._remark(
                    f"Waiting for {len(live_launches)} LAUNCH job(s) of this run to end (DRS cannot cancel a "
                    f"job): {', '.join(job.job_id for job in live_launches)}."
                )
            return WaitForJobs(tuple(waiting), self._now() + REFUSED_PAUSE if refused else self._deadline())
        if refused:
            return WaitForJobs((), self._now() + REFUSED_PAUSE)
        if tried_out:
            raise self._incomplete(left, [], f"each was given {TRIES} TERMINATE jobs")
        if (settles := self._settles_at(launches)) > self._now():
            self._remark("A StartRecovery call had no reply when its task ended; looking again for its job.")
            return WaitForJobs((), settles)
        return self._prove()

    # --- steps ------------------------------------------------------------------------------------------

    def _terminate(self, instance_ids: Sequence[str], left: Sequence[InstanceRecord]) -> bool:
        """Start one TERMINATE job; false when DRS refuses any of them for now.

        Several that DRS refuses together (a job of somebody else, an instance that is gone or fails back) are
        tried one by one: one must not keep the others running.
        """
        try:
            job = self._hook.terminate_recovery_instances(instance_ids)
        except (ClientError, BotoCoreError) as error:
            code = call_errors.error_code(error)
            if code in call_errors.DENIED:
                explained = call_errors.explain(error, "to terminate this run's drill instances")
                assert explained is not None
                raise AccessDenied(
                    f"{explained.message}\nStill there:\n{self._listing(left)}", remedy=explained.remedy
                ) from error
            self._log.warning("DRS refused to terminate %s: %s", ", ".join(instance_ids), error)
            if len(instance_ids) > 1 and not (call_errors.unavailable(error) or code == call_errors.QUOTA):
                for instance_id in instance_ids:
                    self._terminate([instance_id], left)
            return False
        call = TerminateCall(job_id=job.job_id, instances=tuple(instance_ids))
        self._save(self.record.model_copy(update={"terminate_calls": (*self.record.terminate_calls, call)}))
        self._log.info(
            "Job %s terminates %d drill instance(s):\n%s",
            job.job_id,
            len(instance_ids),
            self._listing([item for item in left if item.recovery_instance_id in instance_ids]),
        )
        return True

    def _leave(self, launches: Sequence[LaunchRecord]) -> Proven:
        """End a real recovery: DRS is not even asked, so that nothing can come to an end here."""
        jobs = sorted(frozenset[str]().union(*(launch.all_job_ids for launch in launches)))
        self._end(jobs=tuple(jobs), kept=True, why_kept="this is a real recovery")
        self._log.warning(
            "This is a real recovery: nothing is terminated. What its %d job(s) launched goes on running: %s",
            len(jobs),
            ", ".join(jobs) or "none was made",
        )
        return Proven()

    def _keep(
        self, own: Sequence[Job], left: Sequence[InstanceRecord], launches: Sequence[LaunchRecord]
    ) -> WaitForJobs | Proven:
        if live := [job.job_id for job in own if job.live]:
            if self._past_bound():
                raise self._incomplete(
                    left, [job for job in own if job.live], "the time for clean-up is over"
                )
            return WaitForJobs(tuple(live), self._deadline())
        if (settles := self._settles_at(launches)) > self._now():
            return WaitForJobs((), settles)
        self._end(kept=True, why_kept=self._why_kept)
        self._log.warning(
            "%d drill instance(s) are kept: %s. They cost money until somebody terminates them "
            "(python -m drs cleanup %s), or the next drill of their servers replaces them:\n%s",
            len(left),
            self._why_kept,
            self._run.read_plan().name,
            self._listing(left),
        )
        return Proven()

    def _prove(self) -> WaitForJobs | Proven:
        """DRS lists none of the run's instances any more; see that EC2 agrees."""
        states = self._ec2_states()
        alive = {instance: state for instance, state in states.items() if state not in GONE}
        if not alive:
            self._end(proven=True)
            self._log.info(
                "Clean-up is proven: DRS lists no recovery instance of this run's %d job(s), and EC2 shows "
                "%d instance(s) terminated.",
                len(self.record.jobs),
                len(states),
            )
            return Proven()
        going = all(state in GOING for state in alive.values())
        if self._past_bound() or (not going and self.record.ec2_looks >= TRIES):
            listing = ", ".join(f"{instance} ({state})" for instance, state in sorted(alive.items()))
            raise CleanupIncomplete(
                f"DRS lists no instance of this run any more, but EC2 still shows: {listing}.",
                remedy=f"Terminate them: aws ec2 terminate-instances --region "
                f"{self._run.read_plan().target.region} --instance-ids {' '.join(sorted(alive))}",
            )
        self._save(self.record.model_copy(update={"ec2_looks": self.record.ec2_looks + (0 if going else 1)}))
        return WaitForJobs((), min(self._now() + LOOK_AGAIN, self._deadline()))

    # --- what there is ----------------------------------------------------------------------------------

    def _jobs(self, launches: Sequence[LaunchRecord]) -> list[Job]:
        """Every job since the run began, and those that the run recorded, whatever DRS's clock says."""
        recorded = frozenset[str]().union(*(launch.all_job_ids for launch in launches))
        jobs = {job.job_id: job for job in self._hook.jobs_since(self._run.began_at - CALL_SPAN)}
        missing = recorded - set(jobs)
        return [*jobs.values(), *self._hook.describe_jobs(missing)]

    def _account_for(self, own: Sequence[Job], launches: Sequence[LaunchRecord]) -> None:
        """Write down every job that the proof must cover, also one that DRS no longer lists."""
        recorded = (launch.all_job_ids for launch in launches)
        ids = {job.job_id for job in own}.union(self.record.jobs, *recorded)
        if ids != set(self.record.jobs):
            self._save(self.record.model_copy(update={"jobs": tuple(sorted(ids)), "proven": False}))

    def _look_again_at(self, due: Sequence[InstanceRecord], jobs: Sequence[Job]) -> dt.datetime | None:
        """When to look once more after a TERMINATE job: DRS may list an instance a little longer."""
        ended = {job.job_id: job.ended for job in jobs if job.ended}
        names = {item.recovery_instance_id for item in due}
        looks = [
            at + LOOK_AGAIN
            for call in self.record.terminate_calls
            if names & set(call.instances) and (at := ended.get(call.job_id)) is not None
        ]
        return max((at for at in looks if at > self._now()), default=None)

    def _launches(self) -> list[LaunchRecord]:
        return [record for wave in self._waves if (record := self._ledger.launch(wave)) is not None]

    def _blocking(
        self, jobs: Sequence[Job], launches: Sequence[Job], left: Sequence[InstanceRecord]
    ) -> list[Job]:
        """The live jobs to wait for: the run's own, and anybody's that hold a server of a drill instance. A
        call that names one held server would be refused for all of them.
        """
        own = {job.job_id for job in launches} | {call.job_id for call in self.record.terminate_calls}
        servers = {item.server_id for item in left}
        return [job for job in jobs if job.live and (job.job_id in own or job.server_ids & servers)]

    def _instances(self, launches: Sequence[LaunchRecord], own: Sequence[Job]) -> list[InstanceRecord]:
        """The run's drill instances that DRS lists; each is also written down, to be proven gone later."""
        servers = {server_id for job in own for server_id in job.server_ids}
        servers.update(*(call.servers for launch in launches for call in launch.calls))
        listed = drill_instances(self._hook, servers, self.record.jobs)
        known = {item.recovery_instance_id: item for item in self.record.instances}
        new = [item for item in listed if item.recovery_instance_id not in known]
        if new:
            new, remark = with_types(new, self._describe_ec2)
            if remark:
                self._remark(remark)
            self._save(self.record.model_copy(update={"instances": (*self.record.instances, *new)}))
            known.update({item.recovery_instance_id: item for item in new})
        return [known[item.recovery_instance_id] for item in listed]

    def _ec2_states(self) -> dict[str, str]:
        """EC2's state of every instance of the run: those DRS listed, and those tagged with its jobs."""
        ids = sorted({item.ec2_instance_id for item in self.record.instances})
        states: dict[str, str] = {}
        for name, values in (
            ("instance-id", ids),
            ("tag:drs.amazonaws.com-job", self.record.jobs),
        ):
            for chunk in chunks(values, PAGE):
                for item in self._describe_ec2([{"Name": name, "Values": chunk}]):
                    states[item["InstanceId"]] = item["State"]["Name"]
        return states

    def _settles_at(self, launches: Sequence[LaunchRecord]) -> dt.datetime:
        """Until when a call without a reply may still show its job: its task was alive until about the moment
        at which clean-up began.
        """
        unanswered = [call.at for launch in launches for call in launch.unanswered]
        return max([*unanswered, self.record.started_at]) + SETTLE if unanswered else self._run.began_at

    def _tries(self, item: InstanceRecord) -> int:
        calls = self.record.terminate_calls[self.record.earlier_calls :]
        return sum(item.recovery_instance_id in call.instances for call in calls)

    def _deadline(self) -> dt.datetime:
        return self.record.started_at + self._bound

    def _past_bound(self) -> bool:
        return self._now() >= self._deadline()

    def _incomplete(self, left: Sequence[InstanceRecord], live: Sequence[Job], why: str) -> CleanupIncomplete:
        region = self._run.read_plan().target.region
        parts = [f"Clean-up is incomplete: {why}."]
        if left:
            parts.append(f"{len(left)} drill instance(s) still there, costing money:\n{self._listing(left)}")
        if live:
            parts.append(f"Jobs still live: {'; '.join(job.describe() for job in live)}.")
        if not (left or live) and (launched := self._launched()):
            parts.append(launched.strip())
        ids = " ".join(item.recovery_instance_id for item in left)
        terminate = f": aws drs terminate-recovery-instances --region {region} --recovery-instance-ids {ids}"
        return CleanupIncomplete(
            "\n".join(parts),
            remedy=(
                "Clear the task 'terminate' to try again once the cause is gone (EC2 termination protection "
                "and a job of someone else are the usual ones), or terminate them by hand"
                + (terminate if left else " when the jobs have ended")
            ),
        )

    def _launched(self) -> str:
        """What the run's own records say that it launched, for when AWS does not tell what of it is left."""
        rows = []
        for wave in self._waves:
            launch, outcome = self._ledger.launch(wave), self._ledger.outcome(wave)
            if launch is None:
                continue
            judged = outcome.servers if outcome else ()
            instances = {(server.job_id, server.server_id): server.instance_id for server in judged}
            for call in launch.calls:
                if call.job_id or not call.answered:
                    rows += [
                        (
                            server_id,
                            call.job_id or "no reply",
                            instances.get((call.job_id, server_id)) or "not known",
                        )
                        for server_id in call.servers
                    ]
        if not rows:
            return ""
        return f"\nThis run has launched, by its own records:\n{table(('server', 'job', 'instance'), rows)}"

    def _listing(self, items: Sequence[InstanceRecord]) -> str:
        return cost_listing(items, self._now())

    def _remark(self, text: str) -> None:
        if text not in self._remarked:
            self._remarked.add(text)
            self._log.info(text)

    def _end(self, **fields: Any) -> None:
        self._save(self.record.model_copy(update={**fields, "ended_at": self._now()}))

    def _save(self, record: CleanupRecord) -> None:
        self._ledger.save_cleanup(record)
        self.record = record
