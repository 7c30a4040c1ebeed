"""DRS jobs and their logs as frozen values, and what they show of each server. Pure.

Shapes: DescribeJobs and DescribeJobLogItems in the DRS API reference.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from drs.aws.states import LIVE_JOB, JobStatus, LaunchStatus
from drs.text import shown
from drs.text.times import clock_time, duration

SILENT_AFTER = 600.0
"""Seconds without a log event after which a waiting task notes that a job is silent."""
AT_THE_END = 1.0
"""Seconds between two looks at a job of which only the end is left."""
LOOKS_AT_THE_END = 30
"""How many such looks a job gets. One that has still not ended then is looked at as seldom as any other."""
TERMINATION = dt.timedelta(minutes=2)
"""The age up to which a TERMINATE job may end at any second. In the recorded drills it took 60 s."""
SERVER_ENDED = frozenset({LaunchStatus.LAUNCHED, LaunchStatus.FAILED, LaunchStatus.TERMINATED})


def parse_time(text: str) -> dt.datetime:
    """Read a DRS timestamp; DRS writes both ``...+00:00`` and ``...Z``."""
    return dt.datetime.fromisoformat(text)


@dataclass(frozen=True)
class Participant:
    """One server of a job. ``instance_id`` may be missing although the server was launched."""

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
        """Whether the job holds its servers: then DRS refuses any other call that names them."""
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
    """One entry of a job's log. DRS also writes event names that its model does not list."""

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
            parts.append(f"raw error: {shown.line(self.raw_error)}")
        return "  ".join(parts)


def live_holders(jobs: Iterable[Job], server_ids: Iterable[str]) -> dict[str, Job]:
    """The live job that holds a server, by server id, for the servers that are held."""
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
    """Judge each server of an ended job by its own launch status, because a COMPLETED job proves nothing.

    The instance id comes from the job's participant; if it is missing there, from the job's log; if it is
    missing there too, from the recovery instances that DRS lists.

    :param job: the job, which has ended
    :param events: its log
    :param instances: recovery instance ids that DRS lists, by (job id, source server id)
    :param server_ids: the servers that this run started in the job
    """
    by_server = {participant.server_id: participant for participant in job.participants}
    return [
        _judge_server(
            job,
            server_id,
            by_server.get(server_id),
            [event for event in events if event.server_id == server_id],
            instances.get((job.job_id, server_id)),
        )
        for server_id in server_ids
    ]


def _judge_server(
    job: Job, server_id: str, participant: Participant | None, own: Sequence[LogEvent], listed: str | None
) -> ServerOutcome:
    """Judge one server.

    :param own: the log's events of this server
    :param listed: the recovery instance that DRS lists for it
    """
    named = participant.instance_id if participant else None
    logged = next((event.target_instance_id for event in reversed(own) if event.target_instance_id), None)
    instance_id = named or logged or listed
    status = participant.status if participant else None
    launched = status == LaunchStatus.LAUNCHED and instance_id is not None
    return ServerOutcome(
        server_id=server_id,
        job_id=job.job_id,
        launched=launched,
        instance_id=instance_id,
        finished_at=_finished_at(job, own, launched=launched),
        error=None if launched else _why_not(status, own),
    )


def _finished_at(job: Job, own: Sequence[LogEvent], *, launched: bool) -> dt.datetime | None:
    """When the server's launch ended. The log may be read as it was a minute ago: if it does not show the end
    of a launch that succeeded, the job's end counts, which comes later.
    """
    if launched and (not own or own[-1].event != "LAUNCH_END") and job.ended:
        return job.ended
    return own[-1].at if own else job.ended


def _why_not(status: str | None, own: Sequence[LogEvent]) -> str:
    raw = next((event.raw_error for event in reversed(own) if event.raw_error), None)
    if raw:
        return raw
    last = f"; its last event is {own[-1].event}" if own else "; the job log has no event of this server"
    if status is None:
        return f"the job does not list this server{last}"
    if status == LaunchStatus.LAUNCHED:
        return (
            f"DRS reports LAUNCHED, but the job, its log and DRS's list of instances name no instance{last}"
        )
    return f"launch status {status}, without an error from DRS{last}"


class JobWatch:
    """Remembers what a waiting task has seen of its jobs: which log events are new, and when to look next.

    :param near: seconds between two looks if a job may end soon
    :param far: seconds between two looks if no job can end soon. If nothing is left of a job but its own end,
        the next look comes after :data:`AT_THE_END` seconds at the latest.
    """

    def __init__(self, *, near: float, far: float) -> None:
        self._near = near
        self._far = far
        self._seen: dict[str, set[LogEvent]] = {}
        self._last: dict[str, LogEvent] = {}
        self._noted_at: dict[str, dt.datetime] = {}
        self._launching: set[str] = set()
        self._launched: dict[str, set[str]] = {}
        self._looks_at_the_end: Counter[str] = Counter()

    def new_events(self, job: Job, events: Sequence[LogEvent]) -> list[LogEvent]:
        """The events that were not there at the last look, oldest first."""
        # The events themselves are compared, because DRS may list an earlier event after a later one.
        seen = self._seen.setdefault(job.job_id, set())
        fresh = sorted((event for event in events if event not in seen), key=lambda event: event.at)
        seen.update(fresh)
        if fresh:
            newest = self._last.get(job.job_id, fresh[-1])
            self._last[job.job_id] = max(fresh[-1], newest, key=lambda event: event.at)
            self._noted_at.pop(job.job_id, None)
            if any("LAUNCH" in event.event for event in fresh):
                self._launching.add(job.job_id)
            launched = {event.server_id for event in fresh if event.event == "LAUNCH_END" and event.server_id}
            self._launched.setdefault(job.job_id, set()).update(launched)
        return fresh

    def silence(self, job: Job, now: dt.datetime) -> str | None:
        """A note on a live job that has written no event for :data:`SILENT_AFTER`, once in each such span."""
        if not job.live:
            return None
        last = self._last.get(job.job_id)
        since = last.at if last else job.created
        counted_from = max(since, self._noted_at.get(job.job_id, since))
        if (now - counted_from).total_seconds() < SILENT_AFTER:
            return None
        self._noted_at[job.job_id] = now
        moved = f"{last.event} at {clock_time(last.at)}" if last else "none since the job was created"
        return (
            f"Job {job.job_id} has written no event for {duration((now - since).total_seconds())} "
            f"(last: {moved}). A Windows conversion often writes none for 15 min; a conversion that hangs "
            "writes none at all."
        )

    def next_look(self, jobs: Iterable[Job]) -> float:
        """Seconds until the next look: ``near`` if a job may end soon, else ``far``."""
        live = [job for job in jobs if job.live]
        ending = [job.job_id for job in live if self._only_ends(job)]
        self._looks_at_the_end.update(ending)
        if any(self._looks_at_the_end[job_id] <= LOOKS_AT_THE_END for job_id in ending):
            return min(AT_THE_END, self._near)
        near = any(
            job.status == JobStatus.PENDING
            or job.job_id in self._launching
            or any(p.status != LaunchStatus.PENDING for p in job.participants)
            for job in live
        )
        return self._near if near else self._far

    def _only_ends(self, job: Job) -> bool:
        """Whether every server of the job has launched, failed or been terminated: in the recorded drills the
        job itself ended 2 to 3 s later.
        """
        launched = self._launched.get(job.job_id, frozenset[str]())
        return bool(job.participants) and all(
            each.status in SERVER_ENDED or each.server_id in launched for each in job.participants
        )
