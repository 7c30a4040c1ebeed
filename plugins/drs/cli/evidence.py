"""``evidence``: lists, shows, exports and verifies the records of the plans' runs."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from drs.cli.common import BROKEN, OK, UNANSWERED, USAGE, add_json, add_parser, counted, print_json
from drs.cli.evidence_show import RESULT_HEADER, result_cells, shown
from drs.cli.evidence_store import (
    add_path,
    chosen_plans,
    find_record,
    reached_store,
    reporting_store_errors,
)
from drs.cli.screen import show_table
from drs.evidence.chain import LOST, NotARecordError, parse
from drs.evidence.record import Evidence
from drs.evidence.record_coverage import Examined
from drs.evidence.signatures import NotAKeyError, load_public_key
from drs.evidence.store import EvidenceStore
from drs.evidence.summary import codes, measured

_SHOWN = {
    OK: "the records were shown",
    BROKEN: "a record cannot be read",
    USAGE: "wrong usage, or there is no such record",
    UNANSWERED: "the records cannot be reached",
}
_EXPORTED = {
    OK: "the file was written",
    BROKEN: "the record cannot be read",
    USAGE: "wrong usage, there is no such record, or the file cannot be written",
    UNANSWERED: "the records cannot be reached",
}
_VERIFIED = {
    OK: "no record and no page is missing or changed, and every signature that was checked is right",
    BROKEN: "a record or a page was changed or is missing, or a signature is missing or wrong; the command "
    "names it",
    USAGE: "wrong usage, a file that is no public key, or there is no record, or none of that plan",
    UNANSWERED: "the records cannot be reached",
}


def add_commands(commands: Any) -> None:
    parser = add_parser(
        commands,
        "evidence",
        help="list, show, export and verify the records of the runs",
        description="List, show, export and verify the records of the plans' runs. Airflow is not needed.",
        exit_codes={
            OK: "good",
            BROKEN: "verify: a record was changed or is missing; other actions: a record cannot be read",
            USAGE: "wrong usage, or there is no such record",
            UNANSWERED: "the records cannot be reached",
        },
    )
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    _add_list(actions)
    _add_show(actions)
    _add_export(actions)
    _add_verify(actions)


def _add_list(actions: Any) -> None:
    parser = add_parser(
        actions,
        "list",
        help="list the records, newest first",
        description="List the records of a plan, or of all plans, newest first. Times are UTC.",
        exit_codes=_SHOWN,
    )
    parser.add_argument("plan", nargs="?", metavar="PLAN", help="only records of this plan, by its name")
    parser.add_argument(
        "--limit", type=int, default=20, metavar="N", help="show at most N records of each plan (default: 20)"
    )
    add_path(parser)
    add_json(parser)
    parser.set_defaults(run=_list)


@reporting_store_errors
def _list(arguments: argparse.Namespace) -> int:
    store = reached_store(arguments)
    found = [
        row
        for plan in chosen_plans(store, arguments.plan)
        for row, _ in zip(store.newest_first(plan), range(arguments.limit), strict=False)
    ]
    if arguments.json:
        print_json([_short(name, record) for name, record in found])
    else:
        header = ("record", *RESULT_HEADER, "by", "failed")
        rows = [_row(name, record) for name, record in found]
        show_table(header, rows, below=("failed", "by", "validated", "RPO", "RTO"))
    return BROKEN if any(isinstance(record, str) for _, record in found) else OK


def _row(name: str, record: Evidence | str) -> tuple[str, ...]:
    if isinstance(record, str):
        return (name, "-", "-", "unreadable", "-", "-", "-", "-", record.splitlines()[0])
    return (name, *result_cells(record), record.run.initiator, ", ".join(codes(record)))


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
        "scope": record.scope,
        "initiator": record.run.initiator,
        "result": record.result,
        **measured(record),
        "failures": codes(record),
        "hash": record.hash,
    }


def _add_show(actions: Any) -> None:
    parser = add_parser(
        actions,
        "show",
        help="show one record",
        description="Show one record: its waves, measured times, failures and clean-up. Times are UTC.",
        exit_codes=_SHOWN,
    )
    parser.add_argument("record", metavar="ID", help="the record's id, such as orders-000007")
    add_path(parser)
    add_json(parser)
    parser.set_defaults(run=_show)


@reporting_store_errors
def _show(arguments: argparse.Namespace) -> int:
    store = reached_store(arguments)
    data, _ = find_record(store, arguments.record)
    record = _readable(store, arguments.record)
    if record is None:
        return BROKEN
    if arguments.json:
        print_json(parse(data))  # as it is stored, without what this version adds to an older record
    else:
        print("\n".join(shown(record)))
    return OK


def _readable(store: EvidenceStore, record_id: str) -> Evidence | None:
    _, plan = find_record(store, record_id)
    try:
        return store.read(plan, record_id)
    except NotARecordError as error:
        print(f"Record {record_id} cannot be read: {error}", file=sys.stderr)
        return None


def _add_export(actions: Any) -> None:
    parser = add_parser(
        actions,
        "export",
        help="write one record to a file",
        description="Write one record to a file: the stored JSON, byte for byte, or an HTML page.",
        exit_codes=_EXPORTED,
    )
    parser.add_argument("record", metavar="ID", help="the record's id, such as orders-000007")
    parser.add_argument(
        "--to", type=Path, required=True, metavar="PATH", help="a file, or an existing folder"
    )
    parser.add_argument("--format", choices=("json", "html"), default="json", help="(default: json)")
    add_path(parser)
    parser.set_defaults(run=_export)


@reporting_store_errors
def _export(arguments: argparse.Namespace) -> int:
    store = reached_store(arguments)
    data, _ = find_record(store, arguments.record)
    if arguments.format == "html":
        from drs.evidence.page import render_page  # slow to import, and only needed here

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


def _add_verify(actions: Any) -> None:
    parser = add_parser(
        actions,
        "verify",
        help="check whether a record was changed or is missing, and who signed it",
        description="Verify the chain of records of one plan or of all plans: every hash, link and byte, and "
        "the HTML pages. With a public key, also verify who signed the records, without asking AWS. The "
        "command also says what it could not check.",
        exit_codes=_VERIFIED,
    )
    parser.add_argument("plan", nargs="?", metavar="PLAN", help="only records of this plan, by its name")
    parser.add_argument(
        "--hash",
        metavar="HASH",
        help="also check that there is a record with this hash, which you have from a notification or a "
        "task's log",
    )
    parser.add_argument(
        "--public-key",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="also check that the records are signed with this key, in PEM or DER; repeat the option if the "
        "key was changed",
    )
    add_path(parser)
    add_json(parser)
    parser.set_defaults(run=_verify)


@reporting_store_errors
def _verify(arguments: argparse.Namespace) -> int:
    try:
        keys = [load_public_key(path.read_bytes()) for path in arguments.public_key]
    except (OSError, NotAKeyError) as error:
        named = ", ".join(map(str, arguments.public_key))
        print(f"The public key cannot be read ({named}): {error}.", file=sys.stderr)
        return USAGE
    store = reached_store(arguments)
    plans = chosen_plans(store, arguments.plan)
    found = {plan: store.examine(plan, sent=arguments.hash, keys=keys) for plan in plans}
    # The hash belongs to the record of one plan, so it is missing only if no plan has it.
    lost = all(any(each.kind == LOST for each in examined.problems) for examined in found.values())
    for examined in found.values():
        examined.problems[:] = [each for each in examined.problems if each.kind != LOST]
    if arguments.json:
        known = {"hash": arguments.hash, "in_the_chain": not lost} if arguments.hash else {}
        print_json({"plans": [_verified(store, plan, found[plan]) for plan in plans], **known})
    else:
        for plan in plans:
            _show_problems(store, plan, found[plan])
        if arguments.hash:
            print(f"Hash {arguments.hash} is the hash of {'NO record' if lost else 'one of these records'}.")
    return BROKEN if lost or any(examined.problems for examined in found.values()) else OK


def _show_problems(store: EvidenceStore, plan: str, examined: Examined) -> None:
    count, problems = len(store.ids(plan)), examined.problems
    if problems:
        print(f"NOT ok  {plan}: {counted(count, 'record')}, {counted(len(problems), 'problem')}")
        show_table(("record", "problem", "found"), [(each.id, each.kind, each.says) for each in problems])
    else:
        print(f"ok  {plan}: {counted(count, 'record')}, none missing or changed")
    for note in examined.notes:
        print(f"    {note}")


def _verified(store: EvidenceStore, plan: str, examined: Examined) -> dict[str, Any]:
    listed = [{"id": each.id, "kind": each.kind, "says": each.says} for each in examined.problems]
    return {
        "plan": plan,
        "records": len(store.ids(plan)),
        "ok": not listed,
        "problems": listed,
        "not_covered": examined.notes,
    }
