"""``runs`` and ``logs``: the runs of the plans' DAGs, what failed in them, and why."""

from __future__ import annotations

import argparse
import contextlib
import datetime as dt
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from drs.cli.airflow_access import add_connection, connect, named_plan, plan_dag, reporting_airflow_errors
from drs.cli.airflow_api import FINISHED, PAGE, AirflowApi, DagRun, NotFound, Refused, TaskInstance
from drs.cli.airflow_logs import texts
from drs.cli.airflow_records import Failure, RunLedger, UnreadableRecordError, failures
from drs.cli.common import OK, UNANSWERED, USAGE, add_json, add_parser, counted, print_json, whole_number
from drs.cli.screen import show_table
from drs.plan.naming import DAG_ID_PREFIX, plan_name
from drs.run.records import RunRecord
from drs.run.request import MANUAL
from drs.run.scope import Scope, run_kind, scope_of_run
from drs.text.times import duration, instant, utc_now

_LAST = "last"
_EXIT_CODES = {
    OK: "the runs or logs were shown",
    USAGE: "wrong usage, or Airflow does not know the plan, run or task",
    UNANSWERED: "Airflow cannot be reached, or does not accept the login",
}


def add_commands(commands: Any) -> None:
    _add_runs(commands)
    _add_logs(commands)


def _add_runs(commands: Any) -> None:
    parser = add_parser(
        commands,
        "runs",
        help="show the last runs of the plans, and what failed",
        description="Show the last runs of the plans' DAGs, newest first. Times are UTC.",
        exit_codes=_EXIT_CODES,
    )
    parser.add_argument(
        "plan", nargs="?", metavar="PLAN", help="show only runs of this plan, by its name or file"
    )
    parser.add_argument("--failed", action="store_true", help="show only failed runs")
    parser.add_argument(
        "--limit", type=_limit, default=10, metavar="N", help="show at most N runs (default: 10)"
    )
    add_json(parser)
    add_connection(parser)
    parser.set_defaults(run=_runs)


@reporting_airflow_errors
def _runs(arguments: argparse.Namespace) -> int:
    api = connect(arguments)
    dag = plan_dag(api, arguments.plan)["dag_id"] if arguments.plan else None
    found = drill_runs(api, dag, state="failed" if arguments.failed else None)[: arguments.limit]
    seen = [_seen(api, run) for run in found]
    if arguments.json:
        print_json([_as_json(api, each) for each in seen])
    elif seen:
        header = ("plan", "run", "kind", "state", "began (UTC)", "took", "by", "failed")
        show_table(
            header,
            [_row(each) for each in seen],
            below=("failed", "by", "took", "began (UTC)", "plan"),
        )
    else:
        print("There are no such runs.")
    if unreadable := [each.unreadable for each in seen if each.unreadable]:
        runs = counted(len(unreadable), "run")
        print(f"What {runs} recorded cannot be read here: {unreadable[0]}.", file=sys.stderr)
    return OK


@dataclass(frozen=True)
class _Run:
    """A run, and what its records say.

    :param missed: why it launched nothing, if it was missed: Airflow shows such a run as a success
    :param kind: what kind of run it was
    :param unreadable: why its records cannot be read, as a clause
    """

    run: DagRun
    failed: Sequence[Failure] = ()
    missed: str | None = None
    kind: str = ""
    unreadable: str | None = None


def _seen(api: AirflowApi, run: DagRun) -> _Run:
    ledger = RunLedger(api, run["dag_id"], run["dag_run_id"])
    failed: list[Failure] = []
    if run["state"] == "failed":
        failed = list(failures(ledger, api.task_instances(run["dag_id"], run["dag_run_id"])))
    begun = None
    with contextlib.suppress(UnreadableRecordError):
        begun = ledger.begun() if _record_matters(run) else None
    return _Run(run, failed, begun.missed if begun else None, _kind(run, begun), ledger.unreadable)


def _record_matters(run: DagRun) -> bool:
    """Whether the run's record says more than Airflow does: it was missed, or covered a part of the plan."""
    if run["run_type"] != MANUAL and run["state"] == "success":
        return True
    conf = run["conf"] or {}
    return bool(conf.get("waves") or conf.get("exclude_servers"))


def _kind(run: DagRun, begun: RunRecord | None) -> str:
    """What kind of run it was, as in evidence. Without a record, what was asked for decides."""
    conf = run["conf"] or {}
    if begun is not None:
        return run_kind(begun.execution_type, scope_of_run(begun))
    scope: Scope = "partial" if conf.get("waves") or conf.get("exclude_servers") else "full"
    return run_kind(str(conf.get("execution_type") or "DRILL"), "dry_run" if conf.get("dry_run") else scope)


def drill_runs(api: AirflowApi, dag: str | None, **filters: Any) -> list[DagRun]:
    """The last runs of one DAG, or of all the plans' DAGs, newest first."""
    if dag:
        return api.runs(dag_id=dag, limit=PAGE, **filters)
    beginning = {"dag_id": DAG_ID_PREFIX, **filters.pop("beginning", {})}
    found = api.runs(limit=PAGE, beginning=beginning, **filters)
    # In Airflow's patterns an underscore is any character, so it may find other DAGs too.
    return [run for run in found if run["dag_id"].startswith(DAG_ID_PREFIX)]


