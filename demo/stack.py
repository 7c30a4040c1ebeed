"""`Stack`: a simulated DRS and a real Airflow (SQLite, LocalExecutor), each part a process of its own."""

from __future__ import annotations

import socket
import sqlite3
import sys
import time
from collections.abc import Mapping
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx

from demo.airflow_api import AirflowApi
from demo.installation import Installation
from demo.plan_watcher import PlanWatcher
from demo.processes import Processes, StackError
from demo.settings import ANY_ACCESS_KEY, HOST, Ports, airflow_settings, aws_settings, clean_environment
from demo.simulator_client import Simulator
from drs.cli.airflow_api import AirflowError
from simulator.engine.fleet import Fleet, FleetError

REPOSITORY = Path(__file__).resolve().parents[1]

AIRFLOW_COMPONENTS = {
    "api-server": None,
    "execution-api": None,
    "scheduler": "scheduler",
    "dag-processor": "dag_processor",
    "triggerer": "triggerer",
}
"""Airflow's processes, each with its name in the health report (the API server makes that report).

The API for tasks has a process of its own. The API server writes its audit log in its event loop: were a
task's request in the middle of a write to SQLite, and in need of the same loop to end it, both would wait.
"""

COMPONENTS = ("simulator", *AIRFLOW_COMPONENTS)

RESTARTED = """
at_once=$1
shift
SECONDS=0
until "$@"; do
    code=$?
    [ "$SECONDS" -ge "$at_once" ] || exit "$code"
    echo "Ended with exit code $code: started again, as Docker or systemd would."
    SECONDS=0
done
"""
"""Runs a command, and again when it fails, unless within so many seconds. A scheduler ends when somebody
clears a task at the moment at which it writes that task's state to SQLite, which cannot lock a row.
"""

START_TIMEOUT = 120.0
"""Seconds in which a part must be healthy; a loaded laptop takes a third of it."""


class Stack(Installation):
    """A whole installation on free loopback ports, under one home.

    :param home: a folder of its own: the database, the logs, AIRFLOW_HOME.
    :param plans: the folder of recovery plans.
    :param fleet: the fleet file of the simulator.
    :param speed: how many times faster than real the simulator's DRS works.
    :param port: port of the API server; by default a free one.
    :param settings: further settings of Airflow, as environment variables.
    """

    components = COMPONENTS

    def __init__(
        self,
        home: Path,
        *,
        plans: Path = REPOSITORY / "include" / "plans",
        fleet: Path = REPOSITORY / "include" / "fleets" / "default.yaml",
        dags: Path = REPOSITORY / "dags",
        plugins: Path = REPOSITORY / "plugins",
        speed: float = 60.0,
        port: int | None = None,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        self.home = home.resolve()
        self.fleet = fleet.resolve()
        self.speed = speed
        api_server, *others = free_ports(5)
        self.ports = Ports(port or api_server, *others)
        access_key_id = first_access_key(self.fleet)
        folders = {"dags": dags.resolve(), "plugins": plugins.resolve(), "plans": plans.resolve()}
        self.environment = {
            **clean_environment(),
            **airflow_settings(self.home, self.ports, **folders, speed=speed),
            **aws_settings(self.home, self.ports, access_key_id),
            "AIRFLOW_HOME": str(self.home),
            **(settings or {}),
        }
        self.processes = Processes(self.home / "components", self.environment)
        self.api = AirflowApi(f"http://{HOST}:{self.ports.api_server}")
        self.simulator = Simulator(f"http://{HOST}:{self.ports.simulator}", access_key_id)
        self.watcher = PlanWatcher(folders["plans"], self.api)

    def start(self) -> None:
        self._launch("simulator")
        self.processes.run("db-migrate", [sys.executable, "-m", "airflow", "db", "migrate"], START_TIMEOUT)
        self._let_readers_and_writers_be()
        started = time.time()
        for component in AIRFLOW_COMPONENTS:
            self._launch(component)
        for component in COMPONENTS:
            self._await(component, started)
        self.watcher.start()

    def stop(self) -> None:
        self.watcher.stop()
        super().stop()

    def _let_readers_and_writers_be(self) -> None:
        """Switch the database to a write-ahead log, which it stays with.

        Otherwise a commit waits for all readers, and new readers wait for the commit. Airflow's API server
        reads in its event loop, which can be what the first of these readers needs to end: all stand still.
        """
        with closing(sqlite3.connect(self.home / "airflow.db")) as database:
            database.execute("PRAGMA journal_mode=WAL")

    def _launch(self, component: str) -> None:
        if component == "simulator":
            arguments = ["simulator", "--port", str(self.ports.simulator), "--fleet", str(self.fleet)]
            arguments += ["--speed", f"{self.speed:g}"]
        elif component == "api-server":
            arguments = ["airflow", "api-server", "--apps", "core"]
        elif component == "execution-api":
            arguments = ["airflow", "api-server", "--apps", "execution"]
            arguments += ["--port", str(self.ports.execution_api)]
        else:
            airflow = [sys.executable, "-m", "demo.preloaded", component]
            self.processes.start(component, ["bash", "-c", RESTARTED, component, "20", *airflow])
            return
        self.processes.start(component, [sys.executable, "-m", *arguments])

    def _await(self, component: str, started: float) -> None:
        self.processes.wait(
            component, lambda: self._is_healthy(component, started), START_TIMEOUT, "become healthy"
        )

    def _is_healthy(self, component: str, started: float) -> bool:
        if component == "simulator":
            return self.simulator.is_healthy()
        if component == "execution-api":
            return _answers(f"http://{HOST}:{self.ports.execution_api}/execution/health")
        try:
            health = self.api.health()
        except AirflowError:
            return False
        reported = AIRFLOW_COMPONENTS[component]
        # The heartbeat of a predecessor that was killed looks healthy for a while.
        return reported is None or heartbeat(health, reported) >= started


def heartbeat(health: dict[str, Any], component: str) -> float:
    """When a component last gave a sign of life, in seconds since the epoch; 0 if it is not healthy.

    :param health: Airflow's health report.
    """
    latest = health[component].get(f"latest_{component}_heartbeat")
    healthy = latest and health[component]["status"] == "healthy"
    return datetime.fromisoformat(latest).timestamp() if healthy else 0.0


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=30, trust_env=False).is_success
    except httpx.TransportError:
        return False


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on, all different because all are held at once while they are chosen."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for probe in sockets:
            probe.bind((HOST, 0))
        return [probe.getsockname()[1] for probe in sockets]
    finally:
        for probe in sockets:
            probe.close()


def first_access_key(fleet: Path) -> str:
    """The access key of the first account of a fleet file.

    :raises StackError: the file cannot be used, with everything that is wrong with it.
    """
    try:
        account = next(iter(Fleet.load(fleet).accounts.values()))
    except FleetError as error:
        raise StackError(str(error)) from error
    return account.access_key_id or ANY_ACCESS_KEY
