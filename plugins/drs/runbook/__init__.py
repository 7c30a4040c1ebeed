"""Writes a plan as a bash script of plain AWS CLI commands, for a day on which Airflow is down.

The script does what the plan's DAG does: it has the same pauses, gates and time limits, it checks each server
and not only each job, and it always ends with clean-up. Unlike the DAG, it always runs one wave after the
other. This module calls nothing: it only makes text.
"""

from __future__ import annotations

import datetime as dt
import json
import math
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from drs.plan import Launch, Plan, Wave
from drs.plan.naming import dag_id
from drs.run.records import Resolution, ResolvedServer
from drs.text import shown
from drs.text.times import minute

FUNCTIONS = Path(__file__).with_name("functions.sh")


def runbook(plan: Plan, resolution: Resolution | None, *, at: dt.datetime) -> str:
    """Write the script.

    :param resolution: the servers of each wave; without it, the script looks up servers by their tags itself
    :param at: the time at which the script is written
    """
    waves = _in_order(plan)
    numbers = {wave.name: number for number, wave in enumerate(waves, start=1)}
    lines = [*_header(plan, resolution, at), "", FUNCTIONS.read_text(encoding="utf-8").rstrip(), ""]
    for wave in waves:
        lines += _wave(plan, wave, numbers, resolution)
    return "\n".join([*lines, *_main(plan, numbers)]) + "\n"


def _in_order(plan: Plan) -> list[Wave]:
    """The waves in the plan's order, except that each wave comes after those that it depends on."""
    placed: list[Wave] = []
    names: set[str] = set()
    while len(placed) < len(plan.waves):
        following = next(
            wave
            for wave in plan.waves
            if wave.name not in names and names.issuperset(plan.dependencies(wave.name))
        )
        placed.append(following)
        names.add(following.name)
    return placed


def _header(plan: Plan, resolution: Resolution | None, at: dt.datetime) -> Iterator[str]:
    when = minute(at)
    yield "#!/usr/bin/env bash"
    yield f"# The recovery plan {plan.name} without Airflow: digest {plan.digest[:12]}, written {when}."
    if plan.description:
        yield f"# {_comment(plan.description)}"
    yield f"# Account {plan.target.account_id}, Region {plan.target.region}."
    yield "#"
    yield "# Log in to the account (or set AWS_PROFILE), read this script, and run it: bash FILE"
    yield "# To go step by step, start a new shell (bash) and paste the script into it piece by piece."
    yield "# The script launches drill instances, waits for them, and terminates them at the end."
    yield "# Ctrl-C skips to this clean-up."
    if resolution is None:
        yield "# The script looks up servers by their tags when it runs."
    else:
        yield f"# The servers that the plan finds by tags are those of {when}."
    yield ""
    yield f"plan={plan.name}"
    yield f"dag={dag_id(plan.name)}"
    yield f"region={plan.target.region}"
    yield f"cleanup_timeout={_whole(plan.cleanup.timeout)}"
    yield "kind=--is-drill"
    if plan.allow_recovery:
        yield "# For a REAL RECOVERY, remove the # from the next line. Nothing is terminated then."
        yield "# kind=--no-is-drill"


def _wave(plan: Plan, wave: Wave, numbers: Mapping[str, int], resolution: Resolution | None) -> Iterator[str]:
    number, launch = numbers[wave.name], plan.launch_for(wave.name)
    servers = _known_servers(plan, wave, resolution)
    required = " ".join(server.server_id for server in servers if not server.optional)
    optional = " ".join(server.server_id for server in servers if server.optional)
    yield f"# ---- Wave {number} of {len(numbers)}: {wave.name} ".ljust(100, "-")
    yield ""
    yield f'jobs_{number}=""'
    yield f'servers_{number}="{required}"'
    yield f'optional_{number}="{optional}" # the drill goes on if they fail'
    yield f"wave_{number}() {{"
    for name in plan.dependencies(wave.name):
        gate = plan.wave(name).next_wave_when
        yield f"    {_gate(plan, name, numbers[name], gate)} || return 1"
    if delay := plan.delay_for(wave.name).total_seconds():
        yield f'    pause {delay:g} "Before wave {wave.name}"'
    if wave.approval:
        yield f'    confirm "Launch wave {wave.name} of plan {plan.name}?" || return 1'
    backoff = " ".join(f"{pause.total_seconds():g}" for pause in launch.conflict_backoff)
    yield f'    backoff="{backoff}" conflict_timeout={_whole(launch.conflict_timeout)} wave_jobs=""'
    yield f'    say "Wave {number} of {len(numbers)}: {wave.name}"'
    launches = _one_by_one if launch.jobs == "per_server" else _together
    yield from (f"    {line}" for line in launches(plan, servers, launch.server_delay))
    if resolution is None:
        for name in wave.protection_groups:
            yield from (f"    {line}" for line in _looked_up(plan, name, number, launch))
    yield f"    jobs_{number}=$wave_jobs"
    yield "}"
    yield ""


