"""What the commands that speak to Airflow share: how they reach it, and how they end when it says no.

``drill`` is in :mod:`drs.cli.airflow_drill`, ``runs`` and ``logs`` are in :mod:`drs.cli.airflow_runs`,
``status`` is in :mod:`drs.cli.airflow_status`.
"""

from __future__ import annotations

import argparse
import difflib
import functools
import os
import sys
from collections.abc import Callable
from pathlib import Path

import httpx

from drs.cli.airflow_api import AirflowApi, AirflowError, Dag, Login, NotFound
from drs.errors import Code
from drs.plan.loader import SUFFIXES
from drs.plan.naming import DAG_ID_PREFIX, dag_id, plan_name

DEFAULT_URL = "http://localhost:8080"
INTERRUPTED = 130
"""The exit code after Ctrl-C, as shells have it."""
TIMEOUT = httpx.Timeout(30.0, connect=10.0)
"""Seconds in which Airflow must answer; a cold API server takes a third of it."""


def add_connection(parser: argparse.ArgumentParser) -> None:
    """Give a command the options that say where Airflow is and who asks."""
    group = parser.add_argument_group(
        "Airflow",
        "Without a token, one is fetched for DRS_AIRFLOW_USER with DRS_AIRFLOW_PASSWORD;\n"
        "without these, for everybody, where Airflow lets everybody be its administrator.",
    )
    group.add_argument(
        "--airflow-url",
        type=_url,
        default=os.environ.get("DRS_AIRFLOW_URL") or DEFAULT_URL,
        metavar="URL",
        help=f"Airflow's address (default: DRS_AIRFLOW_URL, or {DEFAULT_URL})",
    )
    group.add_argument("--token", metavar="TOKEN", help="a token of its API (default: DRS_AIRFLOW_TOKEN)")


def connect(arguments: argparse.Namespace) -> AirflowApi:
    """A client of the Airflow that the arguments and the environment name."""
    login = Login(
        token=arguments.token or os.environ.get("DRS_AIRFLOW_TOKEN") or None,
        user=os.environ.get("DRS_AIRFLOW_USER") or None,
        password=os.environ.get("DRS_AIRFLOW_PASSWORD"),
    )
    return AirflowApi(httpx.Client(base_url=arguments.airflow_url, timeout=TIMEOUT), login)


def telling_errors(run: Callable[[argparse.Namespace], int]) -> Callable[[argparse.Namespace], int]:
    """Turn what Airflow refused, and Ctrl-C, into a message and an exit code."""

    @functools.wraps(run)
    def told(arguments: argparse.Namespace) -> int:
        try:
            return run(arguments)
        except AirflowError as error:
            print(error, file=sys.stderr)
            return error.exit_code
        except KeyboardInterrupt:
            print("\nInterrupted.", file=sys.stderr)
            return INTERRUPTED

    return told


def plan_dag(api: AirflowApi, plan: str) -> Dag:
    """The DAG of a plan that is named by its name or its file.

    :raises NotFound: Airflow has none; with the plans that it has
    """
    name = named_plan(plan)
    found = api.dag(dag_id(name))
    if found is not None and not found["is_stale"]:
        return found
    known = sorted(plan_name(dag["dag_id"]) for dag in api.dags() if dag["dag_id"].startswith(DAG_ID_PREFIX))
    close = difflib.get_close_matches(name, known, n=1)
    raise NotFound(
        f"[{Code.RECOVERY_PLAN_NOT_FOUND}] Airflow at {api.url} has no DAG {dag_id(name)}."
        + (f" Did you mean {close[0]}?" if close else ""),
        remedy=(
            f"It has DAGs of these plans: {', '.join(known) or 'none'}. Put the plan's file where Airflow "
            "reads plans; `python -m drs status` shows what it could not read."
        ),
    )


def named_plan(plan: str) -> str:
    """The name of a plan that is named by its name, its file or its DAG."""
    return plan_name(Path(plan).stem if plan.endswith(SUFFIXES) else plan)


def _url(text: str) -> str:
    if not text.startswith(("http://", "https://")):
        raise argparse.ArgumentTypeError(f"{text!r} is no address; write it like this: {DEFAULT_URL}")
    return text
