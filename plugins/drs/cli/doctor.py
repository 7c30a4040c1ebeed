"""``doctor``: the whole preflight of a plan, without Airflow."""

from __future__ import annotations

import argparse
import datetime as dt
from typing import Any

from drs.cli.aws import add_profile, asking_aws, checked_access
from drs.cli.common import BROKEN, OK, add_json, add_parser, add_plan, find_plan, print_json
from drs.errors import InvalidField
from drs.plan import Plan


def add_commands(commands: Any) -> None:
    parser = add_parser(
        commands,
        "doctor",
        help="everything that would stop a drill of a plan now",
        description=(
            "Make every check that a drill makes before it launches anything, and tell all findings at once. "
            "Nothing is launched."
        ),
        exit_codes={
            0: "a drill could begin now; there may be warnings",
            1: "a drill would be refused, or the plan is broken",
            2: "wrong usage, or there is no such plan, wave or server",
            3: "AWS could not be asked",
        },
    )
    add_plan(parser)
    parser.add_argument("--waves", nargs="+", metavar="WAVE", help="only these waves (default: all)")
    parser.add_argument(
        "--exclude", nargs="+", default=[], metavar="SERVER", help="source servers that the drill leaves out"
    )
    parser.add_argument(
        "--recovery-point",
        type=_time,
        metavar="TIME",
        help="launch from the newest snapshot at or before this time, ISO 8601 with a UTC offset",
    )
    parser.add_argument(
        "--execution-type",
        choices=("DRILL", "RECOVERY"),
        default="DRILL",
        help="for a RECOVERY, replication that lags or stalls only warns (default: DRILL)",
    )
    add_profile(parser)
    add_json(parser)
    parser.set_defaults(run=asking_aws(_doctor))


def _time(text: str) -> dt.datetime:
    try:
        at = dt.datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text} is not a time such as 2026-03-01T06:00:00Z") from None
    if at.tzinfo is None:
        raise argparse.ArgumentTypeError(f"{text} leaves the time zone open: write {text}Z for UTC")
    return at


def _doctor(arguments: argparse.Namespace) -> int:
    # Preflight takes boto3 with it.
    from drs.preflight import PreflightInputs, findings_table, inspect

    plan = find_plan(arguments.plan, arguments.plans)
    question = PreflightInputs(
        plan=plan,
        waves=_waves(plan, arguments.waves),
        exclude_servers=tuple(arguments.exclude),
        execution_type=arguments.execution_type,
        recovery_point=arguments.recovery_point,
    )
    report = inspect(question, checked_access(plan, arguments.profile).clients())
    if arguments.json:
        resolution = report.resolution.model_dump(mode="json") if report.resolution else None
        told = {"findings": report.as_json(), "notes": list(report.notes), "resolution": resolution}
        print_json({"plan": plan.name, **told})
        return BROKEN if report.errors else OK
    for note in report.notes:
        print(f"note: {note}")
    if report.findings:
        print(findings_table((*report.errors, *report.warnings)))
        remedies = dict.fromkeys((finding.code, finding.remedy) for finding in report.findings)
        for code, remedy in remedies:
            print(f"\n[{code}] What to do: {remedy}")
    print(f"\nPlan {plan.name}: {len(report.errors)} error(s), {len(report.warnings)} warning(s).")
    if report.heals:
        print("Time alone may mend all of these errors: a drill would wait for them before it gives up.")
    return BROKEN if report.errors else OK


def _waves(plan: Plan, chosen: list[str] | None) -> tuple[str, ...]:
    """The chosen waves, in the plan's order."""
    names = [wave.name for wave in plan.waves]
    if chosen is None:
        return tuple(names)
    if unknown := sorted(set(chosen) - set(names)):
        raise InvalidField(
            f"Plan {plan.name} has no wave {', '.join(unknown)}.",
            remedy=f"Its waves are: {', '.join(names)}.",
        )
    return tuple(name for name in names if name in chosen)
