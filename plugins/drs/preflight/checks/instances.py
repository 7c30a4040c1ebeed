"""Recovery instances that a server has already: DRS terminates them when it launches the server."""

from __future__ import annotations

from collections.abc import Iterator

from drs.errors import Code, RecoveryInstanceExists
from drs.preflight.facts import Facts, RecoveryInstance
from drs.preflight.findings import Finding
from drs.preflight.inputs import PreflightInputs
from drs.preflight.own_jobs import own_jobs
from drs.preflight.servers import Servers
from drs.times import minute


def earlier_instances(facts: Facts, inputs: PreflightInputs, servers: Servers) -> Iterator[Finding]:
    """A real recovery instance stops the run, even a RECOVERY: a new launch would destroy it.

    A drill instance may be replaced, so it is only a warning.
    """
    own = own_jobs(facts, inputs)
    for instance in facts.instances or ():
        if instance.job_id in own:
            continue
        label = servers.label(instance.server_id)
        if instance.is_drill:
            finding = Finding(
                code=Code.LEFTOVER_DRILL_INSTANCE,
                seen=f"Server {label} has a drill's {_described(instance)}. This launch replaces it.",
                remedy="Nothing to do for this run. `python -m drs cleanup PLAN` removes what drills left.",
                severity="warning",
            )
        else:
            finding = Finding.of(
                RecoveryInstanceExists(
                    f"Server {label} runs in recovery: {_described(instance)} is not a drill's. DRS would "
                    "terminate it when it launches the server."
                )
            )
        yield finding.about(servers.wave_of(instance.server_id), instance.server_id)


def _described(instance: RecoveryInstance) -> str:
    job = f" of job {instance.job_id}" if instance.job_id else ""
    data = f", data of {minute(instance.point_in_time)}" if instance.point_in_time else ""
    return f"recovery instance {instance.instance_id}{job} ({instance.state}{data})"
