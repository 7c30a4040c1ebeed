"""What all commands share: exit codes, how a plan is named, how an answer is written."""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from drs.plan import BrokenPlan, Plan, PlanError, load_folder, load_plan

PLANS_FOLDER = Path("include/plans")

OK, BROKEN, USAGE, UNANSWERED = 0, 1, 2, 3
"""Good; what was asked about is not good; wrong usage, or what was named does not exist; AWS or Airflow could
not be asked."""


def add_parser(
    commands: Any,
    name: str,
    *,
    help: str,  # noqa: A002  # argparse's own word
    description: str,
    exit_codes: Mapping[int, str],
) -> argparse.ArgumentParser:
    """Add a command whose help ends with its exit codes."""
    listed = "\n".join(f"  {code}  {meaning}" for code, meaning in exit_codes.items())
    parser: argparse.ArgumentParser = commands.add_parser(
        name,
        help=help,
        description=description,
        epilog=f"exit codes:\n{listed}\n",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    return parser


def add_plan(parser: argparse.ArgumentParser) -> None:
    """Add the argument PLAN, and the folder in which names are looked up."""
    parser.add_argument("plan", metavar="PLAN", help="the plan's name, or its file")
    add_plans_folder(parser)


def add_plans_folder(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--plans",
        type=Path,
        default=PLANS_FOLDER,
        metavar="FOLDER",
        help=f"where plans are looked up by name (default: {PLANS_FOLDER})",
    )


def add_json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="write the result as JSON")


def find_plan(named: str, folder: Path) -> Plan:
    """The plan of that name in the folder; what looks like a path is the file itself.

    :raises PlanError: there is none, with the names that exist; or its file is broken
    """
    if os.sep in named or named.lower().endswith((".yaml", ".yml")):
        return load_plan(Path(named))
    if folder.is_dir():
        for found in load_folder(folder, only=named):
            if isinstance(found, BrokenPlan):
                raise PlanError(found)
            return found
    return load_plan(folder / f"{named}.yaml")


def print_json(value: Any) -> None:
    """Write a result for programs: times as ISO 8601."""
    print(json.dumps(value, indent=2, default=_as_text))


def _as_text(value: object) -> str:
    return value.isoformat() if isinstance(value, dt.datetime) else str(value)
