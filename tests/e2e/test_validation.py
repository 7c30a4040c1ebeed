"""Launched servers are checked on a real Airflow: by addresses that listen, by Run Command, by DRS itself."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from demo.drill_run import DrillRun
from demo.stack import Stack

pytestmark = pytest.mark.e2e

ACCOUNT = "111122223333"
SERVERS = [f"s-7ce0c4e2f8a9{n:05x}" for n in range(1, 9)]
SOUND, LAST = SERVERS[0], SERVERS[1]
FAULTY = SERVERS[2:]
HTTP, TCP = 18080, 15432
OWN = "tests.unit.validation.own_checks"
COMMAND = {"type": "ssm", "parameters": {"commands": ["systemctl is-active postgresql"]}}
EVERY_CHECK: list[dict[str, Any]] = [
    {"type": "http", "port": HTTP, "path": "/health", "expect_body": "ok"},
    {"type": "tcp", "port": TCP},
    COMMAND,
    {"type": "instance_status"},
    {"type": "launch_actions"},
    {"type": "python", "function": f"{OWN}.says", "parameters": {"text": "1000 orders"}},
]


@pytest.fixture(scope="module")
def fleet(running_stack: Stack) -> None:
    """Servers whose launched copies listen, obey commands, and run a launch action."""
    series = {
        "count": len(SERVERS),
        "id_prefix": "s-7ce0c4e2f8a9",
        "hostname": "checked-{n}",
        "address": "127.77.40.{n}",
        "listeners": [
            {"port": HTTP, "protocol": "http", "path": "/health", "body": '{"status": "ok"}'},
            {"port": TCP, "protocol": "tcp", "body": "ready"},
        ],
        "commands": {"output": "active"},
        "launch_actions": [{"name": "Mount volumes"}],
    }
    running_stack.simulator.add_fleet(
        {"accounts": {ACCOUNT: {"regions": {"us-east-1": {"servers": [series]}}}}}
    )


def write(folder: Path, name: str, groups: dict[str, Any], waves: list[dict[str, Any]]) -> None:
    """Write a plan, in one step, so that the DAG processor never sees half a file."""
    plan = {
        "name": name,
        "target": {"region": "us-east-1", "account_id": ACCOUNT},
        "launch": {"jobs": "per_wave"},
        "protection_groups": groups,
        "waves": waves,
    }
    path = folder / f"{name}.yaml"
    scratch = path.with_suffix(".tmp")
    scratch.write_text(yaml.safe_dump(plan, sort_keys=False))
    scratch.rename(path)


@pytest.mark.usefixtures("fleet")
def test_a_wave_that_passes_every_kind_of_check_lets_the_next_one_begin(
    stack: Stack, plans: Path, run_drill: Callable[..., DrillRun]
) -> None:
    """The log shows each check with what was seen; the next wave starts once all have passed."""
    groups = {"sound": {"source_servers": [SOUND]}, "last": {"source_servers": [LAST]}}
    first = {"name": "sound", "protection_groups": ["sound"], "next_wave_when": "validated"}
    last = {"name": "last", "protection_groups": ["last"], "delay_before": "1s"}
    write(plans, "checked", groups, [{**first, "validation": EVERY_CHECK}, last])
    run = run_drill("checked")
    assert run.state() == "success", run.describe()
    log = run.log("wave_sound.validate")
    for label, seen in {
        "recovery_instance": "is running in subnet-",
        f"http :{HTTP}/health": f"GET http://127.77.40.1:{HTTP}/health: status 200",
        f"tcp :{TCP}": f"127.77.40.1:{TCP} accepts connections",
        "ssm AWS-RunShellScript": "Success; it said: active",
        "instance_status": "system ok, instance ok",
        "launch_actions": "Mount volumes SUCCEEDED",
        f"python {OWN}.says": "checked-1: 1000 orders",
    }.items():
        (line,) = [line for line in log.splitlines() if f"{label} of {SOUND} (checked-1): passed" in line]
        assert seen in line
    assert "Wave sound: " in log
    (command,) = run.journal(operation="SendCommand")
    _, second = run.journal(operation="StartRecovery")
    assert command["time"] < second["time"]
    assert {instance.state for instance in run.instances()} == {"terminated"}


@pytest.mark.usefixtures("fleet")
def test_each_kind_of_check_that_fails_is_told_and_everything_is_terminated(
    stack: Stack, plans: Path, run_drill: Callable[..., DrillRun]
) -> None:
    """One server fails for each kind of check, and the log names all of them."""
    failing = {
        "port_closed": ({"type": "tcp", "port": TCP, "timeout": "6s"}, f"127.77.40.3:{TCP}: "),
        "http_error": (
            {"type": "http", "port": HTTP, "path": "/health", "timeout": "6s"},
            "status 500 instead of 200",
        ),
        "impaired_status": ({"type": "instance_status", "timeout": "6s"}, "instance impaired"),
        "failed_command": ({**COMMAND, "timeout": "60s"}, "exit code 1"),
        "failed_launch_action": ({"type": "launch_actions", "timeout": "60s"}, "Mount volumes FAILED"),
        "own": (
            {"type": "python", "function": f"{OWN}.finds_fault", "timeout": "6s"},
            "LookupError: 42 orders are missing",
        ),
    }
    groups = {}
    for server, (fault, (check, _)) in zip(FAULTY, failing.items(), strict=True):
        groups[fault.replace("_", "-")] = {"source_servers": [server], "validation": [check]}
        if fault != "own":
            stack.simulator.arm(kind=fault, servers=[server])
    write(plans, "unsound", groups, [{"name": "main", "protection_groups": list(groups)}])
    run = run_drill("unsound")
    assert run.state() == "failed", run.describe()
    states = run.task_states()
    assert (states["wave_main.wait_until_launched"], states["wave_main.validate"]) == ("success", "failed")
    log = run.log("wave_main.validate")
    end = log[log.index("[VALIDATION_FAILED] Wave main: 6 of 12 checks failed.") :]
    for server, (_, seen) in zip(FAULTY, failing.values(), strict=True):
        (row,) = [line for line in end.splitlines() if line.split()[:1] == [server]]
        assert "FAILED" in row
        assert seen in row
    assert "What to do: " in end
    assert "[VALIDATION_FAILED]" in run.log("verdict")
    assert len(run.instances()) == len(FAULTY)
    assert {instance.state for instance in run.instances()} == {"terminated"}
