"""A run's record, on each path on which a run can end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from drs.aws.jobs import LogEvent, Participant
from drs.errors import Code
from drs.evidence.record import Exclusion, Explanation, RunFindings
from drs.preflight import Finding, Report
from drs.run.ledger import Ledger
from drs.run.ownership import WAVE_TAG
from drs.run.proof import STOPPED_IN_AIRFLOW, doubts
from drs.run.records import (
    RECOVERY_APPROVAL,
    ApprovalRecord,
    CleanupRecord,
    FailureRecord,
    Loss,
    Resolution,
    Stop,
    TerminateCall,
    WaveOutcome,
    WaveResolution,
)
from tests.unit.drill import (
    APPLICATION,
    DATABASE,
    NOW,
    MemoryStore,
    after,
    make_event,
    make_job,
    make_plan,
    make_run,
)
from tests.unit.evidence.runs import (
    GATE,
    JOBS,
    SERVERS,
    SUCCEEDED,
    TERMINATE_JOB,
    cleanup,
    drs_job,
    drs_log,
    found,
    instance,
    launch,
    outcome,
    passed_run,
    requested,
    resolved,
    told,
    validation,
)

A, B = DATABASE
LOSS = Loss(
    wave="database",
    server_id=A,
    name="database-4",
    optional=False,
    instance_id=instance(A),
    what="is gone",
    last_seen=after(600),
    found_at=after(640),
    by="job drsjob-0cc of plan billing ended it",
)
SKIPPED: dict[str, str | None] = {
    **{name: "skipped" for name in SUCCEEDED if "wave" in name},
    "terminate": "skipped",
}


@pytest.fixture
def ledger() -> Ledger:
    """The ledger of a run that passed; each test removes what did not happen."""
    return passed_run()


def forget(ledger: Ledger, *keys: str) -> None:
    """Remove records, as if they had never been written."""
    store: Any = ledger._store
    for key in keys:
        assert isinstance(store, MemoryStore)
        del store.values[key]


def states(record: RunFindings) -> dict[str, str]:
    return {wave.name: wave.state for wave in record.waves}


# --- a drill that passed ----------------------------------------------------------------------------------


def test_a_passed_drill_is_told_in_full() -> None:
    """The record says who, what, where, when, and how it ended; it has no reasons and no failures."""
    plan = make_plan(objectives={"rto": "15m", "rpo": "2m"}, description="Orders", owner="dr-team")
    run = make_run(plan, initiator="ada (manual)", reason="audit")
    record = found(passed_run(run), told(next_run=after(9000)))
    assert (record.result, record.reasons, record.failures, record.remarks) == ("passed", (), (), ())
    assert (
        record.summary == "The drill passed: 4 server(s) launched in 2 wave(s); all of them are terminated."
    )
    assert record.plan.model_dump() == {
        "name": "orders",
        "description": "Orders",
        "owner": "dr-team",
        "digest": plan.digest,
        "content": plan.model_dump(mode="json"),
    }
    assert (record.run.run_id, record.run.initiator, record.run.reason) == (
        run.run_id,
        "ada (manual)",
        "audit",
    )
    assert (record.run.began_at, record.run.next_run) == (NOW, after(9000))
    assert record.run.url == "http://airflow/dags/drs_drill__orders/runs/run-1"
    assert record.target.model_dump() == {
        "account_id": "111122223333",
        "region": "us-east-1",
        "aws_conn_id": "aws_default",
    }
    assert record.software == {"drs-drills": "0.1.0"}
    assert record.assembled_at == after(1000)


def test_a_wave_that_passed_has_its_times_and_its_jobs() -> None:
    """They come from the run's records and from DRS's own log."""
    wave = found().waves[1]
    assert (wave.name, wave.state, wave.why) == ("application", "passed", "")
    assert wave.depends_on == ("database",)
    assert wave.jobs == ("drsjob-2",)
    assert (wave.first_call_at, wave.started_at) == (requested("application"), after(53))
    assert (wave.launched_at, wave.validated_at) == (after(612), after(700))


def test_a_server_that_was_launched_has_its_events_and_checks() -> None:
    """It has only its own events, from its own job."""
    server = found().waves[0].servers[1]
    assert (server.server_id, server.name, server.group) == (B, "database-5", "database")
    assert (server.launched, server.valid, server.error, server.explanation) == (True, True, None, None)
    assert (server.job_id, server.instance_id) == ("drsjob-1", instance(B))
    assert (server.requested_at, server.launched_at, server.launch_seconds) == (
        after(10),
        after(541.5),
        531.5,
    )
    assert (server.point_in_time, server.rpo_seconds) == (after(-65), 75.0)
    assert server.lag_at_start_seconds == 1.5
    assert [event.event for event in server.events] == ["SNAPSHOT_START", "LAUNCH_START", "LAUNCH_END"]
    assert {event.server_id for event in server.events} == {B}
    assert [check.server_id for check in server.checks] == [B]


def test_jobs_are_told_with_what_their_logs_say_of_no_server() -> None:
    """The launches come first, by wave, and then the termination."""
    jobs = found().jobs
    assert [(job.job_id, job.type, job.wave, job.status) for job in jobs] == [
        ("drsjob-1", "LAUNCH", "database", "COMPLETED"),
        ("drsjob-2", "LAUNCH", "application", "COMPLETED"),
        (TERMINATE_JOB, "TERMINATE", None, "COMPLETED"),
    ]
    assert [[event.event for event in job.events] for job in jobs] == [
        ["JOB_START", "JOB_END"],
        ["JOB_START", "JOB_END"],
        ["JOB_START"],
    ]


def test_the_proof_of_termination_is_told() -> None:
    """Each instance is listed with the job that launched it and the job that terminated it."""
    told_of = found().cleanup
    assert told_of is not None
    assert (told_of.when, told_of.proven, told_of.kept) == ("always", True, False)
    assert (told_of.started_at, told_of.ended_at) == (after(800), after(900))
    first = told_of.instances[0]
    assert (first.server_id, first.launch_job_id, first.terminate_jobs) == (A, "drsjob-1", (TERMINATE_JOB,))
    assert (first.instance_type, first.gone, first.fate) == ("m5.large", True, "terminated")


def test_conflicts_are_counted(ledger: Ledger) -> None:
    """Calls that DRS refused for other reasons are not counted."""
    record = launch("database", None, "ConflictException", "ThrottlingException", "ConflictException")
    ledger.save_launch("database", record)
    assert [wave.conflicts for wave in found(ledger).waves] == [2, 0]


def test_approvals_exclusions_and_remarks_are_told(ledger: Ledger) -> None:
    """The record has the answers, the excluded servers with their waves, and what could not be sent."""
    asking = {"name": "application", "protection_groups": ["application"], "approval": {}}
    plan = make_plan(waves=[{"name": "database", "protection_groups": ["database"]}, asking])
    ledger.save_run(make_run(plan, exclude_servers=[A, APPLICATION[1], "s-0"]))
    waves = {"database": resolved("database", excluded=(A,)), "application": resolved("application")}
    ledger.save_resolution(Resolution(waves=waves))
    answer = ApprovalRecord(approved=True, answered="by a person", by="ada", at=NOW, comment="go")
    ledger.save_approval("application", answer)
    ledger.add_note("terminate", "The message to the topic was not sent.")
    record = found(ledger, told(remarks=["DRS could not be asked."]))
    assert record.approvals == {"application": answer}
    why = "Excluded by the run parameter exclude_servers."
    assert record.excluded == (
        Exclusion(server_id=A, wave="database", why=why),
        Exclusion(server_id=APPLICATION[1], wave="application", why=why),
        Exclusion(server_id="s-0", wave="", why=why),
    )
    assert record.remarks == (
        "DRS could not be asked.",
        "terminate: The message to the topic was not sent.",
    )


def test_the_record_and_the_verdict_judge_alike(ledger: Ledger) -> None:
    """The record has the verdict's reasons, except for those about the evidence task itself."""
    ledger.save_outcome("database", outcome("database", failed={B: "no capacity"}))
    ledger.save_cleanup(cleanup(proven=False))
    ledger.save_failure(GATE["database"], FailureRecord(code="SERVER_LAUNCH_FAILED", message="No capacity."))
    failed = {GATE["database"]: "failed", "wave_application.start_recovery": "upstream_failed"}
    later = {**SUCCEEDED, **failed, "evidence": "success", "verdict": "running"}
    record = found(ledger, told(failed))
    assert record.reasons == tuple(doubts(ledger, ledger.run(), later))
    assert record.result == "failed"
    assert record.summary == f"The drill failed: {record.reasons[0]}"
    assert found(ledger, told({**failed, "verdict": "failed", "evidence": None})).reasons == record.reasons


