"""What the tasks of a drill share: the run's records and target, coded failures, and waiting."""

from __future__ import annotations

import asyncio
import datetime as dt
import functools
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, TypeVar

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import (
    AirflowException,
    AirflowFailException,
    AirflowRuntimeError,
    AirflowSkipException,
    ErrorType,
    TaskDeferralTimeout,
)
from botocore.exceptions import BotoCoreError, ClientError

from drs import settings
from drs.aws.call_errors import explain, unexplained
from drs.errors import BEFORE_CLEAN_UP, AirflowUnavailable, DrillError, DrillFailed, PlanChanged
from drs.run.ledger import BEGIN_TASK_ID, Ledger, ReadOnce
from drs.run.proof import TERMINATE_TASK_ID
from drs.run.records import FailureRecord, RunRecord, WaveResolution
from drs.tasks.send_messages import notify_failure
from drs.tasks.task_log import explained, is_explained, quiet_process
from drs.text import shown
from drs.text.times import duration, utc_now

if TYPE_CHECKING:
    from airflow.sdk import Context
    from airflow.triggers.base import BaseTrigger

DEFER_MARGIN = dt.timedelta(seconds=120)
"""A trigger ends by its own deadline. Airflow's bound on the deferral lies this much later, for a trigger
that died."""

R = TypeVar("R")
log = logging.getLogger(__name__)


class DrillTask(Protocol):
    """The parts of an operator or sensor that the helpers here use."""

    aws_conn_id: str | None
    region_name: str | None
    verify: bool | str | None
    botocore_config: dict[str, Any] | None

    def defer(self, *, trigger: BaseTrigger, method_name: str, timeout: dt.timedelta) -> Any: ...


@contextmanager
def airflow_answers(what: str) -> Iterator[None]:
    """Ask Airflow's API for something.

    :param what: what was asked, as a relative clause
    :raises AirflowUnavailable: it has not answered, although Airflow has repeated the request for a while
    """
    asked = time.monotonic()
    try:
        yield
    except AirflowRuntimeError as error:
        if not (why := _no_answer(error)):
            raise
        waited = duration(time.monotonic() - asked)
        raise AirflowUnavailable(f"Airflow's API, {what}, did not answer for {waited}: {why}") from error


class XComStore:
    """The XCom of a run's first task; by default of the run that the task belongs to."""

    def __init__(self, ti: Any, *, dag_id: str | None = None, run_id: str | None = None) -> None:
        self._ti = ti
        self._dag_id = dag_id or ti.dag_id
        self._run_id = run_id or ti.run_id

    def get(self, key: str) -> Any:
        with airflow_answers(f"which was asked for the run's record {key}"):
            return self._ti.xcom_pull(
                task_ids=BEGIN_TASK_ID, key=key, dag_id=self._dag_id, run_id=self._run_id
            )

    def set(self, key: str, value: Any) -> None:
        from airflow.sdk.execution_time.xcom import XCom

        with airflow_answers(f"which was to keep the run's record {key}"):
            XCom.set(key=key, value=value, dag_id=self._dag_id, task_id=BEGIN_TASK_ID, run_id=self._run_id)


def run_ledger(context: Context) -> Ledger:
    """The records of the task's run."""
    return Ledger(XComStore(context["ti"]))


def finished_ledger(context: Context) -> Ledger:
    """The records of the task's run, each fetched once: no other task of the run writes any more."""
    return Ledger(ReadOnce(XComStore(context["ti"])))


def coded_failures(method: Callable[..., R]) -> Callable[..., R]:
    """Turn a coded failure into a failed task.

    The failure is recorded for evidence and verdict, and is the end of the task's log. Airflow retries
    the task only where a retry can help. Each try first removes the failure that an earlier try recorded.
    """
    return _with_coded_failures(method, _RecordedFailures())


def logged_failures(method: Callable[..., R]) -> Callable[..., R]:
    """Turn a coded failure of a task outside of any drill into a failed task; only log it."""
    return _with_coded_failures(method, _LoggedFailures())


