"""Which DRS jobs this run started: those that its record names, and those that carry its tag. Pure.

In an account that refuses tags, a job that fits a call without a known reply is a guess. A guess keeps the
run from launching the servers a second time, and is never terminated.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from drs.aws.jobs import Job
from drs.aws.states import InitiatedBy, JobType
from drs.run.records import Call, LaunchRecord, RunRecord
from drs.text.times import SEARCH_CLOCK_SKEW

RUN_TAG = "drs-drills:run"
WAVE_TAG = "drs-drills:wave"
DAG_TAG = "drs-drills:dag"
RUN_ID_TAG = "drs-drills:dag-run"
INSTALLATION_TAG = "drs-drills:installation"
"""The id of the Airflow installation: several may work in one account."""

LOOK_BEHIND = dt.timedelta(minutes=15)
"""How far before its beginning a run looks for its jobs. The clock of the worker that recorded the beginning
may be minutes ahead of AWS's. Looking too far back costs nothing: a job is recognised by its token.
"""
CALL_SPAN = dt.timedelta(minutes=10)
"""How long after its intent was written a call may still make its job, including botocore's own retries."""


def job_tags(run: RunRecord, wave: str) -> dict[str, str]:
    """The tags of a job of this run: its token, and the wave and the run for people in the DRS console."""
    tags = {
        RUN_TAG: run.token,
        WAVE_TAG: wave,
        DAG_TAG: run.dag_id,
        RUN_ID_TAG: tag_value(run.run_id),
    }
    return {**tags, INSTALLATION_TAG: run.installation} if run.installation else tags


def own_tagged(job: Job, run: RunRecord) -> bool:
    """Whether the job carries this run's token."""
    return job.tags.get(RUN_TAG) == run.token


def is_own(job: Job, run: RunRecord, recorded: Collection[str]) -> bool:
    """Whether it is certain that this run started the LAUNCH job: it carries the run's token, or the run
    recorded it.
    """
    return job.type == JobType.LAUNCH and (own_tagged(job, run) or job.job_id in recorded)


@dataclass(frozen=True)
class MadeBy:
    """The jobs that a call without a known reply made, or may have made.

    :param certain: they carry the run's token, so the call made them
    :param possible: they carry no tags, and fit the call by type, servers and time: perhaps the call made one
        of them, perhaps somebody else did
    """

    certain: tuple[Job, ...] = ()
    possible: tuple[Job, ...] = ()


def find_made_by(call: Call, jobs: Iterable[Job], run: RunRecord, taken: Collection[str]) -> MadeBy:
    """Look for the job of a call without a known reply.

    :param jobs: the jobs that DRS lists
    :param taken: ids of jobs that other calls of the run are known to have made
    """
    candidates = [job for job in jobs if job.job_id not in taken and job.type == JobType.LAUNCH]
    certain = [job for job in candidates if own_tagged(job, run) and job.server_ids <= set(call.servers)]
    if certain:
        return MadeBy(certain=tuple(certain))
    return MadeBy(possible=tuple(job for job in candidates if fits(job, call, run)))


def fits(job: Job, call: Call, run: RunRecord) -> bool:
    """Whether an untagged call would have made this untagged job: it is a drill (or a recovery, if the run is
    one) of exactly the call's servers, and DRS created it within the call's time, whatever the clocks say.
    """
    initiated_by = InitiatedBy.START_DRILL if run.is_drill else InitiatedBy.START_RECOVERY
    return (
        not call.tagged
        and RUN_TAG not in job.tags
        and job.type == JobType.LAUNCH
        and job.initiated_by == initiated_by
        and job.server_ids == frozenset(call.servers)
        and call.at - SEARCH_CLOCK_SKEW <= job.created <= call.at + CALL_SPAN + SEARCH_CLOCK_SKEW
    )


def own_launch_jobs(
    jobs: Iterable[Job], run: RunRecord, launches: Iterable[LaunchRecord]
) -> tuple[list[Job], dict[str, str]]:
    """Every LAUNCH job that this run certainly started; and the jobs that it may have started, each with a
    sentence that says why that is not certain.

    :param jobs: the jobs that DRS lists since the run began
    :param launches: the run's launch records, one a wave
    """
    listed = [job for job in jobs if job.type == JobType.LAUNCH]
    records = list(launches)
    recorded = frozenset[str]().union(*(record.all_job_ids for record in records))
    own = [job for job in listed if is_own(job, run, recorded)]
    taken = {job.job_id for job in own}
    unsure = {}
    for call in unanswered_calls(records):
        for job in find_made_by(call, listed, run, taken).possible:
            unsure[job.job_id] = _unsure(call, job)
    return own, unsure


def unanswered_calls(launches: Iterable[LaunchRecord]) -> list[Call]:
    """The calls of these waves whose reply is unknown."""
    return [call for launch in launches for call in launch.unanswered]


def _unsure(call: Call, job: Job) -> str:
    return (
        f"The reply to StartRecovery of {', '.join(call.servers)} was lost, and this account refuses tags on "
        f"jobs. Job {job.describe()} has no tags: it may be this run's or somebody else's. Its instances are "
        "not touched. If nobody else started it, terminate them by hand."
    )


def tag_value(text: str) -> str:
    """The text as a tag value: AWS allows letters, digits, spaces and ``_.:/=+-@``, at most 256 of them."""
    return re.sub(r"[^\w\s_.:/=+\-@]", "_", text)[:256]
