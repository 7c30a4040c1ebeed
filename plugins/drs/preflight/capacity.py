"""Whether DRS's quotas of jobs hold what the run needs at its peak, beside what is in progress. Pure.

The peak is the most that the plan's order lets be live at one time, however long the jobs take: a wave counts
from its first call until the last of its jobs has ended. With the gates `launched` and `validated` they have
ended when a wave begins that comes after it; with the gate `started` they may still be live then.
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
from drs.preflight.servers import NAMED
from drs.run.records import Resolution

REMEDY = (
    "Let fewer waves be live together (`next_wave_when: launched`), or set `launch: {jobs: per_wave}`, which "
    "makes one job of a wave. DRS's quotas of 20 jobs and of 500 servers in all jobs cannot be raised."
)


def capacity(facts: Facts, question: PreflightInputs, resolution: Resolution) -> Iterator[Finding]:
    """Too many jobs, or servers in jobs: by the run alone, which nothing heals, or beside those of others."""
    plan = question.plan
    servers = {name: len(wave.servers) for name, wave in resolution.waves.items() if wave.servers}
    jobs = {name: 1 if plan.launch_for(name).jobs == "per_wave" else n for name, n in servers.items()}
    others = live_jobs_of_others(facts, question)
    used = {"jobs in progress": len(others), "servers in jobs": sum(len(job.server_ids) for job in others)}
    for what, limit, needs in (
        ("jobs in progress", MAX_JOBS_IN_PROGRESS, jobs),
        ("servers in jobs", MAX_SERVERS_IN_JOBS, servers),
    ):
        waves = peak(plan, needs)
        need = sum(needs[wave] for wave in waves)
        if need > limit:
            if len(waves) > 1:  # a single wave's size is told where it is resolved
                yield Finding.of(
                    ConcurrentJobsLimitExceeded(
                        f"Waves {', '.join(waves)} may be live together and need {need} {what} at once; DRS "
                        f"allows {limit}.",
                        remedy=REMEDY,
                    )
                )
        elif need + used[what] > limit:
            named = ", ".join(job.describe() for job in others[:NAMED])
            more = f" and {len(others) - NAMED} more" if len(others) > NAMED else ""
            yield Finding.of(
                ConcurrentJobsLimitExceeded(
                    f"This run needs up to {need} {what} at once, and others use {used[what]} of the {limit} "
                    f"that DRS allows: {named}{more}."
                ),
                heals=True,
                holders=tuple(job.job_id for job in others),
            )


def peak(plan: Plan, needs: Mapping[str, int]) -> tuple[str, ...]:
    """Those waves of a run that need the most together, of all that may be live together.

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
