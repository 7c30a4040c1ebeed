"""The tasks around clean-up: the question before it, and how long the instances of a good drill are kept."""

from __future__ import annotations

import asyncio
import datetime as dt
import functools
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from airflow.providers.standard.operators import hitl
from airflow.sdk.exceptions import (
    AirflowFailException,
    AirflowSkipException,
    TaskAwaitingInput,
    TaskDeferred,
)

from drs.cleanup.clean_up import CleanUp
from drs.run.records import CLEANUP_APPROVAL, Resolution, WaveResolution
from drs.tasks import drill_task, standing, triggers
from drs.tasks.hook import DrsHook
from drs.tasks.links import DrsJobHistoryLink
from drs.tasks.operators import approve_cleanup, terminate
from drs.tasks.operators.approve_cleanup import DrsApproveCleanupOperator
from drs.tasks.operators.terminate import DrsTerminateRecoveryInstancesOperator
from simulator.engine.faults import StuckConversion
from tests.unit.drill import DATABASE, MemoryStore, make_plan
from tests.unit.simulated import SimulatedDrill, describe_ec2
from tests.unit.task_harness import AsyncClient, FakeTaskInstance, make_context, see_through
from tests.unit.tasks.test_send_messages import Noted, noted

ADA = {"id": "7", "name": "ada"}
DONE: dict[str, str | None] = {
    "wave_database.wait_until_launched": "success",
    "wave_database.validate": "success",
}
Begin = Callable[..., SimulatedDrill]


@pytest.fixture
def begin(drill: Begin, xcom: MemoryStore, monkeypatch: pytest.MonkeyPatch) -> Begin:
    """Begin a run. Its tasks and triggers use the simulated clock."""

    def begin(cleanup: dict[str, Any], **parts: Any) -> SimulatedDrill:
        run = drill(make_plan(launch={"jobs": "per_wave"}, cleanup=cleanup, **parts))
        run.store = xcom
        run.ledger.save_run(run.run)
        waves = {name: WaveResolution(left_out="not in this test") for name in run.run.waves}
        waves["database"] = WaveResolution(servers=tuple(run.resolved("database")))
        run.ledger.save_resolution(Resolution(waves=waves))

        async def sleep(seconds: float) -> None:
            run.pass_time(seconds)

        async def get_async_conn(_: DrsHook) -> AsyncClient:
            return AsyncClient(run.hook.conn)

        for module in (drill_task, terminate, triggers, approve_cleanup, standing):
            monkeypatch.setattr(module, "utc_now", run.clock.now)
        monkeypatch.setattr(terminate, "CleanUp", functools.partial(CleanUp, now=run.clock.now))
        for module in (terminate, approve_cleanup, standing):
            monkeypatch.setattr(module, "Ec2Instances", lambda **_: describe_ec2)
        for module in (approve_cleanup, standing):
            monkeypatch.setattr(module, "DrsHook", lambda **_: run.hook)
        monkeypatch.setattr(asyncio, "sleep", sleep)
        monkeypatch.setattr(DrsHook, "get_async_conn", get_async_conn)
        monkeypatch.setattr(DrsHook, "conn_region_name", "us-east-1", raising=False)
        monkeypatch.setattr(DrsJobHistoryLink, "persist", lambda **_: None)
        return run

    return begin


def launched(run: SimulatedDrill, *, failed: bool = False) -> SimulatedDrill:
    """Let the run's only wave end."""
    run.end_wave(failed=DATABASE if failed else ())
    return run


# --- terminate --------------------------------------------------------------------------------------------


def end(run: SimulatedDrill, *servers: str) -> str:
    """Somebody else terminates the instances of these servers, or all of them.

    :return: the id of the job that did it
    """
    instances = run.drs.recovery_instances.values()
    ids = [each.id for each in instances if not servers or each.server_id in servers]
    job = run.hook.terminate_recovery_instances(sorted(ids))
    run.finish_jobs()
    return job.job_id


def clean_up(
    run: SimulatedDrill, deferrals: list[TaskDeferred] | None = None, *, method: str = "execute"
) -> Any:
    def make() -> DrsTerminateRecoveryInstancesOperator:
        task = DrsTerminateRecoveryInstancesOperator(task_id="terminate")
        vars(task)["hook"] = run.hook
        return task

    return see_through(make, make_context(DONE), deferrals, method=method)


