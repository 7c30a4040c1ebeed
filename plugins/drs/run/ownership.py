"""Which DRS jobs are this run's own: by the run's record, by the job's tag, and without tags by what the
run was about to do. Pure.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable

from drs.aws.jobs import Job
from drs.aws.states import InitiatedBy, JobType
from drs.run.records import Call, LaunchRecord, RunRecord

RUN_TAG = "drs-drills:run"
WAVE_TAG = "drs-drills:wave"
DAG_TAG = "drs-drills:dag"
RUN_ID_TAG = "drs-drills:dag-run"

CLOCK_SKEW = dt.timedelta(seconds=30)
"""How far the clocks of DRS and of a worker may differ."""
CALL_SPAN = dt.timedelta(minutes=10)
"""How long after its intent a call, botocore's own retries included, may still make its job."""


def job_tags(run: RunRecord, wave: str) -> dict[str, str]:
    """The tags of a job of this run: the run's token, and what a person in the DRS console wants to know."""
    return {
        RUN_TAG: run.token,
        WAVE_TAG: wave,
        DAG_TAG: run.dag_id,
        RUN_ID_TAG: tag_value(run.run_id),
    }


def own_tagged(job: Job, run: RunRecord) -> bool:
    """Whether the job carries this run's token."""
    return job.tags.get(RUN_TAG) == run.token


def fits(job: Job, call: Call, run: RunRecord) -> bool:
    """Whether an untagged job is what this untagged call would have made: a drill (or a recovery, if that is
    what the run is) of just these servers, within the call's own time.
    """
    initiated_by = InitiatedBy.START_DRILL if run.is_drill else InitiatedBy.START_RECOVERY
    return (
        not call.tagged
        and RUN_TAG not in job.tags
        and job.type == JobType.LAUNCH
        and job.initiated_by == initiated_by
        and job.server_ids == frozenset(call.servers)
        and call.at - CLOCK_SKEW <= job.created <= call.at + CALL_SPAN
    )


def find_made_by(call: Call, jobs: Iterable[Job], run: RunRecord, taken: frozenset[str]) -> list[Job]:
    """The jobs that this call may have made: one is the call's own, several are ambiguous.

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
    """Every LAUNCH job of this run, and a remark on each call whose job cannot be told.

    :param jobs: the jobs that DRS lists since the run began
    :param launches: the run's launch records, one a wave
    """
    listed = [job for job in jobs if job.type == JobType.LAUNCH]
    records = list(launches)
    recorded = frozenset().union(*(record.all_job_ids for record in records))
    own = {job.job_id: job for job in listed if job.job_id in recorded or own_tagged(job, run)}
    remarks = []
    for call in (call for record in records for call in record.unanswered):
        found = find_made_by(call, listed, run, frozenset(own))
        if len(found) == 1:
            own[found[0].job_id] = found[0]
        elif found:
            remarks.append(
                f"The reply to StartRecovery of {', '.join(call.servers)} was lost, and "
                f"{len(found)} jobs would fit: {', '.join(job.job_id for job in found)}. None of them is "
                "touched; look at them in the DRS console and terminate their instances by hand if they are "
                "this run's."
            )
    return list(own.values()), remarks


def tag_value(text: str) -> str:
    """A tag value: AWS admits letters, digits, spaces and ``_.:/=+-@``, at most 256."""
    return re.sub(r"[^\w\s_.:/=+\-@]", "_", text)[:256]
