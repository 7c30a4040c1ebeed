"""What all commands share: exit codes, arguments, how a plan is found, how a result is written."""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic_core import PydanticCustomError

from drs.plan import BrokenPlan, Plan, PlanError, durations, load_folder, load_plan

PLANS_VARIABLE = "AIRFLOW__DRS__PLANS_FOLDER"

OK, BROKEN, USAGE, UNANSWERED = 0, 1, 2, 3
"""The exit codes: good; the result is not good; wrong usage, or what the user named does not exist; AWS,
Airflow or the records could not be reached.
"""
INTERRUPTED = 130
"""The exit code after Ctrl-C, the same as in shells."""
PIPE_CLOSED = 128 + 13
"""The exit code when the reader of the output has ended, as `head` does: what shells show of a program that
the signal SIGPIPE (13) has ended.
"""


def add_parser(
    commands: Any,
    name: str,
    *,
    help: str,  # noqa: A002  # argparse's own word
    description: str,
    exit_codes: Mapping[int, str],
) -> argparse.ArgumentParser:
    """Add a command whose help text ends with its exit codes."""
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
    """Add the argument PLAN, and the option for the folder in which plans are found by name."""
    parser.add_argument("plan", metavar="PLAN", help="the plan's name, or its file")
    add_plans_folder(parser)


def add_plans_folder(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--plans",
        type=Path,
        default=plans_folder(),
        metavar="FOLDER",
        help=f"the folder in which plans are found by name (default: {PLANS_VARIABLE}, or include/plans)",
    )


def plans_folder() -> Path:
    """The folder of the plans, by the environment."""
    return Path(os.environ.get(PLANS_VARIABLE) or "include/plans")


RECOVERY_POINT_HELP = (
    "launch from the newest snapshot at or before this time, in ISO 8601 with a UTC offset, such as "
    "2026-03-01T06:00Z (default: the latest data)"
)


def add_json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="write the result as JSON")


def find_plan(named: str, folder: Path) -> Plan:
    """Find a plan by its name in the folder, or by the path of its file.

    :param named: a name; a text with a slash or a YAML suffix is a path
    :raises PlanError: there is no such plan (the error lists those that exist), or its file is broken
    """
    if os.sep in named or named.lower().endswith((".yaml", ".yml")):
        return load_plan(Path(named))
    if folder.is_dir():
        for found in load_folder(folder, only=named):
            if isinstance(found, BrokenPlan):
                raise PlanError(found)
            return found
    return load_plan(folder / f"{named}.yaml")


def duration(text: str) -> dt.timedelta:
    """The type of an argument that is a length of time, such as 90m."""
    try:
        return durations.parse(text)
    except PydanticCustomError:
        raise argparse.ArgumentTypeError(f"{text} is not a duration such as 30m, 24h or 7d") from None


def point_in_time(text: str) -> dt.datetime:
    """The type of an argument that is a time with a time zone, in ISO 8601."""
    try:
        at = dt.datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text} is not a time such as 2026-03-01T06:00:00Z") from None
    if at.tzinfo is None:
        raise argparse.ArgumentTypeError(f"{text} has no time zone: write {text}Z for UTC")
    try:
        return at.astimezone(dt.UTC)
    except OverflowError:
        raise argparse.ArgumentTypeError(
            f"{text} is before the first or after the last year of UTC"
        ) from None


def whole_number(text: str, most: int | None = None) -> int:
    """The type of an argument that is a number of things: at least 1.

    :param most: the greatest number that is allowed
    """
    number = int(text)
    if number < 1 or (most is not None and number > most):
        wanted = "at least 1" if most is None else f"from 1 to {most}"
        raise argparse.ArgumentTypeError(f"{text} is not a number {wanted}")
    return number


def counted(number: int, noun: str) -> str:
    """``1 wave``, ``3 waves``"""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def print_json(value: Any) -> None:
    """Print a result as JSON for programs, with times in ISO 8601."""
    print(json.dumps(value, indent=2, default=_as_text))


def _as_text(value: object) -> str:
    return value.isoformat() if isinstance(value, dt.datetime) else str(value)
