"""``stop``: ends the active run of a plan, and follows its clean-up until it is proven what is left.

Airflow does the work: when a run is marked as failed, the tasks of its waves end, and clean-up, evidence and
verdict run. None of them runs while the DAG is paused, so a paused DAG is unpaused until the run has ended.
The run is marked before that; otherwise it would launch more servers in between.
"""

from __future__ import annotations

import argparse
import datetime as dt
import getpass
import socket
import sys
import time
from collections.abc import Sequence
from typing import Any

from drs.cli import airflow_follow
from drs.cli.airflow_access import (
    TIMED_OUT,
    active_runs,
    add_connection,
    connect,
    plan_dag,
    reporting_airflow_errors,
)
from drs.cli.airflow_api import AirflowApi, AirflowError, Dag, DagRun, Refused
from drs.cli.airflow_end import how_to_look
from drs.cli.airflow_follow import with_seconds
from drs.cli.airflow_stop import Say, StoppedRun
from drs.cli.common import BROKEN, INTERRUPTED, OK, UNANSWERED, USAGE, add_parser, duration, print_json
from drs.plan.naming import plan_name
from drs.run.records import Stop
from drs.text.times import stamp, utc_now

OTHERS_END = 60.0
"""Seconds that the command waits for other runs of a DAG before it pauses the DAG again. When a DAG is
unpaused, Airflow catches up on the last tick of its schedule; such a run ends by itself within seconds."""

_EXIT_CODES = {
    OK: "no run of the plan is active any more, and what was stopped left nothing; with --no-wait: it was "
    "stopped",
    BROKEN: "something is left or kept, or it is not proven that nothing is left; or you did not agree",
    USAGE: "wrong usage, or Airflow has no DAG of this plan, or no such run",
    UNANSWERED: "Airflow cannot be reached, or does not let this user do it",
    TIMED_OUT: "--timeout passed; the clean-up goes on",
    INTERRUPTED: "Ctrl-C; what was stopped goes on with its clean-up",
}


def add_commands(commands: Any) -> None:
    parser = add_parser(
        commands,
        "stop",
        help="end the active run of a plan, and follow its clean-up",
        description="End the active run of a plan, and follow it until it is proven what is left of it. A "
        "drill terminates what it launched, by the plan's cleanup rule; a real RECOVERY terminates nothing. "
        "A DAG that is paused is unpaused until the run has ended.",
        exit_codes=_EXIT_CODES,
    )
    parser.add_argument("plan", metavar="PLAN", help="the plan's name, or its file")
    parser.add_argument(
        "--run", dest="run_id", metavar="RUN", help="only this run (default: every active run of the plan)"
    )
    parser.add_argument("--reason", default="", metavar="TEXT", help="why you stop it; the evidence shows it")
    parser.add_argument("--yes", action="store_true", help="stop a real RECOVERY without asking")
    parser.add_argument("--no-wait", action="store_true", help="do not follow the clean-up")
    parser.add_argument(
        "--timeout",
        type=duration,
        metavar="TIME",
        help="stop following the clean-up after this time, such as 30m; it goes on",
    )
    parser.add_argument(
        "--json", action="store_true", help="write the result as JSON; progress goes to stderr"
    )
    add_connection(parser)
    parser.set_defaults(run=_stop)


@reporting_airflow_errors
def _stop(arguments: argparse.Namespace) -> int:
    api = connect(arguments)
    dag = plan_dag(api, arguments.plan, stale=True)
    active = active_runs(api, dag["dag_id"])
    chosen = _chosen(api, dag, active, arguments.run_id)
    if not chosen:
        return _nothing_active(api, dag, arguments)
    progress = sys.stderr if arguments.json else sys.stdout
    say = with_seconds(progress)
    runs = [StoppedRun(api, run, _naming(run, chosen, say)) for run in chosen]
    for run in runs:
        print(f"Run {run.run_id} of {dag['dag_id']}: {run.link}", file=progress, flush=True)
    command = _Command(api, dag, runs, say)
    if not command.agreed(arguments):
        return BROKEN
    command.stop(Stop(by=_who(api), at=utc_now(), reason=arguments.reason))
    return command.finish(arguments)


