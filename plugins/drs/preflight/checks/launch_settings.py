"""Whether the place where each server would be launched exists, and whether the plan allows it."""

from __future__ import annotations

from collections.abc import Iterator

from drs.errors import LaunchConfigurationInvalid
from drs.plan import Plan
from drs.preflight.facts import Facts, Interface, LaunchSettings
from drs.preflight.findings import Finding
from drs.preflight.inputs import PreflightInputs
from drs.preflight.servers import Servers


def launch_settings(facts: Facts, inputs: PreflightInputs, servers: Servers) -> Iterator[Finding]:
    """Templates, subnets and security groups that do not exist, or that the plan's ``network`` forbids."""
    for wave, server in servers:
        settings = facts.settings.get(server.server_id)
        if settings is None or facts.templates is None:
            continue
        for wrong in _problems(settings, facts, inputs.plan):
            error = LaunchConfigurationInvalid(f"Server {servers.label(server.server_id)} {wrong}.")
            yield Finding.of(error).about(wave, server.server_id)


def stopped_servers(facts: Facts, servers: Servers) -> list[str]:
    """The servers whose instances DRS does not start."""
    return [
        server_id
        for server_id in servers.ids
        if (settings := facts.settings.get(server_id)) and not settings.starts
    ]


def _problems(settings: LaunchSettings, facts: Facts, plan: Plan) -> Iterator[str]:
    """What is wrong, as the end of a sentence about the server."""
    assert facts.templates is not None
    if settings.template_id is None:
        yield "has no EC2 launch template in its launch settings"
        return
    template = facts.templates.get(settings.template_id)
    if template is None:
        yield f"is to be launched by EC2 launch template {settings.template_id}, which does not exist"
        return
    if settings.into_instance:
        if plan.network.allowed_subnets or plan.network.allowed_security_groups:
            yield (
                f"is to be launched into the existing instance {settings.into_instance}: no launch template "
                "says where that is, so the plan's network cannot be checked"
            )
        return
    by = f"by EC2 launch template {settings.template_id} (default version {template.version})"
    for interface in template.interfaces:
        for wrong in (*_wrong_subnet(interface, facts, plan), *_wrong_groups(interface, facts, plan)):
            yield f"is to be launched {by} in {wrong}"


def _wrong_subnet(interface: Interface, facts: Facts, plan: Plan) -> Iterator[str]:
    allowed = plan.network.allowed_subnets
    subnet = interface.subnet_id
    if subnet is None:
        if allowed:
            yield f"EC2's default subnet, since it names none; the plan allows {', '.join(allowed)}"
    elif facts.subnets is not None and subnet not in facts.subnets:
        yield f"subnet {subnet}, which does not exist"
    elif allowed and subnet not in allowed:
        yield f"subnet {subnet}; the plan's allowed_subnets are {', '.join(allowed)}"


def _wrong_groups(interface: Interface, facts: Facts, plan: Plan) -> Iterator[str]:
    allowed = plan.network.allowed_security_groups
    if not interface.group_ids and allowed:
        yield f"the VPC's default security group, since it names none; the plan allows {', '.join(allowed)}"
    vpc = (facts.subnets or {}).get(interface.subnet_id or "")
    for group in interface.group_ids:
        if facts.groups is not None and group not in facts.groups:
            yield f"security group {group}, which does not exist"
        elif allowed and group not in allowed:
            yield f"security group {group}; the plan's allowed_security_groups are {', '.join(allowed)}"
        elif vpc and facts.groups is not None and facts.groups[group] != vpc:
            yield f"subnet {interface.subnet_id} and security group {group}, which belong to different VPCs"
