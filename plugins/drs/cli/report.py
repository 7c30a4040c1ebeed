"""``report``: the results of each plan's last drills, when a full drill last passed, what has changed since
then, which scheduled runs launched nothing, and when the next drill is due.
"""

from __future__ import annotations

import argparse
import dataclasses
import datetime as dt
import itertools
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from drs.cli.airflow_access import add_connection, connect
from drs.cli.airflow_api import AirflowError
from drs.cli.common import (
    BROKEN,
    OK,
    UNANSWERED,
    USAGE,
    add_json,
    add_parser,
    add_plans_folder,
    print_json,
    whole_number,
)
from drs.cli.evidence_show import RESULT_HEADER, result_cells
from drs.cli.evidence_store import NotThereError, add_path, reached_store, reporting_store_errors
from drs.cli.screen import show_table
from drs.evidence.record import Evidence
from drs.evidence.since import changed_keys
from drs.evidence.store import EvidenceStore
from drs.evidence.summary import codes, measured, passed_in_full
from drs.plan import Plan, load_folder
from drs.plan.naming import DAG_ID_PREFIX, plan_name
from drs.plan.plan_schedule import next_time
from drs.run.ticks import MissedTick, make_up
from drs.text.tables import first_of
from drs.text.times import age, stamp, utc_now

InAirflow = Literal["active", "paused", "absent", "unknown"]
"""Whether the plan's DAG runs by its schedule: not if it is paused, or if Airflow has no such DAG. Unknown if
Airflow does not answer.
"""


def add_commands(commands: Any) -> None:
    parser = add_parser(
        commands,
        "report",
        help="show the results of the last drills, and when a full drill last passed",
        description=(
            "Show the last drills of one plan or of all plans: result, RTO, RPO and failures. Also show "
            "when a full drill of the plan last passed, what has changed in the plan since then, which "
            "scheduled runs were missed or refused, and when the next drill is due. A partial drill is "
            "shown, but it is no pass of the plan. Dry runs do not count. Times are UTC. Airflow is asked "
            "whether the plans are paused; if it does not answer, the report is given without that."
        ),
        exit_codes={
            OK: "the last drill and the last full drill of each plan passed",
            BROKEN: "the last drill or the last full drill of a plan did not pass, it has no full drill, or "
            "a record cannot be read",
            USAGE: "wrong usage, or there is no such plan",
            UNANSWERED: "the records cannot be reached",
        },
    )
    parser.add_argument("plan", nargs="?", metavar="PLAN", help="only drills of this plan, by its name")
    parser.add_argument(
        "--limit",
        type=whole_number,
        default=5,
        metavar="N",
        help="show the last N drills, and the last N missed runs (default: 5)",
    )
    add_path(parser)
    add_plans_folder(parser)
    add_json(parser)
    add_connection(parser)
    parser.set_defaults(run=_report)


@dataclass(frozen=True)
class History:
    """The drills of one plan.

    :param drills: the last ones, newest first
    :param last_full: the newest drill of the whole plan, even if it is not among ``drills``
    :param last_passed: the newest drill of the whole plan that passed, even if it is not among ``drills``
    :param changed: the keys of the plan that have changed since then; ``None`` if that is not known
    :param unreadable: records that cannot be read
    :param missed: the last scheduled runs that launched nothing, newest first
    :param next_run: the next time that the plan's schedule names
    :param in_airflow: whether the plan's DAG runs by that schedule
    """

    plan: str
    drills: Sequence[Evidence]
    last_full: Evidence | None
    last_passed: Evidence | None
    changed: Sequence[str] | None
    unreadable: Sequence[str]
    missed: Sequence[MissedTick]
    next_run: dt.datetime | None
    in_airflow: InAirflow = "unknown"

    @property
    def due(self) -> dt.datetime | None:
        """When the plan runs next by its schedule; ``None`` if it does not, as far as that is known."""
        return self.next_run if self.in_airflow in {"active", "unknown"} else None

    @property
    def good(self) -> bool:
        newest = (self.drills[0] if self.drills else None, self.last_full)
        return all(each and each.result == "passed" for each in newest) and not self.unreadable


@reporting_store_errors
def _report(arguments: argparse.Namespace) -> int:
    store, now = reached_store(arguments), utc_now()
    files = plan_files(arguments.plans)
    names = sorted({*store.plans(), *files})
    if arguments.plan is not None:
        if arguments.plan not in names:
            raise NotThereError(
                f"There is no record of plan {arguments.plan} in {store}, and no such plan in "
                f"{arguments.plans}. The plans are: {', '.join(names) or 'none'}."
            )
        names = [arguments.plan]
    if not names:
        raise NotThereError(f"There is no record in {store}, and no plan in {arguments.plans}.")
    histories = [history(store, name, files.get(name), arguments.limit, now) for name in names]
    if any(each.next_run for each in histories):
        histories = _with_airflow(arguments, histories)
    if arguments.json:
        print_json([_as_json(each, now) for each in histories])
    else:
        rows = [_row(drill) for each in histories for drill in each.drills]
        header = ("record", *RESULT_HEADER, "failed")
        if rows:
            show_table(header, rows, below=("failed", "validated", "RPO", "RTO"))
            print()
        for each in histories:
            print("\n".join(_lines(each, now)))
    return OK if all(each.good for each in histories) else BROKEN


