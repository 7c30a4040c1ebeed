"""``drill``: triggers a run of a plan through Airflow's API and follows it to its end."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, TextIO

from pydantic import ValidationError
from pydantic_core import PydanticCustomError

from drs.cli.airflow_access import INTERRUPTED, add_connection, connect, plan_dag, telling_errors
from drs.cli.airflow_api import AirflowApi, AirflowError, Dag, Refused
from drs.cli.airflow_follow import Follower
from drs.cli.airflow_records import Failure, failures
from drs.cli.common import BROKEN, OK, UNANSWERED, USAGE, add_parser, print_json
from drs.plan.durations import parse
from drs.plan.naming import plan_name
from drs.run.ledger import Ledger
from drs.run.records import CleanupRecord
from drs.tables import table

TIMED_OUT = 4

_EXIT_CODES = {
    OK: "the run passed; with --no-wait: it was triggered",
    BROKEN: "the run failed",
    USAGE: "wrong usage; Airflow has no DAG of this plan, or it is paused, or Airflow refuses what was asked",
    UNANSWERED: "Airflow cannot be reached or asked",
    TIMED_OUT: "--timeout passed; the run goes on",
    INTERRUPTED: "Ctrl-C; the run goes on",
}


def add_commands(commands: Any) -> None:
    parser = add_parser(
        commands,
        "drill",
        help="trigger a drill in Airflow, and follow it to its end",
        description="Trigger a run of a plan's DAG in Airflow, and follow it to its end.",
        exit_codes=_EXIT_CODES,
    )
    parser.add_argument("plan", metavar="PLAN", help="the plan's name, or its file")
    asked = parser.add_argument_group("what the run is to do")
    asked.add_argument("--waves", nargs="+", metavar="WAVE", help="only these waves (default: all)")
    asked.add_argument(
        "--exclude", nargs="+", metavar="SERVER", help="source servers that the drill leaves out"
    )
    asked.add_argument("--reason", metavar="TEXT", help="why this run; it stands in the evidence")
    asked.add_argument("--dry-run", action="store_true", help="preflight only; nothing is launched")
    asked.add_argument("--keep-instances", action="store_true", help="do not terminate what is launched")
    asked.add_argument(
        "--recovery-point",
        metavar="TIME",
        help="launch from the newest snapshot at or before this time, ISO 8601 with a UTC offset",
    )
    asked.add_argument("--execution-type", choices=("DRILL", "RECOVERY"), help="default: DRILL")
    asked.add_argument("--skip-approvals", action="store_true", help="do not ask where the plan allows that")
    parser.add_argument("--unpause", action="store_true", help="unpause the plan's DAG, its schedule with it")
    parser.add_argument("--no-wait", action="store_true", help="trigger the run, and do not follow it")
    parser.add_argument(
        "--timeout", type=_duration, metavar="TIME", help="stop following after this long, such as 90m"
    )
    parser.add_argument(
        "--json", action="store_true", help="write the result as JSON; progress goes to stderr"
    )
    add_connection(parser)
    parser.set_defaults(run=_drill)


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


@telling_errors
def _drill(arguments: argparse.Namespace) -> int:
    api = connect(arguments)
    dag = plan_dag(api, arguments.plan)
    _make_ready(api, dag, unpause=arguments.unpause)
    run = Run(api, dag["dag_id"], api.trigger(dag["dag_id"], parameters(arguments)))
    told = sys.stderr if arguments.json else sys.stdout
    print(f"Run {run.run_id} of {run.dag_id}: {run.link}", file=told, flush=True)
    if not arguments.no_wait:
        return _follow(run, arguments, told)
    if arguments.json:
        print_json({**run.names, "state": "queued"})
    return OK


def _follow(run: Run, arguments: argparse.Namespace, told: TextIO) -> int:
    began = time.monotonic()
    follower = Follower(run.api, run.dag_id, run.run_id, _teller(told))
    try:
        state = follower.follow(arguments.timeout)
        seconds = time.monotonic() - began
        failed = list(failures(follower.ledger, run.api.task_instances(run.dag_id, run.run_id)))
        if arguments.json:
            evidence = run.api.xcom(run.dag_id, run.run_id, "evidence")
            causes = [asdict(failure) for failure in failed]
            ended = {"state": state, "seconds": round(seconds, 1), "failures": causes, "evidence": evidence}
            print_json({**run.names, **ended})
        else:
            for line in _summary(run, state, seconds, follower.ledger, failed):
                print(line)
    except TimeoutError:
        why, code = "The time is up.", TIMED_OUT
    except KeyboardInterrupt:
        why, code = "\nDetached.", INTERRUPTED
    except AirflowError as error:
        why, code = f"{error}\nHow the run ends is not known here.", UNANSWERED
    else:
        return OK if state == "success" else BROKEN
    if arguments.json:
        print_json({**run.names, "state": None})
    print(
        f"{why} Run {run.run_id} goes on in Airflow: {run.link}\n"
        "To stop it, mark the run as failed there: it terminates what it launched, and ends.",
        file=sys.stderr,
    )
    return code


def parameters(arguments: argparse.Namespace) -> dict[str, Any]:
    """The run's parameters: only what was asked for, so that the plan's DAG decides about the rest."""
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
            f"The DAG {dag['dag_id']} is paused, so that a run of it would not begin. None was triggered.",
            remedy="Unpause it in Airflow, or here with --unpause; the plan's schedule, if any, then counts.",
        )
    api.unpause(dag["dag_id"])


def _teller(out: TextIO) -> Callable[[str], None]:
    """Prints each change with the seconds since now before it."""
    began = time.monotonic()

    def say(text: str) -> None:
        print(f"[{time.monotonic() - began:6.1f} s] {text}", file=out, flush=True)

    return say


def _summary(
    run: Run, state: str, seconds: float, ledger: Ledger, failed: Sequence[Failure]
) -> Iterator[str]:
    ended = "passed" if state == "success" else "failed"
    yield f"\nThe run of {plan_name(run.dag_id)} {ended} after {seconds:.0f} s."
    try:
        yield from _servers(ledger)
    except ValidationError:
        yield "What it recorded cannot be read here: its drs-drills is of another version than this one."
    for failure in failed:
        yield f"  {failure.code or 'no code'}: {failure.task_id}"
    yield f"  {run.link}"


def _servers(ledger: Ledger) -> Iterator[str]:
    resolution = ledger.resolution()
    if resolution is not None:
        rows = []
        for wave, resolved in resolution.waves.items():
            outcome = ledger.outcome(wave)
            count = sum(server.launched for server in outcome.servers) if outcome else 0
            rows.append((wave, str(len(resolved.servers)), str(count)))
        yield from (f"  {line}" for line in table(("wave", "servers", "launched"), rows).splitlines())
    cleanup = ledger.cleanup()
    if cleanup is not None:
        yield f"  clean-up: {_cleaned(cleanup)}"


def _cleaned(cleanup: CleanupRecord) -> str:
    if cleanup.kept:
        return f"{len(cleanup.instances)} instance(s) are kept and cost money: {cleanup.why_kept}"
    if cleanup.proven:
        return f"of {len(cleanup.instances)} instance(s) that were launched, all are gone"
    return "NOT complete; the log of task terminate names what is left"


def _duration(text: str) -> float:
    try:
        return parse(text).total_seconds()
    except PydanticCustomError:
        raise argparse.ArgumentTypeError(f"{text!r} is no duration; write it like this: 90m") from None
