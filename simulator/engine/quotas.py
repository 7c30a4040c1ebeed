"""DRS's quotas on jobs, by Region (AWS general reference, DRS endpoints and quotas)."""

from __future__ import annotations

from typing import Final

from drs.aws.states import JobType
from simulator.engine.errors import QuotaExceededError
from simulator.engine.model import Job

SERVERS_IN_A_JOB: Final = 100
JOBS_IN_PROGRESS: Final = 20
SERVERS_IN_ALL_JOBS: Final = 500


def check(new_servers: int, live_jobs: list[Job], *, terminate_jobs_count: bool) -> None:
    """Refuse a new job of ``new_servers`` servers if it would exceed a quota.

    :raises QuotaExceededError: it has the quota's code.
    """
    if new_servers > SERVERS_IN_A_JOB:
        raise QuotaExceededError(
            f"A job can hold at most {SERVERS_IN_A_JOB} source servers; {new_servers} were given.",
            "L-B827C881",
        )
    counted = [job for job in live_jobs if terminate_jobs_count or job.type is not JobType.TERMINATE]
    if len(counted) >= JOBS_IN_PROGRESS:
        raise QuotaExceededError(f"{len(counted)} jobs are in progress already.", "L-D88FAC3A")
    in_jobs = sum(len(job.participants) for job in counted)
    if in_jobs + new_servers > SERVERS_IN_ALL_JOBS:
        raise QuotaExceededError(
            f"{in_jobs} source servers are in jobs already; {new_servers} more would pass "
            f"{SERVERS_IN_ALL_JOBS}.",
            "L-05AFA8C6",
        )
