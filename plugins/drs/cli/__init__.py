"""The command line. Each group of commands has a module, and none of them imports Airflow."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from drs.cli import (
    account,
    airflow_drill,
    airflow_runs,
    airflow_status,
    cleanup,
    doctor,
    evidence,
    jobs,
    plans,
    report,
    runbook,
    servers,
    shipped_files,
    stop,
    watch,
)

GROUPS = (
    plans,
    doctor,
    airflow_drill,
    stop,
    airflow_runs,
    airflow_status,
    watch,
    servers,
    jobs,
    account,
    cleanup,
    runbook,
    evidence,
    report,
    shipped_files,
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    :return: the exit code of the process
    """
    parser = argparse.ArgumentParser(prog=_started_as(), description="Disaster-recovery drills on AWS DRS.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for group in GROUPS:
        group.add_commands(commands)
    arguments = parser.parse_args(argv)
    exit_code: int = arguments.run(arguments)
    return exit_code


def _started_as() -> str:
    """How the user started this process, for help texts."""
    return "drs" if Path(sys.argv[0]).stem == "drs" else "python -m drs"
