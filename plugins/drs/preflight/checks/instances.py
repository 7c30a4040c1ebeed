"""Recovery instances that a server has already: DRS terminates them when it launches the server."""

from __future__ import annotations

from collections.abc import Iterator

from drs.errors import Code, RecoveryInstanceExists, ServerConflict
from drs.preflight.facts import Facts, RecoveryInstance
from drs.preflight.findings import Finding
from drs.preflight.inputs import PreflightInputs
from drs.preflight.own_jobs import own_jobs
from drs.preflight.servers import Servers
from drs.run.other_drills import OtherDrill, why_held
from drs.text import shown
from drs.text.times import minute


def earlier_instances(facts: Facts, inputs: PreflightInputs, servers: Servers) -> Iterator[Finding]:
    """A real recovery instance stops the run, even a RECOVERY: a new launch would destroy it.

    A drill instance that somebody still needs holds its server: a drill waits, a RECOVERY does not. Any other
    drill instance may be replaced, so it is only a warning.
    """
    own = own_jobs(facts, inputs)
    for instance in facts.instances or ():
        if instance.job_id in own:
            continue
        label = servers.label(instance.server_id)
        if instance.is_drill and (held := _held(instance, facts, inputs, servers)):
            finding = Finding.of(
                ServerConflict(
                    f"Server {label} is held by another drill: {held}.",
                    remedy=(
                        "Wait until that drill has ended, or end it (python -m drs stop PLAN, python -m drs "
                        "cleanup PLAN, or the DRS console), then trigger a new run."
                    ),
                ),
                heals=True,
            )
        elif instance.is_drill:
            finding = Finding(
                code=Code.LEFTOVER_DRILL_INSTANCE,
                seen=f"Server {label} has a drill's {_described(instance)}{_of_run(instance, facts)}. This "
                f"launch replaces it.{'' if inputs.activity else _UNASKED}",
                remedy=_to_remove(instance, facts, inputs),
                severity="warning",
            )
        else:
            finding = Finding.of(
                RecoveryInstanceExists(
                    f"Server {label} runs in a real recovery: {_described(instance)} is not a drill's. "
                    "DRS would terminate it when it launches the server."
                )
            )
        yield finding.about(servers.wave_of(instance.server_id), instance.server_id)


_UNASKED = " Airflow was not asked whether its run is still active; if it is, a drill would wait for it."


def _held(instance: RecoveryInstance, facts: Facts, inputs: PreflightInputs, servers: Servers) -> str | None:
    """Why a drill instance holds its server; ``None`` if this run may replace it."""
    wave = servers.wave_of(instance.server_id)
    if inputs.execution_type != "DRILL" or inputs.activity is None or wave is None:
        return None
    job = facts.launched_by.get(instance.job_id or "")
    return why_held(
        OtherDrill(instance.instance_id, job, job.created if job else instance.point_in_time),
        installation=inputs.installation,
        grace=inputs.plan.launch_for(wave).foreign_drill_grace,
        now=facts.looked_at,
        activity=inputs.activity,
    )


def _of_run(instance: RecoveryInstance, facts: Facts) -> str:
    run = OtherDrill(instance.instance_id, facts.launched_by.get(instance.job_id or ""), None).run
    return f", of {run}" if run else ""


def _to_remove(instance: RecoveryInstance, facts: Facts, inputs: PreflightInputs) -> str:
    """How a leftover is removed: by the command line if a run of a plan left it, else in DRS."""
    nothing = "Nothing to do for this run: its launch replaces the instance. To remove it now:"
    origin = OtherDrill(instance.instance_id, facts.launched_by.get(instance.job_id or ""), None).plan_and_run
    if origin:
        plan, run = origin
        return f"{nothing} `python -m drs cleanup {shown.argument(plan)} --run {shown.argument(run)}`."
    return (
        f"{nothing} `aws drs terminate-recovery-instances --region {inputs.plan.target.region} "
        f"--recovery-instance-ids {instance.instance_id}`. No run of a plan launched it, so `python -m drs "
        "cleanup` leaves it alone: ask first whether somebody needs it."
    )


def _described(instance: RecoveryInstance) -> str:
    job = f" of job {instance.job_id}" if instance.job_id else ""
    data = f", data of {minute(instance.point_in_time)}" if instance.point_in_time else ""
    return f"recovery instance {instance.instance_id}{job} ({instance.state}{data})"
