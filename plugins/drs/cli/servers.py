"""``servers`` and ``groups``: the source servers that DRS knows, and those that a plan's groups contain."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from drs.aws.jobs import parse_time
from drs.cli.aws import NO_AWS, access_to_place, add_place, add_profile, checked_access, reporting_aws_errors
from drs.cli.common import BROKEN, OK, add_json, add_parser, add_plan, find_plan, print_json
from drs.cli.screen import show_table
from drs.errors import InvalidField
from drs.run.resolution import ResolutionProblem, resolve
from drs.text.times import duration, instant, stamp


def add_commands(commands: Any) -> None:
    servers = add_parser(
        commands,
        "servers",
        help="list the source servers, with their replication",
        description="List the source servers of an account and Region, with their replication.",
        exit_codes={
            0: "servers were found",
            1: "no server was found",
            2: "wrong usage, or there is no such plan",
            3: NO_AWS,
        },
    )
    servers.add_argument(
        "--tags",
        nargs="+",
        default=[],
        type=_tag,
        metavar="KEY=VALUE",
        help="only servers with all of these tags",
    )
    add_place(servers)
    add_json(servers)
    servers.set_defaults(run=reporting_aws_errors(_servers))

    groups = add_parser(
        commands,
        "groups",
        help="list the servers that a plan's groups contain now",
        description="Find the source servers of a plan's groups, wave by wave, as a drill would find them "
        "now.",
        exit_codes={
            0: "every group that is not optional has servers",
            1: "a group has no server, or a drill could not launch the servers of the groups",
            2: "wrong usage, or there is no such plan",
            3: NO_AWS,
        },
    )
    add_plan(groups)
    add_profile(groups)
    add_json(groups)
    groups.set_defaults(run=reporting_aws_errors(_groups))


def _tag(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not key or not equals:
        raise argparse.ArgumentTypeError(f"{text} is not KEY=VALUE")
    return key, value


def _servers(arguments: argparse.Namespace) -> int:
    wanted = dict(arguments.tags)
    if len(wanted) < len(arguments.tags):
        raise InvalidField(
            "A tag's key is given twice.", remedy="Give each key once: a server has one value for it."
        )
    access = access_to_place(arguments)
    servers = [
        _server(item)
        for item in access.drs.source_servers()
        if wanted.items() <= dict(item.get("tags", {})).items()
    ]
    servers.sort(key=lambda server: (server["name"], server["server_id"]))
    if arguments.json:
        print_json(servers)
    elif servers:
        _show_servers(servers)
    else:
        print(f"DRS knows no such source server in {access.region}.")
    return OK if servers else BROKEN


def _server(item: Mapping[str, Any]) -> dict[str, Any]:
    # Preflight imports boto3, which is slow.
    from drs.preflight.facts import SourceServer

    server = SourceServer.from_api(item)
    launch = item.get("lifeCycle", {}).get("lastLaunch", {}).get("initiated", {})
    launched_at = launch.get("apiCallDateTime")
    return {
        "server_id": server.server_id,
        "name": server.name,
        "replication_state": server.state,
        "replication_error": server.error,
        "lag_seconds": None if server.lag is None else server.lag.total_seconds(),
        "last_contact": server.last_seen,
        "last_launch": item.get("lastLaunchResult"),
        "last_launch_job": launch.get("jobID"),
        "last_launch_at": parse_time(launched_at) if launched_at else None,
        "tags": dict(item.get("tags", {})),
    }


def _show_servers(servers: list[dict[str, Any]]) -> None:
    rows = [
        (
            server["server_id"],
            server["name"],
            _replication(server),
            duration(server["lag_seconds"], "-"),
            instant(server["last_contact"], "-"),
            f"{server['last_launch'] or '-'} {stamp(server['last_launch_at'], '-')}".removesuffix(" -"),
            " ".join(f"{key}={value}" for key, value in sorted(server["tags"].items()) if key != "Name"),
        )
        for server in servers
    ]
    header = ("server", "name", "replication", "lag", "last contact (UTC)", "last launch", "tags")
    show_table(header, rows, below=("tags", "last launch", "last contact (UTC)"))


def _replication(server: dict[str, Any]) -> str:
    error = server["replication_error"]
    return f"{server['replication_state']} ({error})" if error else str(server["replication_state"])


def _groups(arguments: argparse.Namespace) -> int:
    plan = find_plan(arguments.plan, arguments.plans)
    access = checked_access(plan, arguments.profile)
    items = {str(item["sourceServerID"]): item for item in access.drs.source_servers()}
    resolution, problems = resolve(plan, [wave.name for wave in plan.waves], (), list(items.values()))
    rows = [
        {
            "wave": wave_name,
            "group": server.group,
            "optional": server.optional,
            "server_id": server.server_id,
            "name": server.name,
            "replication_state": _server(items[server.server_id])["replication_state"],
        }
        for wave_name, wave in resolution.waves.items()
        for server in wave.servers
    ]
    if arguments.json:
        print_json({"servers": rows, "findings": [_problem(problem) for problem in problems]})
    else:
        header = ("wave", "group", "server", "name", "replication", "")
        show_table(header, _group_rows(rows), below=("replication", "name"))
        print_problems(problems)
    return OK if all(problem.optional for problem in problems) else BROKEN


def print_problems(problems: Iterable[ResolutionProblem]) -> None:
    """Print on standard error what is wrong with the groups."""
    for problem in problems:
        print(f"{'warning' if problem.optional else 'error'}: {problem.error}", file=sys.stderr)


def _problem(problem: ResolutionProblem) -> dict[str, Any]:
    error = problem.error
    return {
        "severity": "warning" if problem.optional else "error",
        "code": error.code,
        "wave": problem.wave,
        "message": error.message,
        "remedy": error.remedy,
    }


def _group_rows(rows: list[dict[str, Any]]) -> Iterator[tuple[str, ...]]:
    for row in rows:
        yield (
            row["wave"],
            row["group"],
            row["server_id"],
            row["name"],
            row["replication_state"],
            "optional" if row["optional"] else "",
        )
