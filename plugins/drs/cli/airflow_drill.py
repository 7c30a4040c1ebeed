"""``drill``: triggers a run of a plan through Airflow's API and follows it until it ends."""

from __future__ import annotations

import argparse
import datetime as dt
import difflib
import re
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, TextIO

from drs.cli.airflow_access import (
    TIMED_OUT,
    add_connection,
    connect,
    plan_dag,
    reporting_airflow_errors,
)
from drs.cli.airflow_api import AirflowApi, AirflowError, Dag, Refused
from drs.cli.airflow_end import kept_or_gone
from drs.cli.airflow_follow import Follower, with_seconds
from drs.cli.airflow_records import Failure, UnreadableRecordError, failures, stored_value
from drs.cli.airflow_stillness import StandsStillError, causes
from drs.cli.common import (
    BROKEN,
    INTERRUPTED,
    OK,
    RECOVERY_POINT_HELP,
    UNANSWERED,
    USAGE,
    add_parser,
    duration,
    print_json,
)
from drs.errors import Code
from drs.evidence.objectives import NOT_MET
from drs.plan.naming import plan_name
from drs.run.fates import fates
from drs.run.ledger import Ledger
from drs.run.proof import EVIDENCE_TASK_ID
from drs.run.records import RunRecord
from drs.run.scope import part_of_run, scope_of_run
from drs.text.tables import table
from drs.text.times import duration as span

_EXIT_CODES = {
    OK: "the run passed; with --no-wait: it was triggered",
    BROKEN: "the run failed",
    USAGE: "wrong usage, Airflow has no DAG of this plan, the DAG is paused, or Airflow refuses the run",
    UNANSWERED: "Airflow cannot be reached, or does not accept the login; or the run does not go on, because "
    "its DAG is paused or no scheduler runs",
    TIMED_OUT: "--timeout passed; the run goes on",
    INTERRUPTED: "Ctrl-C; the run goes on",
}


def add_commands(commands: Any) -> None:
    parser = add_parser(
        commands,
        "drill",
        help="trigger a drill in Airflow, and follow it until it ends",
        description="Trigger a run of a plan's DAG in Airflow, and follow it until it ends.",
        exit_codes=_EXIT_CODES,
    )
    parser.add_argument("plan", metavar="PLAN", help="the plan's name, or its file")
    asked = parser.add_argument_group("what the run does")
    asked.add_argument("--waves", nargs="+", metavar="WAVE", help="only these waves (default: all)")
    asked.add_argument("--exclude", nargs="+", metavar="SERVER", help="source servers that are not launched")
    asked.add_argument("--reason", metavar="TEXT", help="why you start this run; the evidence shows it")
    asked.add_argument("--dry-run", action="store_true", help="run preflight only; nothing is launched")
    asked.add_argument(
        "--keep-instances", action="store_true", help="do not terminate the instances that are launched"
    )
    asked.add_argument(
        "--recovery-point",
        metavar="TIME",
        help=RECOVERY_POINT_HELP,
    )
    asked.add_argument("--execution-type", choices=("DRILL", "RECOVERY"), help="default: DRILL")
    asked.add_argument(
        "--skip-approvals",
        action="store_true",
        help="do not wait for approvals that the plan allows to be skipped",
    )
    parser.add_argument(
        "--unpause", action="store_true", help="unpause the plan's DAG, which also starts its schedule"
    )
    parser.add_argument("--no-wait", action="store_true", help="trigger the run and do not follow it")
    parser.add_argument(
        "--timeout",
        type=duration,
        metavar="TIME",
        help="stop following the run after this time, such as 90m; the run goes on",
    )
    parser.add_argument(
        "--json", action="store_true", help="write the result as JSON; progress goes to stderr"
    )
    add_connection(parser)
    parser.set_defaults(run=_drill)


_REFUSED_PARAMETER = re.compile(r"Invalid input for param (\w+): (.*)")
"""How Airflow refuses a parameter, in the first line of its answer."""
_OPTIONS = {"exclude_servers": "exclude"}
"""The options that are not called like their parameters."""


