"""What every task of a drill shares: coded failures, the run's target, waiting, and when to stop."""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import AsyncIterator
from typing import Any

import pytest
from airflow.sdk.bases.operator import TriggerFailureReason
from airflow.sdk.exceptions import (
    AirflowException,
    AirflowFailException,
    AirflowRuntimeError,
    AirflowSkipException,
    ErrorType,
    TaskDeferralError,
    TaskDeferred,
)
from airflow.sdk.execution_time.comms import ErrorResponse
from airflow.triggers.base import BaseTrigger, TriggerEvent
from botocore.exceptions import ClientError, EndpointConnectionError

from drs.errors import (
    BEFORE_CLEAN_UP,
    AirflowUnavailable,
    DrillFailed,
    DrsUnavailable,
    PlanChanged,
    ServerConflict,
)
from drs.run.ledger import Ledger
from drs.run.records import FailureRecord, Resolution, WaveResolution
from drs.tasks import drill_task
from drs.tasks.drill_task import (
    XComStore,
    chosen_wave,
    cleanup_has_begun,
    coded_failures,
    hook_parameters,
    use_target,
    wait,
)
from drs.tasks.operators.preflight import DrsPreflightOperator
from drs.tasks.operators.start_recovery import DrsStartRecoveryOperator
from drs.tasks.operators.terminate import DrsTerminateRecoveryInstancesOperator
from drs.tasks.operators.validate_servers import DrsValidateServersOperator
from tests.unit.drill import NOW, after, make_plan, make_run
from tests.unit.task_harness import FakeTaskInstance, make_context


class FakeTrigger(BaseTrigger):
    """Yields one event, and remembers that it ran."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.ran = False

    def serialize(self) -> tuple[str, dict[str, Any]]:
        return "tests.FakeTrigger", {}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        self.ran = True
        yield TriggerEvent({"status": "deadline"})


class FakeTask:
    """A task that raises or returns what a test wants."""

    log = logging.getLogger("drill")
    aws_conn_id: str | None = None
    region_name: str | None = None
    verify: bool | str | None = "/etc/ca.pem"

    def __init__(self, result: object = None) -> None:
        self.botocore_config: dict[str, Any] | None = {"retries": {"mode": "adaptive"}}
        self.result = result

    @coded_failures
    def execute(self, context: Any) -> object:
        if isinstance(self.result, BaseException):
            raise self.result
        return self.result

    def defer(self, *, trigger: BaseTrigger, method_name: str, timeout: dt.timedelta) -> Any:
        raise TaskDeferred(trigger=trigger, method_name=method_name, timeout=timeout)


def refusal(code: str, status: int = 400) -> ClientError:
    response: Any = {
        "Error": {"Code": code, "Message": "no"},
        "ResponseMetadata": {"HTTPStatusCode": status},
    }
    return ClientError(response, "DescribeJobs")


def test_a_result_passes_through(ledger: Ledger) -> None:
    """Nothing is recorded."""
    assert FakeTask({"a": 1}).execute(make_context()) == {"a": 1}
    assert ledger.failure(FakeTaskInstance.task_id) is None


def test_a_coded_failure_is_recorded_told_and_not_retried(
    ledger: Ledger, caplog: pytest.LogCaptureFixture
) -> None:
    """It is recorded for the verdict, logged for the reader, and final for Airflow."""
    failure = ServerConflict("Server s-1 is held.", remedy="Wait.")
    with pytest.raises(AirflowFailException, match="SERVER_CONFLICT"):
        FakeTask(failure).execute(make_context())
    assert ledger.failure(FakeTaskInstance.task_id) == FailureRecord(
        code="SERVER_CONFLICT", message="Server s-1 is held.", remedy="Wait."
    )
    assert caplog.messages == ["[SERVER_CONFLICT] Server s-1 is held.", "What to do: Wait."]


def no_answer(status: int | None) -> AirflowRuntimeError:
    """What Airflow's task runner raises for an answer of the API server, or for none."""
    detail = {"status_code": status, "message": "Connection refused", "exception_type": "ConnectError"}
    return AirflowRuntimeError(ErrorResponse(error=ErrorType.API_SERVER_ERROR, detail=detail))


