"""Reads what DRS and EC2 show of a run, and writes down what the proof of clean-up has to cover."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Sequence

from drs.aws.calls import PAGE, DrsCalls, chunks
from drs.aws.jobs import Job
from drs.aws.states import LaunchStatus
from drs.cleanup.drill_instances import DescribeEc2, drill_instances, with_types
from drs.cleanup.situation import Situation
from drs.run.ownership import LOOK_BEHIND, own_launch_jobs
from drs.run.records import CleanupRecord, InstanceRecord, LaunchRecord, RunRecord


class Look:
    """Looks at DRS for one run.

    :param hook: calls DRS
    :param describe_ec2: lists the EC2 instances that match the given filters
    :param run: the run
    :param save: saves the clean-up's record; called as soon as there is something new in it
    :param note: logs a sentence for people, once
    :param now: the clock
    """

    def __init__(
        self,
        *,
        hook: DrsCalls,
        describe_ec2: DescribeEc2,
        run: RunRecord,
        save: Callable[[CleanupRecord], None],
        note: Callable[[str], None],
        now: Callable[[], dt.datetime],
    ) -> None:
        self._hook = hook
        self._describe_ec2 = describe_ec2
        self._run = run
        self._save = save
        self._note = note
        self._now = now

    def drs(self, launches: Sequence[LaunchRecord], record: CleanupRecord) -> Situation:
        """What DRS lists of this run now.

        :param launches: the run's launch records, one a wave
        :param record: the clean-up's record so far
        """
        jobs = self._jobs(launches)
        own, unsure = own_launch_jobs(jobs, self._run, launches)
        for note in unsure.values():
            self._note(note)
        record = self._with_jobs(record, own, launches, unsure)
        listed = self._listed(record, own, launches)
        record = self._with_instances(record, listed)
        recorded = {item.recovery_instance_id: item for item in record.instances}
        return Situation(
            at=self._now(),
            record=record,
            launches=launches,
            jobs=jobs,
            own_launch_jobs=own,
            left=[recorded[item.recovery_instance_id] for item in listed],
            unlisted=_unlisted(own, record),
        )

    def ec2_states(self, record: CleanupRecord) -> dict[str, str]:
        """EC2's state of every instance of the run: those that DRS listed, and those tagged with its jobs."""
        ids = sorted({item.ec2_instance_id for item in record.instances})
        states: dict[str, str] = {}
        for name, values in (
            ("instance-id", ids),
            ("tag:drs.amazonaws.com-job", record.jobs),
        ):
            for chunk in chunks(values, PAGE):
                for item in self._describe_ec2([{"Name": name, "Values": chunk}]):
                    states[item["InstanceId"]] = item["State"]["Name"]
        return states

    def _jobs(self, launches: Iterable[LaunchRecord]) -> list[Job]:
        """Every job since the run began, and every job that the run recorded, whatever DRS's clock says."""
        jobs = {job.job_id: job for job in self._hook.jobs_since(self._run.began_at - LOOK_BEHIND)}
        missing = recorded_jobs(launches) - set(jobs)
        return [*jobs.values(), *self._hook.describe_jobs(missing)]

    def _with_jobs(
        self,
        record: CleanupRecord,
        own: Iterable[Job],
        launches: Iterable[LaunchRecord],
        unsure: Iterable[str],
    ) -> CleanupRecord:
        """Write down every job that the proof must cover, including those that DRS no longer lists, and the
        jobs of which it is not certain whether this run started them.
        """
        ids = {job.job_id for job in own} | recorded_jobs(launches) | set(record.jobs)
        doubtful = set(unsure) | set(record.unsure)
        if ids != set(record.jobs) or doubtful != set(record.unsure):
            update = {"jobs": tuple(sorted(ids)), "unsure": tuple(sorted(doubtful - ids)), "proven": False}
            record = record.model_copy(update=update)
            self._save(record)
        return record

    def _listed(
        self, record: CleanupRecord, own: Iterable[Job], launches: Iterable[LaunchRecord]
    ) -> list[InstanceRecord]:
        """The run's drill instances that DRS lists."""
        servers = {server_id for job in own for server_id in job.server_ids}
        servers.update(*(call.servers for launch in launches for call in launch.calls))
        return drill_instances(self._hook, servers, record.jobs)

    def _with_instances(self, record: CleanupRecord, listed: Iterable[InstanceRecord]) -> CleanupRecord:
        """Write down every instance that was not there before, so that it is proven gone later."""
        recorded = {item.recovery_instance_id for item in record.instances}
        new = [item for item in listed if item.recovery_instance_id not in recorded]
        if not new:
            return record
        typed, why_not = with_types(new, self._describe_ec2)
        if why_not:
            self._note(why_not)
        record = record.model_copy(update={"instances": (*record.instances, *typed)})
        self._save(record)
        return record


def _unlisted(own: Iterable[Job], record: CleanupRecord) -> list[tuple[str, str]]:
    """Job and server of each launch that succeeded, and of which clean-up has seen no instance."""
    seen = {(item.job_id, item.server_id) for item in record.instances}
    return [
        (job.job_id, participant.server_id)
        for job in own
        for participant in job.participants
        if participant.status == LaunchStatus.LAUNCHED and (job.job_id, participant.server_id) not in seen
    ]


def recorded_jobs(launches: Iterable[LaunchRecord]) -> frozenset[str]:
    """The ids of all jobs that the run recorded."""
    return frozenset[str]().union(*(launch.all_job_ids for launch in launches))
