"""The tasks around clean-up: the question before it, and how long the instances of a good drill are kept."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import functools
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any
from unittest import mock

import pytest
from airflow.providers.standard.operators import hitl
from airflow.sdk.bases.operator import TriggerFailureReason
from airflow.sdk.exceptions import (
    AirflowFailException,
    AirflowSkipException,
    TaskDeferred,
)
from botocore.exceptions import ClientError

from drs.cleanup.clean_up import CleanUp
from drs.cleanup.lost import NOT_BY_THIS_RUN
from drs.run.proof import doubts, lost_instances
from drs.run.records import CLEANUP_APPROVAL, Resolution, WaveResolution
from drs.run.standing import describe
from drs.tasks import drill_task, question_text, standing, triggers
from drs.tasks.hook import DrsHook
from drs.tasks.links import DrsJobHistoryLink
from drs.tasks.operators import question, terminate
from drs.tasks.operators.approve_cleanup import DrsApproveCleanupOperator
from drs.tasks.operators.terminate import DrsTerminateRecoveryInstancesOperator
from drs.text import shown
from simulator.engine.faults import StuckConversion
from tests.unit.drill import DATABASE, MemoryStore, make_plan
from tests.unit.simulated import SimulatedDrill, describe_ec2
from tests.unit.task_harness import AsyncClient, FakeTaskInstance, make_context, see_through
from tests.unit.tasks.test_send_messages import Noted, noted
from tests.unit.versions import time_to_answer, waits_for_answer

A, B = DATABASE
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

        for module in (drill_task, terminate, triggers, question, question_text, standing):
            monkeypatch.setattr(module, "utc_now", run.clock.now)
        monkeypatch.setattr(terminate, "CleanUp", functools.partial(CleanUp, now=run.clock.now))
        for module in (terminate, question, standing):
            monkeypatch.setattr(module, "Ec2Instances", lambda **_: describe_ec2)
        for module in (question, standing):
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


def test_a_triggerer_that_was_down_does_not_keep_them_longer(begin: Begin) -> None:
    """Its time-out comes when ``keep_for`` is over. The task then cleans up by itself."""
    run = launched(begin({"keep_for": "3h"}))
    context = make_context(DONE)

    def make() -> DrsTerminateRecoveryInstancesOperator:
        task = DrsTerminateRecoveryInstancesOperator(task_id="terminate")
        vars(task)["hook"] = run.hook
        return task

    with pytest.raises(TaskDeferred):
        make().execute(context)
    run.pass_time(3 * 3600 + 120)
    timed_out = {"error": TriggerFailureReason.TRIGGER_TIMEOUT}
    with pytest.raises(TaskDeferred) as waits:
        make().resume_execution("__fail__", timed_out, context)
    assert waits.value.method_name == "resume"
    assert clean_up(run, method="resume")["proven"]
    assert run.ledger.losses() == ()


def test_nothing_of_a_failed_drill_is_kept_for_a_while(begin: Begin) -> None:
    """Its instances are terminated at once."""
    run = launched(begin({"keep_for": "3h"}), failed=True)
    ended = run.clock.now()
    record = clean_up(run)
    assert dt.datetime.fromisoformat(record["started_at"]) == ended


# --- what somebody else ended -----------------------------------------------------------------------------


def instances_of(run: SimulatedDrill) -> dict[str, str]:
    """The recovery instance of each server, as DRS lists it."""
    return {each.server_id: each.id for each in run.drs.recovery_instances.values()}


def lost_of(record: dict[str, Any]) -> dict[str, str | None]:
    """Why each instance in the record of clean-up is lost, if it is, by its server."""
    return {item["server_id"]: item["lost"] for item in record["instances"]}


def test_a_loss_before_clean_up_is_recorded_and_the_rest_is_terminated(begin: Begin) -> None:
    """It was ended after the last wave had passed. The run cleans up, and is red: the verdict names it."""
    run = launched(begin({"keep_for": "3h"}))
    ids = instances_of(run)
    job = end(run, A)
    deferrals: list[TaskDeferred] = []
    record = clean_up(run, deferrals)
    (loss,) = run.ledger.losses()
    assert (loss.server_id, loss.instance_id, loss.wave) == (A, ids[A], "database")
    assert job in loss.by
    assert record["proven"]
    assert run.instances() == set()
    assert [each.method_name for each in deferrals] == ["resume"], "a failed drill is kept for no time"
    assert lost_of(record) == {A: describe(loss), B: None}
    (doubt,) = lost_instances(run.ledger)
    assert doubt.startswith("[RECOVERY_INSTANCE_LOST]")
    assert ids[A] in doubt
    assert doubt in list(doubts(run.ledger, run.run, DONE | {"terminate": "success", "evidence": "success"}))


def test_an_instance_that_is_listed_late_is_waited_for_before_clean_up(begin: Begin) -> None:
    """DRS may not list it for 90 s after its launch. Then it is listed, and nothing is lost."""
    run = launched(begin({}))
    outcome = run.ledger.outcome("database")
    assert outcome is not None
    servers = [each.model_copy(update={"launched_at": run.clock.now()}) for each in outcome.servers]
    run.ledger.save_outcome("database", outcome.model_copy(update={"servers": tuple(servers)}))
    listed, until = run.hook.recovery_instances, run.clock.now() + dt.timedelta(seconds=60)

    def late(server_ids: Iterable[str]) -> list[Mapping[str, Any]]:
        items = listed(server_ids)
        return [item for item in items if run.clock.now() >= until or item["sourceServerID"] != A]

    def unseen(filters: list[dict[str, Any]]) -> Iterable[Mapping[str, Any]]:
        hidden = instances_of(run).get(A) if run.clock.now() < until else None
        return [item for item in describe_ec2(filters) if item["InstanceId"] != hidden]

    deferrals: list[TaskDeferred] = []
    with mock.patch.object(run.hook, "recovery_instances", late), see_ec2(unseen):
        record = clean_up(run, deferrals)
    assert deferrals[0].method_name == "look_again"
    assert run.ledger.losses() == ()
    assert lost_of(record) == dict.fromkeys(DATABASE)
    assert record["proven"]


@contextlib.contextmanager
def see_ec2(describe: Callable[[list[dict[str, Any]]], Iterable[Mapping[str, Any]]]) -> Iterator[None]:
    """Let the tasks see EC2 like this."""
    with (
        mock.patch.object(terminate, "Ec2Instances", return_value=describe),
        mock.patch.object(standing, "Ec2Instances", return_value=describe),
    ):
        yield


@pytest.mark.parametrize("point", ["in keep_for", "in clean-up"])
def test_a_try_that_follows_a_look_does_not_look_again(begin: Begin, point: str) -> None:
    """The worker died, and Airflow starts the task again. What somebody has ended in the meantime was there
    when the last wave had passed.
    """
    run = launched(begin({"keep_for": "3h"} if point == "in keep_for" else {}))
    task = DrsTerminateRecoveryInstancesOperator(task_id="terminate")
    vars(task)["hook"] = run.hook
    with contextlib.ExitStack() as stack:
        if point == "in clean-up":
            stack.enter_context(mock.patch.object(terminate, "CleanUp", side_effect=KeyboardInterrupt))
        with pytest.raises((TaskDeferred, KeyboardInterrupt)):
            task.execute(make_context(DONE))
    end(run, A)
    record = clean_up(run)
    assert record["proven"]
    assert run.ledger.losses() == ()
    assert lost_of(record) == {A: NOT_BY_THIS_RUN, B: None}


def test_an_aws_that_does_not_answer_the_first_look_does_not_stop_clean_up(begin: Begin) -> None:
    """Nothing then shows that an instance which is gone was still there when the last wave had passed."""
    run = launched(begin({}))
    end(run, A)
    broken = ClientError({"Error": {"Code": "RequestLimitExceeded", "Message": "no"}}, "DescribeInstances")
    with mock.patch.object(terminate, "find_losses", side_effect=broken):
        record = clean_up(run)
    assert record["proven"]
    (loss,) = run.ledger.losses()
    assert (loss.server_id, loss.what) == (A, "was gone when clean-up came")
    assert list(lost_instances(run.ledger))


def test_a_loss_of_an_optional_server_is_a_warning(begin: Begin) -> None:
    """It is on record, and the instances of the drill are kept for their time."""
    groups = {
        "database": {"source_servers": [A], "optional": True},
        "application": {"source_servers": [B]},
    }
    waves = [{"name": "database", "protection_groups": ["database", "application"]}]
    run = launched(begin({"keep_for": "3h"}, protection_groups=groups, waves=waves))
    end(run, A)
    deferrals: list[TaskDeferred] = []
    record = clean_up(run, deferrals)
    assert deferrals[0].method_name == "resume_kept"
    (loss,) = run.ledger.losses()
    assert loss.optional
    assert list(lost_instances(run.ledger)) == []
    assert lost_of(record) == {A: describe(loss), B: None}


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
    with pytest.raises(waits_for_answer()) as waiting:
        task().execute(context())
    (sent,) = asked
    assert sent["subject"] == "Drill of plan orders: terminate the 2 drill instance(s) of this run?"
    assert (sent["options"], sent["defaults"]) == (["Terminate", "Keep"], ["Terminate"])
    assert sent["assigned_users"] == [{"id": "ada", "name": "ada"}]
    assert time_to_answer(waiting.value) == dt.timedelta(hours=2)
    body = sent["body"]
    for told in (*run.instances(), "m5.large", "0.19 USD an hour", "wave database: 2 of 2 servers launched"):
        assert told in body
    assert "the instances are terminated" in body
    assert f"`python -m drs cleanup orders --run {run.run.run_id}`" in body


def test_the_question_shows_the_instances_as_they_are_now_and_what_preflight_warned_of(
    begin: Begin, asked: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As tables that Airflow's page draws. An instance may have been stopped since its wave was validated."""
    launched(begin(ASK))
    asking = context()
    finding = {"severity": "warning", "code": "LEFTOVER_DRILL_INSTANCE", "wave": None, "server_id": None}
    asking["ti"].pushed["preflight", "findings"] = [{**finding, "seen": "Server *s-1* has one."}]

    def stopped(filters: Any) -> Iterator[dict[str, Any]]:
        for item in describe_ec2(filters):
            yield {**item, "State": {"Name": "stopped"}}

    monkeypatch.setattr(question, "Ec2Instances", lambda **_: stopped)
    with pytest.raises(waits_for_answer()):
        task().execute(asking)
    lines = asked[0]["body"].splitlines()
    (table,) = [n for n, line in enumerate(lines) if line.startswith("| server | name | instance | state |")]
    assert lines[table - 1] == ""
    assert lines[table + 1].replace("-", "").replace("|", "").split() == []
    rows = [line for line in lines[table + 2 :] if line.startswith("| `s-") and "`i-" in line]
    assert {row.split(" | ")[0].strip("| `") for row in rows} == set(DATABASE)
    assert all("| `db-" in row and "| `stopped` |" in row for row in rows)
    assert "| `warning` | `LEFTOVER_DRILL_INSTANCE` | `the run` |  | Server \\*s-1\\* has one. |" in lines
    assert "```" not in asked[0]["body"]