def _known_servers(plan: Plan, wave: Wave, resolution: Resolution | None) -> Sequence[ResolvedServer]:
    if resolution is not None:
        return resolution.waves[wave.name].servers
    return [
        ResolvedServer(server_id=server_id, name=server_id, group=name, optional=group.optional)
        for name in wave.protection_groups
        for group in (plan.protection_groups[name],)
        for server_id in group.source_servers or ()
    ]


def _one_by_one(plan: Plan, servers: Sequence[ResolvedServer], delay: dt.timedelta) -> Iterator[str]:
    for position, server in enumerate(servers):
        if position:
            yield f"sleep {delay.total_seconds():g}"
        yield f"# {_comment(server.name)}"
        yield _launch(plan, f"sourceServerID={server.server_id}", server.optional)


def _together(plan: Plan, servers: Sequence[ResolvedServer], _delay: dt.timedelta) -> Iterator[str]:
    # Optional servers get a job of their own: if it is refused, the required ones still start.
    for optional in (False, True):
        ids = [server.server_id for server in servers if server.optional is optional]
        if ids:
            yield _launch(plan, " ".join(f"sourceServerID={server_id}" for server_id in ids), optional)


def _looked_up(plan: Plan, group_name: str, number: int, launch: Launch) -> Iterator[str]:
    """The commands that look up the servers of a group by its tags and launch them."""
    group = plan.protection_groups[group_name]
    if group.server_tags is None:
        return
    region = plan.target.region
    kind = "optional" if group.optional else "servers"
    query = shlex.quote(f"items[?{_carries(group.server_tags)}].sourceServerID")
    yield f"# group {group_name}"
    yield f"found=$(aws drs describe-source-servers --region {region} --query {query} --output text)"
    yield f'{kind}_{number}="${kind}_{number} $found"'
    if not group.optional:
        yield f'[ -n "$found" ] || {{ say "Group {group_name} has no server."; return 1; }}'
    if launch.jobs == "per_server":
        yield "for server in $found; do"
        yield f'    [ -z "$wave_jobs" ] || sleep {launch.server_delay.total_seconds():g}'
        each = '"sourceServerID=$server"'
    else:
        yield 'if [ -n "$found" ]; then'
        each = "$(printf ' sourceServerID=%s' $found)"
    yield f"    {_launch(plan, each, group.optional)}"
    yield "done" if launch.jobs == "per_server" else "fi"


def _carries(tags: Mapping[str, str]) -> str:
    """The JMESPath condition for a server that has all of these tags."""
    conditions = []
    for key, value in tags.items():
        literal = json.dumps(value).replace("`", "\\`")
        conditions.append(f"tags.{json.dumps(key)}==`{literal}`")
    return " && ".join(conditions)


def _launch(plan: Plan, servers: str, optional: bool) -> str:
    """The command that launches these servers. It uses ``$kind`` only if the plan allows a real recovery."""
    kind = "$kind" if plan.allow_recovery else "--is-drill"
    otherwise = 'say "The server is optional: the drill goes on without it."' if optional else "return 1"
    return (
        f"launch aws drs start-recovery --region {plan.target.region} {kind} --source-servers {servers} "
        f"--query job.jobID --output text || {otherwise}"
    )


def _gate(plan: Plan, wave: str, number: int, gate: str) -> str:
    launch = plan.launch_for(wave)
    if gate == "started":
        return f"wait_started {wave} {_whole(launch.start_timeout)} $jobs_{number}"
    return (
        f"wait_launched {wave} {_whole(launch.job_timeout)} "
        f'"$jobs_{number}" "$servers_{number}" "$optional_{number}"'
    )


def _main(plan: Plan, numbers: Mapping[str, int]) -> Iterator[str]:
    yield "# ---- The drill ".ljust(100, "-")
    yield ""
    yield f"check_account {plan.target.account_id} || exit 3"
    if plan.allow_recovery:
        yield f'[ "$kind" = --is-drill ] || confirm "Launch a REAL RECOVERY of plan {plan.name}?" || exit 1'
    yield "trap 'say \"Interrupted.\"; finish 130' INT TERM HUP"
    yield "code=0"
    chain = " && ".join(f"wave_{number}" for number in numbers.values())
    yield f"{chain} || code=1"
    yield "# Check the servers of every wave that was launched, even if another wave failed."
    for name, number in numbers.items():
        yield f'[ -z "$jobs_{number}" ] || {_gate(plan, name, number, "launched")} || code=1'
    yield 'finish "$code"'


def _whole(span: dt.timedelta) -> int:
    """Whole seconds, rounded up: bash has no fractions."""
    return math.ceil(span.total_seconds())


def _comment(text: str) -> str:
    """Text that other people wrote, on one line, so that no part of it can become a command."""
    return shown.line(text)
