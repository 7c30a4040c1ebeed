"""Which source servers each wave of a run holds: groups resolved, exclusions applied. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
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
from drs.run.records import Resolution, ResolvedServer, WaveResolution


@dataclass(frozen=True)
class ResolutionProblem:
    """What is wrong with a resolution.

    :param wave: the wave that it is about; ``None`` for the whole run
    :param server_id: the server that it is about, if it is about one
    :param optional: it befalls an optional group alone, so that it does not stop the run
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
    resolved: dict[str, WaveResolution] = {}
    for name in waves:
        servers: list[ResolvedServer] = []
        excluded: list[str] = []
        for group_name in plan.wave(name).protection_groups:
            group = plan.protection_groups[group_name]
            ids, error = _members(group_name, group, known, exclude)
            if error is not None:
                problems.append(ResolutionProblem(error, wave=name, optional=group.optional))
            for server_id in ids:
                if server_id in placed:
                    twice = ServerConflict(
                        f"Server {server_id} is in wave {placed[server_id]} and again in wave {name} "
                        f"(group {group_name}): a server can be launched once in a drill.",
                        remedy="Change the groups' tags or ids so that each server is in one wave.",
                    )
                    problems.append(
                        ResolutionProblem(twice, wave=name, server_id=server_id, optional=group.optional)
                    )
                    continue
                placed[server_id] = name
                if server_id in exclude:
                    excluded.append(server_id)
                    continue
                servers.append(
                    ResolvedServer(
                        server_id=server_id,
                        name=server_name(known[server_id]),
                        group=group_name,
                        optional=group.optional,
                    )
                )
        problems += [ResolutionProblem(error, wave=name) for error in _sizes(plan, name, len(servers))]
        left_out = None
        if not servers:
            left_out = "every server of it is excluded" if excluded else "its groups hold no server"
        resolved[name] = WaveResolution(servers=tuple(servers), excluded=tuple(excluded), left_out=left_out)
    problems += [ResolutionProblem(error) for error in _excluded_in_vain(exclude, placed)]
    resolution = Resolution(waves=resolved)
    if all(problem.optional for problem in problems) and (empty := nothing_to_launch(resolution)):
        problems.append(ResolutionProblem(empty))
    return resolution, problems


def nothing_to_launch(resolution: Resolution) -> DrillError | None:
    """The error of a run that would launch no server: green, it would look like a success."""
    if all(wave.left_out for wave in resolution.waves.values()):
        return PlanHasNoWaves("No server is left to launch in any chosen wave.")
    return None


def server_name(item: Mapping[str, Any]) -> str:
    """The server's Name tag, else its host name, else its id."""
    hints = item.get("sourceProperties", {}).get("identificationHints", {})
    return str(item.get("tags", {}).get("Name") or hints.get("hostname") or item["sourceServerID"])


def _members(
    group_name: str,
    group: ProtectionGroup,
    known: Mapping[str, Mapping[str, Any]],
    exclude: Sequence[str],
) -> tuple[list[str], DrillError | None]:
    if group.source_servers is not None:
        # A server that is gone can be drilled around: excluded, it need not be known.
        found = [
            server_id for server_id in group.source_servers if server_id in known or server_id in exclude
        ]
        unknown = [server_id for server_id in group.source_servers if server_id not in found]
        if not unknown:
            return found, None
        return found, SourceServerNotFound(
            f"Group {group_name} names {', '.join(unknown)}, which DRS does not know in this account and "
            "Region."
        )
    wanted = dict(group.server_tags or {})
    matching = [
        server_id for server_id, item in known.items() if wanted.items() <= dict(item.get("tags", {})).items()
    ]
    if matching:
        return sorted(matching), None
    return [], _no_match(group_name, wanted, known.values())


def _no_match(
    group_name: str, wanted: Mapping[str, str], items: Iterable[Mapping[str, Any]]
) -> TagResolutionEmpty:
    tags = [dict(item.get("tags", {})) for item in items]
    hints = []
    for key, value in wanted.items():
        values = sorted({tag[key] for tag in tags if key in tag})
        if not values:
            keys = sorted({name for tag in tags for name in tag})
            hints.append(f"no server has a tag {key} (tags there are: {', '.join(keys) or 'none'})")
        elif value not in values:
            hints.append(f"no server has {key}={value} (values there are: {', '.join(values)})")
    why = "; ".join(hints) or "each tag exists, but no server has all of them"
    return TagResolutionEmpty(
        f"Group {group_name} wants servers tagged "
        f"{', '.join(f'{key}={value}' for key, value in wanted.items())}, and none is: {why}.",
        remedy="Tag the source servers in DRS (not the EC2 instances), or correct the plan's server_tags.",
    )


def _sizes(plan: Plan, wave: str, count: int) -> Iterable[DrillError]:
    if count > MAX_SERVERS_PER_JOB:
        yield WaveSizeLimitExceeded(
            f"Wave {wave} resolves to {count} servers, more than {MAX_SERVERS_PER_JOB}."
        )
    elif plan.launch_for(wave).jobs == "per_server" and count > MAX_JOBS_IN_PROGRESS:
        yield ConcurrentJobsLimitExceeded(
            f"Wave {wave} resolves to {count} servers, which with `jobs: per_server` makes {count} jobs; "
            f"DRS allows {MAX_JOBS_IN_PROGRESS} in progress."
        )


def _excluded_in_vain(exclude: Sequence[str], placed: Mapping[str, str]) -> Iterable[DrillError]:
    unknown = [server_id for server_id in exclude if server_id not in placed]
    if unknown:
        yield InvalidField(
            f"exclude_servers names {', '.join(unknown)}, which no chosen wave holds.",
            remedy=f"Name servers of the chosen waves: {', '.join(sorted(placed)) or 'none resolved'}.",
        )