# --- drills that did not pass -----------------------------------------------------------------------------


def test_a_run_that_preflight_refused_tells_every_finding() -> None:
    """No wave was reached, and nothing was measured."""
    ledger = Ledger(MemoryStore())
    ledger.save_run(make_run(exclude_servers=[A]))
    held = Finding(Code.SERVER_CONFLICT, "Server is held.", "Wait.", server_id=B, wave="database", heals=True)
    old = Finding(Code.LEFTOVER_DRILL_INSTANCE, "One is left.", "Clean up.", severity="warning")
    ledger.save_failure("preflight", FailureRecord(code="SERVER_CONFLICT", message="Server is held."))
    upstream = {name: "upstream_failed" for name in SUCCEEDED if "wave" in name}
    record = found(
        ledger,
        told({**upstream, "preflight": "failed"}, findings=Report((held, old)).as_json(), jobs=(), logs={}),
    )
    assert record.result == "failed"
    assert record.summary == "The drill failed: preflight failed: [SERVER_CONFLICT] Server is held."
    assert states(record) == {"database": "not_reached", "application": "not_reached"}
    assert record.waves[0].why == "The run ended before this wave. preflight: Server is held."
    assert [(each.severity, each.code, each.wave, each.server_id) for each in record.findings] == [
        ("error", "SERVER_CONFLICT", "database", B),
        ("warning", "LEFTOVER_DRILL_INSTANCE", None, None),
    ]
    assert record.findings[0].remedy == "Wait."
    assert record.failures[0].model_dump() == {
        "task_id": "preflight",
        "state": "failed",
        "code": "SERVER_CONFLICT",
        "message": "Server is held.",
        "remedy": "",
    }
    assert record.excluded[0].wave == "database"
    assert (record.cleanup, record.jobs, record.waves[0].servers) == (None, (), ())
    assert record.objectives.rto_launched.measured_seconds is None