class _LoggedFailures:
    """Called when a try begins and when it fails. Does nothing: the failure is only logged and raised."""

    def begin(self, context: Context) -> None:
        """Called when a try of the task begins."""

    def coded(self, context: Context, failure: DrillError) -> None:
        """Called when the try failed with a code."""

    def uncoded(self, context: Context, error: Exception) -> None:
        """Called when the try failed with an error that has no code: Airflow's own, or a bug."""


class _RecordedFailures(_LoggedFailures):
    """Record a failure in the run's ledger, and notify people of it."""

    def begin(self, context: Context) -> None:
        if context["ti"].try_number > 1:  # a first try follows none that could have failed
            run_ledger(context).forget_failure(context["ti"].task_id)

    def coded(self, context: Context, failure: DrillError) -> None:
        try:
            self._record(context, failure)
        except (AirflowRuntimeError, AirflowUnavailable) as error:
            log.warning("This failure is in no record of the run: %s", error)

    def _record(self, context: Context, failure: DrillError) -> None:
        ledger = run_ledger(context)
        record = FailureRecord(
            code=failure.code, message=failure.message, remedy=failure.remedy, details=failure.details
        )
        ledger.save_failure(context["ti"].task_id, record)
        notify_failure(context, ledger, record, retryable=failure.retryable)

    def uncoded(self, context: Context, error: Exception) -> None:
        failure = FailureRecord(
            code="", message=f"{type(error).__name__}: {error}", remedy="Read the task's log."
        )
        final = isinstance(error, AirflowFailException)
        notify_failure(context, run_ledger(context), failure, retryable=not final)


def _with_coded_failures(method: Callable[..., R], failures: _LoggedFailures) -> Callable[..., R]:
    @functools.wraps(method)
    def guarded(self: Any, context: Context, *args: Any, **kwargs: Any) -> R:
        quiet_process()
        try:
            failures.begin(context)
            return method(self, context, *args, **kwargs)
        except AirflowSkipException as skipped:
            if not is_explained(skipped):
                self.log.info("Skipped: %s", skipped)
                explained(skipped)
            raise
        except Exception as error:
            failure = _coded(error, context, connection=getattr(self, "aws_conn_id", None))
            if failure is None:
                failures.uncoded(context, error)
                raise
        failures.coded(context, failure)
        log_failure(self.log, failure)
        raised = AirflowException if failure.retryable else AirflowFailException
        raise explained(raised(str(failure)), _what_airflow_does(context, failure)) from None

    return guarded


def log_failure(log: Any, failure: DrillError) -> None:
    """Log a failure: the answer in one line, then what was seen, then how to go on."""
    answer, _, more = failure.message.partition("\n")
    log.error("[%s] %s", failure.code, shown.line(answer))
    for part in (more, failure.details):
        if part:
            log.error("%s", shown.block(part))
    if failure.remedy:
        log.error("What to do: %s", shown.block(failure.remedy))


def _what_airflow_does(context: Context, failure: DrillError) -> str:
    """The last line of a failed try: its code, and whether Airflow tries the task again."""
    ti: Any = context.get("ti")
    if not failure.retryable or ti is None:
        then = "Airflow does not try the task again: the result would be the same."
    elif ti.try_number > ti.max_tries:
        then = "This was the last try."
    else:
        then = f"Airflow tries the task again by itself (this was try {ti.try_number} of {ti.max_tries + 1})."
    return f"Task failed: {failure.code}. {then}"


def _coded(error: Exception, context: Context, *, connection: str | None) -> DrillError | None:
    """The error as a failure with a code; ``None`` where no code explains it."""
    if isinstance(error, DrillError):
        return error
    if isinstance(error, AirflowRuntimeError) and (why := _no_answer(error)):
        return AirflowUnavailable(f"Airflow's API did not answer task {context['ti'].task_id}: {why}")
    if isinstance(error, ClientError | BotoCoreError):
        doing, then = f"what task {context['ti'].task_id} asked for", then_of(context["ti"].task_id)
        return explain(error, doing, connection=connection, then=then) or unexplained(error, doing, then=then)
    return None


