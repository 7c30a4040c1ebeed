"""Compares what an earlier try of a wave launched with what DRS shows now. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from drs.aws.jobs import Job
from drs.aws.states import LaunchStatus
from drs.run.timeline import ServerSlot


@dataclass(frozen=True)
class Comparison:
    """What becomes of each server of the earlier try.

    :param kept: servers whose job is live or left a drill instance
    :param lost: why a server is launched again, as a clause about its job, by server id
    :param not_started: servers that the earlier try did not start
    """

    kept: tuple[str, ...]
    lost: Mapping[str, str]
    not_started: tuple[str, ...]

    @property
    def to_launch(self) -> list[str]:
        return [*self.not_started, *self.lost]


def compare(
    slots: Iterable[ServerSlot], jobs: Mapping[str, Job], present: Collection[tuple[str, str]]
) -> Comparison:
    """Sort the servers of an earlier try.

    :param slots: the servers' slots on the timeline
    :param jobs: the jobs that DRS still knows, by id
    :param present: job id and source server id of each recovery instance that DRS lists
    """
    kept, lost, not_started = [], {}, []
    for slot in slots:
        if slot.job_id is None:
            not_started.append(slot.server_id)
        elif why := _why_lost(slot.job_id, slot.server_id, jobs.get(slot.job_id), present):
            lost[slot.server_id] = why
        else:
            kept.append(slot.server_id)
    return Comparison(kept=tuple(kept), lost=lost, not_started=tuple(not_started))


def _why_lost(
    job_id: str, server_id: str, job: Job | None, present: Collection[tuple[str, str]]
) -> str | None:
    """Why nothing of a server's launch can be kept; ``None`` if its job is live or its instance is there."""
    if job is None:
        return f"job {job_id} is unknown to DRS"
    launched = any(
        participant.server_id == server_id and participant.status == LaunchStatus.LAUNCHED
        for participant in job.participants
    )
    if job.live or (launched and (job_id, server_id) in present):
        return None
    return f"job {job_id} left no instance of it"