@dataclass(frozen=True)
class Run:
    """The run that was triggered."""

    api: AirflowApi
    dag_id: str
    run_id: str

    @property
    def link(self) -> str:
        return self.api.run_link(self.dag_id, self.run_id)

    @property
    def names(self) -> dict[str, Any]:
        return {
            "plan": plan_name(self.dag_id),
            "dag_id": self.dag_id,
            "run_id": self.run_id,
            "url": self.link,
        }


@reporting_airflow_errors
def _drill(arguments: argparse.Namespace) -> int:
    api = connect(arguments)
    dag = plan_dag(api, arguments.plan)
    _make_ready(api, dag, unpause=arguments.unpause)
    run = Run(api, dag["dag_id"], _trigger(api, dag["dag_id"], arguments))
    progress = sys.stderr if arguments.json else sys.stdout
    print(f"Run {run.run_id} of {run.dag_id}: {run.link}", file=progress, flush=True)
    if not arguments.no_wait:
        return _follow(run, arguments, progress)
    for cause in causes(api, run.dag_id, deferred=False) or ():
        print(f"The run does not begin: {cause.what}. {cause.remedy}", file=sys.stderr)
    if arguments.json:
        print_json({**run.names, "state": "queued"})
    return OK


def _follow(run: Run, arguments: argparse.Namespace, progress: TextIO) -> int:
    began, goes_on = time.monotonic(), "goes on in Airflow"
    follower = Follower(run.api, run.dag_id, run.run_id, with_seconds(progress))
    try:
        timeout: dt.timedelta | None = arguments.timeout
        state = follower.follow(None if timeout is None else timeout.total_seconds())
        seconds = time.monotonic() - began
        failed = list(failures(follower.ledger, run.api.task_instances(run.dag_id, run.run_id)))
        evidence = _evidence(run)
        if arguments.json:
            listed = [asdict(failure) for failure in failed]
            ended = {"state": state, "seconds": round(seconds, 1), "failures": listed, "evidence": evidence}
            print_json({**run.names, **ended})
        else:
            for line in _summary(run, state, seconds, follower.ledger, failed, evidence):
                print(line)
    except TimeoutError:
        why, code = "The --timeout has passed.", TIMED_OUT
    except KeyboardInterrupt:
        why, code = "\nInterrupted.", INTERRUPTED
    except StandsStillError as error:
        why, code, goes_on = str(error), UNANSWERED, "is still active in Airflow"
    except AirflowError as error:
        why, code = f"{error}\nThis command does not know how the run ends.", UNANSWERED
    else:
        return OK if state == "success" else BROKEN
    if arguments.json:
        print_json({**run.names, "state": None})
    print(
        f"{why}\nRun {run.run_id} {goes_on}: {run.link}\n"
        f"To stop it: python -m drs stop {plan_name(run.dag_id)} (or mark the run as failed in Airflow). A "
        "drill then terminates the instances that it launched, and ends.",
        file=sys.stderr,
    )
    return code


def _evidence(run: Run) -> Any:
    """What the run's task ``evidence`` returned; ``None``, after a note on standard error, if that cannot be
    read.
    """
    try:
        return stored_value(run.api.xcom(run.dag_id, run.run_id, EVIDENCE_TASK_ID))
    except UnreadableRecordError as error:
        print(
            f"The run's records cannot be read here: {error}.\nWhat to do: read the run's evidence "
            f"(`python -m drs evidence list {plan_name(run.dag_id)}`), or look at the run in Airflow.",
            file=sys.stderr,
        )
        return None


def _trigger(api: AirflowApi, dag_id: str, arguments: argparse.Namespace) -> str:
    """Trigger the run.

    :raises Refused: Airflow refuses a parameter of it
    """
    try:
        return api.trigger(dag_id, parameters(arguments))
    except Refused as error:
        refused = _REFUSED_PARAMETER.search(error.message)
        if refused is None:
            raise
        option = f"--{_OPTIONS.get(refused[1], refused[1].replace('_', '-'))}"
        says, remedy = f"{option}: {refused[2]}", f"Correct {option}."
        if refused[1] == "waves":
            says, remedy = _wrong_waves(api, dag_id, arguments.waves) or (says, remedy)
        says = f"[{Code.INVALID_FIELD}] {says.rstrip('.')}. No run was triggered."
        raise Refused(says, remedy=remedy) from error


