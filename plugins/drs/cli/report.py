"""``report``: how the last drills of the plans went, when one last passed, and when the next one is due."""

from __future__ import annotations

import argparse
import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from drs.cli.common import (
    BROKEN,
    OK,
    UNANSWERED,
    USAGE,
    add_json,
    add_parser,
    add_plans_folder,
    print_json,
)
from drs.cli.evidence_store import NotThereError, add_path, asking_the_store, open_store
from drs.evidence.record import Evidence
from drs.evidence.store import EvidenceStore
from drs.evidence.summary import codes, kind, mark, measured
from drs.plan import Plan, load_folder
from drs.plan.schedule import next_time
from drs.tables import table
from drs.times import instant, utc_now


def add_commands(commands: Any) -> None:
    parser = add_parser(
        commands,
        "report",
        help="how the last drills went, and when one last passed",
        description=(
            "Show how the last drills of a plan, or of all plans, went: result, RTO, RPO, failures; when one "
            "last passed, and when the next is due. Dry runs are no drills. Times are UTC."
        ),
        exit_codes={
            OK: "the last drill of each plan passed",
            BROKEN: "that of a plan did not, it was never drilled, or a record cannot be read",
            USAGE: "wrong usage, or no such plan",
            UNANSWERED: "the records cannot be reached",
        },
    )
    parser.add_argument("plan", nargs="?", metavar="PLAN", help="of this plan only, by its name")
    parser.add_argument("--limit", type=_limit, default=5, metavar="N", help="the last N drills (default: 5)")
    add_path(parser)
    add_plans_folder(parser)
    add_json(parser)
    parser.set_defaults(run=_report)


@dataclass(frozen=True)
class History:
    """What became of one plan's drills.

    :param drills: the last ones, newest first
    :param last_passed: the newest one that passed, however long ago
    :param unreadable: records that cannot be read
    :param next_run: when the plan's schedule runs it next
    """

    plan: str
    drills: Sequence[Evidence]
    last_passed: Evidence | None
    unreadable: Sequence[str]
    next_run: dt.datetime | None

    @property
    def good(self) -> bool:
        return bool(self.drills) and self.drills[0].result == "passed" and not self.unreadable


@asking_the_store
def _report(arguments: argparse.Namespace) -> int:
    store, now = open_store(arguments), utc_now()
    files = plan_files(arguments.plans)
    names = sorted({*store.plans(), *files})
    if arguments.plan is not None:
        if arguments.plan not in names:
            raise NotThereError(
                f"There is no record of plan {arguments.plan} in {store}, and no such plan in "
                f"{arguments.plans}. There are: {', '.join(names) or 'none'}."
            )
        names = [arguments.plan]
    if not names:
        raise NotThereError(f"There is no record in {store}, and no plan in {arguments.plans}.")
    histories = [history(store, name, files.get(name), arguments.limit, now) for name in names]
    if arguments.json:
        print_json([_as_json(each, now) for each in histories])
    else:
        rows = [_row(drill) for each in histories for drill in each.drills]
        header = ("record", "began", "kind", "result", "RTO", "validated", "RPO", "failed")
        if rows:
            print(table(header, rows))
            print()
        for each in histories:
            print("\n".join(_lines(each, now)))
    return OK if all(each.good for each in histories) else BROKEN


def plan_files(folder: Path) -> dict[str, Plan]:
    """The good plans of the folder, by name; where there is no folder, the records have to do."""
    if not folder.is_dir():
        return {}
    return {plan.name: plan for plan in load_folder(folder) if isinstance(plan, Plan)}


def history(store: EvidenceStore, name: str, plan: Plan | None, limit: int, now: dt.datetime) -> History:
    """Read a plan's records, newest first, as far back as is needed.

    :param plan: the plan as its file stands; without it, its newest record says when it runs
    """
    drills: list[Evidence] = []
    unreadable: list[str] = []
    last_passed: Evidence | None = None
    newest: Evidence | None = None
    for record_id, record in store.newest_first(name):
        if isinstance(record, str):
            unreadable.append(record_id)
            continue
        newest = newest or record
        if record.run.dry_run:
            continue
        if len(drills) < limit:
            drills.append(record)
        if record.result == "passed" and last_passed is None:
            last_passed = record
        if last_passed and len(drills) >= limit:
            break
    content = plan.model_dump(mode="json") if plan else (newest.plan.content if newest else {})
    schedule = content.get("schedule")
    return History(
        plan=name,
        drills=drills,
        last_passed=last_passed,
        unreadable=unreadable,
        next_run=next_time(schedule, content.get("timezone", "UTC"), now) if schedule else None,
    )


def _row(record: Evidence) -> tuple[str, ...]:
    objectives = record.objectives
    return (
        record.id,
        instant(record.run.began_at, "-"),
        kind(record),
        record.result,
        mark(objectives.rto_launched),
        mark(objectives.rto_validated),
        mark(objectives.rpo),
        ", ".join(codes(record)),
    )


def _lines(each: History, now: dt.datetime) -> Iterator[str]:
    if each.last_passed:
        began = each.last_passed.run.began_at
        passed = f"last passed {instant(began, '-')}, {_age(now - began)} ago ({each.last_passed.id})"
    else:
        passed = "never passed" if each.drills else "never drilled"
    due = f"next run {instant(each.next_run, '-')}" if each.next_run else "no schedule"
    yield f"{each.plan}: {passed}; {due}"
    if each.unreadable:
        yield f"  cannot be read: {', '.join(each.unreadable)} (python -m drs evidence verify {each.plan})"


def _age(span: dt.timedelta) -> str:
    if span.days:
        return f"{span.days} d"
    return f"{span.seconds // 3600} h {span.seconds % 3600 // 60} min"


def _as_json(each: History, now: dt.datetime) -> dict[str, Any]:
    began = each.last_passed.run.began_at if each.last_passed else None
    return {
        "plan": each.plan,
        "good": each.good,
        "drills": [
            {
                "id": record.id,
                "run_id": record.run.run_id,
                "began_at": record.run.began_at,
                "execution_type": record.run.execution_type,
                "result": record.result,
                **measured(record),
                "failures": codes(record),
            }
            for record in each.drills
        ],
        "last_passed_at": began,
        "last_passed_age_seconds": (now - began).total_seconds() if began else None,
        "next_run": each.next_run,
        "unreadable": each.unreadable,
    }


def _limit(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("it is at least 1")
    return number