def test_a_dry_run_that_passed_has_launched_nothing() -> None:
    """Each wave says so, and nothing is measured as zero seconds."""
    ledger = Ledger(MemoryStore())
    ledger.save_run(make_run(dry_run=True))
    ledger.save_resolution(Resolution(waves={wave: resolved(wave) for wave in SERVERS}))
    record = found(ledger, told(SKIPPED, jobs=(), logs={}))
    assert (record.result, record.run.dry_run) == ("passed", True)
    assert states(record) == {"database": "not_reached", "application": "not_reached"}
    assert record.waves[0].why == "This was a dry run: it ended with preflight."
    assert [server.launched for server in record.waves[0].servers] == [False, False]
    assert record.objectives.rto_launched.measured_seconds is None
    assert record.objectives.rpo.measured_seconds is None


def test_a_failed_launch_is_explained(ledger: Ledger) -> None:
    """The explanation uses the error and the log. The next wave was not reached and says why."""
    raw = "InsufficientInstanceCapacity"
    ledger.save_outcome("database", outcome("database", failed={B: raw}))
    forget(
        ledger,
        "launch.application",
        "outcome.application",
        "validation.application",
        "reached.database.validated",
    )
    ledger.save_failure(
        GATE["database"], FailureRecord(code="SERVER_LAUNCH_FAILED", message="1 of 2 failed.")
    )
    cut = {name: "upstream_failed" for name in SUCCEEDED if "application" in name}
    asked: list[tuple[Any, ...]] = []

    def explain(error: str, events: Sequence[LogEvent], job: str | None, server: str | None) -> Explanation:
        asked.append((error, [event.event for event in events], job, server))
        return Explanation(cause="No room.", remedy="Choose another type.", retry_is_safe=True)

    participants = (Participant(A, "LAUNCHED", instance(A)), Participant(B, "FAILED"))
    job = make_job("drsjob-1", *participants, status="COMPLETED", created=after(10), ended=after(620))
    log = [event for event in drs_log("database") if event.server_id != B]
    log.insert(1, make_event(30, "LAUNCH_FAILED", B, raw_error=raw))
    account = told({GATE["database"]: "failed", **cut}, jobs=(job,), logs={"drsjob-1": log}, explain=explain)
    record = found(ledger, account)
    failed, unreached = record.waves
    assert (failed.state, unreached.state) == ("failed", "not_reached")
    assert f"{GATE['database']}: 1 of 2 failed." in failed.why
    assert unreached.why == f"The run ended before this wave. {GATE['database']}: 1 of 2 failed."
    server = failed.servers[1]
    assert (server.launched, server.error, server.instance_id) == (False, raw, None)
    assert server.explanation == Explanation(
        cause="No room.", remedy="Choose another type.", retry_is_safe=True
    )
    assert asked == [(raw, ["JOB_START", "LAUNCH_FAILED", "JOB_END"], "COMPLETED", "FAILED")]
    assert {each.state for each in record.failures} == {"failed", "upstream_failed"}