def _row(each: _Run) -> tuple[str, ...]:
    run = each.run
    return (
        plan_name(run["dag_id"]),
        run["dag_run_id"],
        each.kind,
        "missed" if each.missed else run["state"],
        instant(_parsed(run["start_date"]), "-") if run["start_date"] else "-",
        duration(_seconds(run), "-"),
        run["triggering_user_name"] or run["run_type"],
        ", ".join(f"{failure.shown} ({failure.task_id})" for failure in each.failed),
    )


def _as_json(api: AirflowApi, each: _Run) -> dict[str, Any]:
    run = each.run
    return {
        "plan": plan_name(run["dag_id"]),
        "dag_id": run["dag_id"],
        "run_id": run["dag_run_id"],
        "url": api.run_link(run["dag_id"], run["dag_run_id"]),
        "state": run["state"],
        "began": run["start_date"],
        "ended": run["end_date"],
        "run_type": run["run_type"],
        "user": run["triggering_user_name"],
        "conf": run["conf"],
        "missed": each.missed,
        "failures": [asdict(failure) for failure in each.failed],
        "unreadable": each.unreadable,
    }


def _seconds(run: DagRun) -> float | None:
    if run["start_date"] is None:
        return None
    end = _parsed(run["end_date"]) if run["end_date"] else utc_now()
    return (end - _parsed(run["start_date"])).total_seconds()


def _parsed(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text).astimezone(dt.UTC)


def _limit(text: str) -> int:
    return whole_number(text, PAGE)


def _add_logs(commands: Any) -> None:
    parser = add_parser(
        commands,
        "logs",
        help="show the logs of the failed tasks of a run, or of one task",
        description="Show Airflow's logs of the tasks that failed in a run: the last try of each task.",
        exit_codes=_EXIT_CODES,
    )
    parser.add_argument("run_id", metavar="RUN", help=f"the id of a run, or {_LAST!r} for the last run")
    parser.add_argument("--plan", metavar="PLAN", help="the plan of the run, by its name or file")
    parser.add_argument(
        "--task", metavar="TASK", help="show the log of this task, such as wave_web.start_recovery"
    )
    parser.add_argument("--all", action="store_true", help="show every try; without --task, of every task")
    add_json(parser)
    add_connection(parser)
    parser.set_defaults(run=_logs)


@reporting_airflow_errors
def _logs(arguments: argparse.Namespace) -> int:
    api = connect(arguments)
    run = _find(api, arguments.run_id, arguments.plan)
    instances = api.task_instances(run["dag_id"], run["dag_run_id"])
    instances.sort(key=lambda instance: instance["start_date"] or "~")
    chosen = list(_tries(_chosen(run, instances, arguments.task, every=arguments.all), every=arguments.all))
    logs = [
        (
            instance,
            number,
            api.task_messages(
                run["dag_id"], run["dag_run_id"], instance["task_id"], number, instance["map_index"]
            ),
        )
        for instance, number in chosen
    ]
    if arguments.json:
        parts = [
            {"task_id": instance["task_id"], "try_number": number, "messages": messages}
            for instance, number, messages in logs
        ]
        print_json({"dag_id": run["dag_id"], "run_id": run["dag_run_id"], "logs": parts})
        return OK
    print(f"Run {run['dag_run_id']} of {run['dag_id']}: {run['state']}")
    if not logs:
        print("No task of the run has failed. Use --task TASK or --all to see the logs of other tasks.")
        if run["state"] not in FINISHED:
            print("The run is not over. `python -m drs watch` says whether it stands still.")
    for instance, number, messages in logs:
        print(f"\n--- {instance['task_id']}, try {number}: {instance['state']}")
        for text in texts(messages or [{"event": "(no log)"}]):
            print(text)
    return OK


def _find(api: AirflowApi, run_id: str, plan: str | None) -> DagRun:
    dag = plan_dag(api, plan)["dag_id"] if plan else None
    if run_id == _LAST:
        found = drill_runs(api, dag)[:1]
    else:
        named = drill_runs(api, dag, beginning={"run_id": run_id})
        found = [run for run in named if run["dag_run_id"] == run_id]
    if not found:
        whose = f"plan {named_plan(plan)}" if plan else "any plan"
        remedy = "`python -m drs runs` lists the last runs."
        raise NotFound(f"Airflow at {api.url} knows no run {run_id} of {whose}.", remedy=remedy)
    if len(found) > 1:
        plans = ", ".join(sorted(plan_name(run["dag_id"]) for run in found))
        raise Refused(f"Several plans have a run {run_id}: {plans}.", remedy="Name one with --plan.")
    return found[0]


def _chosen(
    run: DagRun, instances: Sequence[TaskInstance], task: str | None, *, every: bool
) -> list[TaskInstance]:
    if task is None:
        return [one for one in instances if every or one["state"] in {"failed", "up_for_retry"}]
    if chosen := [one for one in instances if one["task_id"] == task]:
        return chosen
    known = ", ".join(dict.fromkeys(one["task_id"] for one in instances))
    raise NotFound(f"Run {run['dag_run_id']} has no task {task}.", remedy=f"Its tasks: {known}.")


def _tries(instances: Sequence[TaskInstance], *, every: bool) -> Iterator[tuple[TaskInstance, int]]:
    for instance in instances:
        last = instance["try_number"]
        for number in range(1 if every else max(last, 1), last + 1):
            yield instance, number