class Silent:
    """A task instance of an Airflow that does not answer."""

    task_id, dag_id, run_id = "terminate", "drs_drill__orders", "run-1"

    def __init__(self, status: int | None) -> None:
        self.status = status

    def xcom_pull(self, **_: Any) -> Any:
        raise no_answer(self.status)


@pytest.mark.parametrize("status", [None, 500, 503])
def test_an_airflow_that_does_not_answer_is_a_failure_with_a_code(
    monkeypatch: pytest.MonkeyPatch, status: int | None
) -> None:
    """It says for how long Airflow has repeated the request, and what was asked."""
    clock = iter([100.0, 178.0])
    monkeypatch.setattr("drs.tasks.drill_task.time.monotonic", lambda: next(clock, 178.0))
    with pytest.raises(AirflowUnavailable, match="record cleanup, did not answer for 1 min 18 s: ") as failed:
        Ledger(XComStore(Silent(status))).cleanup()
    assert "Connection refused" in failed.value.message
    assert failed.value.retryable


def test_an_answer_that_refuses_is_no_outage(ledger: Ledger) -> None:
    """Airflow has answered; what it says stays as it is."""
    with pytest.raises(AirflowRuntimeError):
        Ledger(XComStore(Silent(404))).cleanup()
    with pytest.raises(AirflowRuntimeError):
        FakeTask(no_answer(404)).execute(make_context())
    with pytest.raises(AirflowException, match="AIRFLOW_UNAVAILABLE"):
        FakeTask(no_answer(None)).execute(make_context())


