"""Runs commands of Airflow in processes forked from one that has imported Airflow, which spares most of the
time of their start. A script: `python forked_airflow.py FOLDER COMPONENT...`.

It first migrates the database. Each component writes the log FOLDER/COMPONENT.log, and is the process that
`airflow COMPONENT` is, with plugins that it loads by itself. If one of them ends, so does the script.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import airflow.__main__
import airflow.cli.cli_parser
import airflow.dag_processing.manager
import airflow.jobs.scheduler_job_runner
import airflow.jobs.triggerer_job_runner
from airflow import plugins_manager


def fork(name: str, log: Path, *arguments: str) -> int:
    """Run a command of Airflow in a process of its own, and give its id."""
    pid = os.fork()
    if pid:
        return pid
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    sys.argv = ["airflow", *arguments]
    code = 1
    try:
        airflow.__main__.main()
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def main(folder: Path, *components: str) -> int:
    assert plugins_manager._get_plugins.cache_info().currsize == 0  # left for each component to load
    _, status = os.waitpid(fork("migrate", folder / "migrate.log", "db", "migrate"), 0)
    if status:
        return 1
    running = {fork(name, folder / f"{name}.log", name): name for name in components}
    while True:
        pid, status = os.wait()
        if pid in running:
            print(f"{running[pid]} ended with exit code {os.waitstatus_to_exitcode(status)}.")
            return 1


if __name__ == "__main__":
    raise SystemExit(main(Path(sys.argv[1]), *sys.argv[2:]))
