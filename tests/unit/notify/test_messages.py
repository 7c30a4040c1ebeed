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
EVIDENCE = {
    "id": "orders-000007",
    "path": "s3://proofs/orders/orders-000007.json",
    "hash": "abc123",
    "rto_target_seconds": 3600.0,
    "rto_launched_seconds": 2282.0,
    "rto_validated_seconds": 2460.0,
    "rpo_target_seconds": 60.0,
    "rpo_seconds": 75.0,
}
"""What the task evidence returns."""


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
        messages.rto_exceeded(run, URL, dt.timedelta(hours=1), ["application"]),
        messages.passed(run, URL, "The drill passed: 4 servers.", EVIDENCE),
        messages.failed(run, URL, FAILURE, EVIDENCE),
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
    assert "Evidence SHA-256: abc123" in passed.message
    assert [end.evidence_hash for end in (passed, over)] == ["abc123", "abc123"]
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
    notice = messages.passed(make_run(), URL, "The drill passed.", EVIDENCE, [rto])
    assert notice.subject == "DRILL of orders: passed, but the RTO was missed by 12 min"
    assert notice.message.splitlines()[0] == f"DRILL of plan orders has passed, but {rto}."
    both = messages.passed(make_run(), URL, "The drill passed.", EVIDENCE, [rto, rpo])
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


def test_a_pass_is_told_with_measures_targets_scope_and_record() -> None:
    """A manager who reads nothing else knows what was proven."""
    lines = messages.passed(make_run(), URL, "The drill passed.", EVIDENCE).message.splitlines()
    for line in (
        "RTO, to the last server launched: 38 min 2 s (target 1 h: met)",
        "RTO, to the last wave validated: 41 min (target 1 h: met)",
        "RPO, of the worst server: 1 min 15 s (target 1 min: MISSED)",
        "Scope: full: all 2 waves of the plan",
        "Record: orders-000007 in s3://proofs/orders/orders-000007.json",
    ):
        assert line in lines
    part = messages.passed(make_run(waves=["database"]), URL, "The drill passed.", {}).message
    assert "Scope: partial: 1 of 2 waves\n" in part
    assert "RTO, to the last wave validated: not measured (the plan has no target)" in part
    assert "Record: none was written" in part
    dry = messages.passed(make_run(dry_run=True), URL, "Dry run.", EVIDENCE).message
    assert "Scope: dry run: preflight alone, nothing was launched" in dry
    assert "RTO" not in dry


def test_a_failure_at_the_end_is_told_with_its_cause_and_what_is_left() -> None:
    """The subject has the cause's code, and the message what to do and whether everything is terminated."""
    verdict = FailureRecord(
        code="DRILL_FAILED",
        message="The drill did not pass: SERVER_LAUNCH_FAILED in wave_web.wait_until_launched.\n- it failed",
        remedy="Raise the quota.",
        details="Everything terminated: yes: all 4 instance(s), proven in DRS and EC2",
    )
    notice = messages.failed(make_run(), URL, verdict, EVIDENCE)
    assert notice.subject == "DRILL of orders: FAILED: SERVER_LAUNCH_FAILED in wave_web.wait_until_launched"
    assert "What to do: Raise the quota.\nEverything terminated: yes: all 4" in notice.message
    plain = messages.failed(make_run(), URL, FailureRecord(code="STOPPED_BY_HAND", message="x"), {})
    assert plain.subject == "DRILL of orders: FAILED: STOPPED_BY_HAND"


def test_the_alarm_at_the_rto_does_not_read_like_a_pass() -> None:
    """A pager shows the subject alone."""
    notice = messages.rto_exceeded(make_run(), URL, dt.timedelta(hours=1), ["application"])
    assert notice.subject == "DRILL of orders: RTO exceeded"
    assert "passed" not in f"{notice.subject}{notice.message}"


def test_a_run_of_the_schedule_names_the_schedule() -> None:
    """Nobody is called scheduled."""
    plan = make_plan(schedule="0 6 1 * *", timezone="Europe/Berlin")
    for initiator in ("scheduled", ""):
        run = make_run(plan, run_type="scheduled", initiator=initiator)
        begun = "Begun: 2026-03-01 06:00:00 UTC by the plan's schedule (0 6 1 * *, Europe/Berlin)\n"
        assert begun in messages.started(run, URL).message
    backfill = make_run(plan, run_type="backfill", initiator="backfill")
    assert "UTC by a backfill\n" in messages.started(backfill, URL).message


@pytest.mark.parametrize("char", ["x", "é", '"', "😀", "\x00"])
def test_a_message_fits_into_sns_as_it_is_sent(char: str) -> None:
    """SNS counts the bytes of the text within JSON."""
    long = FailureRecord(code="DRILL_FAILED", message=char * 300_000)
    message = messages.failed(make_run(), URL, long, {}).message
    assert MAX_MESSAGE - 200 < len(json.dumps({"default": message})) <= MAX_MESSAGE < 256 * 1024
    assert message.endswith("The rest is in the run's log.")


def test_a_run_without_a_plan_of_its_own_name_is_still_linked() -> None:
    """A run id that a person chose may contain any character."""
    run = make_run(make_plan(), run_id="by hand/1 ?")
    assert messages.started(run, URL).link.endswith("/runs/by%20hand%2F1%20%3F")
