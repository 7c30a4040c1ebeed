"""Whether DRS's job quotas leave enough room for the run at its peak, beside the jobs of others. Pure.

The peak is the largest number of jobs (or of servers in jobs) that the plan's order allows to be live at the
same time, however long each job takes. A wave counts from its first call until its last job has ended. With
the gates `launched` and `validated` its jobs have ended before the next wave begins. With the gate `started`
they may still be live then.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache

from drs.aws.quotas import MAX_JOBS_IN_PROGRESS, MAX_SERVERS_IN_JOBS
from drs.errors import ConcurrentJobsLimitExceeded
from drs.plan import Plan
from drs.preflight.facts import Facts
from drs.preflight.findings import Finding
from drs.preflight.inputs import PreflightInputs
from drs.preflight.own_jobs import live_jobs_of_others
from drs.run.records import Resolution
from drs.text.tables import first_of

REMEDY = (
    "Let fewer waves be live together (`next_wave_when: launched`), or set `launch: {jobs: per_wave}`, which "
    "starts one job for each wave. DRS's quotas of 20 jobs and of 500 servers in all jobs cannot be raised."
)


def capacity(facts: Facts, inputs: PreflightInputs, resolution: Resolution) -> Iterator[Finding]:
    """Findings about a run that needs more jobs, or more servers in jobs, than DRS allows.

    Waiting does not help a run that is too large by itself. It helps a run that is too large only beside the
    jobs of others.
    """
    plan = inputs.plan
    servers = {name: len(wave.servers) for name, wave in resolution.waves.items() if wave.servers}
    jobs = {name: 1 if plan.launch_for(name).jobs == "per_wave" else n for name, n in servers.items()}
    others = live_jobs_of_others(facts, inputs)
    used = {"jobs in progress": len(others), "servers in jobs": sum(len(job.server_ids) for job in others)}
    for what, limit, needs in (
        ("jobs in progress", MAX_JOBS_IN_PROGRESS, jobs),
        ("servers in jobs", MAX_SERVERS_IN_JOBS, servers),
    ):
        waves = peak(plan, needs)
        need = sum(needs[wave] for wave in waves)
        if need > limit:
            if len(waves) > 1:  # the resolution already reports a single wave that is too large
                yield Finding.of(
                    ConcurrentJobsLimitExceeded(
                        f"Waves {', '.join(waves)} may be live together and need {need} {what} at once; DRS "
                        f"allows {limit}.",
                        remedy=REMEDY,
                    )
                )
        elif need + used[what] > limit:
            named = first_of([job.describe() for job in others])
            yield Finding.of(
                ConcurrentJobsLimitExceeded(
                    f"This run needs up to {need} {what} at once, and others use {used[what]} of the {limit} "
                    f"that DRS allows: {named}."
                ),
                heals=True,
                holders=tuple(job.job_id for job in others),
            )


def peak(plan: Plan, needs: Mapping[str, int]) -> tuple[str, ...]:
    """The waves that need the most together, among all waves that may be live at the same time.

    :param needs: what each wave that is launched needs while it is live
    :return: their names, in the plan's order
    """
    before = {name: _ended_before(plan, name) for name in needs}

    @cache
    def heaviest(waves: tuple[str, ...]) -> tuple[str, ...]:
        if not waves:
            return ()
        first, rest = waves[0], waves[1:]
        beside = tuple(wave for wave in rest if first not in before[wave] and wave not in before[first])
        chosen = (first, *heaviest(beside))
        if beside == rest:
            return chosen
        return max(chosen, heaviest(rest), key=lambda names: sum(needs[name] for name in names))

    return heaviest(tuple(needs))


def _ended_before(plan: Plan, wave: str) -> frozenset[str]:
    """The waves whose jobs have all ended when this one begins."""
    found: set[str] = set()
    left = list(plan.dependencies(wave))
    while left:
        if (name := left.pop()) not in found:
            found.add(name)
            left += plan.dependencies(name)
    return frozenset(name for name in found if plan.wave(name).next_wave_when != "started")
