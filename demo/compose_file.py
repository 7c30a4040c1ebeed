"""`docker-compose.yaml` as values: the services, what they run, with which environment, after what."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from demo.env_file import read_env_file
from demo.processes import StackError

VARIABLE = re.compile(r"\$(?:\$|\{(?P<name>\w+)(?:(?P<operator>:[-?])(?P<word>[^}]*))?\})")
KNOWN_KEYS = {
    "build", "cap_drop", "command", "depends_on", "deploy", "env_file", "environment", "healthcheck", "image",
    "init", "logging", "ports", "profiles", "pull_policy", "restart", "security_opt", "stop_grace_period",
    "user", "volumes",
}  # fmt: skip
"""What is understood here. Any other key would change what runs, unseen."""
CONFINED = (["ALL"], ["no-new-privileges:true"])
"""The values of ``cap_drop`` and ``security_opt`` that are understood."""


@dataclass(frozen=True)
class HealthCheck:
    """A command whose exit code 0 says that a service is healthy.

    :param command: with its arguments.
    :param every: seconds between two looks while the service starts.
    :param timeout: seconds that one look may take.
    """

    command: tuple[str, ...]
    every: float
    timeout: float


@dataclass(frozen=True)
class Service:
    """A service as it stands in the file, with the variables filled in.

    :param target: the stage of our Dockerfile that its image is; None for an image of others.
    :param depends_on: the condition that each other service has to meet first.
    :param mounts: for each path in the container a path of the project (``./...``) or the name of a volume.
    :param ports: for each published port of the container that of the host.
    :param is_lasting: it is started again whenever it ends.
    :param is_confined: it has none of the capabilities of root, and can get none.
    """

    name: str
    image: str
    target: str | None
    command: tuple[str, ...]
    environment: Mapping[str, str]
    health: HealthCheck | None
    depends_on: Mapping[str, str]
    mounts: Mapping[str, str]
    ports: Mapping[int, int]
    replicas: int
    is_lasting: bool
    is_confined: bool


def read_compose_file(path: Path, variables: Mapping[str, str]) -> dict[str, Service]:
    """The services that start with these variables, those of the profiles in ``COMPOSE_PROFILES`` included.

    :raises StackError: a variable is missing, or the file says what nobody here understands.
    """
    document = _filled(yaml.safe_load(path.read_text(encoding="utf-8")), variables)
    profiles = set(variables.get("COMPOSE_PROFILES", "").split(","))
    found = {
        name: body
        for name, body in document["services"].items()
        if profiles & set(body.get("profiles", profiles))
    }
    targets = {body["image"]: body["build"]["target"] for body in found.values() if "build" in body}
    return {
        name: _service(name, body, targets.get(body["image"]), path.parent, variables, set(found))
        for name, body in found.items()
    }


def _service(
    name: str,
    body: dict[str, Any],
    target: str | None,
    project: Path,
    variables: Mapping[str, str],
    active: set[str],
) -> Service:
    if unknown := body.keys() - KNOWN_KEYS:
        raise StackError(f"Service {name} has keys that are not understood: {', '.join(sorted(unknown))}.")
    environment: dict[str, str] = {}
    for file in body.get("env_file", []):
        environment |= read_env_file(project / file)
    for key, value in body.get("environment", {}).items():
        if value is not None:
            environment[key] = str(value)
        elif key in variables:
            environment[key] = variables[key]
    conditions = {
        other: how["condition"]
        for other, how in body.get("depends_on", {}).items()
        if other in active or how.get("required", True)
    }
    volumes = (volume.split(":") for volume in body.get("volumes", []))
    ports = (published.split(":") for published in body.get("ports", []))
    return Service(
        name=name,
        image=body["image"],
        target=target,
        command=tuple(body["command"]),
        environment=environment,
        health=_health(body["healthcheck"]) if "healthcheck" in body else None,
        depends_on=conditions,
        mounts={target: source for source, target, *_ in volumes},
        ports={int(port): int(host_port) for _, host_port, port in ports},
        replicas=body.get("deploy", {}).get("replicas", 1),
        is_lasting=body["restart"] == "unless-stopped",
        is_confined=_is_confined(body),
    )


def _is_confined(body: dict[str, Any]) -> bool:
    """Whether the service has the two keys that confine it.

    :raises StackError: it has one of them, or another value, whose effect nobody here makes.
    """
    found = body.get("cap_drop", []), body.get("security_opt", [])
    if found not in (([], []), CONFINED):
        raise StackError(f"cap_drop and security_opt are {found}; only {CONFINED} is understood.")
    return found == CONFINED


def _health(body: dict[str, Any]) -> HealthCheck:
    kind, *command = body["test"]
    if kind == "CMD-SHELL":
        command = ["/bin/sh", "-c", *command]
    return HealthCheck(tuple(command), _seconds(body["start_interval"]), _seconds(body["timeout"]))


def _seconds(duration: str) -> float:
    return float(duration[:-1]) * {"s": 1, "m": 60}[duration[-1]]


def _filled(value: Any, variables: Mapping[str, str]) -> Any:
    """The value with its variables filled in, at any depth."""
    if isinstance(value, dict):
        return {key: _filled(each, variables) for key, each in value.items()}
    if isinstance(value, list):
        return [_filled(each, variables) for each in value]
    return VARIABLE.sub(lambda match: _variable(match, variables), value) if isinstance(value, str) else value


def _variable(match: re.Match[str], variables: Mapping[str, str]) -> str:
    name, operator, word = match["name"], match["operator"], match["word"]
    if name is None:
        return "$"
    value = variables.get(name, "")
    if not value and operator == ":?":
        raise StackError(f"{name} {word}")
    return word if not value and operator == ":-" else value
