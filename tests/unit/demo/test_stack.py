"""The stack's settings: nothing of this machine's own Airflow or AWS account gets in."""

from __future__ import annotations

import socket
import subprocess
from pathlib import Path

import pytest

from demo.processes import StackError
from demo.serve import require_free
from demo.settings import HOST, clean_environment
from demo.stack import RESTARTED, Stack, first_access_key, free_ports

FLEET = """
accounts:
  "111122223333": {access_key_id: AKIASIMULATOR1111222, regions: {us-east-1: {servers: []}}}
  "444455556666": {access_key_id: AKIASIMULATOR4444555, regions: {us-east-1: {servers: []}}}
"""


@pytest.fixture
def fleet(tmp_path: Path) -> Path:
    path = tmp_path / "fleet.yaml"
    path.write_text(FLEET)
    return path


def test_settings_of_this_user_do_not_reach_the_stack() -> None:
    """AIRFLOW_HOME, a profile, an endpoint, a proxy: any of them would lead the demo elsewhere."""
    mine = {
        "AIRFLOW_HOME": "/home/me/airflow",
        "AIRFLOW__CORE__DAGS_FOLDER": "/home/me/dags",
        "AIRFLOW_CONN_AWS_DEFAULT": "aws://key:secret@",
        "AWS_PROFILE": "production",
        "AWS_SESSION_TOKEN": "real",
        "HTTPS_PROXY": "http://proxy",
        "http_proxy": "http://proxy",
        "PYTHONDONTWRITEBYTECODE": "1",
        "LANG": "C.UTF-8",
    }
    assert {"PATH", "LANG"} == clean_environment(mine).keys()


def test_aws_is_the_simulator_and_the_caller_the_fleets_first_account(tmp_path: Path, fleet: Path) -> None:
    """With credential files and instance metadata out of reach, no other account can be met."""
    stack = Stack(tmp_path / "home", plans=tmp_path, fleet=fleet)
    aws = {key: value for key, value in stack.environment.items() if key.startswith("AWS_")}
    assert aws["AWS_ENDPOINT_URL"] == stack.simulator.url
    assert aws["AWS_ACCESS_KEY_ID"] == "AKIASIMULATOR1111222"
    assert aws["AWS_EC2_METADATA_DISABLED"] == "true"
    assert aws["AWS_CONFIG_FILE"].startswith(str(tmp_path / "home"))
    assert aws["AWS_SHARED_CREDENTIALS_FILE"].startswith(str(tmp_path / "home"))


def test_two_stacks_share_no_port(tmp_path: Path, fleet: Path) -> None:
    """The two API servers, log servers and simulator all listen on ports of their own."""
    first = free_ports(4)
    assert len(set(first)) == 4
    stack = Stack(tmp_path / "home", plans=tmp_path, fleet=fleet)
    ports = vars(stack.ports)
    assert len(set(ports.values())) == len(ports) == 5
    environment = stack.environment
    assert f":{stack.ports.execution_api}/" in environment["AIRFLOW__CORE__EXECUTION_API_SERVER_URL"]
    assert environment["AIRFLOW__API__BASE_URL"].endswith(f":{environment['AIRFLOW__API__PORT']}")
    assert environment["AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT"] == str(stack.ports.worker_logs)


@pytest.mark.parametrize(("speed", "polls"), [(1.0, ("15.0", "3.0")), (60.0, ("2.0", "1.0"))])
def test_jobs_that_run_faster_are_looked_at_oftener(
    tmp_path: Path, fleet: Path, speed: float, polls: tuple[str, str]
) -> None:
    """At real speed the intervals are those of a real installation."""
    environment = Stack(tmp_path / "home", plans=tmp_path, fleet=fleet, speed=speed).environment
    assert polls == (
        environment["AIRFLOW__DRS__POLL_INTERVAL"],
        environment["AIRFLOW__DRS__POLL_INTERVAL_NEAR"],
    )


def test_a_fleet_that_cannot_be_used_is_told_in_one_message(tmp_path: Path) -> None:
    """The simulator's own words, with the file's name, before anything is started."""
    broken = tmp_path / "broken.yaml"
    broken.write_text("accounts: {}\nsurprise: 1\n")
    with pytest.raises(StackError, match=r"(?s)broken\.yaml.*surprise"):
        first_access_key(broken)


def test_a_port_in_use_is_told_with_a_way_out() -> None:
    """The message names the port, the reason and the option."""
    with socket.socket() as taken:
        taken.bind((HOST, 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(StackError, match=rf"port {port}: Address already in use.*PORT="):
            require_free(port)


@pytest.mark.parametrize(("at_once", "runs"), [("0", 3), ("60", 1)], ids=["later", "at once"])
def test_a_scheduler_that_ends_is_started_again(tmp_path: Path, at_once: str, runs: int) -> None:
    """As Docker would; but one that cannot even start says so by its exit code."""
    count = tmp_path / "count"
    third_time_lucky = f'echo >> {count}; [ "$(wc -l < {count})" -ge 3 ] || exit 7'
    command = ["bash", "-c", RESTARTED, "scheduler", at_once, "bash", "-c", third_time_lucky]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert len(count.read_text().splitlines()) == runs
    assert done.returncode == (0 if runs == 3 else 7)
    assert done.stdout.count("Ended with exit code 7: started again") == runs - 1
