"""`make airflow`: the stack, to be used in the browser until Ctrl-C."""

from __future__ import annotations

import socket
import time
from pathlib import Path

from demo.processes import StackError
from demo.scratch import SCRATCH, HomeInUseError, claimed, emptied
from demo.settings import HOST
from demo.stack import Stack


def serve(port: int, fleet: Path, speed: float) -> None:
    """Run the stack until it is interrupted.

    Each start is a fresh one: the simulated DRS forgets everything when it ends, and a DAG run that outlived
    it would look for jobs that are gone.

    :raises StackError: it could not be started, one runs already, or a component died.
    """
    try:
        with claimed(SCRATCH / "airflow", note=f"http://{HOST}:{port}") as home:
            require_free(port)
            _serve(Stack(emptied(home), port=port, fleet=fleet, speed=speed))
    except HomeInUseError as error:
        raise StackError(f"Airflow runs already, at {error}. Use that one, or end it with Ctrl-C.") from error


def _serve(stack: Stack) -> None:
    print("Starting Airflow and a simulated DRS ...", flush=True)
    with stack:
        print(
            f"""
Airflow        {stack.api.url}  (no login: in this demo everybody is an administrator)
Simulated DRS  {stack.simulator.url}  (fleet {stack.fleet}, {stack.speed:g} times as fast as the real one)
Logs           {stack.home}

Every plan's DAG is paused. Unpause one, trigger it, and watch. Ctrl-C ends everything.""",
            flush=True,
        )
        while True:
            stack.check()
            time.sleep(1)


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