def test_whom_the_plan_names_is_told_once_that_an_answer_is_wanted(
    begin: Begin, asked: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A retry of the task sends no second notification."""
    monkeypatch.setenv("AIRFLOW__DRS__ALLOWED_NOTIFIERS", "tests.*")
    Noted.said = []
    launched(begin(ASK, notifications=noted()))
    for _ in range(2):
        with pytest.raises(waits_for_answer()):
            task().execute(context())
    assert Noted.said == ["DRILL of orders: approve the termination of the 2 drill instance(s) of this run?"]


def test_a_live_job_is_told(begin: Begin, asked: list[dict[str, Any]]) -> None:
    """Such a job may launch more instances, whatever the answer is."""
    run = begin(ASK)
    run.simulation.arm(StuckConversion(kind="stuck_conversion"))
    (job,) = run.launch().jobs
    with pytest.raises(waits_for_answer()):
        task().execute(context())
    told = f"1 job(s) are still live and may launch more instances: {job}."
    assert shown.markdown_sentence(told) in asked[0]["body"]


def test_keep_is_recorded_with_who_and_why(begin: Begin) -> None:
    """Clean-up then keeps the instances."""
    run = launched(begin(ASK))
    answer("Keep")
    record = run.ledger.approval(CLEANUP_APPROVAL)
    assert record is not None
    assert (record.approved, record.by, record.comment) == (False, "ada", "as planned")
    assert clean_up(run)["kept"]
    assert len(run.instances()) == 2


def test_a_keep_that_cannot_be_kept_is_red(begin: Begin, asked: list[dict[str, Any]]) -> None:
    """Somebody ended one of the two while the question was open. The other one is kept, and the record says
    what became of each.
    """
    run = launched(begin(ASK))
    with pytest.raises(waits_for_answer()):
        task().execute(context())
    ids = instances_of(run)
    answer("Keep")
    end(run, A)
    record = clean_up(run)
    assert record["kept"]
    assert instances_of(run) == {B: ids[B]}
    (loss,) = run.ledger.losses()
    assert loss.instance_id == ids[A]
    assert lost_of(record) == {A: describe(loss), B: None}
    assert list(lost_instances(run.ledger))


def test_a_keep_of_what_goes_away_at_the_last_moment_is_red(
    begin: Begin, asked: list[dict[str, Any]]
) -> None:
    """After the first look of clean-up's task, both were gone. Nothing is left to keep."""
    run = launched(begin(ASK))
    answer("Keep")
    ids = instances_of(run)
    task = DrsTerminateRecoveryInstancesOperator(task_id="terminate")
    vars(task)["hook"] = run.hook
    with (
        mock.patch.object(terminate, "decide", side_effect=KeyboardInterrupt),
        pytest.raises(KeyboardInterrupt),
    ):
        task.execute(make_context(DONE))
    assert run.ledger.losses() == ()
    end(run)
    record = clean_up(run)
    assert set(lost_of(record)) == set(DATABASE)
    assert all(lost_of(record).values())
    assert {loss.instance_id for loss in run.ledger.losses()} == set(ids.values())
    assert {loss.what for loss in run.ledger.losses()} == {"was gone when it was to be kept"}


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
    with pytest.raises(waits_for_answer()):
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
