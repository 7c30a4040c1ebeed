"""The operations of AWS that a drill uses, in the shapes of boto3, over the simulated engine."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from typing import Any

from botocore.exceptions import ClientError
from greenlet import getcurrent

from bench.campaign.aws import ACCOUNT, CALLER, Account, Request
from bench.campaign.hub import Process
from bench.campaign.machines import GROUP, SUBNET, VPC, Machine
from simulator.drs import views
from simulator.engine.instances import StatusCheck
from simulator.engine.model import JobLogItem
from simulator.engine.run_command import CommandError
from simulator.ssm import views as ssm_views

Build = Callable[..., Request]
Reply = dict[str, Any]


class Operations:
    """Makes the request of each operation.

    :param account: the account in which it is made
    """

    def __init__(self, account: Account) -> None:
        self._account = account
        self._service = account.service

    def of(self, service: str) -> dict[str, Build]:
        """The operations of a service, by the names of boto3's methods."""
        known: dict[str, dict[str, Build]] = {
            "drs": {
                "start_recovery": self._start_recovery,
                "terminate_recovery_instances": self._terminate,
                "describe_jobs": self._jobs,
                "describe_job_log_items": self._job_log,
                "describe_source_servers": self._source_servers,
                "describe_recovery_instances": self._instances,
                "describe_recovery_snapshots": self._snapshots,
                "get_launch_configuration": self._launch_configuration,
                "list_recovery_plan_executions": self._executions,
                "list_recovery_plan_execution_steps": self._steps,
            },
            "ec2": {
                "describe_instances": self._machines,
                "describe_instance_status": self._statuses,
                "describe_launch_template_versions": self._templates,
                "describe_subnets": self._subnets,
                "describe_security_groups": self._groups,
            },
            "ssm": {
                "list_commands": self._commands,
                "send_command": self._send_command,
                "get_command_invocation": self._invocation,
            },
            "sts": {"get_caller_identity": self._identity},
            "iam": {"simulate_principal_policy": self._rehearsal},
        }
        return known[service]

    # --- DRS: what changes something --------------------------------------------------------------------

    def _start_recovery(
        self,
        *,
        sourceServers: Sequence[Reply],  # noqa: N803 - boto3's name
        isDrill: bool = False,  # noqa: N803
        tags: dict[str, str] | None = None,
    ) -> Request:
        wanted = [(each["sourceServerID"], each.get("recoverySnapshotID")) for each in sourceServers]
        actor = _actor()

        def answer() -> Reply:
            held = {server for job in self._service.jobs.values() if job.live for server in job.server_ids}
            if not held.intersection(server for server, _ in wanted):
                self._account.truth.launch_begins(
                    actor, [server for server, _ in wanted], self._account.hub.now
                )
            job = self._service.start_recovery(wanted, is_drill=isDrill, tags=tags or {})
            self._account.truth.launched(actor, job)
            return {"job": views.job(job, self._service)}

        servers = frozenset(server for server, _ in wanted)
        return Request("StartRecovery", answer, servers=servers, tagged=bool(tags))

    def _terminate(self, *, recoveryInstanceIDs: Sequence[str]) -> Request:  # noqa: N803
        actor, service = _actor(), self._service

        def answer() -> Reply:
            instances = [
                service.recovery_instances[each]
                for each in recoveryInstanceIDs
                if each in service.recovery_instances
            ]
            job = service.terminate_recovery_instances(recoveryInstanceIDs)
            self._account.truth.terminates(actor, job, instances, self._account.hub.now)
            return {"job": views.job(job, service)}

        servers = frozenset(service.servers_of_instances(recoveryInstanceIDs))
        return Request("TerminateRecoveryInstances", answer, servers=servers)

    # --- DRS: reads -------------------------------------------------------------------------------------

    def _jobs(self, *, filters: Reply | None = None) -> Request:
        ids = set((filters or {}).get("jobIDs") or ())
        since = (filters or {}).get("fromDate")
        first = dt.datetime.fromisoformat(since) if since else None

        def answer() -> Reply:
            return {
                "items": [
                    views.job(job, self._service)
                    for job in self._account.past.jobs(self._account.shown())
                    if (not ids or job.id in ids) and (first is None or job.created >= first)
                ]
            }

        return Request("DescribeJobs", answer)

    def _job_log(self, *, jobID: str) -> Request:  # noqa: N803
        def answer() -> Reply:
            items = self._account.past.job_log(jobID, self._account.shown())
            return {"items": [self._log_item(item) for item in items]}

        return Request("DescribeJobLogItems", answer)

    def _log_item(self, item: JobLogItem) -> Reply:
        """The item as DRS shows it. It never changes, and is shown often."""
        known = self._account.shown_items.get(id(item))
        if known is None:
            known = self._account.shown_items[id(item)] = item, views.job_log_item(item)
        return known[1]

    def _source_servers(self, *, filters: Reply | None = None) -> Request:
        def answer() -> Reply:
            servers = self._service.servers.values()
            return {"items": [views.source_server(server, self._service) for server in servers]}

        return Request("DescribeSourceServers", answer)

    def _instances(self, *, filters: Reply | None = None) -> Request:
        servers = set((filters or {}).get("sourceServerIDs") or ())
        ids = set((filters or {}).get("recoveryInstanceIDs") or ())

        def answer() -> Reply:
            moment = self._account.shown()
            items = []
            for instance in self._account.past.instances(moment):
                if (not servers or instance.server_id in servers) and (not ids or instance.id in ids):
                    item = views.recovery_instance(instance, self._service)
                    state = self._account.machines.all[instance.id].state_at(moment) or "pending"
                    items.append({**item, "ec2InstanceState": state.upper()})
            return {"items": items}

        return Request("DescribeRecoveryInstances", answer, servers=frozenset(servers))

    def _snapshots(self, *, sourceServerID: str) -> Request:  # noqa: N803
        def answer() -> Reply:
            return {"items": [views.snapshot(each) for each in self._service.snapshots(sourceServerID)]}

        return Request("DescribeRecoverySnapshots", answer, servers=frozenset({sourceServerID}))

    def _launch_configuration(self, *, sourceServerID: str) -> Request:  # noqa: N803
        def answer() -> Reply:
            return views.launch_configuration(self._service.find_server(sourceServerID))

        return Request("GetLaunchConfiguration", answer, servers=frozenset({sourceServerID}))

    def _executions(self, *, status: str) -> Request:
        def answer() -> Reply:
            found = self._service.plan_executions.values()
            shown = [views.plan_execution_summary(each) for each in found if each.status == status]
            return {"recoveryPlanExecutions": shown}

        return Request("ListRecoveryPlanExecutions", answer)

    def _steps(self, *, recoveryPlanExecutionArn: str) -> Request:  # noqa: N803
        def answer() -> Reply:
            execution = self._service.find_plan_execution(recoveryPlanExecutionArn)
            return {"recoveryPlanExecutionSteps": views.plan_steps(execution)}

        return Request("ListRecoveryPlanExecutionSteps", answer)

    # --- Systems Manager --------------------------------------------------------------------------------

    def _commands(self, *, InstanceId: str, Filters: Sequence[Reply] = ()) -> Request:  # noqa: N803
        def answer() -> Reply:
            found = self._service.run_command.newest_first(None, InstanceId)
            return {"Commands": [ssm_views.command(each) for each in found]}

        return Request("ssm:ListCommands", answer)

    def _send_command(
        self,
        *,
        InstanceIds: Sequence[str],  # noqa: N803
        DocumentName: str,  # noqa: N803
        Parameters: dict[str, list[str]],  # noqa: N803
        Comment: str,  # noqa: N803
        TimeoutSeconds: int,  # noqa: N803
    ) -> Request:
        def answer() -> Reply:
            send = self._service.run_command.send
            try:
                command = send(DocumentName, InstanceIds, Parameters, comment=Comment, timeout=TimeoutSeconds)
            except CommandError as error:
                raise _refusal(error.code, error.message, "SendCommand") from None
            return {"Command": ssm_views.command(command)}

        return Request("ssm:SendCommand", answer)

    def _invocation(self, *, CommandId: str, InstanceId: str) -> Request:  # noqa: N803
        def answer() -> Reply:
            try:
                command, invocation = self._service.run_command.invocation(CommandId, InstanceId)
            except CommandError as error:
                raise _refusal(error.code, error.message, "GetCommandInvocation") from None
            return ssm_views.invocation(command, invocation)

        return Request("ssm:GetCommandInvocation", answer)

    # --- EC2, STS, IAM ----------------------------------------------------------------------------------

    def _machines(self, *, Filters: Sequence[Reply] = ()) -> Request:  # noqa: N803
        def answer() -> Reply:
            moment = self._account.shown()
            found = self._account.machines.matching(Filters, moment)
            return {"Reservations": [{"Instances": [each.describe(moment) for each in found]}]}

        return Request("ec2:DescribeInstances", answer)

    def _statuses(self, *, InstanceIds: Sequence[str], IncludeAllInstances: bool = False) -> Request:  # noqa: N803
        def answer() -> Reply:
            moment = self._account.shown()
            found = [self._machine(each, "DescribeInstanceStatus", moment) for each in InstanceIds]
            return {
                "InstanceStatuses": [
                    self._status(each, moment)
                    for each in found
                    if IncludeAllInstances or each.state_at(moment) == "running"
                ]
            }

        return Request("ec2:DescribeInstanceStatus", answer)

    def _machine(self, instance_id: str, operation: str, moment: dt.datetime) -> Machine:
        machine = self._account.machines.all.get(instance_id)
        if machine is None or machine.state_at(moment) is None:
            text = f"The instance ID '{instance_id}' does not exist"
            raise _refusal("InvalidInstanceID.NotFound", text, operation)
        return machine

    def _status(self, machine: Machine, moment: dt.datetime) -> Reply:
        status: Reply = {"InstanceId": machine.id, "InstanceState": {"Name": machine.state_at(moment)}}
        known = self._service.recovery_instances.get(machine.id)
        if known and machine.state_at(moment) == "running":
            checks = self._service.instances.status_checks(known)
            status |= {"InstanceStatus": _check(checks.instance), "SystemStatus": _check(checks.system)}
        return status

    def _templates(
        self,
        *,
        LaunchTemplateId: str = "",  # noqa: N803
        Versions: Sequence[str],  # noqa: N803
    ) -> Request:
        known = self._account.machines.templates

        def answer() -> Reply:
            if LaunchTemplateId and LaunchTemplateId not in known:
                text = f"The template {LaunchTemplateId} does not exist"
                raise _refusal("InvalidLaunchTemplateId.NotFound", text, "DescribeLaunchTemplateVersions")
            interface = {"DeviceIndex": 0, "SubnetId": SUBNET, "Groups": [GROUP]}
            return {
                "LaunchTemplateVersions": [
                    {
                        "LaunchTemplateId": each,
                        "VersionNumber": 1,
                        "DefaultVersion": True,
                        "LaunchTemplateData": {"InstanceType": "m5.large", "NetworkInterfaces": [interface]},
                    }
                    for each in ([LaunchTemplateId] if LaunchTemplateId else known)
                ]
            }

        return Request("ec2:DescribeLaunchTemplateVersions", answer)

    def _subnets(self, *, Filters: Sequence[Reply] = ()) -> Request:  # noqa: N803
        reply = {"Subnets": [{"SubnetId": SUBNET, "VpcId": VPC}]}
        return Request("ec2:DescribeSubnets", lambda: reply)

    def _groups(self, *, Filters: Sequence[Reply] = ()) -> Request:  # noqa: N803
        reply = {"SecurityGroups": [{"GroupId": GROUP, "VpcId": VPC}]}
        return Request("ec2:DescribeSecurityGroups", lambda: reply)

    def _identity(self) -> Request:
        reply = {"Account": ACCOUNT, "Arn": CALLER, "UserId": "AROA"}
        return Request("sts:GetCallerIdentity", lambda: reply)

    def _rehearsal(self, *, ActionNames: Sequence[str], **_: Any) -> Request:  # noqa: N803
        def answer() -> Reply:
            denied = {"drs:TagResource"} if self._account.refuses_tags else set()
            results = [
                {"EvalActionName": name, "EvalDecision": "implicitDeny" if name in denied else "allowed"}
                for name in ActionNames
            ]
            return {"EvaluationResults": results}

        return Request("iam:SimulatePrincipalPolicy", answer)


def _actor() -> str:
    process = getcurrent()
    return process.actor if isinstance(process, Process) and process.actor else "somebody"


def _check(check: StatusCheck) -> Reply:
    return {"Status": check.status, "Details": [{"Name": "reachability", "Status": check.status}]}


def _refusal(code: str, message: str, operation: str) -> ClientError:
    reply: Any = {
        "Error": {"Code": code, "Message": message},
        "ResponseMetadata": {"HTTPStatusCode": 400, "HTTPHeaders": {}},
    }
    return ClientError(reply, operation)
