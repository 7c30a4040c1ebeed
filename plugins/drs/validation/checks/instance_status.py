"""EC2's two status checks of an instance."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from drs.validation.observation import Observation, not_yet, passed
from drs.validation.server import Subject


async def instance_status(subject: Subject) -> Observation:
    """The check passes if system status and instance status are ``ok``. An impaired instance may recover.

    .. seealso:: https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeInstanceStatus.html
    """
    status = await subject.status()
    if status is None:
        return not_yet(f"EC2 names no status of {await subject.instance_id()}")
    system, instance = status.get("SystemStatus", {}), status.get("InstanceStatus", {})
    text = f"system {_described(system)}, instance {_described(instance)}"
    is_ok = system.get("Status") == "ok" and instance.get("Status") == "ok"
    return passed(text) if is_ok else not_yet(text)


def _described(status: Mapping[str, Any]) -> str:
    """``impaired (reachability failed)``"""
    said = str(status.get("Status", "unknown"))
    details = ", ".join(f"{each.get('Name')} {each.get('Status')}" for each in status.get("Details", ()))
    return said if said == "ok" or not details else f"{said} ({details})"
