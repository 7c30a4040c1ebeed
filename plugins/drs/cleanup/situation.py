"""What one look at DRS shows of a run's launches, and what follows from it for clean-up. Pure."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from drs.aws.jobs import Job
from drs.run.ownership import unanswered_calls
from drs.run.records import CleanupRecord, InstanceRecord, LaunchRecord, TerminateCall
from drs.run.standing import LISTING_DELAY

SETTLE = dt.timedelta(seconds=90)
"""How long clean-up waits for the job of a call without a reply. A task sends a call within 15 s of its
intent or not at all (:data:`drs.launch.wave_launch.AWAY`), and DRS may list a job up to a minute late."""
TRIES = 2
"""TERMINATE jobs for one instance before it counts as a survivor."""
LOOK_AGAIN = dt.timedelta(seconds=10)
"""How long after a TERMINATE job ended clean-up looks once more: DRS may list a terminated instance a little
longer."""


@dataclass(frozen=True)
class Situation:
    """One look at DRS.

    :param at: when clean-up looked
    :param clock_ahead: how far the worker's clock is ahead of AWS's, by which DRS writes when a job ended
    :param record: the clean-up's record after this look
    :param launches: the run's launch records, one a wave
    :param jobs: every job that DRS lists since the run began, and those that the run recorded
    :param own_launch_jobs: the LAUNCH jobs of this run among them
    :param left: the run's drill instances that DRS still lists
    :param unlisted: job and server of each launch that succeeded, and of which DRS has listed no instance yet
    """

    at: dt.datetime
    record: CleanupRecord
    launches: Sequence[LaunchRecord]
    jobs: Sequence[Job]
    own_launch_jobs: Sequence[Job]
    left: Sequence[InstanceRecord]
    unlisted: Sequence[tuple[str, str]] = ()
    clock_ahead: dt.timedelta = dt.timedelta(0)

    @property
    def live_launch_jobs(self) -> list[Job]:
        return [job for job in self.own_launch_jobs if job.live]

    @property
    def blocking_jobs(self) -> list[Job]:
        """The live jobs to wait for: the run's own, and any job that holds the server of a drill instance
        that is left. DRS would refuse a whole TERMINATE call if one of its servers is held.
        """
        own = {job.job_id for job in self.live_launch_jobs}
        own.update(call.job_id for call in self.record.terminate_calls)
        servers = {item.server_id for item in self.left}
        return [job for job in self.jobs if job.live and (job.job_id in own or job.server_ids & servers)]

    @property
    def due(self) -> list[InstanceRecord]:
        """The instances that are left and that no live job holds or already terminates."""
        blocking = self.blocking_jobs
        held = frozenset[str]().union(*(job.server_ids for job in blocking))
        terminating = _instances_of(self.record.terminate_calls, {job.job_id for job in blocking})
        return [
            item
            for item in self.left
            if item.recovery_instance_id not in terminating and item.server_id not in held
        ]

    @property
    def to_terminate(self) -> list[InstanceRecord]:
        return [item for item in self.due if self._tries(item) < TRIES]

    @property
    def survivors(self) -> list[InstanceRecord]:
        """The due instances that have had all of their TERMINATE jobs."""
        return [item for item in self.due if self._tries(item) >= TRIES]

    @property
    def look_again_at(self) -> dt.datetime | None:
        """When to look once more at a due instance whose TERMINATE job has just ended, or is not listed yet;
        ``None`` if there is no such instance. Before it counts as a survivor, DRS gets more time to stop
        listing it.
        """
        due = {item.recovery_instance_id: item for item in self.due}
        looks = [
            look + self.clock_ahead
            for call in self.record.terminate_calls
            for instance_id in call.instances
            if instance_id in due and (look := self._shown_by(call, self._tries(due[instance_id])))
        ]
        return max((look for look in looks if look > self.at), default=None)

    def _shown_by(self, call: TerminateCall, tries: int) -> dt.datetime | None:
        """When DRS shows for certain what came of a TERMINATE job, by AWS's clock; ``None`` if the job is
        live or unknown.
        """
        job = next((job for job in self.jobs if job.job_id == call.job_id), None)
        if job is None:
            return call.at + LISTING_DELAY if call.at and call.job_id else None
        return job.ended + (LOOK_AGAIN if tries < TRIES else LISTING_DELAY) if job.ended else None

    @property
    def settles_at(self) -> dt.datetime | None:
        """Until when a call may still show its job; ``None`` if there is no such call or its time is over.
        The reply of the call is unknown, or DRS does not list its job yet. The time counts from the beginning
        of clean-up: the call's task may have been alive until then.
        """
        listed = {job.job_id for job in self.jobs}
        unanswered = [call.at for call in unanswered_calls(self.launches)]
        unanswered += [
            call.at
            for launch in self.launches
            for call in launch.calls
            if call.job_id is not None and call.job_id not in listed
        ]
        if not unanswered:
            return None
        settles = max([*unanswered, self.record.started_at]) + SETTLE
        return settles if settles > self.at else None

    @property
    def listed_by(self) -> dt.datetime | None:
        """Until when DRS may list an instance that a job launched and that it has not listed yet; ``None`` if
        there is no such instance or that time is over.
        """
        by = self.record.started_at + LISTING_DELAY
        return by if self.unlisted and by > self.at else None

    def _tries(self, item: InstanceRecord) -> int:
        calls = self.record.terminate_calls[self.record.earlier_calls :]
        return sum(bool(call.job_id) and item.recovery_instance_id in call.instances for call in calls)


def _instances_of(calls: Sequence[TerminateCall], job_ids: Collection[str]) -> set[str]:
    return {instance for call in calls if call.job_id in job_ids for instance in call.instances}
