"""DRS in one account and Region: what its operations do, and what they refuse."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from drs.aws.states import InitiatedBy, JobStatus, JobType, LaunchStatus
from simulator.engine import fleet, processes, quotas, snapshots
from simulator.engine.ec2 import Ec2
from simulator.engine.errors import (
    ConflictError,
    ResourceNotFoundError,
    UninitializedAccountError,
    ValidationError,
)
from simulator.engine.fault_plan import ArmedFault
from simulator.engine.faults import ForeignJob, ReplicationChange, RunningPlan
from simulator.engine.instances import Instances
from simulator.engine.model import (
    Job,
    LastLaunch,
    LaunchConfiguration,
    Participant,
    RecoveryInstance,
    Snapshot,
    SourceServer,
    new_id,
)
from simulator.engine.plans import PlanExecution, RecoveryPlan
from simulator.engine.replication import ReplicationStatus, status_of
from simulator.engine.run_command import RunCommand
from simulator.engine.world import Hold, World

CONFLICT: Final = (
    "One or more of the Source Servers included in API call are currently being processed by a Job"
)


class Service:
    """:param initialized: False until InitializeService is called; all other operations are refused before"""

    def __init__(self, account: str, region: str, world: World, ec2: Ec2, *, initialized: bool) -> None:
        self.account = account
        self.region = region
        self.world = world
        self.ec2 = ec2
        self.initialized = initialized
        self.instances = Instances(self)
        self.run_command = RunCommand(self, self.instances)
        self.servers: dict[str, SourceServer] = {}
        self.jobs: dict[str, Job] = {}
        self.recovery_instances: dict[str, RecoveryInstance] = {}
        self.plans: dict[str, RecoveryPlan] = {}
        self.plan_executions: dict[str, PlanExecution] = {}
        self._foreign: dict[str, tuple[Hold, ForeignJob]] = {}

    # What a fleet and its faults add.

    def add_server(self, spec: fleet.Server) -> None:
        """Add a source server, and its recovery instance if the fleet gives it one."""
        settings = spec.launch
        server = SourceServer(
            id=spec.id,
            arn=self.arn("source-server", spec.id),
            hostname=spec.hostname,
            os=spec.os,
            tags=dict(spec.tags),
            replication=spec.replication,
            timings=self.world.timings[spec.os].with_overrides(spec.timings),
            launch_configuration=LaunchConfiguration(
                name=spec.hostname,
                ec2_launch_template_id=self.ec2.create_launch_template(
                    f"drs-{spec.id}", settings.placement()
                ),
                launch_disposition=settings.disposition,
                copy_tags=settings.copy_tags,
                recovery_mode="FAST" if settings.fast else "OPTIMAL",
                post_launch_enabled=bool(spec.launch_actions),
            ),
            added=self.world.clock.now(),
            address=spec.address,
            listeners=spec.listeners,
            commands=spec.commands,
            launch_actions=spec.launch_actions,
        )
        self.servers[server.id] = server
        if spec.recovery_instance:
            self._add_earlier_launch(server, spec.recovery_instance)

    def _add_earlier_launch(self, server: SourceServer, earlier: fleet.ExistingRecoveryInstance) -> None:
        launched = self.world.clock.now() - earlier.age
        initiated_by = InitiatedBy.START_DRILL if earlier.is_drill else InitiatedBy.START_RECOVERY
        participant = Participant(server.id, point_in_time=launched)
        job = self._new_job(JobType.LAUNCH, initiated_by, [participant], {}, at=launched)
        self._mark_launched(job)
        processes.launch_instance(self, job, participant, launched)
        job.status, job.ended = JobStatus.COMPLETED, launched

    def hold_by_foreign_job(self, armed: ArmedFault[ForeignJob]) -> None:
        """Start somebody else's job, which holds the servers that the fault names.

        :raises ResourceNotFoundError: a server is unknown. :raises ConflictError: one is in a live job.
        """
        fault = armed.fault
        self._known_servers(fault.servers)
        self._refuse_held(fault.servers, CONFLICT)
        now = self.world.clock.now()
        participants = [Participant(server_id) for server_id in fault.servers]
        job = self._new_job(fault.type, fault.initiated_by, participants, {}, at=now)
        hold = Hold(armed, now + fault.seconds if fault.counted_from == "armed" else None)
        self._foreign[job.id] = hold, fault
        self.world.start(processes.foreign(job, hold), now)

    def execute_plan(self, armed: ArmedFault[RunningPlan]) -> None:
        """Start an execution of the recovery plan that the fault names.

        :raises ResourceNotFoundError: a server is unknown. :raises ConflictError: the plan is being executed.
        """
        fault, now = armed.fault, self.world.clock.now()
        self._known_servers(fault.servers)
        if any(each.plan.name == fault.name and not each.completed for each in self.plan_executions.values()):
            raise ConflictError(f"Recovery plan {fault.name} is being executed already.")
        plan = self.plans.setdefault(
            fault.name, RecoveryPlan(self.arn("recovery-plan", new_id("rp")), fault.name, now)
        )
        execution = PlanExecution(
            arn=self.arn("recovery-plan-execution", new_id("rpe")),
            plan=plan,
            mode=fault.mode,
            server_arns=[self.servers[server_id].arn for server_id in fault.servers],
            started=now,
        )
        self.plan_executions[execution.arn] = execution
        hold = Hold(armed, now + fault.seconds if fault.seconds is not None else None)
        self.world.start(processes.plan_execution(execution, hold), now)

    # The operations of DRS.

    def initialize(self) -> None:
        self.initialized = True

    def require_initialized(self) -> None:
        """Check that DRS is initialised here. :raises UninitializedAccountError: it never was."""
        if not self.initialized:
            raise UninitializedAccountError

    def start_recovery(
        self, wanted: Sequence[tuple[str, str | None]], *, is_drill: bool, tags: Mapping[str, str]
    ) -> Job:
        """Start a LAUNCH job for servers. Each has the id of a snapshot, or None for the latest state.

        If one server is unknown or busy, the whole call is refused.

        :raises DrsError: ResourceNotFound, Validation, Conflict or ServiceQuotaExceeded.
        """
        server_ids = [server_id for server_id, _ in wanted]
        if len(set(server_ids)) < len(server_ids):
            raise ValidationError("A source server is given more than once.")
        self._known_servers(server_ids)
        participants = [self._participant(server_id, snapshot_id) for server_id, snapshot_id in wanted]
        self._refuse_held(server_ids, CONFLICT)
        self._check_quotas(len(wanted))
        initiated_by = InitiatedBy.START_DRILL if is_drill else InitiatedBy.START_RECOVERY
        job = self._new_job(JobType.LAUNCH, initiated_by, participants, tags, at=self.world.clock.now())
        self._mark_launched(job)
        self.world.start(processes.launch(self, job), job.created)
        return job

    def terminate_recovery_instances(self, instance_ids: Sequence[str]) -> Job:
        """Start a TERMINATE job.

        :raises DrsError: ResourceNotFound, Validation, Conflict or ServiceQuotaExceeded.
        """
        if len(set(instance_ids)) < len(instance_ids):
            raise ValidationError("A recovery instance is given more than once.")
        for instance_id in instance_ids:
            if instance_id not in self.recovery_instances:
                raise ResourceNotFoundError("RecoveryInstance", instance_id)
        instances = [self.recovery_instances[instance_id] for instance_id in instance_ids]
        server_ids = list(dict.fromkeys(instance.server_id for instance in instances))
        self._refuse_held(server_ids, self.world.unknowns.terminate_conflict_message)
        self._check_quotas(len(server_ids))
        participants = [
            Participant(instance.server_id, recovery_instance_id=instance.id) for instance in instances
        ]
        initiated_by = InitiatedBy.TERMINATE_RECOVERY_INSTANCES
        job = self._new_job(JobType.TERMINATE, initiated_by, participants, {}, at=self.world.clock.now())
        self.world.start(processes.terminate(self, job, instances), job.created)
        return job

    def find_server(self, server_id: str) -> SourceServer:
        """Return a source server. :raises ResourceNotFoundError: there is no such server."""
        if server_id not in self.servers:
            raise ResourceNotFoundError("SourceServer", server_id)
        return self.servers[server_id]

    def replication(self, server_id: str) -> ReplicationStatus:
        """Return how the server replicates now."""
        changes = self.world.faults.reaching(
            ReplicationChange, self.account, self.region, frozenset({server_id})
        )
        return status_of(self.servers[server_id], changes)

    def find_job(self, job_id: str) -> Job:
        """Return a job. :raises ValidationError: no such job (the only fitting error of the call)."""
        if job_id not in self.jobs:
            raise ValidationError(f"Job {job_id} does not exist.")
        return self.jobs[job_id]

    def find_plan_execution(self, arn: str) -> PlanExecution:
        """Return an execution. :raises ResourceNotFoundError: there is no such execution."""
        if arn not in self.plan_executions:
            raise ResourceNotFoundError("RecoveryPlanExecution", arn)
        return self.plan_executions[arn]

    def snapshots(self, server_id: str) -> list[Snapshot]:
        """Return the server's points in time, oldest first.

        :raises ValidationError: no such server (the only fitting error that the call declares).
        """
        if server_id not in self.servers:
            raise ValidationError(f"SourceServer {server_id} does not exist.")
        return snapshots.retained(server_id, self._newest_point(server_id))

    def update_launch_configuration(self, server_id: str, changes: Mapping[str, Any]) -> SourceServer:
        """Change a server's launch configuration.

        :raises ResourceNotFoundError: there is no such server. :raises ConflictError: it is in a live job.
        """
        server = self.find_server(server_id)
        self._refuse_held([server_id], CONFLICT)
        server.launch_configuration = replace(server.launch_configuration, **changes)
        return server

    def tags_of(self, arn: str) -> dict[str, str]:
        """Return a resource's tags, to read or change. :raises ResourceNotFoundError: no such resource."""
        for resources in (self.servers, self.jobs, self.recovery_instances):
            for resource in resources.values():
                if resource.arn == arn:
                    return resource.tags
        raise ResourceNotFoundError("Resource", arn)

    def servers_of_instances(self, instance_ids: Sequence[str]) -> list[str]:
        """Return the source servers of the recovery instances; instances that do not exist are left out."""
        found = (self.recovery_instances.get(instance_id) for instance_id in instance_ids)
        return [instance.server_id for instance in found if instance]

    # What the processes of the jobs call.

    def arn(self, kind: str, resource_id: str) -> str:
        return f"arn:aws:drs:{self.region}:{self.account}:{kind}/{resource_id}"

    def earlier_instances(self, server_id: str) -> list[RecoveryInstance]:
        return [each for each in self.recovery_instances.values() if each.server_id == server_id]

    def add_instance(self, instance: RecoveryInstance) -> None:
        self.recovery_instances[instance.id] = instance
        self.servers[instance.server_id].recovery_instance_id = instance.id

    def forget_instance(self, instance: RecoveryInstance) -> None:
        del self.recovery_instances[instance.id]
        server = self.servers[instance.server_id]
        if server.recovery_instance_id == instance.id:
            server.recovery_instance_id = None
        job = self.jobs[instance.job_id]
        for participant in job.participants:
            if participant.server_id == server.id:
                self.set_launch_status(job, participant, LaunchStatus.TERMINATED)

    def set_launch_status(self, job: Job, participant: Participant, status: LaunchStatus) -> None:
        participant.launch_status = status
        server = self.servers[participant.server_id]
        if server.last_launch and server.last_launch.job_id == job.id:
            server.last_launch = replace(server.last_launch, status=status)

    # Helpers.

    def _known_servers(self, server_ids: Sequence[str]) -> None:
        for server_id in server_ids:
            self.find_server(server_id)

    def _participant(self, server_id: str, snapshot_id: str | None) -> Participant:
        if snapshot_id is None:
            return Participant(server_id)
        snapshot = snapshots.find(server_id, snapshot_id, self._newest_point(server_id))
        if snapshot is None:
            raise ValidationError(f"Recovery snapshot {snapshot_id} of {server_id} does not exist.")
        return Participant(server_id, snapshot_id=snapshot_id, point_in_time=snapshot.at)

    def _newest_point(self, server_id: str) -> datetime:
        return self.world.clock.now() - self.replication(server_id).lag

    def _live_jobs(self) -> list[Job]:
        return [job for job in self.jobs.values() if job.live]

    def _refuse_held(self, server_ids: Sequence[str], message: str) -> None:
        holders = [job for job in self._live_jobs() if not set(server_ids).isdisjoint(job.server_ids)]
        if not holders:
            return
        for job in holders:
            if job.id in self._foreign:
                hold, fault = self._foreign[job.id]
                hold.ends = hold.ends or self.world.clock.now() + fault.seconds
        raise ConflictError(message)

    def _check_quotas(self, new_servers: int) -> None:
        counted = self.world.unknowns.terminate_jobs_count
        quotas.check(new_servers, self._live_jobs(), terminate_jobs_count=counted)

    def _new_job(
        self,
        job_type: JobType,
        initiated_by: InitiatedBy,
        participants: list[Participant],
        tags: Mapping[str, str],
        *,
        at: datetime,
    ) -> Job:
        job_id = new_id("drsjob")
        job = Job(job_id, self.arn("job", job_id), job_type, initiated_by, at, participants, dict(tags))
        self.jobs[job_id] = job
        return job

    def _mark_launched(self, job: Job) -> None:
        for server_id in job.server_ids:
            launch = LastLaunch(job.id, job.created, job.is_drill, LaunchStatus.PENDING)
            self.servers[server_id].last_launch = launch
