"""``runbook``: a plan as AWS CLI commands, for the day on which Airflow is down."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from drs.cli.aws import add_profile, asking_aws, checked_access
from drs.cli.common import BROKEN, OK, add_parser, add_plan, find_plan
from drs.plan import Plan
from drs.run.records import Resolution
from drs.run.resolution import resolve
from drs.runbook import runbook
from drs.times import utc_now


def add_commands(commands: Any) -> None:
    parser = add_parser(
        commands,
        "runbook",
        help="a plan as AWS CLI commands, for the day on which Airflow is down",
        description=(
            "Print a plan as a bash script of AWS CLI commands: the waves with their pauses and gates, the "
            "judgement of each server, and clean-up. It needs bash and the AWS CLI, and neither Airflow nor "
            "this package. Write it before you need it, and keep it where you find it then."
        ),
        exit_codes={
            0: "the script is on standard output",
            1: "the plan is broken, or its groups do not resolve",
            2: "wrong usage, or there is no such plan",
            3: "AWS could not be asked for the servers (--offline does not ask)",
        },
    )
    add_plan(parser)
    parser.add_argument(
        "--offline", action="store_true", help="ask nobody: the script looks up tagged servers when it runs"
    )
    add_profile(parser)
    parser.set_defaults(run=asking_aws(_runbook))


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
    """The plan's servers now, or nothing after what is wrong was told."""
    servers = list(checked_access(plan, profile).drs.source_servers())
    resolution, problems = resolve(plan, [wave.name for wave in plan.waves], (), servers)
    for problem in problems:
        print(f"{'warning' if problem.optional else 'error'}: {problem.error}", file=sys.stderr)
    if all(problem.optional for problem in problems):
        return resolution
    print("No runbook was written: mend the errors above, or use --offline.", file=sys.stderr)
    return None
