"""The questions: when a person is asked, what is shown, and what each answer means."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from airflow.providers.standard.operators import hitl
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from drs.errors import Code, RecoveryInstanceLost
from drs.plan import Plan
from drs.preflight.findings import Finding, Report
from drs.run.ledger import Ledger
from drs.run.records import (
    RECOVERY_APPROVAL,
    ApprovalRecord,
    Resolution,
    ResolvedServer,
    RunRecord,
    ServerRecord,
    WaveOutcome,
    WaveResolution,
)
from drs.tasks import question_text
from drs.tasks.operators import approve, question
from drs.tasks.operators.approve import DrsApproveRecoveryOperator, DrsApproveWaveOperator
from tests.unit.drill import APPLICATION, DATABASE, after, make_plan, make_run
from tests.unit.task_harness import FakeTaskInstance
from tests.unit.versions import time_to_answer, waits_for_answer

NOW = after(0)
ADA = {"id": "7", "name": "ada"}


class AskingTaskInstance(FakeTaskInstance):
    """A task instance with an id and, in test_approve, with preflight's findings in XCom."""

    id = uuid.UUID(int=1)

    def __init__(self, findings: list[dict[str, Any]] | None) -> None:
        super().__init__()
        self.pushed["preflight", "findings"] = findings


def plan_asking(**approval: Any) -> Plan:
    """A plan whose second wave asks for an approval."""
    return make_plan(
        allow_recovery=True,
        waves=[
            {"name": "database", "protection_groups": ["database"]},
            {"name": "application", "protection_groups": ["application"], "approval": approval},
        ],
    )


def resolve(servers: tuple[str, ...]) -> WaveResolution:
    return WaveResolution(
        servers=tuple(
            ResolvedServer(server_id=server, name=f"name of {server}", group="g") for server in servers
        )
    )


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (approve, question, question_text):
        monkeypatch.setattr(module, "utc_now", lambda: NOW)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """The questions that were sent to Airflow."""
    questions: list[dict[str, Any]] = []
    monkeypatch.setattr(hitl, "upsert_hitl_detail", lambda **question: questions.append(question))
    return questions


@pytest.fixture
def begin(ledger: Ledger) -> Callable[..., RunRecord]:
    """Record a run up to its preflight."""

    def begin(plan: Plan | None = None, **fields: Any) -> RunRecord:
        run = make_run(plan or plan_asking(), **fields)
        ledger.save_run(run)
        waves = {"database": resolve(DATABASE), "application": resolve(APPLICATION)}
        ledger.save_resolution(Resolution(waves=waves))
        return run

    return begin


def wave_task() -> DrsApproveWaveOperator:
    return DrsApproveWaveOperator(task_id="approve", wave="application")


def recovery_task() -> DrsApproveRecoveryOperator:
    return DrsApproveRecoveryOperator(task_id="approve_recovery")


def context(findings: list[dict[str, Any]] | None = None) -> Any:
    ti = AskingTaskInstance(findings)
    return {"ti": ti, "task_instance": ti}


def ask(task: Any, findings: list[dict[str, Any]] | None = None) -> Any:
    """Run a task until it waits for an answer."""
    with pytest.raises(waits_for_answer()) as waiting:
        task.execute(context(findings))
    return waiting.value


def answer(task: Any, option: str = "Approve", **fields: Any) -> Any:
    """Resume a task with an answer, as another process does."""
    event = {
        "chosen_options": [option],
        "params_input": {"comment": "as planned"},
        "responded_at": after(60),
        "responded_by_user": ADA,
        "timedout": False,
        **fields,
    }
    return task.execute_complete(context(), event)


SILENCE = {"error": "The response timeout has passed.", "error_type": "timeout"}


# --- the question -----------------------------------------------------------------------------------------


