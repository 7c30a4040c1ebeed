"""The values of a drill's metrics, computed from a run's records. Pure."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from drs.aws.jobs import Job
from drs.aws.metrics import CONFLICTS, FAILED_JOBS, JOB_DURATION, JOBS, WAVE_DURATION, Metric
from drs.run.records import Call, ServerRecord


@dataclass(frozen=True, slots=True)
class Value:
    metric: Metric
    value: float


Found = Mapping[str, tuple[Value, ...]]
"""Values by the call or job that they measure. Each of these is measured once."""


def of_calls(calls: Iterable[Call]) -> Found:
    """For each call of a wave whether it met a conflict. Zero is a value too: without it an alarm has no
    data.
    """
    return {
        f"call {call.at.isoformat()}": (Value(CONFLICTS, float(call.error == "ConflictException")),)
        for call in calls
    }


def of_wave(
    calls: Iterable[Call], reached: dt.datetime, server_delay: dt.timedelta, known: frozenset[str]
) -> Found:
    """The time from the first call to the gate ``started``, without the pauses that the plan and DRS
    demanded.

    :param known: what was measured before. If the wave is launched again, only its new calls are measured
    """
    fresh = [call for call in calls if _started(call) not in known]
    if not fresh:
        return {}
    paused = dt.timedelta(0)
    refused: set[str] = set()
    for call, following in pairwise(fresh):
        gap = following.at - call.at
        if not _made_a_job(call):
            refused |= set(call.servers)
        waited_for_a_refusal = not _made_a_job(call) or refused & set(following.servers)
        paused += gap if waited_for_a_refusal else min(gap, server_delay)
    duration = Value(WAVE_DURATION, (reached - fresh[0].at - paused).total_seconds())
    earlier: dict[str, tuple[Value, ...]] = {_started(call): () for call in fresh[:-1]}
    return {**earlier, _started(fresh[-1]): (duration,)}


def of_jobs(jobs: Iterable[Job], servers: Sequence[ServerRecord]) -> Found:
    """How long each judged job took, and whether all of its servers launched.

    A job that did not end in time counts as failed and has no duration.
    """
    found: dict[str, tuple[Value, ...]] = {}
    for job in jobs:
        own = [server for server in servers if server.job_id == job.job_id]
        failed = not all(server.launched for server in own)
        found |= judged(job.job_id, failed=failed)
        if not job.live:
            ends = [server.seconds for server in own if server.seconds is not None]
            seconds = (job.ended - job.created).total_seconds() if job.ended else max(ends, default=0.0)
            found[_job(job.job_id)] += (Value(JOB_DURATION, seconds),)
    return found


def judged(job_id: str, *, failed: bool) -> Found:
    """One job that has ended, or did not end in time: the two counts that make the failure rate."""
    return {_job(job_id): (Value(JOBS, 1.0), Value(FAILED_JOBS, float(failed)))}


def summed(values: Iterable[Value]) -> list[Value]:
    """The values, with the counts of each metric added up. Durations stay separate."""
    counts: dict[Metric, float] = {}
    single = []
    for value in values:
        if value.metric.unit == "Count":
            counts[value.metric] = counts.get(value.metric, 0.0) + value.value
        else:
            single.append(value)
    return [*(Value(metric, total) for metric, total in counts.items()), *single]


def _made_a_job(call: Call) -> bool:
    return call.job_id is not None


def _started(call: Call) -> str:
    return f"started {call.at.isoformat()}"


def _job(job_id: str) -> str:
    return f"job {job_id}"
