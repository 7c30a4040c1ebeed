"""`make airflow`: the stack, to be used in the browser until Ctrl-C."""

from __future__ import annotations

import datetime as dt
import shlex
import socket
import sqlite3
import sys
import time
from contextlib import closing
from pathlib import Path

from demo.processes import StackError
from demo.scratch import SCRATCH, HomeInUseError, claimed
from demo.settings import HOST
from demo.stack import Stack
from drs.evidence.storage import default_evidence_folder

UNSET = (
    "AWS_PROFILE",
    "AWS_DEFAULT_PROFILE",
    "AWS_SESSION_TOKEN",
    "AWS_CA_BUNDLE",
    "DRS_AIRFLOW_TOKEN",
    "DRS_AIRFLOW_USER",
    "DRS_AIRFLOW_PASSWORD",
)
"""Variables of the user's own that would lead a command elsewhere, or be sent to the demo."""
UNFINISHED = "('running', 'queued', 'scheduled', 'deferred', 'awaiting_input', 'restarting', 'up_for_retry')"


def serve(port: int, fleet: Path, speed: float) -> None:
    """Run the stack until it is interrupted.

    Runs, evidence and settings of earlier starts are kept. The simulated DRS forgets everything when it ends,
    so that a DAG run which is active then would look for jobs that are gone: the next start ends it.

    :raises StackError: it could not be started, one runs already, or a component died.
    """
    try:
        with claimed(SCRATCH / "airflow", note=f"http://{HOST}:{port}") as home:
            require_free(port)
            end_runs(home / "airflow.db")
            _serve(Stack(home, port=port, fleet=fleet, speed=speed))
    except HomeInUseError as error:
        raise StackError(f"Airflow runs already, at {error}. Use that one, or end it with Ctrl-C.") from error


def _serve(stack: Stack) -> None:
    print("Starting Airflow and a simulated DRS ...", flush=True)
    with stack:
        print(
            f"""
Airflow        {stack.api.url}  (no login: in this demo everybody is an administrator)
Simulated DRS  {stack.simulator.url}  (fleet {stack.fleet}, {stack.speed:g} times as fast as the real one)
Logs, records  {stack.home}  (kept until `make clean`)

The DAG of a new plan is paused. Unpause one, trigger it, and watch. Ctrl-C ends everything.

For the commands in another shell, from whichever folder, paste this there:

{exports(stack)}

Then for example: python -m drs status""",
            flush=True,
        )
        while True:
            stack.check()
            time.sleep(1)


def exports(stack: Stack) -> str:
    """Lines for a shell. After them every command reaches this Airflow, its records and the simulated DRS."""
    own = stack.environment
    values = {
        "DRS_AIRFLOW_URL": stack.api.url,
        "AIRFLOW__DRS__PLANS_FOLDER": own["AIRFLOW__DRS__PLANS_FOLDER"],
        "AIRFLOW__DRS__EVIDENCE_PATH": str(default_evidence_folder(own)),
        **{key: value for key, value in own.items() if key.startswith(("AWS_", "AIRFLOW_CONN_"))},
        "NO_PROXY": HOST,
        "no_proxy": HOST,
    }
    lines = [f"unset {' '.join(UNSET)}"]
    lines += [f"export {key}={shlex.quote(value)}" for key, value in values.items()]
    return "\n".join([*lines, f'export PATH={shlex.quote(str(Path(sys.executable).parent))}:"$PATH"'])


def end_runs(database: Path) -> int:
    """Mark the runs that were active when an earlier stack ended as failed.

    :param database: Airflow's, while no Airflow uses it
    :return: how many there were
    """
    if not database.exists():
        return 0
    now = dt.datetime.now(dt.UTC).strftime("%Y-%m-%d %H:%M:%S.%f")
    with closing(sqlite3.connect(database)) as connection, connection:
        tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        known = {name for (name,) in tables}
        if not {"dag_run", "task_instance", "trigger"} <= known:
            return 0  # it was ended while it made its database
        ended = "SET state = 'failed', end_date = ? WHERE state IN"
        connection.execute(f"UPDATE task_instance {ended} {UNFINISHED}", (now,))
        connection.execute("UPDATE task_instance SET trigger_id = NULL")
        connection.execute('DELETE FROM "trigger"')
        return connection.execute(f"UPDATE dag_run {ended} ('running', 'queued')", (now,)).rowcount


def require_free(port: int) -> None:
    """See that a port can be listened on.

    :raises StackError: it cannot, and why.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a port that was just left is free
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise StackError(
                f"Airflow cannot listen on port {port}: {error.strerror}. "
                "End what uses it, or choose another: make airflow PORT=8081"
            ) from error