def _wrong_waves(api: AirflowApi, dag_id: str, asked: Sequence[str]) -> tuple[str, str] | None:
    """What is wrong with these waves, and the plan's waves; ``None`` if that is not known."""
    try:
        known = [str(wave) for wave in api.parameters(dag_id)["waves"]["value"]]
    except (AirflowError, KeyError):
        return None
    wrong = [wave for wave in dict.fromkeys(asked) if wave not in known]
    if not wrong:
        return None
    close = difflib.get_close_matches(wrong[0], known, n=1)
    mean = f" Did you mean {close[0]}?" if close else ""
    return (
        f"--waves: plan {plan_name(dag_id)} has no wave {', '.join(wrong)}",
        f"Its waves are: {', '.join(known)}.{mean}",
    )


def parameters(arguments: argparse.Namespace) -> dict[str, Any]:
    """The run's parameters: only those that the user gave. The plan's DAG has defaults for the others."""
    asked = {
        "waves": arguments.waves,
        "exclude_servers": arguments.exclude,
        "reason": arguments.reason,
        "dry_run": arguments.dry_run,
        "keep_instances": arguments.keep_instances,
        "recovery_point": arguments.recovery_point,
        "execution_type": arguments.execution_type,
        "skip_approvals": arguments.skip_approvals,
    }
    return {name: value for name, value in asked.items() if value}


def _make_ready(api: AirflowApi, dag: Dag, *, unpause: bool) -> None:
    if not dag["is_paused"]:
        return
    if not unpause:
        raise Refused(
            f"The DAG {dag['dag_id']} is paused, so its runs do not begin. No run was triggered.",
            remedy="Unpause it in Airflow or with --unpause. This also starts the plan's schedule, if it "
            "has one.",
        )
    api.unpause(dag["dag_id"])


def _summary(
    run: Run, state: str, seconds: float, ledger: Ledger, failed: Sequence[Failure], evidence: Any
) -> Iterator[str]:
    ended = "passed" if state == "success" else "failed"
    try:
        record = ledger.begun()
        what, rows = _named(record), list(_servers(ledger, record))
    except UnreadableRecordError as error:
        what, rows = "run", [f"  What it launched cannot be read: {error}."]
    yield f"\nThe {what} of {plan_name(run.dag_id)} {ended} after {span(seconds)}."
    yield from rows
    for says in _missed(evidence):
        yield f"  MISSED: {says}"
    for failure in failed:
        yield f"  {failure.shown}: {failure.task_id}"
    yield f"  {run.link}"


def _named(record: RunRecord | None) -> str:
    """What the run was: a run of the whole plan is just a run."""
    scope = scope_of_run(record) if record else "full"
    if record is not None and scope == "partial":
        return f"PARTIAL run ({part_of_run(record)})"
    return "DRY RUN" if scope == "dry_run" else "run"


def _missed(evidence: Any) -> Iterator[str]:
    """The objectives that the run missed, by what its task ``evidence`` returned."""
    for each in evidence.get(NOT_MET, ()) if isinstance(evidence, dict) else ():
        yield str(each["says"])


def _servers(ledger: Ledger, run: RunRecord | None) -> Iterator[str]:
    resolution = ledger.resolution()
    if resolution is not None:
        rows = []
        for wave, resolved in resolution.waves.items():
            outcome = ledger.outcome(wave)
            servers = outcome.servers if outcome else ()
            live = sum(server.live and not server.launched for server in servers)
            count = str(sum(server.launched for server in servers))
            more = f" ({live} still launching when the wait ended)" if live else ""
            rows.append((wave, str(len(resolved.servers)), f"{count}{more}"))
        yield from (f"  {line}" for line in table(("wave", "servers", "launched"), rows).splitlines())
    cleanup = ledger.cleanup()
    if cleanup is None or run is None:
        return
    end = "NOT complete; the log of the task terminate names the instances that are left"
    if cleanup.kept or cleanup.proven:
        end = kept_or_gone(cleanup, fates(ledger, run))
    yield f"  clean-up: {end}"