def _chosen(api: AirflowApi, dag: Dag, active: Sequence[DagRun], run_id: str | None) -> Sequence[DagRun]:
    """The active runs that are to be stopped."""
    if run_id is None:
        return active
    api.run(dag["dag_id"], run_id)  # raises NotFound for a run that does not exist
    chosen = [run for run in active if run["dag_run_id"] == run_id]
    others = [run["dag_run_id"] for run in active if run["dag_run_id"] != run_id]
    if chosen and others and dag["is_paused"]:
        raise Refused(
            f"The DAG {dag['dag_id']} is paused. Run {run_id} cleans up only if the DAG is unpaused, and "
            f"then these runs go on too, and may launch servers: {', '.join(others)}. Nothing was stopped.",
            remedy="To stop all of them, leave out --run. If they may go on, unpause the DAG in Airflow, "
            "then run this command again.",
        )
    return chosen


def _naming(run: DagRun, chosen: Sequence[DagRun], say: Say) -> Say:
    """Reports with the run's name, if there are several runs."""
    return say if len(chosen) == 1 else lambda text: say(f"{run['dag_run_id']}: {text}")


def _nothing_active(api: AirflowApi, dag: Dag, arguments: argparse.Namespace) -> int:
    """Nothing is to be stopped: say how the last run ended."""
    name = dag["dag_id"]
    last = [api.run(name, arguments.run_id)] if arguments.run_id else api.runs(dag_id=name, limit=1)
    if arguments.json:
        print_json({**_names(dag), "runs": [], "last_run": last[0] if last else None})
        return OK
    print(
        f"Nothing to stop: no {'such ' if arguments.run_id else ''}run of plan {plan_name(name)} is active."
    )
    for run in last:
        ended = stamp(dt.datetime.fromisoformat(run["end_date"])) if run["end_date"] else "a time not known"
        print(f"Run {run['dag_run_id']} ended at {ended}: {run['state']}.")
        print(f"To see whether an instance of it is left in AWS: {how_to_look(name, run['dag_run_id'])}")
    return OK


def _names(dag: Dag) -> dict[str, Any]:
    return {"plan": plan_name(dag["dag_id"]), "dag_id": dag["dag_id"], "was_paused": dag["is_paused"]}


def _who(api: AirflowApi) -> str:
    """The user of Airflow, and the user of this machine: several people may share a login."""
    try:
        here = f"{getpass.getuser()} on {socket.gethostname()}"
    except (OSError, KeyError):  # a container may have no name for its user
        here = f"someone on {socket.gethostname()}"
    try:
        user = api.user_name()
    except AirflowError:
        user = None
    return f"{user} ({here})" if user else here


