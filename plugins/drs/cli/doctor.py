"""``doctor``: runs the whole preflight of a plan, without Airflow."""

from __future__ import annotations

import argparse
import dataclasses
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from drs.cli.aws import NO_AWS, Access, add_profile, checked_access, reporting_aws_errors
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
from drs.cli.connection import Connection
from drs.cli.evidence_store import add_path, evidence_path, open_store
from drs.cli.own_code import code_problems
from drs.cli.screen import show_table
from drs.cli.watch import show_instances
from drs.errors import Code, InvalidField
from drs.evidence.storage import is_url
from drs.plan import Plan
from drs.run.own_code import named_code

# Preflight imports boto3, which is slow: it is imported where it is used.
if TYPE_CHECKING:
    from drs.preflight import Finding, Report
    from drs.watch.findings import WatchFinding

SIGNING_KEY = "AIRFLOW__DRS__EVIDENCE_KMS_KEY_ID"
SHARED = "AIRFLOW__DRS__EVIDENCE_SHARED"
EXECUTORS = "AIRFLOW__CORE__EXECUTOR"


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
    parser.add_argument(
        "--role",
        default="",
        metavar="ARN",
        help="check the permissions of this role or user, such as the role of the plan's connection "
        "(default: those of the caller)",
    )
    add_path(parser)
    add_profile(parser)
    add_json(parser)
    parser.set_defaults(run=reporting_aws_errors(_doctor))


def _doctor(arguments: argparse.Namespace) -> int:
    from drs.cli.watch_look import left_by_drills
    from drs.preflight import PreflightInputs, inspect

    plan = find_plan(arguments.plan, arguments.plans)
    question = PreflightInputs(
        plan=plan,
        waves=_waves(plan, arguments.waves),
        exclude_servers=tuple(arguments.exclude),
        execution_type=arguments.execution_type,
        recovery_point=arguments.recovery_point,
        principal=arguments.role,
        found=tuple(_found_here(plan)),
    )
    access = checked_access(plan, arguments.profile)
    report = inspect(question, access.clients())
    left = left_by_drills(plan, access, open_store(arguments))
    # For people, the instances are a table of their own below that of the findings.
    found = [finding.as_preflight(with_details=arguments.json) for finding in left]
    notes = (*report.notes, *_notes(plan, report, "" if arguments.role else access.identity.arn))
    report = dataclasses.replace(report, findings=(*found, *report.findings), notes=notes)
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


def _found_here(plan: Plan) -> Iterator[Finding]:
    """What can be seen without AWS's DRS: code that the plan may not name, a folder of records that
    workers do not share, and the key that signs records.

    Where records are and how Airflow runs tasks is known only by environment variables, as in a container of
    Airflow. The key is tried with this process's own credentials, which need not be those of Airflow's
    workers. So a denial is only a warning.
    """
    from drs.aws.kms import region_of
    from drs.evidence.signatures import ALGORITHMS
    from drs.preflight import Finding
    from drs.preflight.record_folder import unshared_folder
    from drs.preflight.signing_key import signing_key

    for problem in code_problems(plan, Path(plan.name)):
        seen = f"Plan {plan.name}, {problem.key}: {problem.message}"
        yield Finding(code=problem.code, seen=seen, remedy=problem.remedy)
    if not is_url(path := evidence_path()):
        shared = os.environ.get(SHARED, "").strip().lower() in {"1", "t", "true"}  # as Airflow reads it
        executors = os.environ.get(EXECUTORS, "")
        yield from unshared_folder(path, executors, shared=shared, environment=os.environ)
    if key_id := os.environ.get(SIGNING_KEY, "").strip():
        kms = Access(Connection(), region_of(key_id) or plan.target.region, "").client("kms")
        for finding in signing_key(kms, key_id, ALGORITHMS):
            yield finding.as_warning() if finding.code is Code.ACCESS_DENIED else finding


def _notes(plan: Plan, report: Report, caller: str) -> Iterator[str]:
    """What a reader should know about the checks that were made.

    :param caller: the principal whose permissions were checked; empty if it was named by ``--role``
    """
    if caller and any(finding.code is Code.ACCESS_DENIED for finding in report.findings):
        yield (
            f"The permissions are those of {caller}. If Airflow drills with another role, name it with "
            "--role ARN."
        )
    marks = [named.path for named in named_code(plan) if not named.is_notifier]
    if marks:
        yield (
            f"Whether {', '.join(dict.fromkeys(marks))} can be imported and may be called as a check is not "
            "checked here: Airflow's own preflight and `readiness` do."
        )


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