def test_a_wave_s_question_tells_all_that_one_needs_to_decide(
    begin: Any, ledger: Ledger, asked: list[dict[str, Any]]
) -> None:
    """The question names what, who, why, until when, the servers, their findings, and the waves before."""
    begin(initiator="ada (manual)", reason="audit {{ ds }}")
    ledger.save_outcome(
        "database",
        WaveOutcome(
            servers=tuple(
                ServerRecord(
                    server_id=server,
                    name="db",
                    job_id="drsjob-1",
                    launched=server == DATABASE[0],
                    optional=True,
                    error=None if server == DATABASE[0] else "no capacity",
                )
                for server in DATABASE
            )
        ),
    )
    report = Report(
        findings=tuple(
            Finding(code=code, seen=seen, remedy="", wave=wave, severity="warning")
            for code, seen, wave in (
                (Code.AGENT_NOT_REPORTING, "silent for 2 h", "application"),
                (Code.LEFTOVER_DRILL_INSTANCE, "not shown", "database"),
                (Code.CHECK_UNAVAILABLE, "of the account", None),
            )
        )
    )
    waiting = ask(wave_task(), report.as_json())
    (question,) = asked
    assert question["subject"] == "DRILL of plan orders: approve wave application?"
    assert question["options"] == ["Approve", "Reject"]
    lines = question["body"].splitlines()
    for told in (
        "- Started by `ada (manual)`.",
        "- Reason: `audit {{ ds }}`.",
        "- Account 111122223333, Region us-east-1.",
        "- Recovery point: the latest state.",
        "- Without an answer by 2026-03-01 10:00:00 UTC wave application is rejected.",
        *(f"| `application` | `{server}` | `name of {server}` |  |" for server in APPLICATION),
        "| `warning` | `AGENT_NOT_REPORTING` | `application` |  | silent for 2 h |",
        "| `warning` | `CHECK_UNAVAILABLE` | `the run` |  | of the account |",
        "- wave database: 1 of 2 servers launched",
        f"- wave database: {DATABASE[1]} (`db`) did not launch: `no capacity`",
    ):
        assert told in lines
    assert "not shown" not in question["body"]
    assert time_to_answer(waiting) == timedelta(hours=4)
    assert question["defaults"] is None


@pytest.mark.parametrize("make", [wave_task, recovery_task])
def test_nobody_is_asked_once_the_run_has_lost_an_instance(
    begin: Any,
    ledger: Ledger,
    asked: list[dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
    make: Callable[[], Any],
) -> None:
    """No answer could save the drill. The failure is on record with its code."""

    def lost(known: Ledger, run: RunRecord, log: Any) -> None:
        assert known.run() == run
        raise RecoveryInstanceLost("Wave database: instance i-1 is gone.")

    begin(execution_type="RECOVERY", reason="us-east-1 is down")
    monkeypatch.setattr(approve, "require_standing_before_question", lost)
    with pytest.raises(AirflowFailException, match=r"RECOVERY_INSTANCE_LOST\] Wave database: instance i-1"):
        make().execute(context())
    assert asked == []
    failure = ledger.failure(AskingTaskInstance.task_id)
    assert failure is not None
    assert failure.code == "RECOVERY_INSTANCE_LOST"


def test_a_recovery_s_question_says_that_it_is_real(begin: Any, asked: list[dict[str, Any]]) -> None:
    """It also lists the servers of every wave of the run."""
    begin(execution_type="RECOVERY", reason="us-east-1 is down", recovery_point=after(-600))
    waiting = ask(recovery_task())
    (question,) = asked
    assert question["subject"] == "RECOVERY of plan orders: approve the real recovery?"
    assert "**This is a real recovery (isDrill false). DRS cleans up" in question["body"]
    assert "Recovery point: at or before 2026-03-01T05:50:00Z." in question["body"]
    for server in (*DATABASE, *APPLICATION):
        assert server in question["body"]
    assert (time_to_answer(waiting), question["defaults"]) == (timedelta(hours=4), None)


@pytest.mark.parametrize("execution_type", ["DRILL", "RECOVERY"])
def test_silence_may_approve_a_drill_s_wave_and_never_a_recovery_s(
    begin: Any, asked: list[dict[str, Any]], execution_type: str
) -> None:
    """Airflow gets the default answer, and the reader sees what no answer means."""
    begin(plan_asking(timeout="10m", on_timeout="approve"), execution_type=execution_type)
    waiting = ask(wave_task())
    drill = execution_type == "DRILL"
    assert asked[0]["defaults"] == (["Approve"] if drill else None)
    assert f"06:10:00 UTC wave application is {'approved' if drill else 'rejected'}." in asked[0]["body"]
    assert time_to_answer(waiting) == timedelta(minutes=10)


def test_airflow_is_told_who_may_answer(begin: Any, asked: list[dict[str, Any]]) -> None:
    """A wave's approvers are those that it names; a recovery's are those of all waves together."""
    begin(plan_asking(approvers=["ada", "bob"]), execution_type="RECOVERY")
    ask(wave_task())
    ask(recovery_task())
    for each in asked:
        assert [user["id"] for user in each["assigned_users"]] == ["ada", "bob"]


# --- nobody is asked --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"dry_run": True}, "dry run"),
        ({"waves": ["database"]}, "was not chosen"),
        ({"missed": "Missed."}, "Missed"),
    ],
    ids=str,
)
def test_nobody_is_asked_about_a_wave_that_is_not_launched(
    begin: Any, ledger: Ledger, asked: list[dict[str, Any]], fields: dict[str, Any], why: str
) -> None:
    """The task skips itself, because there is nothing to approve."""
    begin(**fields)
    with pytest.raises(AirflowSkipException, match=why):
        wave_task().execute(context())
    assert (asked, ledger.approval("application")) == ([], None)