class _Command:
    """Stops the chosen runs of one DAG."""

    def __init__(self, api: AirflowApi, dag: Dag, runs: Sequence[StoppedRun], say: Say) -> None:
        self._api = api
        self._dag = dag
        self._runs = runs
        self._say = say
        self._unpaused = False

    def agreed(self, arguments: argparse.Namespace) -> bool:
        """Whether the runs may be stopped. Only a real recovery needs somebody's agreement."""
        recoveries = [run.run_id for run in self._runs if run.is_recovery()]
        if not recoveries or arguments.yes:
            return True
        print(
            f"A real RECOVERY is active: {', '.join(recoveries)}. If it is stopped, it launches no further "
            "server. Nothing is terminated: what it has launched keeps running.",
            file=sys.stderr,
        )
        if arguments.json or not sys.stdin.isatty():
            print("Nothing was stopped: use --yes, or run this command in a terminal.", file=sys.stderr)
            return False
        try:
            answer = input("Stop it? [y/N] ")
        except EOFError:
            answer = ""
        if answer.strip().lower() in {"y", "yes"}:
            return True
        print("Nothing was stopped.", file=sys.stderr)
        return False

    def stop(self, record: Stop) -> None:
        for run in self._runs:
            run.stop(record)

    def finish(self, arguments: argparse.Namespace) -> int:
        """See to it that clean-up can run, and follow it to its end.

        :return: the exit code
        """
        code = self._prepared()
        if code is None:
            self._warn_of_dead_parts()
            code = OK if arguments.no_wait else self._followed(arguments)
        if arguments.no_wait and self._unpaused:
            print(self._still_unpaused(), file=sys.stderr)
        if arguments.json:
            print_json({**_names(self._dag), "runs": [run.as_json() for run in self._runs]})
        return code

    def _prepared(self) -> int | None:
        """Let Airflow schedule the clean-up.

        :return: an exit code if it cannot
        """
        name = self._dag["dag_id"]
        if self._dag["is_stale"]:
            terminate = "\n".join(f"  {how_to_look(name, run.run_id)} --force" for run in self._runs)
            print(
                f"Airflow schedules nothing of {name}, so there is no clean-up: the plan's file is gone, or "
                "Airflow cannot import its DAGs (`python -m drs status`).\nWhat to do: put the file back, "
                f"and the clean-up runs by itself. To terminate the instances without Airflow:\n{terminate}",
                file=sys.stderr,
            )
            return BROKEN
        if not self._dag["is_paused"]:
            return None
        try:
            self._api.unpause(name)
        except AirflowError as error:
            print(
                f"{error}\nThe DAG {name} is paused, and this command could not unpause it. The clean-up "
                "waits until somebody does.",
                file=sys.stderr,
            )
            return error.exit_code
        self._unpaused = True
        self._say(
            f"the DAG {name} was paused, so nothing of the run was scheduled, its clean-up included. It is "
            "unpaused until the run has ended; until then the plan's schedule, if it has one, is active too"
        )
        return None

    def _warn_of_dead_parts(self) -> None:
        try:
            health = self._api.health()
        except AirflowError:
            return  # following reports it if it lasts
        for part in ("scheduler", "triggerer"):
            if (health.get(part) or {}).get("status") != "healthy":
                self._say(
                    f"Airflow's {part} does not run, and clean-up waits for it: see `python -m drs status`"
                )

    def _followed(self, arguments: argparse.Namespace) -> int:
        began = time.monotonic()
        limit = None if arguments.timeout is None else arguments.timeout.total_seconds()
        try:
            for run in self._runs:
                run.follow(None if limit is None else max(limit - (time.monotonic() - began), 0.0))
            if self._unpaused:
                self._pause_again()
        except TimeoutError:
            why, code = "The --timeout has passed.", TIMED_OUT
        except KeyboardInterrupt:
            why, code = "\nInterrupted.", INTERRUPTED
        except AirflowError as error:
            why, code = f"{error}\nThis command does not know how the clean-up ends.", UNANSWERED
        else:
            if not arguments.json:
                for run in self._runs:
                    print(run.summary())
            return OK if all(run.end and run.end.nothing_left for run in self._runs) else BROKEN
        going = "".join(f"\n  {run.run_id}: {run.link}" for run in self._runs if run.end is None)
        print(f"{why} The clean-up goes on in Airflow:{going}", file=sys.stderr)
        if self._unpaused:
            print(self._still_unpaused(), file=sys.stderr)
        return code

    def _pause_again(self) -> None:
        """Pause the DAG as it was before, unless that would freeze another run."""
        name = self._dag["dag_id"]
        until = time.monotonic() + OTHERS_END
        while others := active_runs(self._api, name):
            if time.monotonic() >= until:
                listed = ", ".join(run["dag_run_id"] for run in others)
                self._say(f"the DAG {name} stays unpaused: to pause it now would freeze {listed}")
                return
            time.sleep(airflow_follow.LOOK_EVERY)
        self._api.pause(name)
        self._unpaused = False
        self._say(f"the DAG {name} is paused again, as it was before")

    def _still_unpaused(self) -> str:
        return (
            f"The DAG {self._dag['dag_id']} stays unpaused, because the clean-up needs that. It was paused "
            "before: pause it again when the run has ended, or its schedule starts drills."
        )
