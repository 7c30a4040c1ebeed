"""What happens inside a job, from its creation to its end, written as processes.

Sources: the job log of a recorded drill for the events, their order and times; the DRS API reference for
the states. A job has no FAILED state, and the failure of one server does not affect the others.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from drs.aws.states import JobStatus, JobType, LaunchDisposition, LaunchStatus
from simulator.engine import launch_actions
from simulator.engine.ec2 import Ec2Error
from simulator.engine.estate import Estate
from simulator.engine.fault_plan import F
from simulator.engine.faults import (
    LaunchFailed,
    NoRecoveryInstanceId,
    StuckConversion,
    StuckPending,
    TerminationSurvivor,
)
from simulator.engine.model import Job, Participant, RecoveryInstance, new_id
from simulator.engine.plans import PlanExecution
from simulator.engine.timings import LAUNCH_STAGGER, STAGGER
from simulator.engine.world import Hold, Process


def launch(estate: Estate, job: Job) -> Process:
    """Run a LAUNCH job. Each server has its own timeline; the job ends after the last server."""
    world = estate.world
    at = yield world.drs_time(world.unknowns.pending_seconds)
    if stuck := world.faults.take(StuckPending, estate.account, estate.region, frozenset(job.server_ids)):
        at = yield Hold(stuck, _after(at, stuck.fault.seconds))
    job.status = JobStatus.STARTED
    job.write(at, "JOB_START")
    for place, participant in enumerate(job.participants):
        _clean_up(estate, job, participant.server_id, at)
        world.start(_launch_server(estate, job, participant, place), at)


def _launch_server(estate: Estate, job: Job, participant: Participant, place: int) -> Process:
    world, server_id = estate.world, participant.server_id
    server = estate.servers[server_id]
    timings = server.timings
    at = yield world.drs_time(timings.snapshot_wait + place * STAGGER)
    if participant.snapshot_id is None:
        job.write(at, "SNAPSHOT_START", server_id=server_id)
        at = yield world.drs_time(timings.snapshot)
        job.write(at, "SNAPSHOT_END", server_id=server_id)
        participant.point_in_time = at - estate.replication(server_id).lag
    if server.launch_configuration.recovery_mode == "OPTIMAL":
        at = yield world.drs_time(timings.conversion_wait)
        job.write(at, "CONVERSION_START", server_id=server_id)
        at = yield world.drs_time(timings.conversion)
        if stuck := world.faults.take(StuckConversion, estate.account, estate.region, frozenset({server_id})):
            at = yield Hold(stuck, _after(at, stuck.fault.seconds))
        job.write(at, "CONVERSION_END", server_id=server_id, conversion_server_id=new_id("i"))
    at = yield world.drs_time(timings.launch_wait + place * LAUNCH_STAGGER)
    job.write(at, "LAUNCH_START", server_id=server_id)
    estate.set_launch_status(job, participant, LaunchStatus.IN_PROGRESS)
    at = yield world.drs_time(timings.launch)
    try:
        instance = launch_instance(estate, job, participant, at)
    except Ec2Error as error:
        job.write(at, "LAUNCH_FAILED", server_id=server_id, raw_error=str(error))
        estate.set_launch_status(job, participant, LaunchStatus.FAILED)
    else:
        if launch_actions.are_due(server):
            actions = launch_actions.run(estate, job, participant, instance)
            if world.unknowns.launch_actions_hold_job:
                at = yield from actions
            else:
                world.start(actions, at)
    participant.done = True
    if all(each.done for each in job.participants):
        world.start(_end(job, world.drs_time(timings.job_end_wait), world.drs_time(STAGGER)), at)


def launch_instance(estate: Estate, job: Job, participant: Participant, at: datetime) -> RecoveryInstance:
    """Launch the server's instance into EC2 and record it. :raises Ec2Error: EC2 or a fault refused it."""
    server = estate.servers[participant.server_id]
    if failed := _struck(estate, LaunchFailed, server.id):
        raise Ec2Error(failed.raw_error)
    configuration = server.launch_configuration
    tags = {
        **(server.tags if configuration.copy_tags else {}),
        **({"Name": server.tags["Name"]} if "Name" in server.tags else {}),
        "AWSElasticDisasterRecoveryManaged": "drs.amazonaws.com",
        "drs.amazonaws.com-job": job.id,
        "drs.amazonaws.com-source-server": server.id,
    }
    instance_id = estate.ec2.launch(
        configuration.ec2_launch_template_id,
        tags,
        stopped=configuration.launch_disposition is LaunchDisposition.STOPPED,
        at=at,
        private_ip=server.address,
    )
    assert participant.point_in_time
    instance = RecoveryInstance(
        id=instance_id,
        arn=estate.arn("recovery-instance", instance_id),
        server_id=server.id,
        job_id=job.id,
        is_drill=job.is_drill,
        point_in_time=participant.point_in_time,
        launched=at,
        tags=tags,
    )
    estate.add_instance(instance)
    if not _struck(estate, NoRecoveryInstanceId, server.id):
        participant.recovery_instance_id = instance_id
    job.write(at, "LAUNCH_END", server_id=server.id, target_instance_id=instance_id)
    estate.set_launch_status(job, participant, LaunchStatus.LAUNCHED)
    return instance


