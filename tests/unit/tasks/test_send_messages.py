"""Notifications: every event is sent once, by every notifier, and a failure to send never fails the drill."""

from __future__ import annotations

import datetime as dt
import json
import logging
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from airflow.sdk import BaseNotifier
from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowSkipException
from airflow.sdk.execution_time import macros
from moto import mock_aws

from drs.errors import DrillFailed, DrsUnavailable
from drs.plan import Approval
from drs.run.ledger import Ledger
from drs.run.records import FailureRecord, ServerRecord, WaveOutcome
from drs.tasks import best_effort
from drs.tasks.drill_task import coded_failures
from drs.tasks.send_messages import (
    notify_failure,
    notify_pass,
    notify_question,
    notify_start,
    notify_wave,
)
from tests.unit.drill import after, make_plan, make_run
from tests.unit.task_harness import make_context

TOPIC = "arn:aws:sns:eu-west-1:123456789012:drills"
HERE = "tests.unit.tasks.test_send_messages"
FAILURE = FailureRecord(code="SERVER_LAUNCH_FAILED", message="no capacity")


@pytest.fixture(autouse=True)
def _allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Plans may name the notifiers below, and some that do not exist."""
    monkeypatch.setenv("AIRFLOW__DRS__ALLOWED_NOTIFIERS", "airflow.*, tests.*, no.such.*, builtins.dict")


class Noted(BaseNotifier):
    """A notifier that remembers what it was asked to send."""

    template_fields = ("text",)
    said: list[Any] = []  # noqa: RUF012

    def __init__(self, *, text: Any) -> None:
        super().__init__()
        self.text = text

    def notify(self, context: Any) -> None:
        self.said.append(self.text)


class Hanging(BaseNotifier):
    """A notifier that waits for an answer that never comes."""

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
    """Templates are filled at every depth, with every field of the notice."""
    text = ["{{ drs.event }} {{ drs.plan }}", {"a": "{{ drs.account_id }} {{ drs.region }} {{ drs.link }}"}]
    begin(ledger, noted(text=text))
    notify_start(context("begin"), ledger)
    ((first, second),) = said
    assert first == "started orders"
    assert second["a"].startswith("111122223333 us-east-1 http")


HOSTILE = [
    "{{ macros.uuid.os.system('touch TOUCHED') }}",
    "{{ conn.aws_default.password }}",
    "{{ var.value.get('drs_installation') }}",
    "{{ ti.xcom_push(key='run', value=1) }}",
    "{{ dag.get_template_env().globals }}",
    "{{ self._TemplateReference__context.environment.add_extension('armed_extension.Any') }}",
    "{{ drs.__class__.__init__.__globals__ }}",
    "{{ drs.message.__class__.__mro__[1].__subclasses__() }}",
]
"""What a template could do that sees Airflow's objects, or that leaves the sandbox."""


@pytest.mark.parametrize("template", HOSTILE)
def test_a_template_of_a_plan_runs_no_code_and_reads_no_secret(
    ledger: Ledger, said: list[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, template: str
) -> None:
    """It sees the notice, and texts such as the run's id. A plan is configuration, and not code."""
    touched = tmp_path / "touched"
    (tmp_path / "armed_extension.py").write_text(f"open({str(touched)!r}, 'w')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "armed_extension", raising=False)
    seen: Any = {
        **context("begin"),
        "macros": macros,
        "conn": Secrets(),
        "var": Secrets(),
        "run_id": "manual__1",
    }
    begin(ledger, noted(text=f"{{{{ run_id }}}} {template}".replace("TOUCHED", str(touched))))
    pushed: list[Any] = []
    seen["ti"].xcom_push = lambda **value: pushed.append(value)
    notify_start(seen, ledger)
    assert (touched.exists(), pushed) == (False, [])
    # A template that cannot be filled is a failure of its notifier; one that gives nothing is sent.
    assert said in ([], ["manual__1 "])
    assert bool(ledger.notes("begin")) == (said == [])


class Secrets:
    """Stands in for Airflow's connections and Variables."""

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"read {name}")


def test_braces_in_what_is_told_are_text(ledger: Ledger, said: list[Any]) -> None:
    """A reason, or an error of DRS, must never run as a template."""
    begin(ledger, noted(text="{{ drs.message }}"), reason="{{ 6 * 7 }} {% raise")
    notify_start(context("begin"), ledger)
    assert "Reason: {{ 6 * 7 }} {% raise" in said[0]


def test_sns_is_told_in_the_region_of_its_arn(ledger: Ledger) -> None:
    """The message has attributes by which a subscription can filter."""
    with mock_aws():
        sns, sqs = boto3.client("sns", region_name="eu-west-1"), boto3.client("sqs", region_name="eu-west-1")
        assert sns.create_topic(Name="drills")["TopicArn"] == TOPIC
        queue = sqs.create_queue(QueueName="people")["QueueUrl"]
        sns.subscribe(TopicArn=TOPIC, Protocol="sqs", Endpoint="arn:aws:sqs:eu-west-1:123456789012:people")
        begin(ledger, {"sns_topic_arn": TOPIC})
        notify_start(context("begin"), ledger)
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
        (
            "builtins.dict",
            "InvalidField: [INVALID_FIELD] builtins.dict is not an Airflow notifier, so it was",
        ),
    ],
)
def test_a_failing_notifier_is_noted_and_the_next_one_is_used(
    ledger: Ledger, said: list[Any], caplog: pytest.LogCaptureFixture, notifier: str, cause: str
) -> None:
    """The log and the run's records name the notifier and the cause."""
    begin(ledger, noted({"notifier": notifier}))
    notify_start(context("begin"), ledger)
    (note,) = ledger.notes("begin")
    assert note.startswith(f"Notice 'started' by notifier {notifier} failed: {cause}")
    assert f"{note.rstrip('.')}. The run goes on." in caplog.text
    assert said == ["DRILL of orders: begun"]


