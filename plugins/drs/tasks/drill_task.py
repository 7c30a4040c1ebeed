"""What every task of a drill shares: its run's records and target, coded failures, and waiting."""

from __future__ import annotations

import asyncio
import datetime as dt
import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowSkipException
from botocore.exceptions import BotoCoreError, ClientError

from drs import settings
from drs.aws.call_errors import explain
from drs.errors import DrillError, DrillFailed, PlanChanged
from drs.run.ledger import BEGIN_TASK_ID, Ledger
from drs.run.proof import TERMINATE_TASK_ID
from drs.run.records import FailureRecord, RunRecord, WaveResolution
from drs.tasks.send_messages import announce_failure
from drs.times import utc_now

if TYPE_CHECKING:
    from airflow.sdk import Context
    from airflow.triggers.base import BaseTrigger

DEFER_MARGIN = dt.timedelta(seconds=120)
"""A trigger ends by its own deadline; Airflow's bound on the deferral comes later, for one that died."""

R = TypeVar("R")


class DrillTask(Protocol):
    """The parts of an operator or sensor that the helpers here use."""

    aws_conn_id: str | None
    region_name: str | None
    verify: bool | str | None
    botocore_config: dict[str, Any] | None

    def defer(self, *, trigger: BaseTrigger, method_name: str, timeout: dt.timedelta) -> Any: ...


class XComStore:
    """The XCom of the first task of a run: by default the task's own run."""

    def __init__(self, ti: Any, *, dag_id: str | None = None, run_id: str | None = None) -> None:
        self._ti = ti
        self._dag_id = dag_id or ti.dag_id
        self._run_id = run_id or ti.run_id

    def get(self, key: str) -> Any:
        return self._ti.xcom_pull(task_ids=BEGIN_TASK_ID, key=key, dag_id=self._dag_id, run_id=self._run_id)

    def set(self, key: str, value: Any) -> None:
        from airflow.sdk.execution_time.xcom import XCom

        XCom.set(key=key, value=value, dag_id=self._dag_id, task_id=BEGIN_TASK_ID, run_id=self._run_id)


def run_ledger(context: Context) -> Ledger:
    """The records of the task's run."""
    return Ledger(XComStore(context["ti"]))


def coded_failures(method: Callable[..., R]) -> Callable[..., R]:
    """Turn a coded failure into a failed task: recorded for evidence and verdict, said at the log's end, and
    retried by Airflow only where a retry can help. A try that is cut off leaves no reason of an earlier one.
    """
    return _guarded(method, _record)


def told_failures(method: Callable[..., R]) -> Callable[..., R]:
    """The same for a task that belongs to no drill, and so has no ledger."""
    return _guarded(method)


def _guarded(
    method: Callable[..., R], record: Callable[[Context, DrillError], None] | None = None
) -> Callable[..., R]:
    @functools.wraps(method)
    def guarded(self: Any, context: Context, *args: Any, **kwargs: Any) -> R:
        try:
            if record:
                run_ledger(context).forget_failure(context["ti"].task_id)
            return method(self, context, *args, **kwargs)
        except DrillError as error:
            failure = error
        except (ClientError, BotoCoreError) as error:
            doing = f"what task {context['ti'].task_id} asked for"
            explained = explain(error, doing, connection=getattr(self, "aws_conn_id", None))
            if explained is None:
                if record:
                    _announce_uncoded(context, error)
                raise
            failure = explained
        except AirflowSkipException:
            raise
        except Exception as error:
            if record:
                _announce_uncoded(context, error)
            raise
        if record:
            record(context, failure)
        if failure.details:
            self.log.error("What happened:\n%s", failure.details)
        for line in str(failure).splitlines():
            self.log.error(line)
        raised = AirflowException if failure.retryable else AirflowFailException
        raise raised(str(failure)) from None

    return guarded


