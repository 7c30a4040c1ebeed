"""DRS jobs and their logs as frozen values, and what they say about each server. Pure.

Shapes: DescribeJobs and DescribeJobLogItems in the DRS API reference.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from drs.aws.states import LIVE_JOB, JobStatus, LaunchStatus
from drs.times import clock_time


def parse_time(text: str) -> dt.datetime:
    """Read a DRS timestamp; DRS writes both ``...+00:00`` and ``...Z``."""
    return dt.datetime.fromisoformat(text)


@dataclass(frozen=True)
class Participant:
    """One server's part in a job. ``instance_id`` may be missing even when it was launched."""

    server_id: str
    status: str
    instance_id: str | None = None


@dataclass(frozen=True)
class Job:
    """One DRS job."""

    job_id: str
    type: str
    status: str
    initiated_by: str
    created: dt.datetime
    ended: dt.datetime | None
    participants: tuple[Participant, ...]
    tags: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def from_api(cls, item: Mapping[str, Any]) -> Job:
        ended = item.get("endDateTime")
        return cls(
            job_id=item["jobID"],
            type=item.get("type", ""),
            status=item.get("status", ""),
            initiated_by=item.get("initiatedBy", ""),
            created=parse_time(item["creationDateTime"]),
            ended=parse_time(ended) if ended else None,
            participants=tuple(
                Participant(
                    server_id=server["sourceServerID"],
                    status=server.get("launchStatus", LaunchStatus.PENDING),
                    instance_id=server.get("recoveryInstanceID"),
                )
                for server in item.get("participatingServers", ())
                if server.get("sourceServerID")
            ),
            tags=dict(item.get("tags", {})),
        )

    @property
    def live(self) -> bool:
        """A live job holds its servers: any other call that names them is refused."""
        return self.status in LIVE_JOB

    @property
    def server_ids(self) -> frozenset[str]:
        return frozenset(participant.server_id for participant in self.participants)

    def describe(self) -> str:
        """``drsjob-… (LAUNCH by START_DRILL, STARTED, created 10:00:03 UTC)``"""
        return (
            f"{self.job_id} ({self.type} by {self.initiated_by}, {self.status}, "
            f"created {clock_time(self.created)})"
        )


@dataclass(frozen=True)
class LogEvent:
    """One entry of a job's log. Event names are open: DRS writes names that its model does not list."""

    at: dt.datetime
    event: str
    server_id: str | None = None
    target_instance_id: str | None = None
    raw_error: str | None = None

    @classmethod
    def from_api(cls, item: Mapping[str, Any]) -> LogEvent:
        data = item.get("eventData", {})
        return cls(
            at=parse_time(item["logDateTime"]),
            event=item["event"],
            server_id=data.get("sourceServerID"),
            target_instance_id=data.get("targetInstanceID"),
            raw_error=data.get("rawError"),
        )

    def describe(self) -> str:
        """``10:00:03 UTC  s-…  LAUNCH_END  i-…``"""
        parts = [clock_time(self.at), self.server_id or "(job)", self.event]
        if self.target_instance_id:
            parts.append(self.target_instance_id)
        if self.raw_error:
            parts.append(f"raw error: {self.raw_error}")
        return "  ".join(parts)


def live_holders(jobs: Iterable[Job], server_ids: Iterable[str]) -> dict[str, Job]:
    """Which of the servers a live job holds, and by which job."""
    wanted = set(server_ids)
    return {server_id: job for job in jobs if job.live for server_id in sorted(job.server_ids & wanted)}


@dataclass(frozen=True)
class ServerOutcome:
    """How one server's launch ended."""

    server_id: str
    job_id: str
    launched: bool
    instance_id: str | None
    finished_at: dt.datetime | None
    error: str | None