def then_of(task_id: str) -> str:
    """What to do once the cause of a task's failure is fixed.

    A wave's task can be cleared until clean-up begins. Clean-up and what comes after it can be repeated.
    """
    if task_id.startswith("wave_"):
        return f"Then, {BEFORE_CLEAN_UP}"
    return "Then start a new run." if task_id in (BEGIN_TASK_ID, "preflight") else "Then clear this task."


def _no_answer(error: AirflowRuntimeError) -> str:
    """What Airflow's task runner says of an API that does not answer, or answers 5xx; empty for any other
    answer.
    """
    if error.error.error != ErrorType.API_SERVER_ERROR:
        return ""
    detail = error.error.detail or {}
    status = detail.get("status_code")
    if status is not None and status < 500:
        return ""
    return f"{detail.get('exception_type') or status}: {detail.get('message')}"


def use_target(task: DrillTask, run: RunRecord) -> None:
    """Point the task at the account and Region that the run recorded, even if the plan file has changed."""
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

    :raises AirflowSkipException: this run does not launch the wave
    :raises PlanChanged: the wave is not in the run's plan
    """
    plan = run.read_plan()
    if wave not in {known.name for known in plan.waves}:
        raise PlanChanged(
            f"Wave {wave} is not in the plan that this run began with: the plan file was edited after that."
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
            "Preflight did not record which servers the plan's groups contain.",
            remedy="Clear the task 'preflight' with all tasks after it.",
        )
    resolved = resolution.waves[wave]
    if resolved.left_out:
        raise AirflowSkipException(f"Wave {wave} is left out: {resolved.left_out}.")
    return resolved


def cleanup_has_begun(context: Context) -> bool:
    """Whether the run's clean-up is scheduled, running or done. Then the run may launch no more servers.

    The state of the clean-up task shows it: that state is none again after somebody clears the wave.
    """
    ti: Any = context["ti"]
    with airflow_answers("which was asked whether clean-up has begun"):
        states = ti.get_task_states(dag_id=ti.dag_id, task_ids=[TERMINATE_TASK_ID], run_ids=[ti.run_id])
    return states.get(ti.run_id, {}).get(TERMINATE_TASK_ID) is not None


def task_states(context: Context) -> dict[str, str | None]:
    """The state of every task of the run, by task id."""
    ti: Any = context["ti"]
    with airflow_answers("which was asked for the states of the run's tasks"):
        states = ti.get_task_states(dag_id=ti.dag_id, run_ids=[ti.run_id])
    return dict(states.get(ti.run_id, {}))


class ResumesAfterTimeout(BaseOperator):
    """An operator that looks at AWS itself if no triggerer ran until its wait had timed out.

    Airflow would fail the task without a code, although what it waited for may have come about long ago.
    """

    after_timeout: ClassVar[str] = "resume"
    """The method that goes on."""

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        try:
            return super().resume_execution(next_method, next_kwargs, context)
        except TaskDeferralTimeout:
            self.log.warning(
                "No triggerer ran until the time of this wait was over. The task looks at AWS itself."
            )
            return getattr(self, self.after_timeout)(context)


def wait(
    task: DrillTask, trigger: BaseTrigger, deadline: dt.datetime, *, resume: str
) -> dict[str, Any] | None:
    """Wait in the triggerer and resume in method ``resume``. Where ``deferrable`` is off, and for a wait that
    ``defer_after`` calls short, wait in the worker.

    :param deadline: when the trigger gives up by itself
    :return: the trigger's event, if the worker waited
    """
    left = max(deadline - utc_now(), dt.timedelta(0))
    if settings.deferrable() and left.total_seconds() >= settings.defer_after():
        task.defer(trigger=trigger, method_name=resume, timeout=left + DEFER_MARGIN)
    return asyncio.run(_first_event(trigger))


async def _first_event(trigger: BaseTrigger) -> dict[str, Any] | None:
    async for event in trigger.run():
        payload: dict[str, Any] | None = event.payload
        return payload
    return None
