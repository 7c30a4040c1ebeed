"""Which jobs the run itself made: they and their instances are not in its way. Pure."""

from __future__ import annotations

from drs.aws.jobs import Job
from drs.preflight.facts import Facts
from drs.preflight.inputs import PreflightInputs
from drs.run.ownership import RUN_TAG


def own_jobs(facts: Facts, question: PreflightInputs) -> frozenset[str]:
    """By the run's records, and by its token, which outlives them when the whole run is cleared."""
    tagged = {
        job.job_id
        for job in facts.jobs or ()
        if question.token is not None and job.tags.get(RUN_TAG) == question.token
    }
    return question.own_jobs | tagged


def live_jobs_of_others(facts: Facts, question: PreflightInputs) -> list[Job]:
    own = own_jobs(facts, question)
    return [job for job in facts.jobs or () if job.live and job.job_id not in own]
