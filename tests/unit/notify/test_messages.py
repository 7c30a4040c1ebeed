"""Notices say what, where, why, what to do and where to look, within the limits of SNS."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

import pytest

from drs.notify import messages
from drs.notify.messages import MAX_MESSAGE, Notice
from drs.plan import Approval
from drs.run.records import FailureRecord, RunRecord, ServerRecord, WaveOutcome
from tests.unit.drill import after, make_plan, make_run

URL = "http://airflow.example:8080/"
LINK = "http://airflow.example:8080/dags/drs_drill__orders/runs/manual__2026-03-01T06%3A00%3A00%2B00%3A00"
FAILURE = FailureRecord(
    code="SERVER_LAUNCH_FAILED", message="db-1: no capacity", remedy="Try later.", details="a\nb"
)


def server(name: str, *, launched: bool = True) -> ServerRecord:
    return ServerRecord(
        server_id=f"s-{name}",
        name=name,
        job_id="drsjob-1",
        launched=launched,
        optional=not launched,
        instance_id="i-1" if launched else None,
        seconds=531.0 if launched else None,
        error=None if launched else "no capacity",
    )


def every(run: RunRecord) -> list[Notice]:
    """One notice of each event."""
    outcome = WaveOutcome(servers=(server("db-1"), server("db-2", launched=False)))
    question: dict[str, Any] = {
        "rule": Approval(),
        "until": after(3600),
        "passes": False,
        "body": "Servers:\n- db-1",
    }
    return [
        messages.started(run, URL),
        messages.missed(run, URL, why="It was due at 05:00.", remedy="Trigger a run by hand."),
        messages.approval_wanted(run, URL, what="wave web", **question),
        messages.wave_completed(run, URL, "database", outcome),
        messages.task_failed(run, URL, "wave_database.wait_until_launched", FAILURE),
        messages.rto_passed(run, URL, dt.timedelta(hours=1), ["application"]),
        messages.passed(run, URL, "The drill passed: 4 servers.", "abc123"),
        messages.failed(run, URL, FAILURE, "abc123"),
    ]


EVENTS = [
    "started",
    "missed",
    "approval_wanted",
    "wave_completed",
    "task_failed",
    "rto_passed",
    "passed",
    "failed",
]


@pytest.mark.parametrize("number", range(len(EVENTS)), ids=EVENTS)
def test_every_notice_tells_where_who_why_and_where_to_look(number: int) -> None:
    """A notice is complete on its own, because a pager shows nothing else."""
    notice = every(make_run(initiator="alice (manual)", reason="an {{ audit }}"))[number]
    assert notice.event == EVENTS[number]
    assert "DRILL of plan orders" in notice.message
    assert "Where: account 111122223333, Region us-east-1" in notice.message
    assert "Begun: 2026-03-01 06:00:00 UTC by alice (manual)" in notice.message
    assert "Reason: an {{ audit }}" in notice.message
    assert f"manual__2026-03-01T06:00:00+00:00\n{LINK}\n" in notice.message
    assert notice.link == LINK


def test_each_event_tells_its_own() -> None:
    """Each kind of event has a notice with its own content."""
    missed, asked, completed, failed, late, passed, over = every(make_run())[1:]
    assert "DRILL of plan orders was missed: it launched nothing.\nWhy: It was due at" in missed.message
    assert "What to do: Trigger a run by hand." in missed.message
    assert "Without an answer by 2026-03-01 07:00:00 UTC wave web is rejected." in asked.message
    assert "Who may answer: anyone with permission in Airflow" in asked.message
    assert "wave database: 1 of 2 servers" in completed.message
    assert "did not launch (optional): no capacity" in completed.message
    assert "Why: [SERVER_LAUNCH_FAILED] db-1: no capacity" in failed.message
    assert "What to do: Try later." in failed.message
    assert "Details:\na\nb" in failed.message
    assert "not launched and validated: application" in late.message
    assert "Result: The drill passed: 4 servers." in passed.message
    for end in (passed, over):
        assert "Evidence SHA-256: abc123" in end.message
        assert end.evidence_hash == "abc123"
    assert (over.code, failed.code) == ("SERVER_LAUNCH_FAILED", "SERVER_LAUNCH_FAILED")


@pytest.mark.parametrize(
    ("task_id", "execution_type", "follows"),
    [
        ("wave_web.validate", "DRILL", "The run cleans up by the plan's rule, then ends with its verdict."),
        (
            "wave_web.validate",
            "RECOVERY",
            "The run ends with its verdict. It terminates nothing that it launched.",
        ),
        (
            "terminate",
            "DRILL",
            "The run ends with its verdict. Instances that clean-up left cost money until somebody "
            "terminates them.",
        ),
        ("evidence", "DRILL", "The run ends with its verdict."),
    ],
)
def test_a_failure_says_what_follows(task_id: str, execution_type: str, follows: str) -> None:
    """Nobody must wait for a clean-up that has just failed."""
    failure = FailureRecord(code="CLEANUP_INCOMPLETE", message="3 instances are still there")
    notice = messages.task_failed(make_run(execution_type=execution_type), URL, task_id, failure)
    assert f"What follows: {follows}\n" in notice.message


def test_a_real_recovery_says_so_loudly() -> None:
    """The first line of the message and the subject say it."""
    for notice in every(make_run(execution_type="RECOVERY")):
        assert notice.message.startswith("THIS IS A REAL RECOVERY, NOT A DRILL.\n")
        assert notice.subject.startswith("REAL RECOVERY of orders: ")


def test_a_dry_run_is_no_drill() -> None:
    """It is not called a drill or a recovery."""
    notice = messages.started(make_run(execution_type="RECOVERY", dry_run=True), URL)
    assert notice.subject == "DRY RUN of a REAL RECOVERY of orders: begun"
    assert notice.message.startswith("DRY RUN")


def test_a_partial_run_is_never_told_as_a_run_of_the_plan() -> None:
    """Subject and first line of every notice say it; the first line also says which part."""
    part = make_run(waves=["database"], exclude_servers=["s-1"])
    for notice in every(part):
        assert notice.subject.startswith("PARTIAL DRILL of orders: ")
        first = notice.message.splitlines()[0]
        assert first.startswith("PARTIAL DRILL of plan orders (1 of 2 waves, 1 server excluded) ")
    recovery = messages.started(make_run(waves=["database"], execution_type="RECOVERY"), URL)
    assert recovery.subject == "REAL RECOVERY (PARTIAL) of orders: begun"
    assert not any("PARTIAL" in notice.message for notice in every(make_run()))


def test_a_missed_objective_stands_in_subject_and_first_line() -> None:
    """The run passed all the same, because its plan does not enforce its objectives."""
    rto = "the RTO was missed by 12 min: all servers were validated after 1 h 12 min, the target is 1 h"
    rpo = "the RPO was missed by 15 s: the data of the worst server was 75 s old, the target is 1 min"
    notice = messages.passed(make_run(), URL, "The drill passed.", "abc", [rto])
    assert notice.subject == "DRILL of orders: passed, but the RTO was missed by 12 min"
    assert notice.message.splitlines()[0] == f"DRILL of plan orders has passed, but {rto}."
    both = messages.passed(make_run(), URL, "The drill passed.", "abc", [rto, rpo])
    assert both.subject == (
        "DRILL of orders: passed, but the RTO was missed by 12 min and the RPO was missed by 15 s"
    )


def test_a_server_that_is_still_launching_is_not_said_to_have_failed_to() -> None:
    """Its job outlived the wait for it; the server is optional, so the wave is completed."""
    live = server("db-2", launched=False).model_copy(update={"live": True, "error": "its job is live"})
    notice = messages.wave_completed(make_run(), URL, "database", WaveOutcome(servers=(live,)))
    assert "was still launching when the wait ended (optional): its job is live" in notice.message
    assert "did not launch" not in notice.message


def test_a_subject_is_one_line_of_ascii_that_sns_takes() -> None:
    """Names and task ids may be long."""
    failure = FailureRecord(code="DRILL_FAILED", message="x")
    notice = messages.task_failed(make_run(), URL, f"wave_{'é' * 64}.wait\nuntil_launched", failure)
    assert len(notice.subject) == 100
    assert notice.subject.isascii()
    assert "\n" not in notice.subject
    assert notice.subject.endswith("...")


@pytest.mark.parametrize("char", ["x", "é", '"', "😀", "\x00"])
def test_a_message_fits_into_sns_as_it_is_sent(char: str) -> None:
    """SNS counts the bytes of the text within JSON."""
    long = FailureRecord(code="DRILL_FAILED", message=char * 300_000)
    message = messages.failed(make_run(), URL, long, "").message
    assert MAX_MESSAGE - 200 < len(json.dumps({"default": message})) <= MAX_MESSAGE < 256 * 1024
    assert message.endswith("The rest is in the run's log.")


def test_a_run_without_a_plan_of_its_own_name_is_still_linked() -> None:
    """A run id that a person chose may contain any character."""
    run = make_run(make_plan(), run_id="by hand/1 ?")
    assert messages.started(run, URL).link.endswith("/runs/by%20hand%2F1%20%3F")