def test_a_notifier_that_is_not_allowed_is_neither_imported_nor_called(
    ledger: Ledger, said: list[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other notifiers are used, and the run goes on. Preflight then refuses the plan."""
    (tmp_path / "armed_notifier.py").write_text("raise SystemExit")
    monkeypatch.syspath_prepend(tmp_path)
    touched = tmp_path / "touched"
    begin(
        ledger,
        noted(
            {"notifier": "armed_notifier.Notifier"},
            {"notifier": "subprocess.Popen", "parameters": {"args": ["touch", str(touched)]}},
        ),
    )
    notify_start(context("begin"), ledger)
    assert [note.split(" failed: ")[1].split(".")[0] for note in ledger.notes("begin")] == [
        "InvalidField: [INVALID_FIELD] The notifier armed_notifier",
        "InvalidField: [INVALID_FIELD] The notifier subprocess",
    ]
    assert "armed_notifier" not in sys.modules
    assert not touched.exists()
    assert said == ["DRILL of orders: begun"]


def test_a_notifier_that_hangs_is_not_waited_for(
    ledger: Ledger, said: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The drill continues after a bounded time."""
    monkeypatch.setattr(best_effort, "PATIENCE", 0.05)
    begin(ledger, noted({"notifier": f"{HERE}.Hanging"}))
    notify_start(context("begin"), ledger)
    assert "no answer within" in ledger.notes("begin")[0]
    assert said == ["DRILL of orders: begun"]


def test_records_that_cannot_be_written_fail_nothing(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Best effort never fails a task."""
    begin(ledger, noted())
    monkeypatch.setattr(ledger, "save_notified", lambda *_: 1 / 0)
    notify_start(context("begin"), ledger)
    assert "notify_start failed: ZeroDivisionError" in caplog.text


def test_a_retried_task_tells_an_event_once(ledger: Ledger, said: list[Any]) -> None:
    """A wave that is launched again by other jobs is another event, and so is a question after an answer."""
    begin(ledger, noted())
    gate = context("wave_database.wait_until_launched")
    for job_id in ("drsjob-1", "drsjob-1", "drsjob-2"):
        ledger.save_outcome("database", outcome(job_id))
        notify_wave(gate, ledger, "database")
    assert said == ["DRILL of orders: wave database completed"] * 2
    said.clear()
    for about in ("web", "web", "web after 06:00"):
        notify_question(
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
    [
        (True, 1, False),
        (True, 2, False),
        (True, 3, True),
        (True, 4, False),
        (True, 10, True),
        (False, 1, True),
    ],
)
def test_a_failure_is_told_early_and_when_airflow_will_not_try_again(
    ledger: Ledger, said: list[Any], *, retryable: bool, try_number: int, told: bool
) -> None:
    """The tries of clean-up go on for 20 minutes. A person who hears of the third can still help."""
    begin(ledger, noted(text="{{ drs.subject }}: {{ 'again' if 'by itself, up to try 10' in drs.message }}"))
    end = context("terminate", try_number)
    end["ti"].max_tries = 9
    notify_failure(end, ledger, FAILURE, retryable=retryable)
    again = "again" if retryable and try_number == 3 else ""
    assert said == ([f"DRILL of orders: SERVER_LAUNCH_FAILED in terminate: {again}"] if told else [])


def test_the_end_is_told_with_the_hash_of_the_record(ledger: Ledger, said: list[Any]) -> None:
    """The end is the verdict, passed or failed; the failure of another task is not the end."""
    begin(ledger, noted(text="{{ drs.event }} {{ drs.evidence_hash }}"))
    end = context("verdict")
    end["ti"].xcom["evidence"] = {"hash": "abc123"}
    notify_pass(end, ledger, "The drill passed.")
    notify_failure(end, ledger, FAILURE, retryable=False)
    assert said == ["passed abc123", "failed abc123"]


def test_a_run_that_was_refused_or_missed_tells_nothing_at_its_end(ledger: Ledger, said: list[Any]) -> None:
    """It changed nothing, and another run may be active. Its task begin has told of it."""
    notify_failure(context("begin"), ledger, FAILURE, retryable=False)
    notify_failure(context("verdict"), ledger, FAILURE, retryable=False)
    begin(ledger, noted())
    notify_failure(context("begin"), ledger, FAILURE, retryable=False)
    begin(ledger, noted(), missed="its time went by")
    notify_pass(context("verdict"), ledger, "missed")
    assert said == []


def test_a_missed_run_whose_end_fails_is_told(ledger: Ledger, said: list[Any]) -> None:
    """Its record could not be written, for example: the run is red."""
    begin(ledger, noted(), missed="its time went by")
    notify_failure(context("evidence"), ledger, FAILURE, retryable=False)
    assert said == ["DRILL of orders: SERVER_LAUNCH_FAILED in evidence"]


class Task:
    """A task that raises what a test wants."""

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
    """With a code or without one. A skipped task has not failed."""
    begin(ledger, noted())
    with pytest.raises((AirflowException, ZeroDivisionError)):
        Task(error).execute(context("preflight", try_number))
    assert said == told
