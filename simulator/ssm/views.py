"""Shows Run Command's objects in the shapes of Systems Manager's API model."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final

from simulator.engine.model import RecoveryInstance
from simulator.engine.run_command import POWERSHELL, SHELL, Command, Invocation
from simulator.engine.service import Service
from simulator.engine.timings import OperatingSystem

JSON = dict[str, Any]

_PLUGINS: Final = {SHELL: "aws:runShellScript", POWERSHELL: "aws:runPowerShellScript"}
_PLATFORMS: Final = {
    OperatingSystem.LINUX: ("Linux", "Amazon Linux", "2023"),
    OperatingSystem.WINDOWS: ("Windows", "Microsoft Windows Server 2022 Datacenter", "10.0.20348"),
}
_STDOUT, _STDERR, _LISTED = 24_000, 8_000, 2_500
"""How many characters of a command's output the API returns."""


def command(command: Command) -> JSON:
    ended = [each for each in command.invocations.values() if each.ended]
    return {
        "CommandId": command.id,
        "DocumentName": command.document,
        "DocumentVersion": "$DEFAULT",
        "Comment": command.comment,
        "ExpiresAfter": command.requested + timedelta(seconds=command.timeout),
        "Parameters": command.parameters,
        "InstanceIds": list(command.invocations),
        "Targets": [],
        "RequestedDateTime": command.requested,
        "Status": command.status,
        "StatusDetails": command.status,
        "MaxConcurrency": "50",
        "MaxErrors": "0",
        "TargetCount": len(command.invocations),
        "CompletedCount": len(ended),
        "ErrorCount": len([each for each in ended if each.status != "Success"]),
        "DeliveryTimedOutCount": 0,
        "TimeoutSeconds": command.timeout,
    }


def invocation(command: Command, invocation: Invocation) -> JSON:
    started, ended = invocation.started, invocation.ended
    return {
        "CommandId": command.id,
        "InstanceId": invocation.instance_id,
        "Comment": command.comment,
        "DocumentName": command.document,
        "DocumentVersion": "$DEFAULT",
        "PluginName": _PLUGINS.get(command.document, "aws:runShellScript"),
        "ResponseCode": invocation.response_code,
        "ExecutionStartDateTime": _time(started),
        "ExecutionElapsedTime": f"PT{(ended - started).total_seconds():.3f}S" if started and ended else "",
        "ExecutionEndDateTime": _time(ended),
        "Status": invocation.status,
        "StatusDetails": invocation.details,
        "StandardOutputContent": invocation.stdout[:_STDOUT],
        "StandardOutputUrl": "",
        "StandardErrorContent": invocation.stderr[:_STDERR],
        "StandardErrorUrl": "",
    }


def listed_invocation(command: Command, invocation: Invocation, *, details: bool) -> JSON:
    plugin: JSON = {
        "Name": _PLUGINS.get(command.document, "aws:runShellScript"),
        "Status": invocation.status,
        "StatusDetails": invocation.details,
        "ResponseCode": invocation.response_code,
        "Output": (invocation.stdout + invocation.stderr)[:_LISTED],
    }
    times = {"ResponseStartDateTime": invocation.started, "ResponseFinishDateTime": invocation.ended}
    plugin |= {name: at for name, at in times.items() if at}
    return {
        "CommandId": command.id,
        "InstanceId": invocation.instance_id,
        "InstanceName": "",
        "Comment": command.comment,
        "DocumentName": command.document,
        "DocumentVersion": "$DEFAULT",
        "RequestedDateTime": command.requested,
        "Status": invocation.status,
        "StatusDetails": invocation.details,
        "CommandPlugins": [plugin] if details else [],
    }


def information(instance: RecoveryInstance, service: Service) -> JSON:
    server = service.servers[instance.server_id]
    platform, name, version = _PLATFORMS[server.os]
    return {
        "InstanceId": instance.id,
        "PingStatus": "Online",
        "LastPingDateTime": service.world.clock.now(),
        "AgentVersion": "3.3.1611.0",
        "IsLatestVersion": True,
        "PlatformType": platform,
        "PlatformName": name,
        "PlatformVersion": version,
        "ResourceType": "EC2Instance",
        "IPAddress": service.ec2.private_ip(instance.id) or "",
        "ComputerName": f"{server.hostname}.example.internal",
    }


def _time(at: datetime | None) -> str:
    """Write a time with milliseconds, as Run Command does."""
    return at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03}Z" if at else ""
