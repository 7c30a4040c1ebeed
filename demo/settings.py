"""The settings of the stack's Airflow, and the environment that its processes get."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from demo.env_file import read_env_file

HOST = "127.0.0.1"

OF_EVERY_DRILL = Path(__file__).resolve().parents[1] / "include" / "airflow.env"
"""Airflow's settings that a drill wants, wherever it runs."""

ANY_ACCESS_KEY = "AKIASIMULATED0000000"
"""The simulator takes a key that it does not know for one of the fleet's first account."""

ANY_SIGNING_KEY = "simulated"
"""The simulator checks no signatures."""


@dataclass(frozen=True)
class Ports:
    """The loopback ports of one stack."""

    api_server: int
    execution_api: int
    worker_logs: int
    trigger_logs: int
    simulator: int


def airflow_settings(
    home: Path, ports: Ports, *, dags: Path, plugins: Path, plans: Path, speed: float
) -> dict[str, str]:
    """Airflow's configuration as environment variables: that of every drill, and what is this stack's own."""
    settings: dict[str, object] = {
        "CORE__DAGS_FOLDER": dags,
        "CORE__PLUGINS_FOLDER": plugins,
        "CORE__EXECUTOR": "LocalExecutor",
        "CORE__PARALLELISM": 16,  # as many idle worker processes are forked at the start
        "CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": True,  # nobody but this machine can reach it
        # One writer at a time: wait for one's turn for longer than the 5 s that are the default, and shorter
        # than tasks and clients wait for an answer.
        "DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home}/airflow.db?timeout=20",
        "API__HOST": HOST,
        "API__PORT": ports.api_server,
        "API__BASE_URL": f"http://{HOST}:{ports.api_server}",
        "CORE__EXECUTION_API_SERVER_URL": f"http://{HOST}:{ports.execution_api}/execution/",
        "LOGGING__WORKER_LOG_SERVER_PORT": ports.worker_logs,  # fixed by default: two stacks would collide
        "LOGGING__TRIGGER_LOG_SERVER_PORT": ports.trigger_logs,
        # An edited plan is a new DAG at once: the plan watcher has it parsed, and it is stored at once.
        "CORE__MIN_SERIALIZED_DAG_UPDATE_INTERVAL": 1,
        "DRS__PLANS_FOLDER": plans,
        "DRS__WATCH_INTERVAL": "",  # a demo lasts minutes; tests trigger the watch when they want it
        # DRS's minutes are seconds in the simulator: look at jobs that much oftener.
        "DRS__POLL_INTERVAL": 15.0 if speed <= 1 else 2.0,
        "DRS__POLL_INTERVAL_NEAR": 3.0 if speed <= 1 else 1.0,
    }
    own = {f"AIRFLOW__{key}": str(value) for key, value in settings.items()}
    return {**read_env_file(OF_EVERY_DRILL), **own}


def aws_settings(home: Path, ports: Ports, access_key_id: str) -> dict[str, str]:
    """Everything that speaks to AWS speaks to the simulator, never with this machine's own credentials."""
    return {
        "AWS_ENDPOINT_URL": f"http://{HOST}:{ports.simulator}",
        "AWS_ACCESS_KEY_ID": access_key_id,
        "AWS_SECRET_ACCESS_KEY": ANY_SIGNING_KEY,
        "AWS_CONFIG_FILE": f"{home}/aws-config",
        "AWS_SHARED_CREDENTIALS_FILE": f"{home}/aws-credentials",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AIRFLOW_CONN_AWS_DEFAULT": "aws://",  # credentials from this environment, the Region from the plan
    }


def clean_environment(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The environment of this machine without what would lead Airflow or an AWS client elsewhere."""
    kept = {
        key: value
        for key, value in environment.items()
        if not key.startswith(("AIRFLOW", "_AIRFLOW", "AWS_", "BOTO"))
        and not key.lower().endswith("_proxy")  # everything is on loopback
        and key != "PYTHONDONTWRITEBYTECODE"  # every task imports Airflow: compiled modules halve the start
    }
    kept["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), kept.get("PATH", os.defpath)])
    return kept
