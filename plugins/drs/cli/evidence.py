"""``evidence``: the records of the plans' runs, read, handed out and verified."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from drs.cli.common import BROKEN, OK, UNANSWERED, USAGE, add_json, add_parser, print_json
from drs.cli.evidence_show import told
from drs.cli.evidence_store import (
    add_path,
    as_json,
    asking_the_store,
    chosen_plans,
    find_record,
    open_store,
)
from drs.evidence.chain import LOST, ChainProblem, NotARecordError
from drs.evidence.record import Evidence
from drs.evidence.store import EvidenceStore
from drs.evidence.summary import codes, kind, mark, measured
from drs.tables import table
from drs.times import instant

_SHOWN = {
    OK: "it was shown",
    BROKEN: "a record cannot be read",
    USAGE: "wrong usage, or there is no such record",
    UNANSWERED: "the records cannot be reached",
}
_EXPORTED = {
    OK: "it is written",
    BROKEN: "the record cannot be read",
    USAGE: "wrong usage, there is no such record, or the file cannot be written",
    UNANSWERED: "the records cannot be reached",
}
_VERIFIED = {
    OK: "every record is there and unchanged",
    BROKEN: "a record was changed or is missing: it is named",
    USAGE: "wrong usage, or there is no record of that plan, or none at all",
    UNANSWERED: "the records cannot be reached",
}


def add_commands(commands: Any) -> None:
    parser = add_parser(
        commands,
        "evidence",
        help="the records of the runs: list, show, export, verify",
        description="Read, hand out and verify the records of the plans' runs. Airflow is not asked.",
        exit_codes={
            OK: "good",
            BROKEN: "verify: a record was changed or is missing; else: a record cannot be read",
            USAGE: "wrong usage, or there is no such record",
            UNANSWERED: "the records cannot be reached",
        },
    )
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    _add_list(actions)
    _add_show(actions)
    _add_export(actions)
    _add_verify(actions)


# --- list -------------------------------------------------------------------------------------------------


def _add_list(actions: Any) -> None:
    parser = add_parser(
        actions,
        "list",
        help="the records, newest first",
        description="List the records of a plan, or of all plans, newest first. Times are UTC.",
        exit_codes=_SHOWN,
    )
    parser.add_argument("plan", nargs="?", metavar="PLAN", help="of this plan only, by its name")
    parser.add_argument("--limit", type=int, default=20, metavar="N", help="at most N a plan (default: 20)")
    add_path(parser)
    add_json(parser)
    parser.set_defaults(run=_list)


@asking_the_store
def _list(arguments: argparse.Namespace) -> int:
    store = open_store(arguments)
    found = [
        row
        for plan in chosen_plans(store, arguments.plan)
        for row, _ in zip(store.newest_first(plan), range(arguments.limit), strict=False)
    ]
    if arguments.json:
        print_json([_short(name, record) for name, record in found])
    else:
        header = ("record", "began", "kind", "result", "RTO", "validated", "RPO", "by", "failed")
        print(table(header, [_row(name, record) for name, record in found]))
    return BROKEN if any(isinstance(record, str) for _, record in found) else OK


def _row(name: str, record: Evidence | str) -> tuple[str, ...]:
    if isinstance(record, str):
        return (name, "-", "-", "unreadable", "-", "-", "-", "-", record.splitlines()[0])
    objectives = record.objectives
    return (
        name,
        instant(record.run.began_at, "-"),
        kind(record),
        record.result,
        mark(objectives.rto_launched),
        mark(objectives.rto_validated),
        mark(objectives.rpo),
        record.run.initiator,
        ", ".join(codes(record)),
    )


def _short(name: str, record: Evidence | str) -> dict[str, Any]:
    if isinstance(record, str):
        return {"id": name, "unreadable": record}
    return {
        "id": record.id,
        "plan": record.plan.name,
        "run_id": record.run.run_id,
        "began_at": record.run.began_at,
        "execution_type": record.run.execution_type,
        "dry_run": record.run.dry_run,
        "initiator": record.run.initiator,
        "result": record.result,
        **measured(record),
        "failures": codes(record),
        "hash": record.hash,
    }


# --- show -------------------------------------------------------------------------------------------------


def _add_show(actions: Any) -> None:
    parser = add_parser(
        actions,
        "show",
        help="one record, for people",
        description="Show one record: its waves, measures, failures and clean-up. Times are UTC.",
        exit_codes=_SHOWN,
    )
    parser.add_argument("record", metavar="ID", help="the record's id, such as orders-000007")
    add_path(parser)
    add_json(parser)
    parser.set_defaults(run=_show)


@asking_the_store
def _show(arguments: argparse.Namespace) -> int:
    store = open_store(arguments)
    record = _readable(store, arguments.record)
    if record is None:
        return BROKEN
    if arguments.json:
        print_json(as_json(record))
    else:
        print("\n".join(told(record)))
    return OK


def _readable(store: EvidenceStore, record_id: str) -> Evidence | None:
    _, plan = find_record(store, record_id)
    try:
        return store.read(plan, record_id)
    except NotARecordError as error:
        print(f"Record {record_id} cannot be read: {error}", file=sys.stderr)
        return None


# --- export -----------------------------------------------------------------------------------------------


def _add_export(actions: Any) -> None:
    parser = add_parser(
        actions,
        "export",
        help="one record as a file, to hand out",
        description="Write one record to a file: the JSON as it is stored, byte for byte, or its HTML page.",
        exit_codes=_EXPORTED,
    )
    parser.add_argument("record", metavar="ID", help="the record's id, such as orders-000007")
    parser.add_argument("--to", type=Path, required=True, metavar="PATH", help="a file, or a folder")
    parser.add_argument("--format", choices=("json", "html"), default="json", help="(default: json)")
    add_path(parser)
    parser.set_defaults(run=_export)


@asking_the_store
def _export(arguments: argparse.Namespace) -> int:
    store = open_store(arguments)
    data, _ = find_record(store, arguments.record)
    if arguments.format == "html":
        from drs.evidence.page import render_page  # draws: a tenth of a second that others need not pay

        record = _readable(store, arguments.record)
        if record is None:
            return BROKEN
        data = render_page(record).encode()
    to: Path = arguments.to
    if to.is_dir():
        to = to / f"{arguments.record}.{arguments.format}"
    try:
        to.write_bytes(data)
    except OSError as error:
        print(f"The record cannot be written to {to}: {error.strerror}.", file=sys.stderr)
        return USAGE
    print(to)
    return OK


# --- verify -----------------------------------------------------------------------------------------------


def _add_verify(actions: Any) -> None:
    parser = add_parser(
        actions,
        "verify",
        help="was a record changed, or is one missing",
        description="Verify the chain of a plan's records, or of all plans: every hash, link and byte.",
        exit_codes=_VERIFIED,
    )
    parser.add_argument("plan", nargs="?", metavar="PLAN", help="of this plan only, by its name")
    parser.add_argument(
        "--hash",
        metavar="HASH",
        help="also see that the record of this hash is there: the one that a message or a task's log told",
    )
    add_path(parser)
    add_json(parser)
    parser.set_defaults(run=_verify)


@asking_the_store
def _verify(arguments: argparse.Namespace) -> int:
    store = open_store(arguments)
    plans = chosen_plans(store, arguments.plan)
    found = {plan: store.verify(plan, sent=arguments.hash) for plan in plans}
    # The hash is of one plan's record: only where no plan has it, it is missing.
    lost = all(any(each.kind == LOST for each in problems) for problems in found.values())
    found = {plan: [each for each in problems if each.kind != LOST] for plan, problems in found.items()}
    if arguments.json:
        known = {"hash": arguments.hash, "in_the_chain": not lost} if arguments.hash else {}
        print_json({"plans": [_verified(store, plan, found[plan]) for plan in plans], **known})
    else:
        for plan in plans:
            print("\n".join(_findings(store, plan, found[plan])))
        if arguments.hash:
            print(f"Hash {arguments.hash} is in {'NO record' if lost else 'a record of these'}.")
    return BROKEN if lost or any(found.values()) else OK


def _findings(store: EvidenceStore, plan: str, problems: list[ChainProblem]) -> Iterator[str]:
    count = len(store.ids(plan))
    if not problems:
        yield f"ok  {plan}: {count} record(s), each there and unchanged"
        return
    yield f"NOT ok  {plan}: {count} record(s), {len(problems)} problem(s)"
    yield table(("record", "what", "seen"), [(each.id, each.kind, each.says) for each in problems])


def _verified(store: EvidenceStore, plan: str, problems: list[ChainProblem]) -> dict[str, Any]:
    listed = [{"id": each.id, "kind": each.kind, "says": each.says} for each in problems]
    return {"plan": plan, "records": len(store.ids(plan)), "ok": not problems, "problems": listed}