def _with_airflow(arguments: argparse.Namespace, histories: Sequence[History]) -> list[History]:
    """The histories, with what Airflow says about each plan's DAG. The report does not need its answer."""
    api = connect(arguments)
    try:
        api.health()  # not repeated: a report without Airflow must not wait for it
        dags = api.dags()
    except AirflowError:
        print(
            f"Airflow at {api.url} did not say which plans are paused. A paused plan has no next run.",
            file=sys.stderr,
        )
        return list(histories)
    paused = {
        plan_name(dag["dag_id"]): dag["is_paused"] for dag in dags if dag["dag_id"].startswith(DAG_ID_PREFIX)
    }
    states: dict[bool | None, InAirflow] = {True: "paused", False: "active", None: "absent"}
    return [dataclasses.replace(each, in_airflow=states[paused.get(each.plan)]) for each in histories]


def plan_files(folder: Path) -> dict[str, Plan]:
    """The valid plans of the folder, by name.

    Without such a folder there are none: the records are enough.
    """
    if not folder.is_dir():
        return {}
    return {plan.name: plan for plan in load_folder(folder) if isinstance(plan, Plan)}


def history(store: EvidenceStore, name: str, plan: Plan | None, limit: int, now: dt.datetime) -> History:
    """Read a plan's records from the newest, as far back as necessary.

    :param plan: the plan from its file; without it, the schedule is taken from the newest record
    """
    drills: list[Evidence] = []
    unreadable: list[str] = []
    last_full: Evidence | None = None
    last_passed: Evidence | None = None
    newest: Evidence | None = None
    for record_id, record in store.newest_first(name):
        if isinstance(record, str):
            unreadable.append(record_id)
            continue
        newest = newest or record
        if record.scope == "dry_run":
            continue
        if len(drills) < limit:
            drills.append(record)
        if record.scope == "full":
            last_full = last_full or record
            last_passed = last_passed or (record if passed_in_full(record) else None)
        if last_passed and len(drills) >= limit:
            break
    content = plan.model_dump(mode="json") if plan else (newest.plan.content if newest else {})
    schedule = content.get("schedule")
    missed: list[MissedTick] = []
    for tick in itertools.islice(store.ticks(name), limit):
        if isinstance(tick, MissedTick):
            missed.append(tick)
        else:
            unreadable.append(tick)
    return History(
        plan=name,
        drills=drills,
        last_full=last_full,
        last_passed=last_passed,
        changed=changed_keys(last_passed, plan) if last_passed and plan else None,
        unreadable=unreadable,
        missed=missed,
        next_run=next_time(schedule, content.get("timezone", "UTC"), now) if schedule else None,
    )


def _row(record: Evidence) -> tuple[str, ...]:
    return (record.id, *result_cells(record), ", ".join(codes(record)))


def _lines(each: History, now: dt.datetime) -> Iterator[str]:
    if each.last_passed:
        began = each.last_passed.run.began_at
        passed = f"last full pass {stamp(began)}, {age(began, now)} ago ({each.last_passed.id})"
    else:
        passed = "never passed in full" if each.drills else "never drilled"
    yield f"{each.plan}: {passed}; {_next(each)}"
    if each.changed:
        yield f"  the plan's file has changed since that pass: {first_of(each.changed)}"
    for tick in each.missed:
        yield f"  {stamp(tick.due)} {tick.fate}: {tick.why}"
    if each.missed:
        yield f"  {make_up(each.plan, each.missed[0].due)}"
    if each.unreadable:
        yield f"  cannot be read: {', '.join(each.unreadable)} (python -m drs evidence verify {each.plan})"


def _next(each: History) -> str:
    if each.next_run is None:
        return "no schedule"
    due = stamp(each.next_run)
    match each.in_airflow:
        case "paused":
            return f"no next run: its DAG is paused (its schedule names {due})"
        case "absent":
            return f"no next run: Airflow has no DAG of it (its schedule names {due})"
        case _:
            return f"next run {due}"


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
                "scope": record.scope,
                "result": record.result,
                **measured(record),
                "failures": codes(record),
            }
            for record in each.drills
        ],
        "last_passed_at": began,
        "last_passed_age_seconds": (now - began).total_seconds() if began else None,
        "changed_since_last_passed": each.changed,
        "next_run": each.due,
        "in_airflow": each.in_airflow,
        "missed": [{"fate": tick.fate, **tick.model_dump(mode="json")} for tick in each.missed],
        "unreadable": each.unreadable,
    }