def judge(
    job: Job,
    events: Sequence[LogEvent],
    instances: Mapping[tuple[str, str], str],
    server_ids: Iterable[str],
) -> list[ServerOutcome]:
    """Judge each server of an ended job by its own launch status; a COMPLETED job proves nothing.

    The instance is the participant's own, else the job log's, else the one that DRS lists for this job.

    :param job: the job, ended
    :param events: its log
    :param instances: recovery instance ids that DRS lists, by (job id, source server id)
    :param server_ids: the servers this run started in the job
    """
    by_server = {participant.server_id: participant for participant in job.participants}
    outcomes = []
    for server_id in server_ids:
        participant = by_server.get(server_id)
        own = [event for event in events if event.server_id == server_id]
        logged = next((e.target_instance_id for e in reversed(own) if e.target_instance_id), None)
        instance_id = (
            (participant.instance_id if participant else None)
            or logged
            or instances.get((job.job_id, server_id))
        )
        status = participant.status if participant else None
        launched = status == LaunchStatus.LAUNCHED and instance_id is not None
        outcomes.append(
            ServerOutcome(
                server_id=server_id,
                job_id=job.job_id,
                launched=launched,
                instance_id=instance_id,
                finished_at=own[-1].at if own else job.ended,
                error=None if launched else _why_not(status, own),
            )
        )
    return outcomes


def _why_not(status: str | None, own: Sequence[LogEvent]) -> str:
    raw = next((event.raw_error for event in reversed(own) if event.raw_error), None)
    if raw:
        return raw
    last = f"; its last event is {own[-1].event}" if own else "; the job log names no event of it"
    if status is None:
        return f"the job does not list this server{last}"
    if status == LaunchStatus.LAUNCHED:
        return f"DRS reports LAUNCHED, but neither the job nor its log nor DRS names an instance{last}"
    return f"launch status {status}, without an error from DRS{last}"


class JobWatch:
    """What a waiting task has seen of its jobs: tells new log events from old ones, and when to look next.

    :param near: seconds between two looks when an end is near
    :param far: seconds between two looks when none can be
    :param silent_after: seconds without an event after which a job is remarked on
    """

    def __init__(self, *, near: float, far: float, silent_after: float = 600.0) -> None:
        self.near = near
        self.far = far
        self.silent_after = silent_after
        self._seen: dict[str, set[LogEvent]] = {}
        self._last: dict[str, LogEvent] = {}
        self._remarked_at: dict[str, dt.datetime] = {}
        self._launching: set[str] = set()

    def new_events(self, job: Job, events: Sequence[LogEvent]) -> list[LogEvent]:
        """The events that were not there at the last look, oldest first."""
        # By the events themselves: DRS may list one late that happened before others.
        seen = self._seen.setdefault(job.job_id, set())
        fresh = sorted((event for event in events if event not in seen), key=lambda event: event.at)
        seen.update(fresh)
        if fresh:
            newest = self._last.get(job.job_id, fresh[-1])
            self._last[job.job_id] = max(fresh[-1], newest, key=lambda event: event.at)
            self._remarked_at.pop(job.job_id, None)
            if any("LAUNCH" in event.event for event in fresh):
                self._launching.add(job.job_id)
        return fresh

    def silence(self, job: Job, now: dt.datetime) -> str | None:
        """A remark on a live job whose log has not moved for long; once per such span."""
        if not job.live:
            return None
        last = self._last.get(job.job_id)
        since = last.at if last else job.created
        counted_from = max(since, self._remarked_at.get(job.job_id, since))
        if (now - counted_from).total_seconds() < self.silent_after:
            return None
        self._remarked_at[job.job_id] = now
        moved = f"{last.event} at {clock_time(last.at)}" if last else "none since it was made"
        return (
            f"Job {job.job_id} has written no event for {(now - since).total_seconds() / 60:.0f} min "
            f"(last: {moved}). A Windows conversion is commonly silent for 15 min; a hung one stays so."
        )

    def next_look(self, jobs: Iterable[Job]) -> float:
        """Seconds until the next look: seldom while no server can be done, often near an end."""
        near = any(
            job.live
            and (
                job.status == JobStatus.PENDING
                or job.job_id in self._launching
                or any(p.status != LaunchStatus.PENDING for p in job.participants)
            )
            for job in jobs
        )
        return self.near if near else self.far
