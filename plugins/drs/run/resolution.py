"""Finds the source servers of each wave: resolves protection groups, leaves out excluded servers. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from drs.aws.quotas import MAX_JOBS_IN_PROGRESS, MAX_SERVERS_PER_JOB
from drs.errors import (
    ConcurrentJobsLimitExceeded,
    DrillError,
    InvalidField,
    PlanHasNoWaves,
    ServerConflict,
    SourceServerNotFound,
    TagResolutionEmpty,
    WaveSizeLimitExceeded,
)
from drs.plan import Plan, ProtectionGroup
from drs.plan.near import nearest
from drs.run.records import Resolution, ResolvedServer, WaveResolution
from drs.text import shown


@dataclass(frozen=True)
class ResolutionProblem:
    """What is wrong with a resolution.

    :param wave: the wave that the problem is about; ``None`` for the whole run
    :param server_id: the server that it is about, if it is about one
    :param optional: the problem is about an optional group only, so that it does not stop the run
    """

    error: DrillError
    wave: str | None = None
    server_id: str | None = None
    optional: bool = False


def resolve(
    plan: Plan,
    waves: Iterable[str],
    exclude: Sequence[str],
    source_servers: Sequence[Mapping[str, Any]],
) -> tuple[Resolution, list[ResolutionProblem]]:
    """Resolve the chosen waves against what DRS knows in the plan's account and Region.

    :param plan: the run's plan
    :param waves: names of the chosen waves
    :param exclude: source server ids that this run leaves out
    :param source_servers: items of DescribeSourceServers
    :return: the resolution, and every problem with it
    """
    known = {str(item["sourceServerID"]): item for item in source_servers}
    problems: list[ResolutionProblem] = []
    placed: dict[str, str] = {}
    resolved = {name: _resolve_wave(plan, name, exclude, known, placed, problems) for name in waves}
    problems += [ResolutionProblem(error) for error in _excluded_in_vain(exclude, placed)]
    resolution = Resolution(waves=resolved)
    if all(problem.optional for problem in problems) and (empty := nothing_to_launch(resolution)):
        problems.append(ResolutionProblem(empty))
    return resolution, problems


def _resolve_wave(
    plan: Plan,
    wave: str,
    exclude: Sequence[str],
    known: Mapping[str, Mapping[str, Any]],
    placed: dict[str, str],
    problems: list[ResolutionProblem],
) -> WaveResolution:
    """Resolve one wave.

    :param placed: the wave of each server that was resolved before; this wave's servers are added
    :param problems: problems found are added
    """
    servers: list[ResolvedServer] = []
    excluded: list[str] = []
    for group_name in plan.wave(wave).protection_groups:
        group = plan.protection_groups[group_name]
        ids, error = _members(group_name, group, known, exclude)
        if error is not None:
            problems.append(ResolutionProblem(error, wave=wave, optional=group.optional))
        for server_id in ids:
            if server_id in placed:
                twice = _twice(server_id, placed[server_id], wave, group_name)
                problems.append(
                    ResolutionProblem(twice, wave=wave, server_id=server_id, optional=group.optional)
                )
                continue
            placed[server_id] = wave
            if server_id in exclude:
                excluded.append(server_id)
            else:
                servers.append(_server(known[server_id], group_name, group))
    problems += [ResolutionProblem(error, wave=wave) for error in _sizes(plan, wave, len(servers))]
    left_out = None
    if not servers:
        left_out = "every server of it is excluded" if excluded else "its groups contain no server"
    return WaveResolution(servers=tuple(servers), excluded=tuple(excluded), left_out=left_out)


def _server(item: Mapping[str, Any], group_name: str, group: ProtectionGroup) -> ResolvedServer:
    return ResolvedServer(
        server_id=str(item["sourceServerID"]),
        name=server_name(item),
        group=group_name,
        optional=group.optional,
    )


def _twice(server_id: str, first: str, second: str, group_name: str) -> DrillError:
    return ServerConflict(
        f"Server {server_id} is in wave {first} and also in wave {second} (group {group_name}): a drill "
        "launches each server only once.",
        remedy="Change the groups' tags or ids so that each server is in one wave.",
    )


def nothing_to_launch(resolution: Resolution) -> DrillError | None:
    """The error of a run that would launch no server. If it were green, it would look like a success."""
    if all(wave.left_out for wave in resolution.waves.values()):
        return PlanHasNoWaves("No server is left to launch in any chosen wave.")
    return None


def server_name(item: Mapping[str, Any]) -> str:
    """The server's Name tag; without one its host name; without that its id."""
    hints = item.get("sourceProperties", {}).get("identificationHints", {})
    return str(item.get("tags", {}).get("Name") or hints.get("hostname") or item["sourceServerID"])


