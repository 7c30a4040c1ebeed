"""Which jobs the run itself started: they and their instances do not stop it. Pure."""

from __future__ import annotations

from drs.aws.jobs import Job
from drs.preflight.facts import Facts
from drs.preflight.inputs import PreflightInputs
from drs.run.ownership import RUN_TAG


def own_jobs(facts: Facts, inputs: PreflightInputs) -> frozenset[str]:
    """The jobs of this run, by its records and by its token.

    The token is on the jobs in DRS, so it still identifies them after the whole run was cleared.
    """
    tagged = {
        job.job_id
        for job in (*(facts.jobs or ()), *facts.launched_by.values())
        if inputs.token is not None and job.tags.get(RUN_TAG) == inputs.token
    }
    return inputs.own_jobs | tagged


def live_jobs_of_others(facts: Facts, inputs: PreflightInputs) -> list[Job]:
    """The live jobs in the account and Region that this run did not start."""
    own = own_jobs(facts, inputs)
    return [job for job in facts.jobs or () if job.live and job.job_id not in own]