def test_nobody_is_asked_where_the_run_s_plan_asks_for_nothing(
    begin: Any, asked: list[dict[str, Any]]
) -> None:
    """The approval was added to the file while the run was active, so this run does not ask."""
    begin(make_plan())
    with pytest.raises(AirflowSkipException, match="asks for no approval"):
        wave_task().execute(context())
    assert asked == []


def test_a_skippable_approval_is_passed_by_and_goes_on_record(
    begin: Any, ledger: Ledger, asked: list[dict[str, Any]]
) -> None:
    """The record names who skipped it. An approval that is not skippable is still asked for."""
    begin(plan_asking(skippable=True), skip_approvals=True, initiator="ada (manual)")
    with pytest.raises(AirflowSkipException, match="skip_approvals"):
        wave_task().execute(context())
    skipped = ledger.approval("application")
    assert skipped == ApprovalRecord(approved=True, answered="skipped", by="ada (manual)", at=NOW)
    begin(plan_asking(), skip_approvals=True)
    ask(wave_task())
    assert len(asked) == 1


@pytest.mark.parametrize(
    "fields", [{}, {"execution_type": "RECOVERY", "dry_run": True}], ids=["a drill", "a dry run"]
)
def test_nobody_is_asked_about_a_recovery_that_is_none(
    begin: Any, asked: list[dict[str, Any]], fields: dict[str, Any]
) -> None:
    """In a drill and in a dry run the task skips itself at once."""
    begin(**fields)
    with pytest.raises(AirflowSkipException):
        recovery_task().execute(context())
    assert asked == []


# --- the answer -------------------------------------------------------------------------------------------


def test_a_yes_goes_on_record(begin: Any, ledger: Ledger) -> None:
    """The record has the person, the time and the comment."""
    begin(execution_type="RECOVERY")
    answer(recovery_task())
    assert ledger.approval(RECOVERY_APPROVAL) == ApprovalRecord(
        approved=True, answered="by a person", by="ada", at=after(60), comment="as planned"
    )


