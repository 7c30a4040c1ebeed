"""What the tests have to know about the versions of Airflow and boto3 with which they run.

No other test module imports a name that only some of the supported versions have. Airflow is imported only
in functions, because most tests do without it.
"""

from __future__ import annotations

import datetime as dt
import importlib.metadata
import re
from typing import Any

import botocore
import pytest

from drs.aws.calls import SEES_RECOVERY_PLANS_SINCE, DrsCalls

_PLANS = "RecoveryPlan"
"""What the names of the operations of AWS's own recovery plans contain."""
_OPERATIONS = {"service-2": "operations", "paginators-1": "pagination"}
"""Where the parts of a service's model name its operations."""
_SEES, _EXECUTIONS = vars(DrsCalls)["sees_recovery_plans"], DrsCalls.recovery_plan_executions


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", version)[:3])


HAS_TASK_STORE = _numbers(importlib.metadata.version("apache-airflow")) >= (3, 3)
SEES_RECOVERY_PLANS = _numbers(botocore.__version__) >= _numbers(SEES_RECOVERY_PLANS_SINCE)
UNKNOWN_OPERATIONS = (
    frozenset[str]()
    if SEES_RECOVERY_PLANS
    else frozenset({"ListRecoveryPlanExecutions", "ListRecoveryPlanExecutionSteps"})
)
"""The operations of DRS that the code calls and this boto3 does not know."""
needs_recovery_plans = pytest.mark.skipif(
    not SEES_RECOVERY_PLANS,
    reason=f"boto3 {botocore.__version__} does not know AWS's own recovery plans",
)
needs_task_store = pytest.mark.skipif(
    not HAS_TASK_STORE, reason="below Airflow 3.3 tasks have no store whose values could expire"
)


def waits_for_answer() -> type[Any]:
    """What a task raises that has asked a person. Below 3.3 it waits in a trigger."""
    from airflow.sdk import exceptions

    found: type[Any] = getattr(exceptions, "TaskAwaitingInput", exceptions.TaskDeferred)
    return found


def time_to_answer(waiting: Any) -> dt.timedelta:
    """How much time a question leaves for its answer, to a second.

    :param waiting: what the task has raised
    """
    if not hasattr(waiting, "trigger"):
        timeout: dt.timedelta = waiting.timeout
        return timeout
    left: dt.timedelta = waiting.trigger.timeout_datetime - dt.datetime.now(dt.UTC)
    return dt.timedelta(seconds=round(left.total_seconds()))


def task_store(monkeypatch: pytest.MonkeyPatch, store: Any) -> dict[str, Any]:
    """What to add to a task's context so that this is its store."""
    if HAS_TASK_STORE:
        return {"task_state_store": store}
    monkeypatch.setattr("drs.compat._XComOfSetup", lambda ti: store)
    return {}


def use_older_boto3(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give new clients the model of a boto3 that does not know AWS's own recovery plans."""
    from botocore.loaders import Loader

    load = Loader.load_service_model

    def without(self: Loader, service: str, part: str, api_version: str | None = None) -> Any:
        model: Any = load(self, service, part, api_version)
        if service != "drs" or part not in _OPERATIONS:
            return model
        known = model[_OPERATIONS[part]]
        return {**model, _OPERATIONS[part]: {name: known[name] for name in known if _PLANS not in name}}

    monkeypatch.setattr(Loader, "load_service_model", without)
    monkeypatch.setattr(DrsCalls, "sees_recovery_plans", _SEES)
    monkeypatch.setattr(DrsCalls, "recovery_plan_executions", _EXECUTIONS)


def see_no_recovery_plans(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let an older boto3 see that none of AWS's own recovery plans is being executed."""
    monkeypatch.setattr(DrsCalls, "sees_recovery_plans", True)
    monkeypatch.setattr(DrsCalls, "recovery_plan_executions", lambda self, status: [])
