"""Telling people: every event once, by every notifier, and never at the drill's expense."""

from __future__ import annotations

import datetime as dt
import json
import logging
import threading
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from airflow.sdk import BaseNotifier
from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowSkipException
from moto import mock_aws

from drs.errors import DrillFailed, DrsUnavailable
from drs.plan import Approval
from drs.run.ledger import Ledger
from drs.run.records import FailureRecord, ServerRecord, WaveOutcome
from drs.tasks import best_effort
from drs.tasks.drill_task import coded_failures
from drs.tasks.send_messages import (
    announce_failure,
    announce_pass,
    announce_question,
    announce_start,
    announce_wave,
)
from tests.unit.drill import after, make_plan, make_run
from tests.unit.task_harness import make_context

TOPIC = "arn:aws:sns:eu-west-1:123456789012:drills"
HERE = "tests.unit.tasks.test_send_messages"
FAILURE = FailureRecord(code="SERVER_LAUNCH_FAILED", message="no capacity")


class Noted(BaseNotifier):
    """Remembers what it was asked to say."""

    template_fields = ("text",)
    said: list[Any] = []  # noqa: RUF012

    def __init__(self, *, text: Any) -> None:
        super().__init__()
        self.text = text

    def notify(self, context: Any) -> None:
        self.said.append(self.text)


class Hanging(BaseNotifier):
    """Waits for an answer that never comes."""

    released = threading.Event()

    def notify(self, context: Any) -> None:
        self.released.wait(30)


@pytest.fixture(autouse=True)
def said() -> Iterator[list[Any]]:
    Noted.said = []
    Hanging.released.clear()
    yield Noted.said
    Hanging.released.set()


def noted(*more: dict[str, Any], text: Any = "{{ drs.subject }}") -> dict[str, Any]:
    return {"notifiers": [*more, {"notifier": f"{HERE}.Noted", "parameters": {"text": text}}]}


def begin(ledger: Ledger, notifications: dict[str, Any], **run: Any) -> None:
    ledger.save_run(make_run(make_plan(notifications=notifications), **run))


def context(task_id: str = "verdict", try_number: int = 1) -> Any:
    context = make_context()
    context["ti"].task_id, context["ti"].try_number = task_id, try_number
    return context


def outcome(job_id: str = "drsjob-1") -> WaveOutcome:
    server = ServerRecord(server_id="s-1", name="db-1", job_id=job_id, launched=True, optional=False)
    return WaveOutcome(servers=(server,))


def test_a_notifier_fills_its_own_templates_from_the_notice(ledger: Ledger, said: list[Any]) -> None:
    """At every depth, and with all that a notice knows."""
    text = ["{{ drs.event }} {{ drs.plan }}", {"a": "{{ drs.account_id }} {{ drs.region }} {{ drs.link }}"}]
    begin(ledger, noted(text=text))
    announce_start(context("begin"), ledger)
    ((first, second),) = said
    assert first == "started orders"
    assert second["a"].startswith("111122223333 us-east-1 http")


def test_braces_in_what_is_told_are_text(ledger: Ledger, said: list[Any]) -> None:
    """Nobody runs a template by giving a reason, or by an error of DRS."""
    begin(ledger, noted(text="{{ drs.message }}"), reason="{{ 6 * 7 }} {% raise")
    announce_start(context("begin"), ledger)
    assert "Reason: {{ 6 * 7 }} {% raise" in said[0]


def test_sns_is_told_in_the_region_of_its_arn(ledger: Ledger) -> None:
    """With attributes by which a subscription may choose."""
    with mock_aws():
        sns, sqs = boto3.client("sns", region_name="eu-west-1"), boto3.client("sqs", region_name="eu-west-1")
        assert sns.create_topic(Name="drills")["TopicArn"] == TOPIC
        queue = sqs.create_queue(QueueName="people")["QueueUrl"]
        sns.subscribe(TopicArn=TOPIC, Protocol="sqs", Endpoint="arn:aws:sqs:eu-west-1:123456789012:people")
        begin(ledger, {"sns_topic_arn": TOPIC})
        announce_start(context("begin"), ledger)
        (message,) = sqs.receive_message(QueueUrl=queue)["Messages"]
    body = json.loads(message["Body"])
    assert body["Subject"] == "DRILL of orders: begun"
    assert body["Message"].startswith("DRILL of plan orders has begun.")
    assert body["MessageAttributes"]["event"] == {"Type": "String", "Value": "started"}
    assert ledger.notes("begin") == ()


@pytest.mark.parametrize(
    ("notifier", "cause"),
    [
        (f"{HERE}.Nobody", "AttributeError"),
        ("no.such.Module", "ModuleNotFoundError"),
        ("builtins.dict", "TypeError: builtins.dict makes no Airflow notifier"),
    ],
)
def test_a_failing_notifier_is_remarked_and_the_next_one_is_used(
    ledger: Ledger, said: list[Any], caplog: pytest.LogCaptureFixture, notifier: str, cause: str
) -> None:
    """In the log and in the run's records, with the notifier and the cause."""
    begin(ledger, noted({"notifier": notifier}))
    announce_start(context("begin"), ledger)
    (remark,) = ledger.notes("begin")
    assert remark.startswith(f"Telling notifier {notifier} of started failed: {cause}")
    assert f"{remark}. The run goes on." in caplog.text
    assert said == ["DRILL of orders: begun"]


