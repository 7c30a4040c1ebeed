"""Shows the engine's objects in the shapes of DRS's API model."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Final

from drs.aws.states import LaunchDisposition, LaunchStatus, ReplicationState
from simulator.engine.launch_actions import action_id
from simulator.engine.model import (
    ActionsStatus,
    Job,
    JobLogItem,
    LastLaunch,
    Participant,
    RecoveryInstance,
    Snapshot,
    SourceServer,
)
from simulator.engine.plans import PlanExecution, RecoveryPlan
from simulator.engine.replication import ReplicationStatus
from simulator.engine.service import Service
from simulator.engine.timings import OperatingSystem

JSON = dict[str, Any]

AGENT_VERSION: Final = "6.42.20"
DISK_BYTES: Final = 32 * 2**30
SYSTEMS: Final = {
    OperatingSystem.LINUX: ("Amazon Linux release 2023", "/dev/xvda"),
    OperatingSystem.WINDOWS: ("Microsoft Windows Server 2022 Datacenter", "c:0"),
}
_REPLICATED: Final = {
    ReplicationState.STOPPED: 0.0,
    ReplicationState.INITIATING: 0.0,
    ReplicationState.INITIAL_SYNC: 0.5,
}
_CATCHING_UP: Final = (ReplicationState.INITIAL_SYNC, ReplicationState.BACKLOG, ReplicationState.RESCAN)
_RESULTS: Final = {
    LaunchStatus.PENDING: "PENDING",
    LaunchStatus.IN_PROGRESS: "PENDING",
    LaunchStatus.LAUNCHED: "SUCCEEDED",
    LaunchStatus.TERMINATED: "SUCCEEDED",
    LaunchStatus.FAILED: "FAILED",
}


def job(job: Job, service: Service) -> JSON:
    """Show a job. Its times have the form of a recorded drill: with microseconds and an offset, not ``Z``."""
    return _present(
        jobID=job.id,
        arn=job.arn,
        type=job.type,
        initiatedBy=job.initiated_by,
        creationDateTime=_recorded(job.created),
        endDateTime=_recorded(job.ended) if job.ended else None,
        status=job.status,
        participatingServers=[_participant(each, service) for each in job.participants],
        tags=job.tags,
    )


def _participant(participant: Participant, service: Service) -> JSON:
    actions, server = participant.actions, service.servers[participant.server_id]
    return _present(
        sourceServerID=participant.server_id,
        recoveryInstanceID=participant.recovery_instance_id,
        launchStatus=participant.launch_status,
        launchActionsStatus=_launch_actions(actions, server) if actions else None,
    )


def _launch_actions(status: ActionsStatus, server: SourceServer) -> JSON:
    discovered = status.agent_discovered
    return _present(
        ssmAgentDiscoveryDatetime=_iso(discovered) if discovered else None,
        runs=[
            _present(
                action={
                    "actionId": action_id(server, run.action.name),
                    "actionCode": run.action.code,
                    "type": run.action.type,
                    "name": run.action.name,
                    "active": True,
                    "order": run.order,
                    "actionVersion": "$DEFAULT",
                    "optional": run.action.optional,
                    "parameters": {},
                    "category": "OTHER",
                },
                runId=run.id,
                status=run.status,
                failureReason=run.failure_reason,
            )
            for run in status.runs
        ],
    )


def job_log_item(item: JobLogItem) -> JSON:
    return {
        "logDateTime": _recorded(item.at),
        "event": item.event,
        "eventData": _present(
            sourceServerID=item.server_id,
            conversionServerID=item.conversion_server_id,
            targetInstanceID=item.target_instance_id,
            rawError=item.raw_error,
        ),
    }


def source_server(server: SourceServer, service: Service) -> JSON:
    now = service.world.clock.now()
    replication = service.replication(server.id)
    seen = _iso(replication.last_seen or now)
    system, device = SYSTEMS[server.os]
    last = server.last_launch
    return _present(
        sourceServerID=server.id,
        arn=server.arn,
        tags=server.tags,
        recoveryInstanceId=server.recovery_instance_id,
        lastLaunchResult=_RESULTS[last.status] if last else "NOT_STARTED",
        dataReplicationInfo=_replication(replication, service, device, now),
        lifeCycle=_present(
            addedToServiceDateTime=_iso(server.added - timedelta(days=30)),
            firstByteDateTime=_iso(server.added - timedelta(days=30) + timedelta(minutes=20)),
            elapsedReplicationDuration=_duration(timedelta(days=30)),
            lastSeenByServiceDateTime=seen,
            lastLaunch=_last_launch(last) if last else None,
        ),
        sourceProperties={
            "lastUpdatedDateTime": seen,
            "recommendedInstanceType": "m5.large",
            "identificationHints": {
                "hostname": server.hostname,
                "fqdn": f"{server.hostname}.example.internal",
            },
            "networkInterfaces": [
                {"macAddress": "02:00:5e:10:00:01", "ips": ["10.0.0.10"], "isPrimary": True}
            ],
            "disks": [{"deviceName": device, "bytes": DISK_BYTES}],
            "cpus": [{"cores": 2, "modelName": "Intel(R) Xeon(R) Platinum 8175M CPU @ 2.50GHz"}],
            "ramBytes": 8 * 2**30,
            "os": {"fullString": system},
            "supportsNitroInstances": True,
        },
        stagingArea={"status": "NOT_EXTENDED"},
        replicationDirection="FAILOVER",
        agentVersion=AGENT_VERSION,
    )


def _replication(replication: ReplicationStatus, service: Service, device: str, now: datetime) -> JSON:
    state = replication.state
    done = _REPLICATED.get(state, 1.0)
    # DRS estimates when a server will have caught up. Here that takes as long as the server's present lag.
    eta = _iso(now + replication.lag) if state in _CATCHING_UP else None
    return _present(
        lagDuration=_duration(replication.lag),
        etaDateTime=eta,
        replicatedDisks=[
            {
                "deviceName": device,
                "totalStorageBytes": DISK_BYTES,
                "replicatedStorageBytes": int(DISK_BYTES * done),
                "rescannedStorageBytes": 0,
                "backloggedStorageBytes": 2**30 if state is ReplicationState.BACKLOG else 0,
            }
        ],
        dataReplicationState=state,
        dataReplicationError=_replication_error(replication),
        stagingAvailabilityZone=f"{service.region}a",
    )


def _replication_error(replication: ReplicationStatus) -> JSON | None:
    """Say why replication has stopped: the agent is silent, or it sends too little data to catch up."""
    if replication.state not in (ReplicationState.STALLED, ReplicationState.DISCONNECTED):
        return None
    silent = replication.last_seen or replication.state is ReplicationState.DISCONNECTED
    return {"error": "AGENT_NOT_SEEN" if silent else "NOT_CONVERGING"}


def _last_launch(launch: LastLaunch) -> JSON:
    return {
        "initiated": {
            "apiCallDateTime": _iso(launch.api_call),
            "jobID": launch.job_id,
            "type": "DRILL" if launch.is_drill else "RECOVERY",
        },
        "status": launch.status,
    }


def recovery_instance(instance: RecoveryInstance, service: Service) -> JSON:
    server = service.servers[instance.server_id]
    system, device = SYSTEMS[server.os]
    address = service.ec2.private_ip(instance.id)
    return {
        "ec2InstanceID": instance.id,
        "ec2InstanceState": service.ec2.state(instance.id).upper(),
        "jobID": instance.job_id,
        "recoveryInstanceID": instance.id,
        "sourceServerID": instance.server_id,
        "arn": instance.arn,
        "tags": instance.tags,
        "failback": {"state": "FAILBACK_NOT_STARTED", "failbackToOriginalServer": False},
        "dataReplicationInfo": {"dataReplicationState": "NOT_STARTED"},
        "recoveryInstanceProperties": {
            "lastUpdatedDateTime": _iso(instance.launched),
            "identificationHints": {"hostname": server.hostname, "awsInstanceID": instance.id},
            "networkInterfaces": [{"ips": [address], "isPrimary": True}] if address else [],
            "disks": [{"internalDeviceName": device, "bytes": DISK_BYTES}],
            "os": {"fullString": system},
        },
        "pointInTimeSnapshotDateTime": _iso(instance.point_in_time),
        "isDrill": instance.is_drill,
        "originEnvironment": "ON_PREMISES",
        "agentVersion": AGENT_VERSION,
    }


def snapshot(snapshot: Snapshot) -> JSON:
    return {
        "snapshotID": snapshot.id,
        "sourceServerID": snapshot.server_id,
        "expectedTimestamp": _iso(snapshot.at),
        "timestamp": _iso(snapshot.at),
        "ebsSnapshots": [f"snap-{snapshot.id.removeprefix('pit-')}"],
    }


def recovery_plan(plan: RecoveryPlan) -> JSON:
    created = _iso(plan.created)
    return {
        "recoveryPlanArn": plan.arn,
        "name": plan.name,
        "status": "ACTIVE",
        "createdAt": created,
        "updatedAt": created,
    }


def plan_execution_summary(execution: PlanExecution) -> JSON:
    return {
        "recoveryPlanExecutionArn": execution.arn,
        "recoveryPlanArn": execution.plan.arn,
        "mode": execution.mode,
        "status": execution.status,
        "startedAt": _iso(execution.started),
    }


def plan_execution(execution: PlanExecution) -> JSON:
    completed = _iso(execution.completed) if execution.completed else None
    return _present(**plan_execution_summary(execution), completedAt=completed, tags={})


def plan_steps(execution: PlanExecution) -> list[JSON]:
    """Show the steps of an execution. The servers have no job, because none was started for them."""
    servers = [{"serverArn": arn, "impactLevel": "CRITICAL"} for arn in execution.server_arns]
    steps = [
        ("wait", {"waitStepConfiguration": {"waitDurationMinutes": 120}}),
        ("servers", {"executionServerStepConfiguration": {"servers": servers}}),
    ]
    return [
        {
            "recoveryPlanExecutionStepArn": f"{execution.arn}/step/{index}",
            "stepName": name,
            "stepIndex": index,
            "status": execution.step_status(index),
            "configuration": configuration,
        }
        for index, (name, configuration) in enumerate(steps, 1)
    ]


def launch_configuration(server: SourceServer) -> JSON:
    configuration = server.launch_configuration
    return {
        "sourceServerID": server.id,
        **{name: getattr(configuration, attribute) for name, attribute in _LAUNCH_MEMBERS.items()},
        "licensing": {"osByol": configuration.os_byol},
    }


def launch_configuration_changes(parameters: JSON) -> dict[str, Any]:
    """Return the changes of a ``LaunchConfiguration`` that an UpdateLaunchConfiguration request asks for."""
    changes = {
        attribute: parameters[name] for name, attribute in _LAUNCH_MEMBERS.items() if name in parameters
    }
    if "launchDisposition" in parameters:
        changes["launch_disposition"] = LaunchDisposition(parameters["launchDisposition"])
    if "licensing" in parameters:
        changes["os_byol"] = parameters["licensing"].get("osByol", False)
    return changes


_LAUNCH_MEMBERS: Final = {
    "name": "name",
    "ec2LaunchTemplateID": "ec2_launch_template_id",
    "launchDisposition": "launch_disposition",
    "targetInstanceTypeRightSizingMethod": "target_instance_type_right_sizing_method",
    "copyPrivateIp": "copy_private_ip",
    "copyTags": "copy_tags",
    "postLaunchEnabled": "post_launch_enabled",
    "recoveryMode": "recovery_mode",
}


def replication_configuration(server: SourceServer) -> JSON:
    _, device = SYSTEMS[server.os]
    return {
        "sourceServerID": server.id,
        "name": server.hostname,
        "stagingAreaSubnetId": "subnet-0f1e2d3c4b5a69788",
        "associateDefaultSecurityGroup": True,
        "replicationServersSecurityGroupsIDs": [],
        "replicationServerInstanceType": "t3.small",
        "useDedicatedReplicationServer": False,
        "defaultLargeStagingDiskType": "GP3",
        "replicatedDisks": [{"deviceName": device, "isBootDisk": True, "stagingDiskType": "AUTO"}],
        "ebsEncryption": "DEFAULT",
        "bandwidthThrottling": 0,
        "dataPlaneRouting": "PRIVATE_IP",
        "createPublicIP": False,
        "stagingAreaTags": {},
        "pitPolicy": [
            {"ruleID": 1, "units": "MINUTE", "interval": 10, "retentionDuration": 60, "enabled": True},
            {"ruleID": 2, "units": "HOUR", "interval": 1, "retentionDuration": 24, "enabled": True},
            {"ruleID": 3, "units": "DAY", "interval": 1, "retentionDuration": 7, "enabled": True},
        ],
        "autoReplicateNewDisks": False,
    }


def _present(**members: Any) -> JSON:
    return {name: value for name, value in members.items() if value is not None}


def _iso(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _recorded(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f+00:00")


def _duration(length: timedelta) -> str:
    """Write a duration in ISO 8601. Zero is ``P0D``, as DRS writes it."""
    hours, seconds = divmod(length.seconds + length.microseconds / 1e6, 3600)
    minutes, seconds = divmod(seconds, 60)
    days = f"{length.days}D" if length.days else ""
    clock = "".join(
        f"{value:g}{unit}" for value, unit in ((hours, "H"), (minutes, "M"), (seconds, "S")) if value
    )
    return f"P{days}T{clock}" if clock else f"P{days or '0D'}"
