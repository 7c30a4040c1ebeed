"""The check that is always made: the run's own job launched the instance, and in an allowed place."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from drs.validation.observation import Observation, failed, not_yet, passed
from drs.validation.server import Subject
from drs.validation.wave_to_check import WaveToCheck

_ENDING = frozenset({"shutting-down", "terminated"})


async def recovery_instance(subject: Subject) -> Observation:
    """The check passes if all of this holds:

    - DRS lists an instance that the server's job launched, for a drill or for a recovery as the run is.
    - EC2 shows the instance in the state that the launch disposition asks for.
    - Its subnets and security groups are those that the plan allows.
    """
    server, wave = subject.server, subject.wave
    item = await subject.recovery_instance()
    if item is None:
        return not_yet(f"DRS lists no recovery instance of {server.server_id} that {server.job_id} launched")
    if bool(item.get("isDrill")) is not wave.is_drill:
        return failed(
            f"DRS says isDrill {str(bool(item.get('isDrill'))).lower()} for {item['recoveryInstanceID']}, "
            f"but this run is a {'DRILL' if wave.is_drill else 'RECOVERY'}"
        )
    instance_id = await subject.instance_id()
    instance = await subject.instance()
    if instance is None:
        return not_yet(f"EC2 shows no instance {instance_id}")
    if outside := list(_outside(instance, wave)):
        return failed(f"{instance_id} is in {' and in '.join(outside)}")
    wanted = "running" if server.starts else "stopped"
    state = instance["State"]["Name"]
    if state != wanted:
        text = f"EC2 shows {instance_id} {state}, but the server's launch disposition wants it {wanted}"
        return failed(text) if state in _ENDING else not_yet(text)
    kind = "drill" if wave.is_drill else "recovery"
    return passed(
        f"{instance_id}, a {kind} instance of {server.job_id}, is {state} in {_subnet_of(instance)}"
    )


def _outside(instance: Mapping[str, Any], wave: WaveToCheck) -> Iterator[str]:
    """The subnets and security groups of the instance that the plan does not allow."""
    parts = (instance, *instance.get("NetworkInterfaces", ()))
    subnets = sorted({part["SubnetId"] for part in parts if part.get("SubnetId")})
    groups = sorted(
        {
            group["GroupId"]
            for part in parts
            for group in (*part.get("SecurityGroups", ()), *part.get("Groups", ()))
        }
    )
    for what, found, allowed in (
        ("subnet", subnets, wave.network.allowed_subnets),
        ("security group", groups, wave.network.allowed_security_groups),
    ):
        if allowed and (others := [each for each in found if each not in allowed]):
            yield f"{what} {', '.join(others)}; the plan allows {', '.join(allowed)}"


def _subnet_of(instance: Mapping[str, Any]) -> str:
    return str(instance.get("SubnetId") or "no subnet that EC2 names")
