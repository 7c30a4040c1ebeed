"""``servers`` and ``groups``: the source servers that DRS knows, and what a plan makes of them."""

from __future__ import annotations

import argparse
import datetime as dt
import sys
from collections.abc import Iterator, Mapping
from typing import Any

from drs.aws.jobs import parse_time
from drs.cli.aws import access_to_place, add_place, add_profile, asking_aws, checked_access
from drs.cli.common import BROKEN, OK, add_json, add_parser, add_plan, find_plan, print_json
from drs.errors import InvalidField
from drs.plan import durations
from drs.run.resolution import ResolutionProblem, resolve
from drs.tables import table
from drs.times import instant


def add_commands(commands: Any) -> None:
    servers = add_parser(
        commands,
        "servers",
        help="the source servers, with their replication",
        description="List the source servers of an account and Region, with their replication.",
        exit_codes={
            0: "there are such servers",
            1: "there is none",
            2: "wrong usage, or there is no such plan",
            3: "AWS could not be asked",
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
    servers.set_defaults(run=asking_aws(_servers))

    groups = add_parser(
        commands,
        "groups",
        help="the servers that a plan's groups stand for now",
        description="Resolve the groups of a plan to source servers, wave by wave, as a drill would now.",
        exit_codes={
            0: "every group that is not optional has its servers",
            1: "a group has no server, or a drill could not launch what the groups hold",
            2: "wrong usage, or there is no such plan",
            3: "AWS could not be asked",
        },
    )
    add_plan(groups)
    add_profile(groups)
    add_json(groups)
    groups.set_defaults(run=asking_aws(_groups))


def _tag(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not key or not equals:
        raise argparse.ArgumentTypeError(f"{text} is not KEY=VALUE")
    return key, value


def _servers(arguments: argparse.Namespace) -> int:
    wanted = dict(arguments.tags)
    if len(wanted) < len(arguments.tags):
        raise InvalidField(
            "A tag is named twice.", remedy="Name each key once: a server has one value for it."
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
        print(_servers_table(servers))
    else:
        print(f"DRS knows no such source server in {access.region}.")
    return OK if servers else BROKEN


def _server(item: Mapping[str, Any]) -> dict[str, Any]:
    # Preflight takes boto3 with it.
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


def _servers_table(servers: list[dict[str, Any]]) -> str:
    rows = [
        (
            server["server_id"],
            server["name"],
            _replication(server),
            _lag(server["lag_seconds"]),
            instant(server["last_contact"], "-"),
            f"{server['last_launch'] or '-'} {instant(server['last_launch_at'], '-')}".removesuffix(" -"),
            " ".join(f"{key}={value}" for key, value in sorted(server["tags"].items()) if key != "Name"),
        )
        for server in servers
    ]
    return table(("server", "name", "replication", "lag", "last contact (UTC)", "last launch", "tags"), rows)


def _replication(server: dict[str, Any]) -> str:
    error = server["replication_error"]
    return f"{server['replication_state']} ({error})" if error else str(server["replication_state"])


def _lag(seconds: float | None) -> str:
    return "-" if seconds is None else durations.render(dt.timedelta(seconds=round(seconds)))


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
        print(table(("wave", "group", "server", "name", "replication", ""), _group_rows(rows)))
        for problem in problems:
            print(f"{'warning' if problem.optional else 'error'}: {problem.error}", file=sys.stderr)
    return OK if all(problem.optional for problem in problems) else BROKEN


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
