"""``watch``: looks for drills that stand still, and for what drills have left in AWS.

It needs no Airflow: on the day on which Airflow is down, it judges by age what AWS shows.
"""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, Any

from drs.cli.airflow_access import add_connection, connect
from drs.cli.airflow_api import AirflowError
from drs.cli.aws import NO_AWS, add_profile, reporting_aws_errors
from drs.cli.common import (
    BROKEN,
    OK,
    UNANSWERED,
    USAGE,
    add_json,
    add_parser,
    add_plans_folder,
    counted,
    duration,
    print_json,
)
from drs.cli.evidence_store import add_path, open_store
from drs.cli.screen import show_table
from drs.text.times import utc_now

if TYPE_CHECKING:
    from drs.cli.watch_airflow import Plans
    from drs.cli.watch_look import CommandLook
    from drs.watch.findings import WatchFinding


def add_commands(commands: Any) -> None:
    parser = add_parser(
        commands,
        "watch",
        help="show drills that stand still, and instances that drills have left",
        description=(
            "Compare what AWS has in the accounts and Regions of all plans with what Airflow knows. Show "
            "drills that are active but do not go on, and drill instances whose run has ended or is unknown "
            "and that no rule keeps. If Airflow cannot be reached, the age of an instance decides. Nothing "
            "is changed."
        ),
        exit_codes={
            OK: "nothing was found",
            BROKEN: "a drill stands still, or instances are left",
            USAGE: "wrong usage, or there is no such folder of plans",
            UNANSWERED: f"nothing was found, but not everything was seen: {NO_AWS}",
        },
    )
    add_plans_folder(parser)
    parser.add_argument("--no-airflow", action="store_true", help="do not ask Airflow: judge by age alone")
    parser.add_argument(
        "--older-than",
        type=duration,
        default="6h",
        metavar="TIME",
        help="without Airflow, the age from which on drill instances are a finding (default: 6h)",
    )
    parser.add_argument(
        "--installation",
        metavar="ID",
        help="without Airflow, judge only what the Airflow with this id started (its Variable "
        "drs_installation); default: all",
    )
    parser.add_argument("--quiet", action="store_true", help="write nothing if nothing was found")
    add_path(parser)
    add_profile(parser)
    add_json(parser)
    add_connection(parser)
    parser.set_defaults(run=reporting_aws_errors(_watch))


def _watch(arguments: argparse.Namespace) -> int:
    from drs.cli.watch_airflow import Plans

    plans = Plans.of(arguments.plans)
    seen, notes = _look(arguments, plans)
    for note in (*notes, *seen.notes):
        print(note, file=sys.stderr)
    if arguments.json:
        print_json(_as_json(seen, notes))
    else:
        _print(seen, quiet=arguments.quiet)
    if seen.comparison.findings:
        return BROKEN
    return UNANSWERED if seen.blind else OK


def _look(arguments: argparse.Namespace, plans: Plans) -> tuple[CommandLook, list[str]]:
    """Look with Airflow if it can be asked, else at AWS alone; with what is to be said about that."""
    from drs.cli.watch_look import look_by_age, look_with_airflow

    store, notes = open_store(arguments), []
    if not arguments.no_airflow:
        try:
            return look_with_airflow(connect(arguments), plans, arguments.profile, store), []
        except AirflowError as error:
            notes.append(
                f"Airflow could not be asked, so only the age of instances was judged. {error.message}\n"
                "While Airflow is down no drill goes on, and nothing is cleaned up. Start Airflow again."
            )
    seen = look_by_age(plans, arguments.profile, store, arguments.older_than, arguments.installation)
    return seen, notes


def _print(seen: CommandLook, *, quiet: bool) -> None:
    from drs.watch import messages

    findings = seen.comparison.findings
    blind = [messages.unreadable(each) for each in seen.blind]
    for number, finding in enumerate((*findings, *blind)):
        print("\n" if number else "", end="")
        show_finding(finding)
    if quiet and not findings and not blind:
        return
    if seen.comparison.facts:
        print("\nThese drill instances are no findings:")
        below = ("why it is no finding", "run", "job", "cost per day", "type", "plan", "age")
        show_table(messages.FACTS_HEADER, messages.facts_rows(seen.comparison.facts, utc_now()), below=below)
    places = ", ".join(place.name for place in seen.places) or "no place"
    runs = "Airflow was not asked" if seen.active is None else f"{counted(seen.active, 'active run')}"
    print(f"\n{counted(len(findings), 'finding')}. Looked at {places}; {runs}.")


def show_finding(finding: WatchFinding) -> None:
    """Print what was found, the instances that it is about, and what to do."""
    print(f"[{finding.code}] {finding.message}")
    show_instances(finding)
    print(f"What to do: {finding.remedy}")


def show_instances(finding: WatchFinding) -> None:
    """Print the drill instances that a finding is about, with what they cost."""
    from drs.cleanup.prices import LISTING_HEADER, basis, listing_rows, total

    if finding.instances:
        now = utc_now()
        below = ("job", "cost per day", "EC2 instance", "type", "age")
        show_table(LISTING_HEADER, listing_rows(finding.instances, now), below=below)
        print(f"{total(finding.instances, now)}\n{basis(finding.instances)}")


def _as_json(seen: CommandLook, notes: list[str]) -> dict[str, Any]:
    from drs.watch import messages

    return {
        "findings": [finding.as_json() for finding in seen.comparison.findings],
        "unreadable": [messages.unreadable(each).as_json() for each in seen.blind],
        "no_findings": [
            {
                "recovery_instance_id": instance.record.recovery_instance_id,
                "server_id": instance.record.server_id,
                "job_id": instance.record.job_id,
                "launched_at": instance.since,
                "plan": plan or None,
                "run": run or None,
                "why": why,
            }
            for instance, plan, run, why in seen.comparison.facts
        ],
        "places": [place.name for place in seen.places],
        "active_runs": seen.active,
        "airflow_asked": seen.active is not None,
        "notes": [*notes, *seen.notes],
    }
