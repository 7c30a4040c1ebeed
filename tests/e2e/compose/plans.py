"""The plans of the tests of docker-compose.yaml, each with servers of its own, and code of a user's own."""

from __future__ import annotations

from pathlib import Path

from tests.e2e.plans import APPLICATION, DATABASE, WEB, write_plan

BEREFT = "bereft"
"""Loses a worker in its first wave and the triggerer in its second."""
BEREFT_WAVES = [("first", DATABASE[:2]), ("second", DATABASE[2:3])]

TEN = [f"at-once-{n}" for n in range(10)]
"""The first is checked by a function of the mounted folder of checks."""

OWN_CHECK = """
from drs.validation import LaunchedServer, drs_check


@drs_check
def asked(server: LaunchedServer) -> str:
    return f"{server.instance_id} was asked by mounted code"
"""
OWN_DAG = "own_dag"
OWN_DAG_FILE = f"""
from airflow.sdk import DAG

with DAG("{OWN_DAG}", schedule=None):
    pass
"""


def write_plans(folder: Path) -> None:
    """Write all of them."""
    write_plan(folder, BEREFT, BEREFT_WAVES)
    for plan, *servers in zip(TEN, APPLICATION, WEB, strict=False):
        check = "validation: [{type: python, function: own_checks.asked}]" if plan == TEN[0] else ""
        write_plan(folder, plan, [("both", servers)], first_wave_extra=check)


def write_own_code(project: Path) -> None:
    """Write a check and a DAG file into the folders of the project that are mounted for them."""
    (project / "checks" / "own_checks.py").write_text(OWN_CHECK)
    (project / "dags" / "own_dag.py").write_text(OWN_DAG_FILE)
