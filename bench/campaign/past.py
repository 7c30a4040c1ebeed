"""What the simulated DRS showed at any earlier moment of a drill: real reads may be behind by a minute."""

from __future__ import annotations

import datetime as dt
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Generic, TypeVar

from simulator.engine.model import Job, JobLogItem, RecoveryInstance
from simulator.engine.service import Service

T = TypeVar("T")


class _Versions(Generic[T]):
    """The versions of one thing, each with the moment since which it was true."""

    def __init__(self) -> None:
        self._since: list[dt.datetime] = []
        self._values: list[T] = []
        self._key: Any = None

    def note(self, key: Any, value: T, now: dt.datetime) -> None:
        self._key = key
        self._since.append(now)
        self._values.append(value)

    def unchanged(self, key: Any) -> bool:
        return bool(self._values) and self._key == key

    def at(self, moment: dt.datetime) -> T | None:
        place = bisect_right(self._since, moment)
        return self._values[place - 1] if place else None


class Past:
    """Remembers jobs and recovery instances.

    :param late: whether any read will ever ask for the past; otherwise nothing is remembered
    """

    def __init__(self, service: Service, *, late: bool) -> None:
        self._service = service
        self._late = late
        self._jobs: dict[str, _Versions[Job]] = {}
        self._instances: _Versions[tuple[RecoveryInstance, ...]] = _Versions()

    def note(self) -> None:
        """Look for what has changed. Called after everything that may change something."""
        if not self._late:
            return
        now = self._service.world.clock.now()
        for job in self._service.jobs.values():
            seen = [(each.launch_status, each.recovery_instance_id) for each in job.participants]
            key = (job.status, job.ended, seen)
            versions = self._jobs.setdefault(job.id, _Versions())
            if not versions.unchanged(key):
                participants = [replace(each) for each in job.participants]
                versions.note(key, replace(job, participants=participants), now)
        ids = tuple(self._service.recovery_instances)
        if not self._instances.unchanged(ids):
            self._instances.note(ids, tuple(self._service.recovery_instances.values()), now)

    def jobs(self, moment: dt.datetime) -> Sequence[Job]:
        """The jobs as they were then."""
        if not self._late:
            return list(self._service.jobs.values())
        found = (versions.at(moment) for versions in self._jobs.values())
        return [job for job in found if job is not None]

    def instances(self, moment: dt.datetime) -> Sequence[RecoveryInstance]:
        """The recovery instances as they were then."""
        if not self._late:
            return list(self._service.recovery_instances.values())
        return self._instances.at(moment) or ()

    def job_log(self, job_id: str, moment: dt.datetime) -> Sequence[JobLogItem]:
        """A job's log as it was then."""
        log = self._service.find_job(job_id).log
        return [item for item in log if item.at <= moment] if self._late else log
