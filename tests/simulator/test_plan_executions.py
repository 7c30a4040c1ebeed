"""Executions of AWS's own recovery plans: what they show, how they end, and what they do not hold."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from pydantic import ValidationError

from simulator.engine.faults import FAULT
from simulator.engine.simulation import FaultError
from tests.simulator.api import Api
from tests.simulator.conftest import fleet, server_id, servers

pytestmark = pytest.mark.usefixtures("mocked")


def _execute(drs: Api, *numbers: int, **members: Any) -> str:
    wanted = [server_id(number) for number in numbers]
    fault = FAULT.validate_python({"kind": "plan_execution", "servers": wanted, **members})
    return str(drs.simulation.arm(fault).id)


def _executions(drs: Api, **request: Any) -> Any:
    return drs.list_recovery_plan_executions(**request)["recoveryPlanExecutions"]


def _steps(drs: Api, execution: dict[str, Any], **request: Any) -> Any:
    arn = execution["recoveryPlanExecutionArn"]
    answer = drs.list_recovery_plan_execution_steps(recoveryPlanExecutionArn=arn, **request)
    return answer["recoveryPlanExecutionSteps"]


def test_an_execution_names_its_servers_and_no_job(api: Callable[..., Api]) -> None:
    """They stand in a SERVER step that has not started, behind a WAIT."""
    drs = api()
    _execute(drs, 1, 2, mode="RECOVERY", name="failover")
    (plan,) = drs.list_recovery_plans()["recoveryPlans"]
    (execution,) = _executions(drs)
    assert (plan["name"], execution["mode"], execution["status"]) == ("failover", "RECOVERY", "IN_PROGRESS")
    wait, launch = _steps(drs, execution)
    assert (wait["status"], launch["status"]) == ("WAITING", "NOT_STARTED")
    assert "waitStepConfiguration" in wait["configuration"]
    named = launch["configuration"]["executionServerStepConfiguration"]["servers"]
    arns = [server["arn"] for server in drs.describe_source_servers()["items"]]
    assert named == [{"serverArn": arn, "impactLevel": "CRITICAL"} for arn in arns]
    assert [each["stepIndex"] for each in _steps(drs, execution, filter={"status": "NOT_STARTED"})] == [2]
    assert drs.describe_jobs()["items"] == []


def test_an_execution_ends_after_its_seconds(api: Callable[..., Api]) -> None:
    """COMPLETED with its time, its steps too; the plan stays, and can be executed again."""
    drs = api()
    _execute(drs, 1, seconds=90)
    drs.clock.advance(89)
    assert len(_executions(drs, status="IN_PROGRESS")) == 1
    drs.clock.advance(1)
    assert _executions(drs, status="IN_PROGRESS") == []
    (execution,) = _executions(drs, status="COMPLETED")
    arn = execution["recoveryPlanExecutionArn"]
    described = drs.get_recovery_plan_execution(recoveryPlanExecutionArn=arn)["recoveryPlanExecution"]
    assert described["completedAt"] == "2026-03-01T06:01:30.000000Z"
    assert {step["status"] for step in _steps(drs, execution)} == {"COMPLETED"}
    _execute(drs, 2)
    assert len(drs.list_recovery_plans()["recoveryPlans"]) == 1
    assert len(_executions(drs, recoveryPlanArn=execution["recoveryPlanArn"])) == 2


def test_an_execution_without_seconds_ends_when_it_is_disarmed(api: Callable[..., Api]) -> None:
    """At once, and not before."""
    drs = api()
    fault_id = _execute(drs, 1)
    drs.clock.advance(86400)
    assert [each["status"] for each in _executions(drs)] == ["IN_PROGRESS"]
    drs.simulation.disarm(fault_id)
    assert [each["status"] for each in _executions(drs)] == ["COMPLETED"]


def test_an_execution_refuses_no_launch(api: Callable[..., Api]) -> None:
    """Whether DRS does is unknown; here only jobs hold servers."""
    drs = api()
    _execute(drs, 1)
    assert drs.drill(1)["status"] == "PENDING"


def test_executions_come_in_pages(api: Callable[..., Api]) -> None:
    """As all lists do; each plan has one in progress."""
    drs = api()
    for number in range(5):
        _execute(drs, 1, name=f"plan-{number}")
    pages = drs.client.get_paginator("list_recovery_plan_executions")
    sizes = [
        len(page["recoveryPlanExecutions"])
        for page in pages.paginate(status="IN_PROGRESS", PaginationConfig={"PageSize": 2})
    ]
    assert sizes == [2, 2, 1]


def test_a_plan_is_executed_once_at_a_time(api: Callable[..., Api]) -> None:
    """As AWS has it, so the second fault is refused."""
    drs = api()
    _execute(drs, 1)
    with pytest.raises(FaultError, match=r"plan_execution cannot start: .* is being executed already"):
        _execute(drs, 2)
    assert len(list(drs.simulation.world.faults)) == 1


def test_an_execution_stands_in_one_account_and_region(api: Callable[..., Api]) -> None:
    """Of servers that exist there."""
    drs = api(fleet(servers(1)))
    with pytest.raises(FaultError, match="is not in the fleet"):
        _execute(drs, 1, 9)
    with pytest.raises(FaultError, match="is not in the fleet of eu-central-1"):
        _execute(drs, 1, region="eu-central-1")


@pytest.mark.parametrize("member", [{"servers": []}, {"mode": "TEST"}, {"name": "-"}, {"count": 1}])
def test_an_execution_that_makes_no_sense_is_refused(member: dict[str, Any]) -> None:
    """By the limits of DRS's own model."""
    fault = {"kind": "plan_execution", "servers": [server_id(1)]}
    with pytest.raises(ValidationError):
        FAULT.validate_python(fault | member)


def test_an_unknown_execution_is_not_found(api: Callable[..., Api]) -> None:
    """By both operations that name one."""
    drs = api()
    arn = {"recoveryPlanExecutionArn": "arn:aws:drs:us-east-1:111122223333:recovery-plan-execution/rpe-0"}
    for name in ("get_recovery_plan_execution", "list_recovery_plan_execution_steps"):
        assert drs.refusal(name, **arn)[:2] == ("ResourceNotFoundException", 404)
