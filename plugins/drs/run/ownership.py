"""Which DRS jobs this run started: those that its record names, those that carry its tag, and, without tags,
those that fit a call that the run was about to make. Pure.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable, Sequence

from drs.aws.jobs import Job
from drs.aws.states import InitiatedBy, JobType
from drs.run.records import Call, LaunchRecord, RunRecord

RUN_TAG = "drs-drills:run"
WAVE_TAG = "drs-drills:wave"
DAG_TAG = "drs-drills:dag"
RUN_ID_TAG = "drs-drills:dag-run"
INSTALLATION_TAG = "drs-drills:installation"
"""The id of the Airflow installation: several may work in one account."""

JOB_CLOCK_SKEW = dt.timedelta(seconds=30)
"""How far DRS's clock may be behind a worker's. Small, because an untagged job is recognised by its servers
and its time alone: a larger value could take somebody else's earlier drill for this run's.
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


def fits(job: Job, call: Call, run: RunRecord) -> bool:
    """Whether an untagged call would have made this untagged job: it is a drill (or a recovery, if the run is
    one) of exactly the call's servers, and DRS created it within the call's time.
    """
    initiated_by = InitiatedBy.START_DRILL if run.is_drill else InitiatedBy.START_RECOVERY
    return (
        not call.tagged
        and RUN_TAG not in job.tags
        and job.type == JobType.LAUNCH
        and job.initiated_by == initiated_by
        and job.server_ids == frozenset(call.servers)
        and call.at - JOB_CLOCK_SKEW <= job.created <= call.at + CALL_SPAN
    )


def find_made_by(call: Call, jobs: Iterable[Job], run: RunRecord, taken: frozenset[str]) -> list[Job]:
    """The jobs that this call may have made. A single one is the call's; several are ambiguous.

    :param call: a call whose reply is unknown
    :param jobs: the jobs that DRS lists
    :param taken: ids of jobs that other calls of the run are known to have made
    """
    candidates = [job for job in jobs if job.job_id not in taken and job.type == JobType.LAUNCH]
    tagged = [job for job in candidates if own_tagged(job, run) and job.server_ids <= set(call.servers)]
    return tagged or [job for job in candidates if fits(job, call, run)]


def own_launch_jobs(
    jobs: Iterable[Job], run: RunRecord, launches: Iterable[LaunchRecord]
) -> tuple[list[Job], list[str]]:
    """Every LAUNCH job that this run started, and a note on each call that several jobs fit.

    :param jobs: the jobs that DRS lists since the run began
    :param launches: the run's launch records, one a wave
    """
    listed = [job for job in jobs if job.type == JobType.LAUNCH]
    records = list(launches)
    recorded = frozenset[str]().union(*(record.all_job_ids for record in records))
    own = {job.job_id: job for job in listed if job.job_id in recorded or own_tagged(job, run)}
    notes = []
    for call in unanswered_calls(records):
        found = find_made_by(call, listed, run, frozenset(own))
        if len(found) == 1:
            own[found[0].job_id] = found[0]
        elif found:
            notes.append(_ambiguous(call, found))
    return list(own.values()), notes


def unanswered_calls(launches: Iterable[LaunchRecord]) -> list[Call]:
    """The calls of these waves whose reply is unknown."""
    return [call for launch in launches for call in launch.unanswered]


def _ambiguous(call: Call, found: Sequence[Job]) -> str:
    return (
        f"The reply to StartRecovery of {', '.join(call.servers)} was lost, and {len(found)} jobs would fit: "
        f"{', '.join(job.job_id for job in found)}. None of them is touched; look at them in the DRS "
        "console, and if they are this run's, terminate their instances by hand."
    )


def tag_value(text: str) -> str:
    """The text as a tag value: AWS allows letters, digits, spaces and ``_.:/=+-@``, at most 256 of them."""
    return re.sub(r"[^\w\s_.:/=+\-@]", "_", text)[:256]