def test_a_failed_validation_fails_its_wave(ledger: Ledger) -> None:
    """Each check says what it saw. The launch is still measured."""
    ledger.save_validation("application", validation("application", failed=[APPLICATION[0]]))
    ledger.save_failure(
        "wave_application.validate", FailureRecord(code="VALIDATION_FAILED", message="stopped")
    )
    forget(ledger, "reached.application.validated")
    record = found(ledger, told({"wave_application.validate": "failed"}))
    wave = record.waves[1]
    assert wave.state == "failed"
    assert wave.why.splitlines() == [
        "wave_application.validate: stopped",
        f"wave application: server {APPLICATION[0]} (application-1) has not passed: recovery_instance",
    ]
    assert [server.valid for server in wave.servers] == [False, True]
    assert wave.servers[0].checks[0].seen == "stopped"
    assert record.objectives.rto_launched.measured_seconds == 612
    assert record.objectives.rto_validated.measured_seconds is None


def test_checks_of_an_earlier_instance_are_not_of_this_one(ledger: Ledger) -> None:
    """The wave was cleared, and the checked instance is gone."""
    old = validation("database")
    results = tuple(result.model_copy(update={"instance_id": "i-old"}) for result in old.results)
    ledger.save_validation("database", old.model_copy(update={"results": results}))
    assert [server.valid for server in found(ledger).waves[0].servers] == [None, None]


