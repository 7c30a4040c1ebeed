"""``validate`` and ``schema``: check recovery plans and print their schema, without Airflow and AWS."""

from __future__ import annotations

import argparse
import dataclasses
import datetime as dt
import itertools
import sys
import zoneinfo
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from drs.cli.common import (
    BROKEN,
    OK,
    PLANS_VARIABLE,
    USAGE,
    add_json,
    add_parser,
    counted,
    plans_folder,
    print_json,
)
from drs.cli.own_code import code_problems
from drs.errors import Code
from drs.evidence.record_schema import evidence_schema_text
from drs.plan import BrokenPlan, Plan, PlanError, PlanProblem, load_folder, load_plan
from drs.plan.doubts import Doubt, doubts
from drs.plan.overlap import Overlap, overlaps
from drs.plan.plan_schedule import next_times
from drs.plan.plan_schema import schema_text
from drs.plan.schedule_words import in_words
from drs.text.times import utc_now

MOST_NOTES = 20
"""Pairs of plans that are listed for people."""
MOST_NAMED = 3
"""Servers or groups of one pair of plans that are listed for people."""
NEXT_RUNS = 3
"""Runs by the schedule that are listed for each plan."""


def add_commands(commands: Any) -> None:
    _add_validate(commands)
    _add_schema(commands)


def _add_validate(commands: Any) -> None:
    parser = add_parser(
        commands,
        "validate",
        help="check recovery plans, and show all of their errors at once",
        description="Check recovery plans without Airflow and without AWS, and show the errors of all plans "
        "at once. "
        "Also show when each plan runs by itself, what in it is doubtful, and which of the plans share "
        "servers, or may share them by their tags.",
        exit_codes={
            0: "every plan is valid",
            1: "a plan is broken",
            2: "wrong usage, or a file or folder of plans that does not exist",
        },
    )
    parser.add_argument(
        "paths",
        nargs="*",
        type=Path,
        default=[plans_folder()],
        metavar="PATH",
        help=f"a plan file, or a folder of plan files (default: {PLANS_VARIABLE}, or include/plans)",
    )
    add_json(parser)
    parser.set_defaults(run=_validate)


def _validate(arguments: argparse.Namespace) -> int:
    results = [result for path in arguments.paths for result in _loaded(path)]
    found = list(overlaps(result for result in results if isinstance(result, Plan)))
    if arguments.json:
        print_json([_as_json(result, found) for result in results])
    else:
        for result in results:
            if isinstance(result, BrokenPlan):
                print(result.describe())
                continue
            print(_good_line(result))
            for line in _about(result, doubts(result)):
                print(line)
        for line in _notes(found):
            print(line)
    broken = [result for result in results if isinstance(result, BrokenPlan)]
    if any(problem.code is Code.RECOVERY_PLAN_NOT_FOUND for plan in broken for problem in plan.problems):
        return USAGE
    return BROKEN if broken else OK


def _loaded(path: Path) -> Iterator[Plan | BrokenPlan]:
    for found in _read(path):
        file = path / f"{found.name}.yaml" if isinstance(found, Plan) and path.is_dir() else path
        problems = tuple(code_problems(found, file)) if isinstance(found, Plan) else ()
        yield BrokenPlan(found.name, file, problems) if isinstance(found, Plan) and problems else found


def _read(path: Path) -> Iterator[Plan | BrokenPlan]:
    try:
        found = load_folder(path) if path.is_dir() else [load_plan(path)]
    except PlanError as error:
        yield error.broken
        return
    if not found:
        # A check of nothing must not pass: the folder is most likely the wrong one.
        message, remedy = "The folder holds no recovery plan.", "Name the folder of your *.yaml plans."
        problem = PlanProblem(path, None, "", Code.RECOVERY_PLAN_NOT_FOUND, message, remedy)
        yield BrokenPlan(path.name, path, (problem,))
    yield from found


def _good_line(plan: Plan) -> str:
    listed = sum(len(plan.listed_servers(wave.name)) for wave in plan.waves)
    by_tags = sum(group.server_tags is not None for group in plan.protection_groups.values())
    parts = [counted(len(plan.waves), "wave")]
    if listed:
        parts.append(counted(listed, "server"))
    if by_tags:
        parts.append(f"{counted(by_tags, 'group')} by tags")
    names = " ".join(wave.name for wave in plan.waves)
    return f"ok  {plan.name}: {', '.join(parts)} ({names}), digest {plan.digest[:12]}"


