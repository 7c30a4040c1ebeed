"""What the commands that use Airflow share: how they reach it, and how they end when it refuses a request.

``drill`` is in :mod:`drs.cli.airflow_drill`, ``stop`` in :mod:`drs.cli.stop`, ``runs`` and ``logs`` are in
:mod:`drs.cli.airflow_runs`, ``status`` is in :mod:`drs.cli.airflow_status`.
"""

from __future__ import annotations

import argparse
import difflib
import functools
import itertools
import os
import sys
from collections.abc import Callable
from pathlib import Path

import httpx

from drs.cli.airflow_api import PAGE, AirflowApi, AirflowError, Dag, DagRun, Login, NotFound
from drs.cli.common import INTERRUPTED
from drs.errors import Code
from drs.plan.loader import SUFFIXES
from drs.plan.naming import DAG_ID_PREFIX, dag_id, plan_name

DEFAULT_URL = "http://localhost:8080"
TIMED_OUT = 4
"""The exit code after --timeout."""
TIMEOUT = httpx.Timeout(30.0, connect=10.0)
"""Seconds in which Airflow must answer. An API server that has just started needs a third of it."""


def add_connection(parser: argparse.ArgumentParser) -> None:
    """Add the options for Airflow's address and the login."""
    group = parser.add_argument_group(
        "Airflow",
        "Without a token, the command logs in with DRS_AIRFLOW_USER and DRS_AIRFLOW_PASSWORD.\n"
        "Without these, it asks for a token without a login; Airflow gives one only if it\n"
        "is set up so that everybody is its administrator.",
    )
    group.add_argument(
        "--airflow-url",
        type=_url,
        default=os.environ.get("DRS_AIRFLOW_URL") or DEFAULT_URL,
        metavar="URL",
        help=f"Airflow's address (default: DRS_AIRFLOW_URL, or {DEFAULT_URL})",
    )
    group.add_argument(
        "--token", metavar="TOKEN", help="a token for Airflow's API (default: DRS_AIRFLOW_TOKEN)"
    )


def connect(arguments: argparse.Namespace) -> AirflowApi:
    """A client for the Airflow that the arguments and the environment name."""
    login = Login(
        token=arguments.token or os.environ.get("DRS_AIRFLOW_TOKEN") or None,
        user=os.environ.get("DRS_AIRFLOW_USER") or None,
        password=os.environ.get("DRS_AIRFLOW_PASSWORD"),
    )
    return AirflowApi(httpx.Client(base_url=arguments.airflow_url, timeout=TIMEOUT), login)


def reporting_airflow_errors(run: Callable[[argparse.Namespace], int]) -> Callable[[argparse.Namespace], int]:
    """Wrap a command: Airflow's errors and Ctrl-C become a message and an exit code."""

    @functools.wraps(run)
    def wrapped(arguments: argparse.Namespace) -> int:
        try:
            return run(arguments)
        except AirflowError as error:
            print(error, file=sys.stderr)
            return error.exit_code
        except KeyboardInterrupt:
            print("\nInterrupted.", file=sys.stderr)
            return INTERRUPTED

    return wrapped


def plan_dag(api: AirflowApi, plan: str, *, stale: bool = False) -> Dag:
    """The DAG of a plan.

    :param plan: the plan's name, or its file
    :param stale: also a DAG whose file Airflow no longer has or cannot import
    :raises NotFound: Airflow has no such DAG; the error lists the plans whose DAGs it has
    """
    name = named_plan(plan)
    found = api.dag(dag_id(name))
    if found is not None and (stale or not found["is_stale"]):
        return found
    known = sorted(plan_name(dag["dag_id"]) for dag in api.dags() if dag["dag_id"].startswith(DAG_ID_PREFIX))
    close = difflib.get_close_matches(name, known, n=1)
    raise NotFound(
        f"[{Code.RECOVERY_PLAN_NOT_FOUND}] Airflow at {api.url} has no DAG {dag_id(name)}."
        + (f" Did you mean {close[0]}?" if close else ""),
        remedy=(
            f"It has the DAGs of these plans: {', '.join(known) or 'none'}. Put the plan's file in the "
            "folder from which Airflow reads plans; `python -m drs status` shows which plans it could not "
            "read."
        ),
    )


def active_runs(api: AirflowApi, dag_id: str) -> list[DagRun]:
    """The runs of a DAG that have not ended, oldest first."""
    found = [api.runs(dag_id=dag_id, limit=PAGE, state=state) for state in ("running", "queued")]
    return sorted(itertools.chain(*found), key=lambda run: run["run_after"])


def named_plan(plan: str) -> str:
    """The name of a plan, given by its name, its file or its DAG."""
    return plan_name(Path(plan).stem if plan.endswith(SUFFIXES) else plan)


def _url(text: str) -> str:
    if not text.startswith(("http://", "https://")):
        raise argparse.ArgumentTypeError(f"{text!r} is not an address such as {DEFAULT_URL}")
    return text