@pytest.mark.parametrize("status", ["LAUNCHED", "TERMINATED"])
def test_a_run_killed_by_hand_in_mid_launch_is_told_from_drs(ledger: Ledger, status: str) -> None:
    """Nothing was judged, so DRS says what launched, and clean-up says how old its data was."""
    forget(ledger, "outcome.database", "validation.database", "reached.database.launched")
    forget(ledger, "reached.database.validated", "launch.application", "outcome.application")
    killed = {GATE["database"]: "failed", **{name: "skipped" for name in SUCCEEDED if "application" in name}}
    ledger.save_cleanup(cleanup(jobs=("drsjob-1",)))
    record = found(ledger, told(killed, jobs=(drs_job("database", status=status),)))
    database, application = record.waves
    assert (record.result, database.state, application.state) == ("failed", "failed", "not_reached")
    assert [server.launched for server in database.servers] == [True, True]
    assert [server.instance_id for server in database.servers] == [instance(A), instance(B)]
    assert (database.rto_launched_seconds, database.rpo_seconds) == (541.5, 75.0)
    assert record.objectives.rto_launched.measured_seconds is None
    failure = f"It was cut off: {STOPPED_IN_AIRFLOW}."
    assert [(known.task_id, known.code) for known in record.failures] == [
        (GATE["database"], "STOPPED_BY_HAND")
    ]
    assert record.summary == f"The drill failed: {STOPPED_IN_AIRFLOW}"
    assert application.why == f"The run ended before this wave. {GATE['database']}: {failure}"


def test_a_server_that_was_terminated_before_it_was_launched_is_not_launched(ledger: Ledger) -> None:
    """DRS says TERMINATED for it too, but its log has no LAUNCH_END of the server."""
    forget(ledger, "outcome.database", "validation.database")
    log = [event for event in drs_log("database") if event.event != "LAUNCH_END"]
    job = drs_job("database", status="TERMINATED")
    record = found(ledger, told({GATE["database"]: "failed"}, jobs=(job,), logs={"drsjob-1": log}))
    assert [(server.launched, server.launched_at) for server in record.waves[0].servers] == [
        (False, None)
    ] * 2


def test_a_wave_that_was_skipped_by_hand_is_not_reached(ledger: Ledger) -> None:
    """No task failed, so the record names the state of the wave's first task."""
    forget(ledger, "launch.application", "outcome.application")
    record = found(ledger, told({name: "skipped" for name in SUCCEEDED if "application" in name}))
    assert (
        record.waves[1].why
        == "The run ended before this wave: the wave launched nothing (its start_recovery is skipped)."
    )
    assert record.result == "failed"


def test_a_job_that_only_clean_up_found_is_told(ledger: Ledger) -> None:
    """The reply to its call was lost and the task was killed; the job's tag names the wave."""
    forget(ledger, "outcome.database", "validation.database")
    unanswered = launch("database")
    slots = tuple(slot.model_copy(update={"job_id": None}) for slot in unanswered.timeline.servers)
    timeline = unanswered.timeline.model_copy(update={"servers": slots})
    calls = tuple(call.model_copy(update={"job_id": None}) for call in unanswered.calls)
    ledger.save_launch("database", unanswered.model_copy(update={"timeline": timeline, "calls": calls}))
    for tags in ({WAVE_TAG: "database"}, {}):
        jobs = (drs_job("database", tags=tags), drs_job("application"))
        database, application = found(ledger, told({GATE["database"]: "failed"}, jobs=jobs)).waves
        assert (database.jobs, application.jobs) == (("drsjob-1",), ("drsjob-2",)), tags
        assert [(server.job_id, server.launched) for server in database.servers] == [("drsjob-1", True)] * 2
        assert [server.rpo_seconds for server in database.servers] == [30.0, 75.0]


def test_without_drs_the_ledger_has_to_do(ledger: Ledger) -> None:
    """Times and jobs come from the run's records. What only DRS knows is empty, and nothing is guessed."""
    record = found(ledger, told(jobs=(), logs={}, remarks=["DRS could not be asked."]))
    assert record.result == "passed"
    assert record.objectives.rto_launched.measured_seconds == 612
    assert [(job.job_id, job.type, job.status) for job in record.jobs] == [
        ("drsjob-1", "LAUNCH", None),
        ("drsjob-2", "LAUNCH", None),
        (TERMINATE_JOB, "TERMINATE", None),
    ]
    forget(ledger, "outcome.database")
    server = found(ledger, told(jobs=(), logs={})).waves[0].servers[0]
    assert (server.launched, server.requested_at, server.launched_at) == (False, None, None)
    assert server.error == "How job drsjob-1 ended is not known."
    assert server.rpo_seconds is None


