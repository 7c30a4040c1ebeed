"""``runbook``: prints a plan as a script of AWS CLI commands, for a day on which Airflow is down."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from drs.cli.aws import NO_AWS, add_profile, checked_access, reporting_aws_errors
from drs.cli.common import BROKEN, OK, add_parser, add_plan, find_plan
from drs.cli.servers import print_problems
from drs.plan import Plan
from drs.run.records import Resolution
from drs.run.resolution import resolve
from drs.runbook import runbook
from drs.text.times import utc_now


def add_commands(commands: Any) -> None:
    parser = add_parser(
        commands,
        "runbook",
        help="print a plan as a script of AWS CLI commands, for a day on which Airflow is down",
        description=(
            "Print a plan as a bash script of AWS CLI commands: the waves with their pauses and gates, the "
            "check that each server was launched, and clean-up. The script needs bash and the AWS CLI, but "
            "neither Airflow nor this package. Print it before you need it, and keep it where you can find "
            "it."
        ),
        exit_codes={
            0: "the script is on standard output",
            1: "the plan is broken, or a group has no servers that can be launched",
            2: "wrong usage, or there is no such plan",
            3: f"{NO_AWS} (--offline does not call AWS)",
        },
    )
    add_plan(parser)
    parser.add_argument(
        "--offline",
        action="store_true",
        help="do not call AWS: the script looks up servers by their tags when it runs",
    )
    add_profile(parser)
    parser.set_defaults(run=reporting_aws_errors(_runbook))


def _runbook(arguments: argparse.Namespace) -> int:
    plan = find_plan(arguments.plan, arguments.plans)
    resolution = None
    if not arguments.offline:
        resolution = _resolved(plan, arguments.profile)
        if resolution is None:
            return BROKEN
    sys.stdout.write(runbook(plan, resolution, at=utc_now()))
    return OK


def _resolved(plan: Plan, profile: str | None) -> Resolution | None:
    """The plan's servers now; None, after printing the errors, if they cannot be resolved."""
    servers = list(checked_access(plan, profile).drs.source_servers())
    resolution, problems = resolve(plan, [wave.name for wave in plan.waves], (), servers)
    print_problems(problems)
    if all(problem.optional for problem in problems):
        return resolution
    print("No runbook was printed: fix the errors above, or use --offline.", file=sys.stderr)
    return None
