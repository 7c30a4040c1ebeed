"""Whether somebody else holds a server now: DRS refuses a launch of a server that is held."""

from __future__ import annotations

from collections.abc import Iterator

from drs.aws.jobs import live_holders
from drs.errors import ServerConflict
from drs.preflight.facts import Facts
from drs.preflight.findings import Finding
from drs.preflight.inputs import PreflightInputs
from drs.preflight.own_jobs import live_jobs_of_others
from drs.preflight.servers import Servers


def held_servers(facts: Facts, inputs: PreflightInputs, servers: Servers) -> Iterator[Finding]:
    """Servers in a live job of somebody else, or in a running execution of one of AWS's own recovery plans.

    An execution holds the servers of all its steps. Servers of a later step have no job yet, and servers of a
    finished step would lose the instances that it launched.
    """
    jobs = live_holders(live_jobs_of_others(facts, inputs), servers.ids)
    for wave, server in servers:
        label = servers.label(server.server_id)
        if job := jobs.get(server.server_id):
            yield Finding.of(
                ServerConflict(
                    f"Server {label} is held by job {job.describe()}.",
                    remedy=(
                        f"Wait for job {job.job_id} to end (DRS cannot cancel a job), then trigger a new run."
                    ),
                ),
                heals=True,
                holders=(job.job_id,),
            ).about(wave, server.server_id)
        for execution in facts.executions or ():
            if server.server_id in execution.server_ids:
                yield Finding.of(
                    ServerConflict(
                        f"Server {label} belongs to one of AWS's own recovery plans that is being executed: "
                        f"{execution.describe()}.",
                        remedy=(
                            "Wait for that execution to end, or cancel it in the DRS console, then trigger a "
                            "new run."
                        ),
                    ),
                    heals=True,
                ).about(wave, server.server_id)