def terminate(estate: Estate, job: Job, instances: list[RecoveryInstance]) -> Process:
    """Run a TERMINATE job. The instances leave EC2 after half of its time, and DRS at its end."""
    world = estate.world
    pending = world.drs_time(world.unknowns.pending_seconds)
    half = max(world.drs_time(world.unknowns.terminate_seconds) - pending, timedelta(0)) / 2
    at = yield pending
    job.status = JobStatus.STARTED
    job.write(at, "JOB_START")
    at = yield half
    gone = [instance for instance in instances if _terminate_instance(estate, instance)]
    at = yield half
    for instance in gone:
        estate.forget_instance(instance)
    job.participants.clear()
    world.start(_end(job, timedelta(0), world.drs_time(STAGGER)), at)


def foreign(job: Job, hold: Hold) -> Process:
    """Run somebody else's job: it is live and holds its servers, but it launches nothing."""
    job.status = JobStatus.STARTED
    job.write(job.created, "JOB_START")
    at = yield hold
    if job.type is JobType.TERMINATE:
        job.participants.clear()
    for participant in job.participants:
        participant.launch_status = LaunchStatus.FAILED
        job.write(
            at, "LAUNCH_FAILED", server_id=participant.server_id, raw_error="Launches nothing: simulated"
        )
    job.status = JobStatus.COMPLETED
    job.ended = at
    job.write(at, "JOB_END")


def plan_execution(execution: PlanExecution, hold: Hold) -> Process:
    """Run an execution of one of AWS's own recovery plans: it is in progress until the hold is over."""
    execution.completed = yield hold


def _end(job: Job, wait: timedelta, log_delay: timedelta) -> Process:
    at = yield wait
    job.status = JobStatus.COMPLETED
    job.ended = at
    at = yield log_delay
    job.write(at, "JOB_END")


def _clean_up(estate: Estate, job: Job, server_id: str, at: datetime) -> None:
    """Terminate the server's earlier recovery instances, also real ones, because a launch replaces them."""
    for instance in estate.earlier_instances(server_id):
        try:
            estate.ec2.terminate(instance.id)
        except Ec2Error as error:
            job.write(at, "CLEANUP_FAIL", server_id=server_id, raw_error=str(error))
        else:
            estate.forget_instance(instance)


def _terminate_instance(estate: Estate, instance: RecoveryInstance) -> bool:
    if _struck(estate, TerminationSurvivor, instance.server_id):
        return False
    try:
        estate.ec2.terminate(instance.id)
    except Ec2Error:  # protected against termination: the job still ends COMPLETED
        return False
    return True


def _struck(estate: Estate, kind: type[F], server_id: str) -> F | None:
    armed = estate.world.faults.take(kind, estate.account, estate.region, frozenset({server_id}))
    return armed.fault if armed else None


def _after(at: datetime, seconds: timedelta | None) -> datetime | None:
    return None if seconds is None else at + seconds