def test_a_no_fails_and_goes_on_record(begin: Any, ledger: Ledger) -> None:
    """The message says who rejected it, when and why. Airflow does not retry the task."""
    begin()
    with pytest.raises(AirflowFailException) as failed:
        answer(wave_task(), "Reject")
    told = "[APPROVAL_REJECTED] Wave application rejected by ada at 06:01:00 UTC, comment: as planned"
    assert str(failed.value).startswith(told)
    record = ledger.approval("application")
    assert record is not None
    assert not record.approved


def test_no_answer_fails_and_goes_on_record(begin: Any, ledger: Ledger) -> None:
    """The record says no, by time-out, and names no person."""
    begin(execution_type="RECOVERY")
    with pytest.raises(
        AirflowFailException,
        match=r"\[APPROVAL_TIMEOUT\] Nobody answered within 4 h whether the real recovery",
    ):
        recovery_task().execute_complete(context(), SILENCE)
    record = ledger.approval(RECOVERY_APPROVAL)
    assert record is not None
    assert (record.approved, record.answered) == (False, "by time-out")


@pytest.mark.parametrize(
    "fields", [{"option": "Reject"}, {"responded_by_user": None, "timedout": True, **SILENCE}]
)
def test_after_a_no_or_no_answer_a_new_run_asks_again(
    begin: Any, ledger: Ledger, fields: dict[str, Any]
) -> None:
    """As the remedies of APPROVAL_REJECTED and APPROVAL_TIMEOUT say."""
    begin()
    with pytest.raises(AirflowFailException, match=r"[Ss]tart a new run"):
        answer(wave_task(), **fields)
    begin(run_id="manual__2", token="fedcba9876543210")
    answer(wave_task())
    record = ledger.approval("application")
    assert record is not None
    assert record.approved


def test_silence_that_approves_goes_on_record_as_silence(begin: Any, ledger: Ledger) -> None:
    """The record names no person."""
    begin(plan_asking(on_timeout="approve"))
    answer(wave_task(), responded_by_user=None, timedout=True, params_input={"comment": None})
    assert ledger.approval("application") == ApprovalRecord(
        approved=True, answered="by time-out", by="", at=after(60)
    )


@pytest.mark.parametrize("approver", ["ada", "7"])
def test_an_approver_is_known_by_name_or_by_id(begin: Any, ledger: Ledger, approver: str) -> None:
    """Which of the two people know depends on Airflow's login system."""
    begin(plan_asking(approvers=[approver]))
    assert answer(wave_task())["approved"]


def test_the_answer_of_a_stranger_counts_for_nothing(begin: Any, ledger: Ledger) -> None:
    """Airflow refuses such an answer itself, except where everybody is an administrator."""
    begin(plan_asking(approvers=["bob"]), execution_type="RECOVERY")
    for task, about in ((wave_task(), "application"), (recovery_task(), RECOVERY_APPROVAL)):
        with pytest.raises(AirflowFailException, match="the plan's approvers are bob"):
            answer(task)
        record = ledger.approval(about)
        assert record is not None
        assert not record.approved


def test_a_question_that_is_asked_again_says_so_and_is_sent_again(
    begin: Any, asked: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Airflow lost the answer of a program that gave it at once, and has tried the task again."""
    sent: list[str] = []
    monkeypatch.setattr(question, "notify_question", lambda *_, about, **__: sent.append(about))
    begin(execution_type="RECOVERY")
    ask(recovery_task())
    monkeypatch.setattr(AskingTaskInstance, "try_number", 2)
    ask(recovery_task())
    again = ["**This question is asked again (try 2). An" in each["body"] for each in asked]
    assert again == [False, True]
    assert len(set(sent)) == 2


def test_to_ask_again_takes_back_the_answer(begin: Any, ledger: Ledger, asked: list[dict[str, Any]]) -> None:
    """When the task is cleared, there is no approval until the new question is answered."""
    begin(execution_type="RECOVERY")
    answer(recovery_task())
    ask(recovery_task())
    assert ledger.approval(RECOVERY_APPROVAL) is None
    assert len(asked) == 1
