"""DRS's post-launch actions, as DescribeJobs tells of them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest

from simulator.engine.faults import FailedLaunchAction, SilentAgent
from tests.simulator.api import Api
from tests.simulator.conftest import START, fleet, server_id, servers

pytestmark = pytest.mark.usefixtures("mocked")

ACTIONS = [{"name": "Mount volumes"}, {"name": "Check service", "code": "Own-Check", "optional": True}]
END, AGENT, EACH = 534, 620.6, 30


def _drilled(api: Callable[..., Api], seconds: float, count: int = 1, **rest: Any) -> Api:
    traits = rest.pop("traits", {"launch_actions": ACTIONS})
    drs = api(fleet(servers(count, **traits), **rest))
    drs.drill(*range(1, count + 1))
    drs.clock.advance(seconds)
    return drs


def _server(drs: Api) -> Any:
    (job,) = drs.describe_jobs()["items"]
    return job["participatingServers"][0]


def _runs(drs: Api) -> list[tuple[str, str]]:
    return [(run["action"]["name"], run["status"]) for run in _server(drs)["launchActionsStatus"]["runs"]]


def test_actions_run_one_after_the_other_once_the_agent_is_there(api: Callable[..., Api]) -> None:
    """By the API's model, each with an id of its own; the job has ended before."""
    drs = _drilled(api, END)
    assert drs.describe_jobs()["items"][0]["status"] == "COMPLETED"
    assert _server(drs)["launchActionsStatus"] == {"runs": []}
    drs.clock.advance(AGENT - END)
    assert _runs(drs) == [("Mount volumes", "IN_PROGRESS")]
    discovered = datetime.fromisoformat(_server(drs)["launchActionsStatus"]["ssmAgentDiscoveryDatetime"])
    assert (discovered - START).total_seconds() == pytest.approx(620, abs=1)
    drs.clock.advance(EACH)
    assert _runs(drs) == [("Mount volumes", "SUCCEEDED"), ("Check service", "IN_PROGRESS")]
    drs.clock.advance(EACH)
    first, second = _server(drs)["launchActionsStatus"]["runs"]
    assert {run["status"] for run in (first, second)} == {"SUCCEEDED"}
    assert first["action"]["actionId"] != second["action"]["actionId"]
    assert first["runId"] != second["runId"]
    assert (second["action"]["actionCode"], second["action"]["type"], second["action"]["optional"]) == (
        "Own-Check",
        "SSM_COMMAND",
        True,
    )
    assert drs.get_launch_configuration(sourceServerID=server_id(1))["postLaunchEnabled"]


def test_an_action_may_fail(api: Callable[..., Api]) -> None:
    """With the fault's reason; the next one runs, and the launch stays one."""
    drs = _drilled(api, END)
    drs.simulation.arm(FailedLaunchAction(action="Mount volumes", reason="No such device"))
    drs.clock.advance(AGENT + 2 * EACH)
    first, second = _server(drs)["launchActionsStatus"]["runs"]
    assert (first["status"], first["failureReason"], second["status"]) == (
        "FAILED",
        "No such device",
        "SUCCEEDED",
    )
    assert _server(drs)["launchStatus"] == "LAUNCHED"


def test_a_silent_agent_holds_the_actions_up(api: Callable[..., Api]) -> None:
    """Until it is heard; then they run from that time on."""
    drs = api(fleet(servers(1, launch_actions=ACTIONS)))
    fault = drs.simulation.arm(SilentAgent())
    drs.drill(1)
    drs.clock.advance(3600)
    assert _server(drs)["launchActionsStatus"] == {"runs": []}
    drs.simulation.disarm(fault.id)
    assert _runs(drs) == [("Mount volumes", "IN_PROGRESS")]


def test_whether_the_job_waits_for_its_actions_is_the_fleets_to_say(api: Callable[..., Api]) -> None:
    """DRS does not document it: all servers' actions, and then the job ends."""
    drs = _drilled(api, AGENT + 2 * EACH - 1, count=2, unknowns={"launch_actions_hold_job": True})
    (job,) = drs.describe_jobs()["items"]
    assert (job["status"], job["participatingServers"][0]["launchStatus"]) == ("STARTED", "LAUNCHED")
    drs.clock.advance(10)
    assert drs.describe_jobs()["items"][0]["status"] == "COMPLETED"


@pytest.mark.parametrize(("action", "status"), [("Mount volumes", "FAILED"), ("Check service", "LAUNCHED")])
def test_whether_a_failed_action_fails_the_launch_too(
    api: Callable[..., Api], action: str, status: str
) -> None:
    """One that is not optional; its instance stays."""
    drs = _drilled(api, END, unknowns={"failed_action_fails_launch": True})
    drs.simulation.arm(FailedLaunchAction(action=action))
    drs.clock.advance(AGENT + 2 * EACH)
    assert (_server(drs)["launchStatus"], len(drs.describe_recovery_instances()["items"])) == (status, 1)


@pytest.mark.parametrize(
    "traits",
    [{}, {"launch_actions": ACTIONS, "launch": {"disposition": "STOPPED"}}],
)
def test_without_actions_or_a_running_instance_there_is_no_status(
    api: Callable[..., Api], traits: dict[str, Any]
) -> None:
    """Nothing ran, nothing is told."""
    drs = _drilled(api, AGENT, traits=traits)
    assert "launchActionsStatus" not in _server(drs)


def test_actions_can_be_turned_off(api: Callable[..., Api]) -> None:
    """By the launch configuration, as on AWS."""
    drs = api(fleet(servers(1, launch_actions=ACTIONS)))
    drs.update_launch_configuration(sourceServerID=server_id(1), postLaunchEnabled=False)
    drs.drill(1)
    drs.clock.advance(AGENT)
    assert "launchActionsStatus" not in _server(drs)


def test_an_action_on_a_terminated_instance_fails(api: Callable[..., Api]) -> None:
    """There is nothing left to run on."""
    drs = _drilled(api, AGENT, unknowns={"terminate_seconds": 10})
    (instance,) = drs.describe_recovery_instances()["items"]
    drs.terminate_recovery_instances(recoveryInstanceIDs=[instance["recoveryInstanceID"]])
    drs.clock.advance(100)
    job = drs.describe_jobs()["items"][0]["participatingServers"][0]
    assert {run["failureReason"] for run in job["launchActionsStatus"]["runs"]} == {
        "The instance is not running"
    }
    assert job["launchStatus"] == "TERMINATED"
