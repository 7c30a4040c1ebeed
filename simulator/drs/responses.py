"""The HTTP side of the simulated DRS: parses a request, calls the engine, answers in DRS's shapes."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, TypeVar

from moto.core.common_types import TYPE_RESPONSE
from moto.core.responses import ActionResult, BaseResponse
from moto.core.utils import camelcase_to_underscores, get_service_model

from simulator.callers import caller_arn
from simulator.drs import validation, views
from simulator.drs.exceptions import DRSServiceException
from simulator.drs.models import DRSBackend, current_simulation, drs_backends
from simulator.drs.paging import page
from simulator.engine.errors import DrsError
from simulator.engine.fault_plan import Call
from simulator.engine.operations import SIMULATED
from simulator.engine.service import Service

JSON = dict[str, Any]
T = TypeVar("T")


class DRSResponse(BaseResponse):
    """One request. The methods have the names of the operations, as moto expects."""

    def __init__(self) -> None:
        super().__init__(service_name="drs")
        self.automated_parameter_parsing = True

    @property
    def drs_backend(self) -> DRSBackend:
        return drs_backends[self.current_account][self.region]

    @property
    def service(self) -> Service:
        return self.drs_backend.service

    def call_action(self) -> TYPE_RESPONSE:
        """Answer the request in one step: faults that strike before the work, the work, faults after it."""
        operation = self._get_action()
        if operation not in SIMULATED:
            return _not_simulated(operation or f"{self.method} {self.path}")
        simulation = current_simulation()
        with simulation.lock:
            simulation.tick()
            call = self._call(operation)
            faults = simulation.world.faults
            try:
                faults.strike(call, "before")
                self._check(operation)
                result = self._answer(operation)
                faults.strike(call, "after")
            except DrsError as error:
                # moto leaves out the members of an error that the API model puts into headers.
                if "retryAfterSeconds" in error.fields:
                    self.response_headers["Retry-After"] = error.fields["retryAfterSeconds"]
                result = ActionResult(DRSServiceException(error))
            status, headers, body = self.serialized(result)
            return status, *self._enrich_response(headers, body)

    def _check(self, operation: str) -> None:
        shape = get_service_model("drs").operation_model(operation).input_shape
        validation.check(shape, self._get_params() | self.uri_match)
        if operation != "InitializeService":
            self.service.require_initialized()

    def _answer(self, operation: str) -> ActionResult:
        method = getattr(self, camelcase_to_underscores(operation))
        result: JSON = method()
        return ActionResult(result)

    def _call(self, operation: str) -> Call:
        return Call(
            operation=operation,
            account=self.current_account,
            region=self.region,
            caller_arn=caller_arn(self.access_key, self.current_account),
            servers=frozenset(self._named_servers()),
            has_tags=bool(self._get_param("tags")),
        )

    def _named_servers(self) -> list[str]:
        """Return the source servers that the request names, directly or by their recovery instances."""
        filters: JSON = self._get_param("filters") or {}
        wanted: list[JSON] = self._get_param("sourceServers") or []
        named = [self._get_param("sourceServerID"), *(filters.get("sourceServerIDs") or [])]
        named += [server.get("sourceServerID") for server in wanted]
        instances = self._get_param("recoveryInstanceIDs") or filters.get("recoveryInstanceIDs") or []
        return [server for server in named if server] + self.service.servers_of_instances(instances)

    def _page(self, name: str, items: Sequence[T], view: Callable[[T], JSON], member: str = "items") -> JSON:
        shown, token = page(name, items, self._get_param("maxResults"), self._get_param("nextToken"))
        return {member: [view(item) for item in shown], **token}

    # Jobs

    def start_recovery(self) -> JSON:
        wanted = [
            (server["sourceServerID"], server.get("recoverySnapshotID"))
            for server in self._get_param("sourceServers")
        ]
        job = self.service.start_recovery(
            wanted, is_drill=self._get_param("isDrill", False), tags=self._get_param("tags") or {}
        )
        return {"job": views.job(job, self.service)}

    def terminate_recovery_instances(self) -> JSON:
        job = self.service.terminate_recovery_instances(self._get_param("recoveryInstanceIDs"))
        return {"job": views.job(job, self.service)}

    def describe_jobs(self) -> JSON:
        filters: JSON = self._get_param("filters") or {}
        ids = set(filters.get("jobIDs") or ())
        first, last = (_time(filters.get(name)) for name in ("fromDate", "toDate"))
        jobs = [
            job
            for job in self.service.jobs.values()
            if (not ids or job.id in ids)
            and (first is None or job.created >= first)
            and (last is None or job.created <= last)
        ]
        return self._page("DescribeJobs", jobs, lambda job: views.job(job, self.service))

    def describe_job_log_items(self) -> JSON:
        job = self.service.find_job(self._get_param("jobID"))
        return self._page("DescribeJobLogItems", job.log, views.job_log_item)

    # Servers, instances, snapshots

    def describe_source_servers(self) -> JSON:
        filters: JSON = self._get_param("filters") or {}
        ids = set(filters.get("sourceServerIDs") or ())
        staging = filters.get("stagingAccountIDs") or [self.current_account]
        # No simulated server has a hardware id, and all servers replicate into their own account.
        matching = not filters.get("hardwareId") and self.current_account in staging
        servers = [
            server for server in self.service.servers.values() if matching and (not ids or server.id in ids)
        ]
        return self._page(
            "DescribeSourceServers", servers, lambda server: views.source_server(server, self.service)
        )

    def describe_recovery_instances(self) -> JSON:
        filters: JSON = self._get_param("filters") or {}
        ids = set(filters.get("recoveryInstanceIDs") or ())
        servers = set(filters.get("sourceServerIDs") or ())
        instances = [
            instance
            for instance in self.service.recovery_instances.values()
            if (not ids or instance.id in ids) and (not servers or instance.server_id in servers)
        ]
        return self._page(
            "DescribeRecoveryInstances",
            instances,
            lambda instance: views.recovery_instance(instance, self.service),
        )

    def describe_recovery_snapshots(self) -> JSON:
        filters: JSON = self._get_param("filters") or {}
        first, last = (_time(filters.get(name)) for name in ("fromDateTime", "toDateTime"))
        snapshots = [
            snapshot
            for snapshot in self.service.snapshots(self._get_param("sourceServerID"))
            if (first is None or snapshot.at >= first) and (last is None or snapshot.at <= last)
        ]
        if self._get_param("order") == "DESC":
            snapshots.reverse()
        return self._page("DescribeRecoverySnapshots", snapshots, views.snapshot)

    # AWS's own recovery plans

    def list_recovery_plans(self) -> JSON:
        return self._page(
            "ListRecoveryPlans", list(self.service.plans.values()), views.recovery_plan, "recoveryPlans"
        )

    def list_recovery_plan_executions(self) -> JSON:
        plan, status = self._get_param("recoveryPlanArn"), self._get_param("status")
        executions = [
            execution
            for execution in self.service.plan_executions.values()
            if plan in (None, execution.plan.arn) and status in (None, execution.status)
        ]
        name = "ListRecoveryPlanExecutions"
        return self._page(name, executions, views.plan_execution_summary, "recoveryPlanExecutions")

    def get_recovery_plan_execution(self) -> JSON:
        execution = self.service.find_plan_execution(self._get_param("recoveryPlanExecutionArn"))
        return {"recoveryPlanExecution": views.plan_execution(execution)}

    def list_recovery_plan_execution_steps(self) -> JSON:
        execution = self.service.find_plan_execution(self._get_param("recoveryPlanExecutionArn"))
        status = (self._get_param("filter") or {}).get("status")
        steps = [step for step in views.plan_steps(execution) if status in (None, step["status"])]
        name = "ListRecoveryPlanExecutionSteps"
        return self._page(name, steps, dict, "recoveryPlanExecutionSteps")

    # Settings

    def get_launch_configuration(self) -> JSON:
        return views.launch_configuration(self.service.find_server(self._get_param("sourceServerID")))

    def update_launch_configuration(self) -> JSON:
        changes = views.launch_configuration_changes(self._get_params())
        server = self.service.update_launch_configuration(self._get_param("sourceServerID"), changes)
        return views.launch_configuration(server)

    def get_replication_configuration(self) -> JSON:
        return views.replication_configuration(self.service.find_server(self._get_param("sourceServerID")))

    def initialize_service(self) -> JSON:
        self.service.initialize()
        return {}

    # Tags

    def tag_resource(self) -> JSON:
        self.service.tags_of(self._get_param("resourceArn")).update(self._get_param("tags"))
        return {}

    def untag_resource(self) -> JSON:
        tags = self.service.tags_of(self._get_param("resourceArn"))
        for key in self._get_param("tagKeys"):
            tags.pop(key, None)
        return {}

    def list_tags_for_resource(self) -> JSON:
        return {"tags": self.service.tags_of(self._get_param("resourceArn"))}


def _not_simulated(operation: str) -> TYPE_RESPONSE:
    """Answer with HTTP 501, because botocore does not retry it."""
    message = f"{operation} is not simulated. Simulated operations of DRS: {', '.join(sorted(SIMULATED))}."
    headers = {"Content-Type": "application/json", "x-amzn-ErrorType": "NotSimulated"}
    return 501, headers, json.dumps({"__type": "NotSimulated", "message": message})


def _time(value: str | None) -> datetime | None:
    return datetime.fromisoformat(value) if value else None
