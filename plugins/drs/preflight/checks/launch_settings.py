"""Whether each server can be launched where its settings say, and whether that is where the plan allows."""

from __future__ import annotations

from collections.abc import Iterator

from drs.errors import LaunchConfigurationInvalid
from drs.plan import Plan
from drs.preflight.facts import Facts, Interface, LaunchSettings
from drs.preflight.findings import Finding
from drs.preflight.inputs import PreflightInputs
from drs.preflight.servers import Servers


def launch_settings(facts: Facts, question: PreflightInputs, servers: Servers) -> Iterator[Finding]:
    """A template, subnet or security group that is not there; or one outside the plan's ``network``."""
    for wave, server in servers:
        settings = facts.settings.get(server.server_id)
        if settings is None or facts.templates is None:
            continue
        for wrong in _wrong(settings, facts, question.plan):
            error = LaunchConfigurationInvalid(f"Server {servers.label(server.server_id)} {wrong}.")
            yield Finding.of(error).about(wave, server.server_id)


def stopped_servers(facts: Facts, servers: Servers) -> list[str]:
    """The servers whose instances DRS does not start."""
    return [
        server_id
        for server_id in servers.ids
        if (settings := facts.settings.get(server_id)) and not settings.starts
    ]


def _wrong(settings: LaunchSettings, facts: Facts, plan: Plan) -> Iterator[str]:
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
                f"is to be launched into the existing instance {settings.into_instance}, so that no launch "
                "template says where, and the plan's network cannot be kept"
            )
        return
    by = f"by EC2 launch template {settings.template_id} (default version {template.version})"
    for interface in template.interfaces:
        for wrong in (*_subnet(interface, facts, plan), *_groups(interface, facts, plan)):
            yield f"is to be launched {by} in {wrong}"


def _subnet(interface: Interface, facts: Facts, plan: Plan) -> Iterator[str]:
    allowed = plan.network.allowed_subnets
    subnet = interface.subnet_id
    if subnet is None:
        if allowed:
            yield f"no subnet of its own, so in EC2's default one; the plan allows {', '.join(allowed)}"
    elif facts.subnets is not None and subnet not in facts.subnets:
        yield f"subnet {subnet}, which does not exist"
    elif allowed and subnet not in allowed:
        yield f"subnet {subnet}; the plan's allowed_subnets are {', '.join(allowed)}"


def _groups(interface: Interface, facts: Facts, plan: Plan) -> Iterator[str]:
    allowed = plan.network.allowed_security_groups
    if not interface.group_ids and allowed:
        yield f"no security group of its own, so in its VPC's default; the plan allows {', '.join(allowed)}"
    place = (facts.subnets or {}).get(interface.subnet_id or "")
    for group in interface.group_ids:
        if facts.groups is not None and group not in facts.groups:
            yield f"security group {group}, which does not exist"
        elif allowed and group not in allowed:
            yield f"security group {group}; the plan's allowed_security_groups are {', '.join(allowed)}"
        elif place and facts.groups is not None and facts.groups[group] != place:
            yield f"subnet {interface.subnet_id} and security group {group}, which belong to different VPCs"