def _about(plan: Plan, found: Sequence[Doubt]) -> Iterator[str]:
    """What people want to know about a plan: when it runs by itself, and what is doubtful in it."""
    if plan.schedule:
        times = ", ".join(_on_the_wall(plan, at) for at in _next_runs(plan))
        yield f"      {in_words(plan.schedule)}, time zone {plan.timezone}"
        yield f"      Next: {times}"
    for doubt in found:
        yield f"warning  {plan.name}  {doubt.key}: {doubt.message} {doubt.remedy}"


def _next_runs(plan: Plan) -> list[dt.datetime]:
    """The next times at which the plan runs by itself, in UTC."""
    if plan.schedule is None:
        return []
    return list(itertools.islice(next_times(plan.schedule, plan.timezone, utc_now()), NEXT_RUNS))


def _on_the_wall(plan: Plan, at: dt.datetime) -> str:
    """``Tue 2026-12-01 06:00 +01:00``: a time as clocks show it in the plan's time zone."""
    local = at.astimezone(zoneinfo.ZoneInfo(plan.timezone))
    return f"{local:%a %Y-%m-%d %H:%M} {local.isoformat()[-6:]}"


def _notes(found: Sequence[Overlap]) -> Iterator[str]:
    """Which plans share servers, and what that means."""
    for overlap in found[:MOST_NOTES]:
        one, other = overlap.plans
        if overlap.servers:
            yield f"note  {one} and {other} share {_some(overlap.servers)}"
        if overlap.groups:
            pairs = [f"{first} and {second}" for first, second in overlap.groups]
            yield f"note  {one} and {other} may share servers: no tag keeps apart the groups {_some(pairs)}"
    if len(found) > MOST_NOTES:
        more = counted(len(found) - MOST_NOTES, "more pair")
        yield f"note  {more} of plans share servers or may share them: --json lists all"
    if found:
        yield (
            "      While one plan drills a server, a drill of another plan waits for it up to its "
            "launch.conflict_timeout,\n      and then fails with SERVER_CONFLICT. Schedule such plans apart."
        )


def _some(items: Sequence[str]) -> str:
    """``a, b, c and 4 more``"""
    listed = ", ".join(items[:MOST_NAMED])
    return f"{listed} and {len(items) - MOST_NAMED} more" if len(items) > MOST_NAMED else listed


def _shared(plan: Plan, found: Sequence[Overlap]) -> Iterator[dict[str, object]]:
    """The other plans with which this one shares servers, or may; of the two groups, its own is the first."""
    for overlap in found:
        if plan.name in overlap.plans:
            own = overlap.plans.index(plan.name)
            groups = [pair if own == 0 else pair[::-1] for pair in overlap.groups]
            yield {"plan": overlap.plans[1 - own], "servers": overlap.servers, "groups": groups}


def _as_json(result: Plan | BrokenPlan, found: Sequence[Overlap]) -> dict[str, object]:
    if isinstance(result, Plan):
        waves = [
            {
                "name": wave.name,
                "depends_on": result.dependencies(wave.name),
                "listed_servers": result.listed_servers(wave.name),
            }
            for wave in result.waves
        ]
        shared = list(_shared(result, found))
        return {
            "name": result.name,
            "ok": True,
            "digest": result.digest,
            "waves": waves,
            "shares_servers_with": shared,
            "schedule": _schedule_as_json(result),
            "warnings": [dataclasses.asdict(doubt) for doubt in doubts(result)],
        }
    problems = [{**dataclasses.asdict(problem), "file": str(problem.file)} for problem in result.problems]
    return {"name": result.stem, "ok": False, "problems": problems, "more_problems": result.more}


def _schedule_as_json(plan: Plan) -> dict[str, object] | None:
    if plan.schedule is None:
        return None
    return {
        "cron": plan.schedule,
        "timezone": plan.timezone,
        "words": in_words(plan.schedule),
        "next_runs": _next_runs(plan),
    }


def _add_schema(commands: Any) -> None:
    parser = add_parser(
        commands,
        "schema",
        help="print the JSON Schema of a plan, for editors, or of a run's record",
        description="Print the JSON Schema of a recovery plan (draft 2020-12), or write it to a file.",
        exit_codes={0: "the schema was written", 2: "wrong usage, or the file cannot be written"},
    )
    parser.add_argument("--evidence", action="store_true", help="print the schema of a run's record instead")
    parser.add_argument("--output", type=Path, metavar="FILE", help="write the schema to this file")
    parser.set_defaults(run=_schema)


def _schema(arguments: argparse.Namespace) -> int:
    text = evidence_schema_text() if arguments.evidence else schema_text()
    if arguments.output is None:
        sys.stdout.write(text)
        return OK
    try:
        arguments.output.write_text(text, encoding="utf-8")
    except OSError as error:
        print(f"The schema cannot be written to {arguments.output}: {error.strerror}.", file=sys.stderr)
        return USAGE
    return OK