def test_the_instances_of_a_drill_that_passed_are_kept_for_a_while(
    begin: Begin, capsys: pytest.CaptureFixture[str]
) -> None:
    """The task is deferred, the log says how to terminate them at once, and the time-out of clean-up begins
    afterwards.
    """
    run = launched(begin({"keep_for": "3h", "timeout": "1h"}))
    ended = run.clock.now()
    deferrals: list[TaskDeferred] = []
    record = clean_up(run, deferrals)
    assert record["proven"]
    assert run.instances() == set()
    assert dt.datetime.fromisoformat(record["started_at"]) == ended + dt.timedelta(hours=3)
    assert deferrals[0].method_name == "resume_kept"
    assert f"python -m drs cleanup orders --run {run.run.run_id}" in capsys.readouterr().out


def test_somebody_may_end_them_sooner(begin: Begin) -> None:
    """If somebody runs the command in the log, clean-up still proves that they are gone. The waves had been
    up together, so that is no loss, but the record says that this run did not terminate them.
    """
    run = launched(begin({"keep_for": "3h"}))
    kept = run.instances()
    task = DrsTerminateRecoveryInstancesOperator(task_id="terminate")
    vars(task)["hook"] = run.hook
    with pytest.raises(TaskDeferred) as deferred:
        task.execute(make_context(DONE))
    end(run)
    assert run.instances() == set()
    record = clean_up(run, method=deferred.value.method_name)
    assert record["proven"]
    assert run.ledger.losses() == ()
    assert {item["recovery_instance_id"] for item in record["instances"]} == kept
    assert all(item["lost"].startswith("somebody else ended it") for item in record["instances"])


def test_nothing_of_a_failed_drill_is_kept_for_a_while(begin: Begin) -> None:
    """Its instances are terminated at once."""
    run = launched(begin({"keep_for": "3h"}), failed=True)
    ended = run.clock.now()
    record = clean_up(run)
    assert dt.datetime.fromisoformat(record["started_at"]) == ended


# --- the question -----------------------------------------------------------------------------------------


class AskingTaskInstance(FakeTaskInstance):
    id = uuid.UUID(int=1)
    task_id = "approve_cleanup"


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """The questions that were sent to Airflow."""
    questions: list[dict[str, Any]] = []
    monkeypatch.setattr(hitl, "upsert_hitl_detail", lambda **question: questions.append(question))
    return questions


def context() -> Any:
    ti = AskingTaskInstance()
    return {"ti": ti, "task_instance": ti}


def task() -> DrsApproveCleanupOperator:
    return DrsApproveCleanupOperator(task_id="approve_cleanup")


def answer(option: str, **fields: Any) -> Any:
    event = {
        "chosen_options": [option],
        "params_input": {"comment": "as planned"},
        "responded_at": dt.datetime(2026, 3, 1, 6, 1, tzinfo=dt.UTC),
        "responded_by_user": ADA,
        "timedout": False,
        **fields,
    }
    return task().execute_complete(context(), event)


ASK = {"when": "after_approval"}


def test_the_question_shows_the_instances_and_what_they_cost(
    begin: Begin, asked: list[dict[str, Any]]
) -> None:
    """It lists each instance with type and cost, how the waves ended, and until when to answer; no answer
    terminates.
    """
    run = launched(begin({**ASK, "approval_timeout": "2h", "approvers": ["ada"]}))
    run.pass_time(3600)
    with pytest.raises(TaskAwaitingInput) as waiting:
        task().execute(context())
    (question,) = asked
    assert question["subject"] == "Drill of plan orders: terminate the 2 drill instance(s) of this run?"
    assert (question["options"], question["defaults"]) == (["Terminate", "Keep"], ["Terminate"])
    assert question["assigned_users"] == [{"id": "ada", "name": "ada"}]
    assert waiting.value.timeout == dt.timedelta(hours=2)
    for told in (*run.instances(), "m5.large", "0.19 USD an hour", "wave database: 2 of 2 servers launched"):
        assert told in question["body"]
    assert "the instances are terminated" in question["body"]
    assert f"python -m drs cleanup orders --run {run.run.run_id}" in question["body"]


def test_whom_the_plan_names_is_told_once_that_an_answer_is_wanted(
    begin: Begin, asked: list[dict[str, Any]]
) -> None:
    """A retry of the task sends no second notification."""
    Noted.said = []
    launched(begin(ASK, notifications=noted()))
    for _ in range(2):
        with pytest.raises(TaskAwaitingInput):
            task().execute(context())
    assert Noted.said == ["DRILL of orders: approve the termination of the 2 drill instance(s) of this run?"]