def test_a_notifier_that_hangs_is_not_waited_for(
    ledger: Ledger, said: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The drill goes on after a bounded time."""
    monkeypatch.setattr(best_effort, "PATIENCE", 0.05)
    begin(ledger, noted({"notifier": f"{HERE}.Hanging"}))
    announce_start(context("begin"), ledger)
    assert "no answer within" in ledger.notes("begin")[0]
    assert said == ["DRILL of orders: begun"]


def test_records_that_cannot_be_written_fail_nothing(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """What is beside a task's work never fails it."""
    begin(ledger, noted())
    monkeypatch.setattr(ledger, "save_notified", lambda *_: 1 / 0)
    announce_start(context("begin"), ledger)
    assert "announce_start failed: ZeroDivisionError" in caplog.text


def test_a_retried_task_tells_an_event_once(ledger: Ledger, said: list[Any]) -> None:
    """A wave that is launched anew, by other jobs, is another event; so is a question after an answer."""
    begin(ledger, noted())
    gate = context("wave_database.wait_until_launched")
    for job_id in ("drsjob-1", "drsjob-1", "drsjob-2"):
        ledger.save_outcome("database", outcome(job_id))
        announce_wave(gate, ledger, "database")
    assert said == ["DRILL of orders: wave database completed"] * 2
    said.clear()
    for about in ("web", "web", "web after 06:00"):
        announce_question(
            context("wave_web.approve"),
            ledger,
            about=about,
            what="wave web",
            rule=Approval(approvers=("alice",)),
            until=after(60) + dt.timedelta(0),
            passes=True,
            body="?",
        )
    assert said == ["DRILL of orders: approve wave web?"] * 2


@pytest.mark.parametrize(
    ("retryable", "try_number", "told"),
    [(True, 1, False), (True, 2, False), (True, 3, True), (False, 1, True)],
)
def test_a_failure_is_told_when_airflow_will_not_try_again(
    ledger: Ledger, said: list[Any], *, retryable: bool, try_number: int, told: bool
) -> None:
    """Two retries come first, where one can help."""
    begin(ledger, noted())
    announce_failure(context("terminate", try_number), ledger, FAILURE, retryable=retryable)
    assert said == (["DRILL of orders: SERVER_LAUNCH_FAILED in terminate"] if told else [])


def test_the_end_is_told_with_the_hash_of_the_record(ledger: Ledger, said: list[Any]) -> None:
    """Passed or failed; a task's failure alone is not the end."""
    begin(ledger, noted(text="{{ drs.event }} {{ drs.evidence_hash }}"))
    end = context("verdict")
    end["ti"].xcom["evidence"] = {"hash": "abc123"}
    announce_pass(end, ledger, "The drill passed.")
    announce_failure(end, ledger, FAILURE, retryable=False)
    assert said == ["passed abc123", "failed abc123"]


def test_a_run_that_was_refused_or_missed_tells_nothing(ledger: Ledger, said: list[Any]) -> None:
    """It touched nothing, and somebody else's run may be under way."""
    announce_failure(context("begin"), ledger, FAILURE, retryable=False)
    announce_failure(context("verdict"), ledger, FAILURE, retryable=False)
    begin(ledger, noted())
    announce_failure(context("begin"), ledger, FAILURE, retryable=False)
    begin(ledger, noted(), missed="its time went by")
    announce_pass(context("verdict"), ledger, "missed")
    assert said == []


class Task:
    """Raises what a test wants."""

    log = logging.getLogger("drill")

    def __init__(self, error: BaseException) -> None:
        self.error = error

    @coded_failures
    def execute(self, context: Any) -> None:
        raise self.error


@pytest.mark.parametrize(
    ("error", "try_number", "told"),
    [
        (DrillFailed("no"), 1, ["DRILL of orders: DRILL_FAILED in preflight"]),
        (DrsUnavailable("no"), 1, []),
        (DrsUnavailable("no"), 3, ["DRILL of orders: DRS_UNAVAILABLE in preflight"]),
        (ZeroDivisionError("a bug"), 1, []),
        (ZeroDivisionError("a bug"), 3, ["DRILL of orders: failure in preflight"]),
        (AirflowFailException("no"), 1, ["DRILL of orders: failure in preflight"]),
        (AirflowSkipException("left out"), 3, []),
    ],
    ids=str,
)
def test_every_task_tells_of_its_own_failure(
    ledger: Ledger, said: list[Any], error: Exception, try_number: int, told: list[str]
) -> None:
    """With a code or without; a skipped task has not failed."""
    begin(ledger, noted())
    with pytest.raises((AirflowException, ZeroDivisionError)):
        Task(error).execute(context("preflight", try_number))
    assert said == told