def _record(context: Context, failure: DrillError) -> None:
    ledger = run_ledger(context)
    record = FailureRecord(
        code=failure.code, message=failure.message, remedy=failure.remedy, details=failure.details
    )
    ledger.save_failure(context["ti"].task_id, record)
    announce_failure(context, ledger, record, retryable=failure.retryable)


def _announce_uncoded(context: Context, error: Exception) -> None:
    """Tell people of a failure that no code of ours explains: Airflow's own, or a bug."""
    failure = FailureRecord(
        code="", message=f"{type(error).__name__}: {error}", remedy="Read the task's log."
    )
    final = isinstance(error, AirflowFailException)
    announce_failure(context, run_ledger(context), failure, retryable=not final)


def use_target(task: DrillTask, run: RunRecord) -> None:
    """Point the task at the account and Region that the run recorded, whatever the plan file says by now."""
    target = run.read_plan().target
    task.aws_conn_id = target.aws_conn_id
    task.region_name = target.region


def hook_parameters(task: DrillTask) -> dict[str, Any]:
    """What a trigger needs to reach DRS as the task does."""
    return {
        "aws_conn_id": task.aws_conn_id,
        "region_name": task.region_name,
        "verify": task.verify,
        "botocore_config": task.botocore_config,
    }


def chosen_wave(ledger: Ledger, run: RunRecord, wave: str) -> WaveResolution:
    """What this run launches in the wave.

    :raises AirflowSkipException: this run leaves the wave out
    :raises PlanChanged: the run's plan does not know the wave
    """
    plan = run.read_plan()
    if wave not in {known.name for known in plan.waves}:
        raise PlanChanged(
            f"Wave {wave} is not in the plan that this run began with: the plan file was edited since."
        )
    if run.missed:
        raise AirflowSkipException(run.missed)
    if run.dry_run:
        raise AirflowSkipException("This is a dry run: it ends with preflight.")
    if wave not in run.waves:
        raise AirflowSkipException(f"Wave {wave} was not chosen for this run.")
    resolution = ledger.resolution()
    if resolution is None:
        raise DrillFailed(
            "Preflight has recorded no resolution of the plan's groups.",
            remedy="Clear the task 'preflight' with all after it.",
        )
    resolved = resolution.waves[wave]
    if resolved.left_out:
        raise AirflowSkipException(f"Wave {wave} is left out: {resolved.left_out}.")
    return resolved


def cleanup_has_begun(context: Context) -> bool:
    """Whether the run's clean-up was scheduled, runs, or ran: then no server may be started any more.

    The state of the task itself is the mark: it goes back to none when a person clears the wave.
    """
    ti: Any = context["ti"]
    states = ti.get_task_states(dag_id=ti.dag_id, task_ids=[TERMINATE_TASK_ID], run_ids=[ti.run_id])
    return states.get(ti.run_id, {}).get(TERMINATE_TASK_ID) is not None


def task_states(context: Context) -> dict[str, str | None]:
    """The state of every task of the run, by task id."""
    ti: Any = context["ti"]
    states = ti.get_task_states(dag_id=ti.dag_id, run_ids=[ti.run_id])
    return dict(states.get(ti.run_id, {}))


def wait(
    task: DrillTask, trigger: BaseTrigger, deadline: dt.datetime, *, resume: str
) -> dict[str, Any] | None:
    """Wait in the triggerer, to be resumed at method ``resume``; without a triggerer wait here.

    :param deadline: when the trigger gives up by itself
    :return: the trigger's event, if it was waited for here
    """
    if settings.deferrable():
        left = max(deadline - utc_now(), dt.timedelta(0))
        task.defer(trigger=trigger, method_name=resume, timeout=left + DEFER_MARGIN)
    return asyncio.run(_first_event(trigger))


async def _first_event(trigger: BaseTrigger) -> dict[str, Any] | None:
    async for event in trigger.run():
        payload: dict[str, Any] | None = event.payload
        return payload
    return None