def test_the_record_of_an_earlier_job_says_nothing_of_this_one(ledger: Ledger) -> None:
    """The wave was cleared and launched again, and the run was ended before the wave was judged."""
    ledger.save_launch("database", launch("database", "drsjob-3", "drsjob-1"))
    job = drs_job("database", status="PENDING")
    relaunch = make_job("drsjob-3", *job.participants, status="STARTED", created=after(900))
    record = found(ledger, told(jobs=(job, relaunch, drs_job("application"))))
    server = record.waves[0].servers[0]
    assert record.waves[0].jobs == ("drsjob-1", "drsjob-3")
    assert (server.job_id, server.launched, server.requested_at) == ("drsjob-3", False, after(900))


# --- the end of the instances -----------------------------------------------------------------------------


def test_kept_instances_are_not_gone(ledger: Ledger) -> None:
    """The record says why they were kept. The run passes, because that was asked for."""
    ledger.save_run(make_run(keep_instances=True))
    ledger.save_cleanup(cleanup(proven=False, kept=True, why_kept="keep_instances", terminate_calls=()))
    record = found(
        ledger, told(listed=frozenset(instance(s) for servers in SERVERS.values() for s in servers))
    )
    assert record.cleanup is not None
    assert (record.result, record.cleanup.kept, record.cleanup.why_kept) == ("passed", True, "keep_instances")
    assert [(item.gone, item.terminate_jobs) for item in record.cleanup.instances] == [(False, ())] * 4


def test_a_survivor_is_the_one_that_drs_still_lists(ledger: Ledger) -> None:
    """If DRS did not answer, no instance is called gone."""
    ledger.save_cleanup(cleanup(proven=False))
    record = found(ledger, told({"terminate": "failed"}, listed=frozenset({instance(B)})))
    assert record.cleanup is not None
    assert [item.gone for item in record.cleanup.instances] == [True, False, True, True]
    unasked = found(ledger, told({"terminate": "failed"}))
    assert unasked.cleanup is not None
    assert not any(item.gone for item in unasked.cleanup.instances)


def test_a_recovery_is_called_by_its_name(ledger: Ledger) -> None:
    """It was approved, and it terminates nothing."""
    plan = make_plan(allow_recovery=True)
    ledger.save_run(make_run(plan, execution_type="RECOVERY", reason="fire"))
    answer = ApprovalRecord(approved=True, answered="by a person", by="ada", at=NOW)
    ledger.save_approval(RECOVERY_APPROVAL, answer)
    ledger.save_cleanup(CleanupRecord(started_at=after(800), jobs=tuple(JOBS.values()), kept=True))
    record = found(ledger)
    assert record.run.execution_type == "RECOVERY"
    assert record.summary.startswith("The RECOVERY passed: 4 server(s) launched")
    assert record.approvals == {RECOVERY_APPROVAL: answer}
    ledger.save_outcome("database", outcome("database", failed={A: "no capacity"}))
    assert found(ledger).summary.startswith("The recovery failed: wave database: server")


def test_a_wave_that_preflight_left_out_says_why(ledger: Ledger) -> None:
    """Such a wave does not fail the run."""
    left_out = WaveResolution(left_out="all of its servers are excluded", excluded=DATABASE)
    ledger.save_resolution(Resolution(waves={"database": left_out, "application": resolved("application")}))
    record = found(ledger)
    assert (record.waves[0].state, record.waves[0].why) == ("left_out", "all of its servers are excluded.")
    assert record.objectives.rto_launched.measured_seconds == 612


