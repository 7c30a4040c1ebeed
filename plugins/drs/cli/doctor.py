"""``doctor``: runs the whole preflight of a plan, without Airflow."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from drs.cli.aws import NO_AWS, add_profile, checked_access, reporting_aws_errors
from drs.cli.common import (
    BROKEN,
    OK,
    RECOVERY_POINT_HELP,
    add_json,
    add_parser,
    add_plan,
    counted,
    find_plan,
    point_in_time,
    print_json,
)
from drs.cli.evidence_store import add_path, open_store
from drs.cli.screen import show_table
from drs.cli.watch import show_instances
from drs.errors import InvalidField
from drs.plan import Plan

if TYPE_CHECKING:
    from drs.preflight import Report
    from drs.watch.findings import WatchFinding


def add_commands(commands: Any) -> None:
    parser = add_parser(
        commands,
        "doctor",
        help="show everything that would stop a drill of a plan now",
        description=(
            "Run every check that a drill runs before it launches servers, and show all findings at once, "
            "also what drills of the plan have left. Nothing is launched."
        ),
        exit_codes={
            0: "a drill could begin now; there may be warnings",
            1: "preflight would refuse a drill, or the plan is broken",
            2: "wrong usage, or there is no such plan, wave or server",
            3: NO_AWS,
        },
    )
    add_plan(parser)
    parser.add_argument("--waves", nargs="+", metavar="WAVE", help="only these waves (default: all)")
    parser.add_argument(
        "--exclude", nargs="+", default=[], metavar="SERVER", help="source servers that are not launched"
    )
    parser.add_argument(
        "--recovery-point",
        type=point_in_time,
        metavar="TIME",
        help=RECOVERY_POINT_HELP,
    )
    parser.add_argument(
        "--execution-type",
        choices=("DRILL", "RECOVERY"),
        default="DRILL",
        help="for a RECOVERY, delayed or stalled replication is only a warning (default: DRILL)",
    )
    add_path(parser)
    add_profile(parser)
    add_json(parser)
    parser.set_defaults(run=reporting_aws_errors(_doctor))


def _doctor(arguments: argparse.Namespace) -> int:
    # Preflight imports boto3, which is slow.
    from drs.cli.watch_look import left_by_drills
    from drs.preflight import PreflightInputs, inspect

    plan = find_plan(arguments.plan, arguments.plans)
    question = PreflightInputs(
        plan=plan,
        waves=_waves(plan, arguments.waves),
        exclude_servers=tuple(arguments.exclude),
        execution_type=arguments.execution_type,
        recovery_point=arguments.recovery_point,
    )
    access = checked_access(plan, arguments.profile)
    report = inspect(question, access.clients())
    left = left_by_drills(plan, access, open_store(arguments))
    # For people, the instances are a table of their own below that of the findings.
    found = [finding.as_preflight(with_details=arguments.json) for finding in left]
    report = dataclasses.replace(report, findings=(*found, *report.findings))
    if arguments.json:
        resolution = report.resolution.model_dump(mode="json") if report.resolution else None
        print_json(
            {
                "plan": plan.name,
                "findings": report.as_json(),
                "notes": list(report.notes),
                "resolution": resolution,
            }
        )
    else:
        _show(plan, report, left)
    return BROKEN if report.errors else OK


def _show(plan: Plan, report: Report, left: Sequence[WatchFinding]) -> None:
    """Print the findings, the instances that earlier drills have left, and what to do."""
    from drs.preflight.findings import FINDINGS_HEADER, finding_rows

    for note in report.notes:
        print(f"note: {note}")
    if report.findings:
        show_table(FINDINGS_HEADER, finding_rows((*report.errors, *report.warnings)), below=("seen", "wave"))
        for finding in left:
            print(f"\nThe instances of {finding.title}:")
            show_instances(finding)
        remedies = dict.fromkeys((finding.code, finding.remedy) for finding in report.findings)
        for code, remedy in remedies:
            print(f"\n[{code}] What to do: {remedy}")
    errors, warnings = counted(len(report.errors), "error"), counted(len(report.warnings), "warning")
    print(f"\nPlan {plan.name}: {errors}, {warnings}.")
    if report.heals:
        print("These errors may clear by themselves: a drill would wait for that before it fails.")


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
