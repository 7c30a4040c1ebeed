"""On a real Airflow, preflight reports all that is wrong at once, and waits for what clears by itself."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from demo.drill_run import DrillRun
from demo.stack import Stack
from tests.e2e.plans import DATABASE, DIRECTORY, QUICK, write_plan
from tests.e2e.proof import assert_launched_once, start_calls

pytestmark = pytest.mark.e2e

Drill = Callable[..., DrillRun]
STALLED, SILENT, IN_RECOVERY, WITHOUT_TEMPLATE, ASTRAY, HELD, LEFTOVER, SPARE = (
    f"s-7dc0ffee0000{number:05x}" for number in range(1, 9)
)
UNKNOWN = "s-7dc0ffee0000fffff"
SUBNET, OTHER_SUBNET = "subnet-0d5a1b2c3d4e5f601", "subnet-0d5a1b2c3d4e5f6ff"
IN_PLACE = {"subnet": SUBNET}


@pytest.fixture(scope="module")
def troubled(running_stack: Stack) -> None:
    """Servers that each have a different fault."""
    traits: dict[str, dict[str, Any]] = {
        STALLED: {"replication": {"state": "STALLED", "lag": "2h"}},
        SILENT: {"replication": {"last_contact": "3h"}},
        IN_RECOVERY: {"recovery_instance": {"is_drill": False}},
        WITHOUT_TEMPLATE: {"launch": {"missing": ["template"]}},
        ASTRAY: {"launch": {"subnet": OTHER_SUBNET}},
        HELD: {},
        LEFTOVER: {"recovery_instance": {"is_drill": True, "age": "13h"}},  # too old to hold its server
        SPARE: {"recovery_instance": {"is_drill": False}},
    }
    servers = [
        {"id": server, "hostname": f"troubled-{n}", "launch": IN_PLACE, **trait}
        for n, (server, trait) in enumerate(traits.items(), 1)
    ]
    region = {"us-east-1": {"servers": servers}}
    running_stack.simulator.add_fleet({"accounts": {"111122223333": {"regions": region}}})


def write_troubled_plan(folder: Path, name: str) -> None:
    required = [STALLED, SILENT, IN_RECOVERY, WITHOUT_TEMPLATE, ASTRAY, HELD, LEFTOVER, UNKNOWN]
    path = write_plan(folder, name, [("main", required), ("spare", [SPARE])], optional=["spare"])
    path.write_text(f"{path.read_text()}network: {{allowed_subnets: [{SUBNET}]}}\nobjectives: {{rpo: 15m}}\n")


@pytest.mark.usefixtures("troubled")
def test_everything_that_is_wrong_is_told_at_once_and_nothing_is_launched(
    stack: Stack, plans: Path, start_drill: Drill
) -> None:
    """Drill and dry run are red without waiting for the held server, because other findings stay."""
    write_troubled_plan(plans, "troubled")
    stack.simulator.arm(kind="foreign_job", servers=[HELD], seconds=600)
    for conf in ({}, {"dry_run": True}):
        run = start_drill("troubled", conf)
        assert run.wait(timeout=120) == "failed", run.describe()
        assert not run.journal(operation="StartRecovery")
        states = run.task_states()
        assert states["preflight"] == "failed"
        assert states["wave_main.start_recovery"] == "upstream_failed"
        found = {
            (finding["code"], finding["server_id"], finding["severity"])
            for finding in run.xcom("preflight", "findings")
        }
        assert found == {
            ("SOURCE_SERVER_NOT_FOUND", None, "error"),
            ("UNHEALTHY_SERVER_REPLICATION", STALLED, "error"),
            ("AGENT_NOT_REPORTING", SILENT, "error"),
            ("SERVER_CONFLICT", HELD, "error"),
            ("RECOVERY_INSTANCE_EXISTS", IN_RECOVERY, "error"),
            ("LEFTOVER_DRILL_INSTANCE", LEFTOVER, "warning"),
            ("RECOVERY_INSTANCE_EXISTS", SPARE, "warning"),
            ("LAUNCH_CONFIGURATION_INVALID", WITHOUT_TEMPLATE, "error"),
            ("LAUNCH_CONFIGURATION_INVALID", ASTRAY, "error"),
        }
        log = run.log("preflight")
        assert log.count("Task failed") == 1, "a refusal is not tried again"
        table, failure = log.split("findings stop this run:", 1)
        for finding in run.xcom("preflight", "findings"):
            if finding["severity"] == "error":
                assert f"[{finding['code']}] {finding['seen']}" in failure
                assert finding["remedy"] in failure
            else:
                assert finding["seen"] in table
        assert "SOURCE_SERVER_NOT_FOUND" in run.log("verdict")
    assert stack.simulator.client("drs", "us-east-1").describe_recovery_instances(
        filters={"sourceServerIDs": [IN_RECOVERY, SPARE]}
    )["items"]


def test_a_held_server_is_waited_for_and_the_drill_goes_on(
    stack: Stack, plans: Path, start_drill: Drill
) -> None:
    """The wait costs no worker and ends with the holder, before the backoff; a dry run does not wait."""
    held = DATABASE[4]
    quick = QUICK.replace("}", ", conflict_backoff: [90s]}")
    write_plan(plans, "waits", [("database", [held, DIRECTORY[1]])], launch=quick)
    stack.simulator.arm(kind="foreign_job", servers=[held], seconds=600)
    (holder,) = stack.simulator.live_jobs("us-east-1")
    dry = start_drill("waits", {"dry_run": True})
    assert dry.wait(timeout=60) == "failed", dry.describe()
    assert "[SERVER_CONFLICT]" in dry.log("preflight")

    run = start_drill("waits")
    run.wait_for_task("preflight", "deferred", timeout=180)
    stack.simulator.disarm()
    assert run.wait(timeout=80) == "success", run.describe()
    log = run.log("preflight")
    assert f"{held} (fleet-database-5) is held by job {holder}" in log
    assert f"or when one of {holder} has ended" in log
    assert [call["error"] for call in start_calls(run)] == [None, None]
    assert_launched_once(run)