def test_every_launched_instance_has_its_fate(ledger: Ledger) -> None:
    """Also one that somebody else ended before clean-up came. The loss itself is in the record, too."""
    first, *others = cleanup().instances
    gone = first.model_copy(update={"lost": "job drsjob-0cc of plan billing ended it"})
    own = tuple(item.recovery_instance_id for item in others)
    call = TerminateCall(job_id=TERMINATE_JOB, instances=own)
    ledger.save_cleanup(cleanup(instances=(gone, *others), terminate_calls=(call,)))
    ledger.save_losses((LOSS,))
    record = found(ledger)
    assert record.losses == (LOSS,)
    assert record.cleanup is not None
    assert [(item.fate, item.gone) for item in record.cleanup.instances] == [
        ("lost", True),
        *[("terminated", True)] * 3,
    ]
    lost = record.cleanup.instances[0]
    assert (lost.server_id, lost.lost_to) == (A, "job drsjob-0cc of plan billing ended it")
    assert lost.terminate_jobs == ()


def test_instances_that_no_clean_up_looked_for_are_in_the_record(ledger: Ledger) -> None:
    """Somebody marked terminate as success by hand. What DRS still lists is left."""
    forget(ledger, "cleanup")
    record = found(ledger, told(listed=frozenset({instance(A), instance(B)})))
    assert record.result == "failed"
    assert record.cleanup is not None
    assert (record.cleanup.started_at, record.cleanup.proven, record.cleanup.kept) == (None, False, False)
    assert [item.fate for item in record.cleanup.instances] == ["left", "left", "lost", "lost"]


def test_a_server_whose_job_did_not_end_is_not_called_unlaunched(ledger: Ledger) -> None:
    """Its wait ended first. What clean-up found of it is in the record."""
    first, second = outcome("database").servers
    live = second.model_copy(
        update={"launched": False, "live": True, "instance_id": None, "error": "its job is still live"}
    )
    ledger.save_outcome("database", WaveOutcome(servers=(first, live)))
    record = found(ledger, told({GATE["database"]: "failed"}))
    server = record.waves[0].servers[1]
    assert (server.launched, server.live, server.instance_id) == (False, True, instance(B))
    assert any("was still launching when the wait ended" in reason for reason in record.reasons)
    assert not any("did not launch" in reason for reason in record.reasons)


def test_a_run_that_was_cut_off_does_not_know_how_a_live_job_ends(ledger: Ledger) -> None:
    """Nothing was judged, and the job is still live, or DRS does not answer."""
    forget(ledger, "outcome.database")
    cut = {GATE["database"]: "failed"}
    live = replace(drs_job("database", "PENDING"), status="STARTED", ended=None)
    for account in (told(cut, jobs=(live,)), told(cut, jobs=(), logs={})):
        servers = found(ledger, account).waves[0].servers
        assert [(server.launched, server.live) for server in servers] == [(False, True)] * 2
    ended = told(cut, jobs=(drs_job("database", status="FAILED"),))
    assert [server.live for server in found(ledger, ended).waves[0].servers] == [False, False]


def test_the_record_says_who_stopped_the_run(ledger: Ledger) -> None:
    """By the command; nobody did in other runs."""
    assert found(ledger).run.stop is None
    stop = Stop(by="ada", at=after(300), reason="wrong day")
    ledger.save_stop(stop)
    assert found(ledger).run.stop == stop


def test_the_record_says_its_scope() -> None:
    """What a person left out makes it partial; what preflight left out does not."""
    assert found().scope == "full"
    assert found(passed_run(make_run(waves=["application"]))).scope == "partial"
    assert found(passed_run(make_run(exclude_servers=[A]))).scope == "partial"
    ledger = passed_run()
    left_out = WaveResolution(left_out="its groups contain no server")
    ledger.save_resolution(Resolution(waves={"database": left_out, "application": resolved("application")}))
    assert found(ledger).scope == "full"