def _members(
    group_name: str,
    group: ProtectionGroup,
    known: Mapping[str, Mapping[str, Any]],
    exclude: Sequence[str],
) -> tuple[list[str], DrillError | None]:
    """The ids of a group's servers, and the problem with the group if there is one."""
    if group.source_servers is not None:
        return _listed_members(group_name, group.source_servers, known, exclude)
    wanted = dict(group.server_tags or {})
    matching = [
        server_id for server_id, item in known.items() if wanted.items() <= dict(item.get("tags", {})).items()
    ]
    if matching:
        return sorted(matching), None
    return [], _no_match(group_name, wanted, known.values())


def _listed_members(
    group_name: str, listed: Sequence[str], known: Mapping[str, Mapping[str, Any]], exclude: Sequence[str]
) -> tuple[list[str], DrillError | None]:
    # DRS need not know an excluded server: a plan whose server is gone can still be drilled without it.
    found = [server_id for server_id in listed if server_id in known or server_id in exclude]
    unknown = [server_id for server_id in listed if server_id not in found]
    if not unknown:
        return found, None
    return found, SourceServerNotFound(
        f"Group {group_name} names {', '.join(unknown)}, which DRS does not know in this account and Region."
    )


def _no_match(
    group_name: str, wanted: Mapping[str, str], items: Iterable[Mapping[str, Any]]
) -> TagResolutionEmpty:
    tags = [dict(item.get("tags", {})) for item in items]
    hints = [hint for key, value in wanted.items() if (hint := _hint(key, value, tags))]
    asked = ", ".join(f"{shown.line(key)}={shown.line(value)}" for key, value in wanted.items())
    pairs = ",".join(f"{key}={value}" for key, value in wanted.items())
    why = "; ".join(hints) or "each tag exists, but no server has all of them"
    return TagResolutionEmpty(
        f"Group {group_name} contains the servers with the tags {asked}, but no server has them: {why}.",
        remedy="".join(_meant(wanted, tags))
        + (
            "Tag the source servers themselves, not their EC2 instances: `aws drs tag-resource "
            f"--resource-arn ARN --tags {shown.argument(pairs)}`, with the ARN of each server "
            "of the group (`aws drs describe-source-servers` lists them). Or correct the group's server_tags "
            "in the plan. Then start a new run."
        ),
    )


def _meant(wanted: Mapping[str, str], tags: Sequence[Mapping[str, str]]) -> Iterator[str]:
    """Which tag that servers have was most likely meant."""
    for key, value in wanted.items():
        values = {tag[key] for tag in tags if key in tag}
        if value not in values and (near := nearest(value, values)):
            meant = f"{shown.line(key)}={shown.line(near)}"
            yield f"Did you mean {meant}? Then correct the group's server_tags in the plan. If not: "


def _hint(key: str, value: str, tags: Sequence[Mapping[str, str]]) -> str | None:
    """Why no server matches one wanted tag; ``None`` if a server does."""
    values = sorted({tag[key] for tag in tags if key in tag})
    if not values:
        keys = sorted({name for tag in tags for name in tag})
        there = ", ".join(map(shown.line, keys)) or "none"
        return f"no server has a tag {shown.line(key)} (tags there are: {there})"
    if value not in values:
        there = ", ".join(map(shown.line, values))
        return f"no server has {shown.line(key)}={shown.line(value)} (values there are: {there})"
    return None


def _sizes(plan: Plan, wave: str, count: int) -> Iterable[DrillError]:
    if count > MAX_SERVERS_PER_JOB:
        yield WaveSizeLimitExceeded(
            f"Wave {wave} resolves to {count} servers, more than {MAX_SERVERS_PER_JOB}."
        )
    elif plan.launch_for(wave).jobs == "per_server" and count > MAX_JOBS_IN_PROGRESS:
        yield ConcurrentJobsLimitExceeded(
            f"Wave {wave} resolves to {count} servers, which with `jobs: per_server` makes {count} jobs; "
            f"DRS allows {MAX_JOBS_IN_PROGRESS} in progress.",
            remedy=(
                "Waiting does not help: the wave is too large by itself. Write `launch: {jobs: per_wave}` "
                "into the wave, which launches all its servers with one job, or split the wave into waves of "
                f"at most {MAX_JOBS_IN_PROGRESS} servers that wait for each other (next_wave_when: "
                "launched). Then start a new run."
            ),
        )


def _excluded_in_vain(exclude: Sequence[str], placed: Mapping[str, str]) -> Iterable[DrillError]:
    unknown = [server_id for server_id in exclude if server_id not in placed]
    if unknown:
        yield InvalidField(
            f"exclude_servers names {', '.join(unknown)}, which no chosen wave contains.",
            remedy=f"Name servers of the chosen waves: {', '.join(sorted(placed)) or 'none resolved'}.",
        )
