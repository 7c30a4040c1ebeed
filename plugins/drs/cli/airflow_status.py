"""``status``: whether a drill could run now. It checks Airflow, its components, its plans, and DRS."""

from __future__ import annotations

import argparse
import dataclasses
import datetime as dt
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from drs.cli.airflow_access import add_connection, connect
from drs.cli.airflow_api import AirflowApi, AirflowError
from drs.cli.aws import add_profile, checked_access, explained
from drs.cli.common import BROKEN, OK, USAGE, add_json, add_parser, add_plans_folder, counted, print_json
from drs.cli.evidence_store import evidence_path
from drs.cli.screen import show_table
from drs.errors import DrillError
from drs.evidence.storage import open_storage
from drs.evidence.store import EvidenceStore
from drs.plan import Plan, PlanError, load_folder
from drs.plan.naming import DAG_ID_PREFIX, plan_name
from drs.text.tables import first_of
from drs.text.times import stamp

_PARTS = {
    "scheduler": "No task begins. Start `airflow scheduler`.",
    "triggerer": "Drills do not advance, because waiting tasks are not resumed. Start `airflow triggerer`.",
    "dag_processor": "New and edited plans are not read. Start `airflow dag-processor`.",
    "metadatabase": "Check Airflow's database.",
}
"""The components of Airflow, by their names in its health report, with what happens if they are down."""

_EXIT_CODES = {
    OK: "everything is good",
    BROKEN: "something is not good, or cannot be reached",
    USAGE: "wrong usage",
}


_ASKED = frozenset({"Airflow", "Airflow's API"})
"""The checks that fail if Airflow does not answer: then it is not asked about the drills either."""
_NOWHERE = "not checked: no valid plan names an account and Region"


@dataclass(frozen=True)
class Check:
    """One thing that a drill needs.

    :param seen: what the check found, in one line
    :param more: details, in several lines
    """

    what: str
    good: bool
    seen: str
    more: str = ""


def add_commands(commands: Any) -> None:
    parser = add_parser(
        commands,
        "status",
        help="show whether Airflow, its triggerer and DRS can be reached",
        description="Show whether a drill could run now. The command checks Airflow and its components, the "
        "plans that Airflow read, whether a drill stands still or has left instances, and DRS in the account "
        "and Region of each plan. It calls DRS with your credentials, not Airflow's.",
        exit_codes=_EXIT_CODES,
    )
    add_plans_folder(parser)
    parser.add_argument("--no-aws", action="store_true", help="do not check DRS")
    add_profile(parser)
    add_json(parser)
    add_connection(parser)
    parser.set_defaults(run=_status)


def _status(arguments: argparse.Namespace) -> int:
    api = connect(arguments)
    checks = list(airflow_checks(api))
    if all(check.good for check in checks if check.what in _ASKED):
        checks.append(drill_check(api, arguments))
    if not arguments.no_aws:
        checks += drs_checks(arguments)
    if arguments.json:
        print_json([dataclasses.asdict(check) for check in checks])
    else:
        rows = [(check.what, "ok" if check.good else "NOT OK", check.seen) for check in checks]
        show_table(("what", "state", "seen"), rows, below=("seen",))
        for check in checks:
            if check.more:
                print(f"\n{check.what}:\n{check.more}")
    return OK if all(check.good for check in checks) else BROKEN


def airflow_checks(api: AirflowApi) -> Iterator[Check]:
    """Check Airflow, its components, and the plans that it read."""
    try:
        health = api.health()
    except AirflowError as error:
        yield Check("Airflow", False, f"no health report from {api.url}, see below", str(error))
        return
    for part, remedy in _PARTS.items():
        # A component that never ran has no report.
        report = health.get(part) or {}
        beat = report.get(f"latest_{part}_heartbeat")
        seen = f"last heartbeat {stamp(dt.datetime.fromisoformat(beat))}" if beat else ""
        good = report.get("status") == "healthy"
        yield Check(
            f"Airflow's {part.replace('_', ' ')}",
            good,
            seen if good else f"{remedy} {seen and f'Its {seen}.'}".rstrip(),
        )
    try:
        yield Check("Airflow", True, f"{api.version()} at {api.url}")
        yield from _plan_checks(api)
    except AirflowError as error:
        yield Check("Airflow's API", False, "a request failed, see below", str(error))


def _plan_checks(api: AirflowApi) -> Iterator[Check]:
    dags = [dag for dag in api.dags() if dag["dag_id"].startswith(DAG_ID_PREFIX)]
    paused = [plan_name(dag["dag_id"]) for dag in dags if dag["is_paused"]]
    without = f" (no next run: {first_of(sorted(paused))})" if paused else ""
    yield Check("plans in Airflow", bool(dags), f"{len(dags)}, of which {len(paused)} paused{without}")
    for failure in api.import_errors():
        raised = _RAISED.search(failure["stack_trace"])
        message = failure["stack_trace"][raised.start() if raised else 0 :].strip()
        yield Check(f"import of {failure['filename']}", False, "an import error, see below", message)


def drill_check(api: AirflowApi, arguments: argparse.Namespace) -> Check:
    """Check that no drill stands still and that nothing is left of one, by the same rules as the watch."""
    from drs.cli.watch_airflow import Plans  # these import botocore, which is slow
    from drs.cli.watch_look import look_with_airflow

    try:
        plans = Plans.of(arguments.plans)
    except PlanError:
        plans = Plans({}, frozenset())
    store = EvidenceStore(open_storage(evidence_path()))
    try:
        seen = look_with_airflow(api, plans, arguments.profile, store, ask_aws=not arguments.no_aws)
    except AirflowError as error:
        return Check("drills", False, "not checked: a request failed, see below", str(error))
    found = seen.comparison.findings
    codes = Counter(finding.code.value for finding in found)
    listed = ", ".join(f"{count} {code}" for code, count in sorted(codes.items()))
    active = counted(seen.active or 0, "active run")
    return Check(
        "drills",
        not found,
        f"{listed}, see below" if found else f"{active}, nothing stands still or is left",
        "\n\n".join(map(str, found)),
    )


_RAISED = re.compile(r"^[A-Za-z_][\w.]*: ", re.MULTILINE)
"""The line of a stack trace that names the exception."""


def drs_checks(arguments: argparse.Namespace) -> list[Check]:
    """Check DRS in each account and Region of the plans in the folder."""
    try:
        plans = [plan for plan in load_folder(arguments.plans) if isinstance(plan, Plan)]
    except PlanError as error:
        return [Check("DRS", False, _NOWHERE, str(error))]
    if not plans:
        more = f"{arguments.plans} holds no valid plan. Name the folder of your plans: --plans FOLDER."
        return [Check("DRS", False, _NOWHERE, more)]
    places = {(plan.target.region, plan.target.account_id, plan.target.aws_conn_id): plan for plan in plans}
    return [_drs_check(plan, arguments.profile) for plan in places.values()]


def _drs_check(plan: Plan, profile: str | None) -> Check:
    from botocore.exceptions import BotoCoreError, ClientError  # slow to import, and not always needed

    what = f"DRS in {plan.target.region}, account {plan.target.account_id}"
    try:
        access = checked_access(plan, profile)
        live = len(access.drs.live_jobs())
    except DrillError as error:
        return Check(what, False, error.code, str(error))
    except (BotoCoreError, ClientError) as error:
        coded = explained(error)
        return Check(what, False, coded.code, str(coded))
    return Check(what, True, f"{counted(live, 'live job')}; credentials from {access.origin}")