def test_a_failure_that_cannot_be_recorded_is_in_the_log(
    ledger: Ledger, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Airflow writes the log without its API. Airflow tries the task again."""
    monkeypatch.setattr(Ledger, "save_failure", lambda *_: (_ for _ in ()).throw(no_answer(None)))
    with pytest.raises(AirflowException, match="AIRFLOW_UNAVAILABLE") as failed:
        FakeTask(AirflowUnavailable("Airflow's API did not answer.")).execute(make_context())
    assert not isinstance(failed.value, AirflowFailException)
    assert "[AIRFLOW_UNAVAILABLE] Airflow's API did not answer." in caplog.messages
    assert any(line.startswith("What to do: Look at Airflow's API server") for line in caplog.messages)


def test_a_new_try_takes_back_why_the_one_before_failed(ledger: Ledger) -> None:
    """If the new try is killed or fails without a code, the old reason would be wrong."""
    with pytest.raises(AirflowFailException):
        FakeTask(ServerConflict("Server s-1 is held.")).execute(make_context())
    second = make_context()
    second["ti"].try_number = 2
    with pytest.raises(RuntimeError):
        FakeTask(RuntimeError("a bug")).execute(second)
    assert ledger.failure(FakeTaskInstance.task_id) is None


@pytest.mark.parametrize(
    "error",
    [
        DrsUnavailable("Throttled for 600 s."),
        refusal("ThrottlingException", 429),
        refusal("InternalServerException", 500),
        EndpointConnectionError(endpoint_url="https://drs"),
    ],
)
def test_what_a_retry_can_help_is_left_to_airflow_s_retries(ledger: Ledger, error: Exception) -> None:
    """DRS may answer ten seconds later. Above all, clean-up must not fail because of one unanswered call."""
    with pytest.raises(AirflowException, match="DRS_UNAVAILABLE") as raised:
        FakeTask(error).execute(make_context())
    assert not isinstance(raised.value, AirflowFailException)
    failure = ledger.failure(FakeTaskInstance.task_id)
    assert failure is not None
    assert failure.code == "DRS_UNAVAILABLE"


def test_a_task_that_is_cleared_once_airflow_answers_succeeds(ledger: Ledger) -> None:
    """As the remedy says. The reason of the try before is forgotten."""
    with pytest.raises(AirflowException, match="clear it once the API answers"):
        FakeTask(AirflowUnavailable("Airflow's API did not answer.")).execute(make_context())
    cleared = make_context()
    cleared["ti"].try_number = 2
    assert FakeTask("done").execute(cleared) == "done"
    assert ledger.failure(FakeTaskInstance.task_id) is None


def test_a_refusal_that_has_no_code_of_its_own_says_what_to_do(ledger: Ledger) -> None:
    """Airflow may try the task again, as it would after any error that nobody knows."""
    with pytest.raises(AirflowException, match=r"DRILL_FAILED.*AWS refused a value of the request") as raised:
        FakeTask(refusal("ValidationException")).execute(make_context())
    assert not isinstance(raised.value, AirflowFailException)
    failure = ledger.failure(FakeTaskInstance.task_id)
    assert failure is not None
    assert failure.remedy.endswith(f"Then, {BEFORE_CLEAN_UP}")


def test_a_refusal_of_drs_is_coded_where_it_was_not_explained(ledger: Ledger) -> None:
    """The message names the task that made the call."""
    with pytest.raises(AirflowFailException, match=r"ACCESS_DENIED.*wave_database\.start_recovery"):
        FakeTask(refusal("AccessDeniedException")).execute(make_context())


@pytest.mark.parametrize(
    "error",
    [
        ValueError("a bug"),
        LookupError("no record"),
        AirflowSkipException("left out"),
        TaskDeferred(trigger=FakeTrigger(), method_name="resume"),
    ],
)
def test_what_has_no_code_passes_through(ledger: Ledger, error: BaseException) -> None:
    """Skips and deferrals are not failures. A bug shows its traceback, and Airflow retries the task."""
    with pytest.raises(type(error)) as raised:
        FakeTask(error).execute(make_context())
    assert raised.value is error
    assert ledger.failure(FakeTaskInstance.task_id) is None


def test_a_task_works_where_its_run_began() -> None:
    """Connection and Region come from the run's record, even if the plan file has changed. Triggers get the
    same.
    """
    target = {"region": "eu-central-1", "account_id": "111122223333", "aws_conn_id": "aws_dr"}
    task = FakeTask()
    use_target(task, make_run(make_plan(target=target)))
    assert hook_parameters(task) == {
        "aws_conn_id": "aws_dr",
        "region_name": "eu-central-1",
        "verify": "/etc/ca.pem",
        "botocore_config": {"retries": {"mode": "adaptive"}},
    }


def test_a_wave_that_the_run_did_not_choose_is_skipped(ledger: Ledger) -> None:
    """A wave that preflight left out is skipped too, with preflight's reason."""
    ledger.save_resolution(Resolution(waves={"database": WaveResolution(left_out="all are excluded")}))
    run = make_run(waves=["database"])
    with pytest.raises(AirflowSkipException, match="application was not chosen"):
        chosen_wave(ledger, run, "application")
    with pytest.raises(AirflowSkipException, match="database is left out: all are excluded"):
        chosen_wave(ledger, run, "database")


def test_a_wave_that_the_plan_did_not_have_is_refused(ledger: Ledger) -> None:
    """The file was edited while the run was active, so the DAG has tasks that are not in the run's plan."""
    with pytest.raises(PlanChanged, match="Wave mail is not in the plan that this run began with"):
        chosen_wave(ledger, make_run(), "mail")


def test_without_a_resolution_nothing_is_launched(ledger: Ledger) -> None:
    """This happens if a person marks preflight as success."""
    with pytest.raises(DrillFailed, match="did not record which servers"):
        chosen_wave(ledger, make_run(), "database")


@pytest.mark.parametrize(
    ("state", "begun"),
    [(None, False), ("scheduled", True), ("running", True), ("success", True), ("failed", True)],
)
def test_clean_up_has_begun_as_soon_as_its_task_has_a_state(state: str | None, begun: bool) -> None:
    """After it was cleared it has no state."""
    assert cleanup_has_begun(make_context({"terminate": state, "evidence": "success"})) is begun


def test_clean_up_has_not_begun_while_airflow_knows_nothing_of_it() -> None:
    """Its task has no state yet."""
    assert not cleanup_has_begun(make_context())


@pytest.mark.parametrize(("deadline", "timeout"), [(300, 420), (-60, 120)])
def test_waiting_is_a_deferral_with_a_bound(
    monkeypatch: pytest.MonkeyPatch, deadline: float, timeout: float
) -> None:
    """Airflow's bound is two minutes after the trigger's own, for a trigger that died."""
    monkeypatch.setattr(drill_task, "utc_now", lambda: NOW)
    trigger = FakeTrigger()
    with pytest.raises(TaskDeferred) as deferred:
        wait(FakeTask(), trigger, after(deadline), resume="resume")
    assert deferred.value.trigger is trigger
    assert deferred.value.method_name == "resume"
    assert deferred.value.timeout == dt.timedelta(seconds=timeout)
    assert not trigger.ran


def test_without_a_triggerer_it_waits_in_the_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    """With ``[drs] deferrable = False`` the trigger runs in the worker, and the task goes on."""
    monkeypatch.setenv("AIRFLOW__DRS__DEFERRABLE", "False")
    trigger = FakeTrigger()
    wait(FakeTask(), trigger, after(300), resume="resume")
    assert trigger.ran


@pytest.mark.parametrize("deadline", [-5, 59])
def test_a_short_wait_is_no_pod_of_its_own(monkeypatch: pytest.MonkeyPatch, deadline: float) -> None:
    """With ``[drs] defer_after = 60`` a wait of less than a minute is made where the task already runs."""
    monkeypatch.setattr(drill_task, "utc_now", lambda: NOW)
    monkeypatch.setenv("AIRFLOW__DRS__DEFER_AFTER", "60")
    trigger = FakeTrigger()
    wait(FakeTask(), trigger, after(deadline), resume="resume")
    assert trigger.ran


def test_a_long_wait_takes_no_worker_even_if_short_ones_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """For it the pod of a resumption is cheaper than a worker's place."""
    monkeypatch.setattr(drill_task, "utc_now", lambda: NOW)
    monkeypatch.setenv("AIRFLOW__DRS__DEFER_AFTER", "60")
    with pytest.raises(TaskDeferred):
        wait(FakeTask(), FakeTrigger(), after(60), resume="resume")


# --- a wait that nobody watched to its end ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("operator", "method", "parts"),
    [
        (DrsPreflightOperator, "resume", {}),
        (DrsStartRecoveryOperator, "resume", {"wave": "database"}),
        (DrsTerminateRecoveryInstancesOperator, "resume", {}),
        (DrsValidateServersOperator, "execute", {"wave": "database"}),
    ],
)
def test_a_task_whose_triggerer_was_down_looks_at_aws_itself(
    monkeypatch: pytest.MonkeyPatch, operator: Any, method: str, parts: dict[str, Any]
) -> None:
    """Airflow would fail the task for good, and without a code. After a trigger that failed, it retries the
    task.
    """
    task = operator(task_id="task", **parts)
    context = make_context()
    monkeypatch.setattr(operator, method, lambda _, given: given)
    timed_out = {"error": TriggerFailureReason.TRIGGER_TIMEOUT}
    assert task.resume_execution("__fail__", timed_out, context) is context
    failed = {"error": TriggerFailureReason.TRIGGER_FAILURE, "traceback": ["KeyError: 'x'"]}
    with pytest.raises(TaskDeferralError):
        task.resume_execution("__fail__", failed, context)