def test_a_live_job_is_told(begin: Begin, asked: list[dict[str, Any]]) -> None:
    """Such a job may launch more instances, whatever the answer is."""
    run = begin(ASK)
    run.simulation.arm(StuckConversion(kind="stuck_conversion"))
    (job,) = run.launch().jobs
    with pytest.raises(TaskAwaitingInput):
        task().execute(context())
    assert f"1 job(s) are still live and may launch more instances: {job}" in asked[0]["body"]


def test_keep_is_recorded_with_who_and_why(begin: Begin) -> None:
    """Clean-up then keeps the instances."""
    run = launched(begin(ASK))
    answer("Keep")
    record = run.ledger.approval(CLEANUP_APPROVAL)
    assert record is not None
    assert (record.approved, record.by, record.comment) == (False, "ada", "as planned")
    assert clean_up(run)["kept"]
    assert len(run.instances()) == 2


@pytest.mark.parametrize("user", [ADA, None], ids=["a person", "by time-out"])
def test_terminate_terminates(begin: Begin, user: dict[str, str] | None) -> None:
    """If nobody answers, Airflow answers with the default."""
    run = launched(begin(ASK))
    answer("Terminate", responded_by_user=user)
    record = run.ledger.approval(CLEANUP_APPROVAL)
    assert record is not None
    assert record.answered == ("by a person" if user else "by time-out")
    assert clean_up(run)["proven"]


def test_a_keep_of_somebody_whom_the_plan_does_not_name_keeps_nothing(begin: Begin) -> None:
    """The task fails, and the instances are terminated."""
    run = launched(begin({**ASK, "approvers": ["grace"]}))
    with pytest.raises(AirflowFailException, match="APPROVAL_REJECTED") as failed:
        answer("Keep")
    assert "the plan's approvers are grace. The instances are terminated." in str(failed.value)
    assert clean_up(run)["proven"]


def test_asked_again_an_earlier_answer_is_void(begin: Begin, asked: list[dict[str, Any]]) -> None:
    """This happens when the task is cleared."""
    run = launched(begin(ASK))
    answer("Keep")
    with pytest.raises(TaskAwaitingInput):
        task().execute(context())
    assert run.ledger.approval(CLEANUP_APPROVAL) is None


@pytest.mark.parametrize(
    ("cleanup", "fields"),
    [
        (ASK, {"dry_run": True}),
        (ASK, {"keep_instances": True}),
        (ASK, {"missed": "Missed."}),
        (ASK, {"execution_type": "RECOVERY"}),
        ({"when": "always"}, {}),
    ],
    ids=str,
)
def test_nobody_is_asked_where_there_is_no_choice(
    begin: Begin, asked: list[dict[str, Any]], cleanup: dict[str, Any], fields: dict[str, Any]
) -> None:
    """Not in a dry run, a run that keeps its instances, a missed run, a real recovery, or a plan that does
    not ask.
    """
    run = begin(cleanup)
    launched(run)
    run.ledger.save_run(run.run.model_copy(update=fields))
    with pytest.raises(AirflowSkipException):
        task().execute(context())
    assert asked == []


def test_nobody_is_asked_about_nothing(begin: Begin, asked: list[dict[str, Any]]) -> None:
    """Nothing was launched, or this run's own clean-up has terminated it already."""
    run = begin(ASK)
    with pytest.raises(AirflowSkipException, match="no drill instances"):
        task().execute(context())
    launched(run)
    clean_up(run)
    with pytest.raises(AirflowSkipException, match="no drill instances"):
        task().execute(context())
    assert asked == []


def test_nobody_is_asked_about_instances_that_somebody_else_has_ended(
    begin: Begin, asked: list[dict[str, Any]]
) -> None:
    """The drill has failed: the waves were not up together. The failure names each of the two, and who."""
    run = launched(begin(ASK))
    ids = run.instances()
    job = end(run)
    with pytest.raises(AirflowFailException, match=r"RECOVERY_INSTANCE_LOST\] 2 instance") as failed:
        task().execute(context())
    assert all(instance in str(failed.value) for instance in ids)
    assert f"probably job {job} (TERMINATE" in str(failed.value)
    assert asked == []
