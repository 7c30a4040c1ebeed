"""DescribeInstanceStatus, as a method for moto's ``InstanceResponse``.

Shapes and filters: https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeInstanceStatus.html
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from moto.core.responses import ActionResult
from moto.ec2.responses.instances import InstanceResponse

from simulator.drs.models import current_simulation
from simulator.engine.instances import StatusCheck
from simulator.engine.service import Service

JSON = dict[str, Any]

_REACHABILITY: Final = {"ok": "passed", "initializing": "initializing", "impaired": "failed"}
_FILTERS: Final = {
    "instance-status.status": ("InstanceStatus", "Status"),
    "system-status.status": ("SystemStatus", "Status"),
    "instance-state-name": ("InstanceState", "Name"),
}


def describe_instance_status(self: InstanceResponse) -> ActionResult:
    """Answer DescribeInstanceStatus for running instances, or for all instances if the request asks for them.

    :raises NotImplementedError: a filter that is not simulated.
    """
    filters: Mapping[str, Any] = self._filters_from_querystring()
    if unknown := sorted(set(filters) - set(_FILTERS)):
        raise NotImplementedError(f"DescribeInstanceStatus is not simulated with filters by {unknown}")
    simulation = current_simulation()
    with simulation.lock:
        simulation.tick()
        service = simulation.service(self.current_account, self.region)
        instances = self.ec2_backend.describe_instance_status(
            self._get_param("InstanceIds", []), self._get_bool_param("IncludeAllInstances", False), []
        )
        statuses = [_status(instance, service) for instance in instances]
    return ActionResult({"InstanceStatuses": [each for each in statuses if _matches(each, filters)]})


def _status(instance: Any, service: Service) -> JSON:
    known = service.recovery_instances.get(instance.id)
    status = {
        "InstanceId": instance.id,
        "AvailabilityZone": instance.availability_zone,
        "InstanceState": {"Code": instance.state_code, "Name": instance.state},
        "InstanceStatus": instance.instance_status,
        "SystemStatus": instance.system_status,
    }
    if known and instance.state == "running":
        checks = service.instances.status_checks(known)
        status |= {"InstanceStatus": _check(checks.instance), "SystemStatus": _check(checks.system)}
    return status


def _check(check: StatusCheck) -> JSON:
    detail: JSON = {"Name": "reachability", "Status": _REACHABILITY[check.status]}
    if check.since:
        detail["ImpairedSince"] = check.since
    return {"Status": check.status, "Details": [detail]}


def _matches(status: JSON, filters: Mapping[str, Any]) -> bool:
    wanted = ((_FILTERS[name], values) for name, values in filters.items())
    return all(status[part][member] in values for (part, member), values in wanted)
