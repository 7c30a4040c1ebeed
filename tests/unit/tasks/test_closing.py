"""The end of a run: the verdict passes only what the records prove."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

from drs.errors import DrillError, DrillFailed, RecoveryInstanceLost, StoppedByHand
from drs.run.ledger import Ledger
from drs.run.proof import STOPPED_IN_AIRFLOW, WITHOUT_CODE, doubts_before_evidence
from drs.run.records import (
    CLEANUP_APPROVAL,
    RECOVERY_APPROVAL,
    ApprovalRecord,
    Call,
    CheckResult,
    CleanupRecord,
    FailureRecord,
    InstanceRecord,
    LaunchRecord,
    Loss,
    Resolution,
    ResolvedServer,
    ServerRecord,
    Stop,
    TerminateCall,
    WaveOutcome,
    WaveResolution,
    WaveValidation,
)
from drs.run.standing import describe
from drs.run.timeline import ServerSlot, Timeline
from drs.tasks.operators.verdict import DrsDrillVerdictOperator
from tests.unit.drill import APPLICATION, DATABASE, NOW, after, make_plan, make_run
from tests.unit.task_harness import make_context

A, B = DATABASE
SERVERS = {"database": DATABASE, "application": APPLICATION}
JOBS = {"database": "drsjob-1", "application": "drsjob-2"}
DATABASE_GATE = "wave_database.validate"
SUCCEEDED: dict[str, str | None] = {
    "begin": "success",
    "preflight": "success",
    **{
        f"wave_{wave}.{task}": "success"
        for wave in SERVERS
        for task in ("start_recovery", "wait_until_started", "wait_until_launched", "validate")
    },
    "terminate": "success",
    "evidence": "success",
    "verdict": "running",
}


GROUPS = {server: group for group, servers in SERVERS.items() for server in servers}
ASKED = [{"type": "instance_status"}, {"type": "http"}, {"type": "http", "expect_status": 401}]
LABELS = ("recovery_instance", "instance_status", "http :80/", "http :80/ (2)")
"""The checks of a wave that asks for them, by name."""


def resolve(servers: Sequence[str], *, optional: Sequence[str] = ()) -> WaveResolution:
    return WaveResolution(
        servers=tuple(
            ResolvedServer(
                server_id=server,
                name=f"name of {server}",
                group=GROUPS[server],
                optional=server in optional,
            )
            for server in servers
        )
    )


def validate(
    servers: Sequence[str], *, began_at: dt.datetime = NOW, labels: Sequence[str] = LABELS[:1], **fields: Any
) -> WaveValidation:
    """The results of the checks of these servers; ``fields`` are fields of each result."""
    return WaveValidation(
        began_at=began_at,
        ended_at=began_at,
        results=tuple(
            CheckResult.model_validate(
                {
                    "check": label,
                    "server_id": server,
                    "instance_id": f"i-{server}",
                    "passed": True,
                    "seen": "it is there",
                    "at": began_at,
                    "seconds": 0,
                    **fields,
                }
            )
            for server in servers
            for label in labels
        ),
    )


def judge(servers: Sequence[str], job_id: str, *, failed: Sequence[str] = ()) -> WaveOutcome:
    return WaveOutcome(
        servers=tuple(
            ServerRecord(
                server_id=server,
                name=f"name of {server}",
                job_id=job_id,
                launched=server not in failed,
                optional=False,
                instance_id=None if server in failed else f"i-{server}",
                seconds=None if server in failed else 531.0,
                error="No capacity" if server in failed else None,
            )
            for server in servers
        )
    )


def launch(servers: Sequence[str], job_id: str, *earlier: str) -> LaunchRecord:
    """A launch by one job, after earlier jobs that failed."""
    slots = tuple(ServerSlot(server_id=server, not_before=NOW, job_id=job_id) for server in servers)
    timeline = Timeline(
        jobs="per_wave", server_delay=15, conflict_backoff=(30,), conflict_timeout=1800, servers=slots
    )
    calls = tuple(Call(at=NOW, servers=tuple(servers), job_id=job) for job in (*earlier, job_id))
    return LaunchRecord(timeline=timeline, calls=calls)


def clean(**fields: Any) -> CleanupRecord:
    instances = tuple(
        InstanceRecord(
            recovery_instance_id=f"i-{server}",
            ec2_instance_id=f"i-{server}",
            server_id=server,
            job_id=JOBS[wave],
        )
        for wave, servers in SERVERS.items()
        for server in servers
    )
    ids = tuple(item.recovery_instance_id for item in instances)
    return CleanupRecord.model_validate(
        {
            "started_at": NOW,
            "jobs": tuple(JOBS.values()),
            "instances": instances,
            "terminate_calls": (TerminateCall(job_id="drsjob-9", instances=ids),),
            "proven": True,
            **fields,
        }
    )


NOT_PROVEN = "clean-up is not proven complete; these may still run: " + ", ".join(
    f"i-{server} of {server}" for servers in SERVERS.values() for server in servers
)
NOBODY_ASKED = "instances are kept, and neither the run nor the plan nor a person has asked for that"


def kept(why: str) -> CleanupRecord:
    """The record of a clean-up that kept the instances."""
    return clean(kept=True, proven=False, why_kept=why, terminate_calls=())


@pytest.fixture
def proven(ledger: Ledger) -> Ledger:
    """The records of a run that proved everything."""
    ledger.save_run(make_run())
    ledger.save_resolution(Resolution(waves={wave: resolve(servers) for wave, servers in SERVERS.items()}))
    for wave, servers in SERVERS.items():
        ledger.save_launch(wave, launch(servers, JOBS[wave]))
        ledger.save_outcome(wave, judge(servers, JOBS[wave]))
        ledger.save_reached(wave, "launched", NOW)
        ledger.save_validation(wave, validate(servers))
    ledger.save_cleanup(clean())
    return ledger


def verdict(states: dict[str, str | None] | None = None) -> str:
    """The text of the verdict, if the tasks ended in these states."""
    text = DrsDrillVerdictOperator(task_id="verdict").execute(make_context(SUCCEEDED | (states or {})))
    assert isinstance(text, str)
    return text


def doubts(states: dict[str, str | None] | None = None, code: type[DrillError] = DrillFailed) -> list[str]:
    """The reasons of a failed verdict with this code."""
    with pytest.raises(AirflowFailException) as failed:
        verdict(states)
    first, *lines = str(failed.value).splitlines()
    assert first.startswith(f"[{code.code}] The drill did not pass:")
    assert lines[-1] == f"What to do: {code.remedy}"
    return [line.removeprefix("- ") for line in lines[:-1]]


# --- the verdict: green -----------------------------------------------------------------------------------


def test_a_run_that_proved_everything_passes(proven: Ledger) -> None:
    """The verdict says what was launched, and that it is terminated."""
    assert verdict() == "The drill passed: 4 server(s) launched in 2 wave(s); all of them are terminated."


def test_a_run_that_was_asked_to_keep_its_instances_passes(proven: Ledger) -> None:
    """The verdict does not say that the instances are terminated."""
    proven.save_run(make_run(keep_instances=True))
    proven.save_cleanup(kept("the run was asked to keep them (keep_instances)"))
    assert verdict().endswith(
        "4 instance(s) are kept and cost money: the run was asked to keep them (keep_instances)."
    )


def test_a_drill_whose_plan_never_terminates_passes(proven: Ledger) -> None:
    """The verdict says that the instances continue to cost money."""
    proven.save_run(make_run(make_plan(cleanup={"when": "never"})))
    proven.save_cleanup(kept("the plan says so"))
    assert verdict().endswith("4 instance(s) are kept and cost money: the plan says so.")


def test_a_drill_whose_instances_a_person_keeps_passes(proven: Ledger) -> None:
    """It passes only if that answer is on record."""
    proven.save_run(make_run(make_plan(cleanup={"when": "after_approval"})))
    proven.save_cleanup(kept("ada chose so"))
    assert doubts() == [NOBODY_ASKED]
    proven.save_approval(CLEANUP_APPROVAL, answer(approved=True))
    assert doubts() == [NOBODY_ASKED]
    proven.save_approval(CLEANUP_APPROVAL, answer(approved=False))
    assert verdict().endswith("kept and cost money: ada chose so.")


def test_a_failed_drill_whose_plan_keeps_it_is_red_all_the_same(proven: Ledger) -> None:
    """A rule that keeps the instances does not make the drill a success."""
    proven.save_run(make_run(make_plan(cleanup={"when": "on_success"})))
    proven.save_outcome("database", judge(DATABASE, JOBS["database"], failed=[B]))
    proven.save_cleanup(kept("the drill has not passed"))
    assert doubts() == [f"wave database: server {B} (name of {B}) did not launch"]


def test_instances_that_nobody_asked_to_keep_make_the_drill_red(proven: Ledger) -> None:
    """The plan always terminates, but the record says that instances were kept."""
    proven.save_cleanup(kept("?"))
    assert doubts() == [NOBODY_ASKED]


def test_an_optional_server_that_was_not_launched_does_not_matter(proven: Ledger) -> None:
    """It is also not counted as launched."""
    waves = {"database": resolve(DATABASE, optional=[A]), "application": resolve(APPLICATION)}
    proven.save_resolution(Resolution(waves=waves))
    proven.save_outcome("database", judge(DATABASE, JOBS["database"], failed=[A]))
    assert "3 server(s) launched" in verdict()


def test_a_wave_that_preflight_left_out_needs_no_proof(proven: Ledger) -> None:
    """Its tasks were skipped, and it has no records."""
    proven.save_run(make_run(waves=["application"]))
    verdict({DATABASE_GATE: "skipped"})
    proven.save_run(make_run())
    left_out = WaveResolution(left_out="all of its servers are excluded")
    proven.save_resolution(Resolution(waves={"database": left_out, "application": resolve(APPLICATION)}))
    verdict({DATABASE_GATE: "skipped"})


# --- the verdict: a recovery, a dry run, a missed run -----------------------------------------------------


def answer(**fields: Any) -> ApprovalRecord:
    return ApprovalRecord.model_validate(
        {"approved": True, "answered": "by a person", "by": "ada", "at": NOW, **fields}
    )


@pytest.fixture
def recovery(proven: Ledger) -> Ledger:
    """The records of an approved real recovery, of which nothing was terminated."""
    proven.save_run(make_run(make_plan(allow_recovery=True), execution_type="RECOVERY", reason="fire"))
    proven.save_approval(RECOVERY_APPROVAL, answer())
    proven.save_cleanup(clean(kept=True, proven=False))
    return proven


def test_a_recovery_that_proved_everything_passes(recovery: Ledger) -> None:
    """The verdict calls it a RECOVERY and does not say that anything was terminated."""
    assert verdict() == "The RECOVERY passed: 4 server(s) launched in 2 wave(s); none of them is terminated."


def test_a_recovery_that_failed_is_not_called_a_drill(recovery: Ledger) -> None:
    """The reader has to act differently than after a drill."""
    recovery.save_outcome("database", judge(DATABASE, JOBS["database"], failed=[B]))
    with pytest.raises(AirflowFailException, match="The recovery did not pass"):
        verdict()


@pytest.mark.parametrize("record", [None, answer(approved=False)], ids=["none", "no"])
def test_a_recovery_without_a_yes_does_not_pass(recovery: Ledger, record: ApprovalRecord | None) -> None:
    """It does not pass even if all other records are complete."""
    recovery.forget_approval(RECOVERY_APPROVAL)
    if record:
        recovery.save_approval(RECOVERY_APPROVAL, record)
    with pytest.raises(AirflowFailException, match="- nobody has approved the recovery"):
        verdict()


def test_a_wave_that_was_launched_without_its_approval_is_named(proven: Ledger) -> None:
    """A wave that was not launched needs no approval."""
    waves: list[dict[str, Any]] = [
        {"name": name, "protection_groups": [name], "approval": {}} for name in ("database", "application")
    ]
    proven.save_run(make_run(make_plan(waves=waves)))
    proven.save_approval("application", answer(answered="skipped"))
    assert doubts() == ["nobody has approved wave database"]
    proven.save_run(make_run(make_plan(waves=waves), waves=["application"]))
    proven.forget_approval("application")
    assert "nobody has approved wave application" in doubts()


IDLE: dict[str, str | None] = {
    name: "skipped" for name in SUCCEEDED if name.startswith("wave_") or name in {"terminate", "evidence"}
}


def test_a_dry_run_passes_with_preflight(ledger: Ledger) -> None:
    """It needs no records of waves or of clean-up."""
    ledger.save_run(make_run(dry_run=True))
    ledger.save_resolution(Resolution(waves={wave: resolve(servers) for wave, servers in SERVERS.items()}))
    assert verdict(IDLE) == "Dry run of a DRILL: preflight passed, nothing was launched."


def test_a_dry_run_without_preflight_does_not_pass(ledger: Ledger) -> None:
    """It fails both when preflight failed and when preflight was skipped."""
    ledger.save_run(make_run(dry_run=True))
    ledger.save_failure("preflight", FailureRecord(code="ACCOUNT_MISMATCH", message="Account 1 is not 2."))
    never_ran = {name: None for name in IDLE if name.startswith("wave_")}
    assert doubts(IDLE | never_ran | {"preflight": "failed"}) == [
        "preflight failed: [ACCOUNT_MISMATCH] Account 1 is not 2.",
        "preflight has resolved no servers",
    ]
    assert "preflight is skipped" in doubts(IDLE | {"preflight": "skipped"}, StoppedByHand)


def test_a_missed_run_is_no_failed_drill_and_says_that_it_was_none(ledger: Ledger) -> None:
    """Unpausing a DAG must not alarm anybody."""
    ledger.save_run(make_run(run_type="scheduled", missed="Missed: it was due at 05:00."))
    assert verdict(IDLE | {"begin": "skipped", "preflight": "skipped"}).startswith("Missed")


@pytest.mark.parametrize("fields", [{"dry_run": True}, {"missed": "Missed."}], ids=str)
def test_a_run_that_was_to_launch_nothing_and_did_does_not_pass(
    proven: Ledger, fields: dict[str, Any]
) -> None:
    """The record of a launch contradicts the parameters of the run."""
    proven.save_run(make_run(**fields))
    assert doubts(IDLE) == [
        f"wave {wave} has a record of a launch, and nothing was to be launched" for wave in SERVERS
    ]


# --- the verdict: red -------------------------------------------------------------------------------------


def test_a_failed_task_is_named_with_its_code(proven: Ledger) -> None:
    """The verdict quotes the failure's message; a task without one was stopped by hand."""
    proven.save_failure("preflight", FailureRecord(code="ACCOUNT_MISMATCH", message="Account 1 is not 2."))
    assert doubts({"preflight": "failed", "begin": "failed"}) == [
        f"begin failed: {WITHOUT_CODE}",
        "preflight failed: [ACCOUNT_MISMATCH] Account 1 is not 2.",
    ]


@pytest.mark.parametrize("state", ["upstream_failed", "removed"])
def test_a_task_that_was_cut_off_is_named(proven: Ledger, state: str) -> None:
    """Its records may all exist from an earlier try."""
    assert doubts({DATABASE_GATE: state})[0] == f"{DATABASE_GATE} did not run ({state})"


def test_failed_tasks_stand_before_those_they_cut_off(proven: Ledger) -> None:
    """The remedy sends the reader to the task that is named first."""
    states: dict[str, str | None] = {
        "evidence": "upstream_failed",
        "wave_application.start_recovery": "upstream_failed",
        "wave_database.start_recovery": "failed",
    }
    proven.save_cleanup(clean(proven=False))
    assert doubts(states) == [
        f"wave_database.start_recovery failed: {WITHOUT_CODE}",
        "evidence did not run (upstream_failed)",
        "wave_application.start_recovery did not run (upstream_failed)",
        NOT_PROVEN,
    ]


@pytest.mark.parametrize(
    ("task", "state"),
    [
        (DATABASE_GATE, None),
        *((task, state) for task in ("terminate", "evidence") for state in ("skipped", None)),
    ],
)
def test_a_task_that_did_not_succeed_is_no_success(proven: Ledger, task: str, state: str | None) -> None:
    """It was skipped, or it never ran. Airflow would call that a success."""
    assert doubts({task: state}) == [f"{task} is {state or 'without a state'}"]


def test_a_run_that_a_person_ended_is_no_failure_of_the_drill(proven: Ledger) -> None:
    """The verdict says who ended it, and what was cut off by that."""
    marked: dict[str, str | None] = {"wave_application.wait_until_launched": "failed"}
    marked["wave_application.validate"] = "skipped"
    assert doubts(marked, StoppedByHand) == [
        STOPPED_IN_AIRFLOW,
        "wave_application.wait_until_launched was cut off by that",
        "wave_application.validate is skipped",
    ]
    proven.save_stop(Stop(by="ada", at=NOW, reason="the wrong fleet"))
    by_ada = "ada stopped the run at 2026-03-01 06:00:00 UTC: the wrong fleet"
    assert doubts(marked, StoppedByHand)[0] == by_ada


def test_a_success_set_by_hand_proves_nothing(proven: Ledger, xcom: Any) -> None:
    """The task's state is success, but no result was recorded."""
    del xcom.values["outcome.database"]
    assert doubts() == ["wave database has no record of its servers being launched"]


def test_a_wave_without_a_launch_proves_nothing(proven: Ledger, xcom: Any) -> None:
    """An outcome without a launch may come from an earlier try."""
    del xcom.values["launch.database"]
    assert doubts() == ["wave database has no record of its servers being launched"]


def test_an_outcome_of_an_earlier_job_proves_nothing(proven: Ledger) -> None:
    """The wave was cleared and launched again, and then its gate was marked as success."""
    proven.save_launch("database", launch(DATABASE, "drsjob-3", "drsjob-1"))
    proven.save_cleanup(clean(jobs=("drsjob-1", "drsjob-2", "drsjob-3")))
    assert doubts() == [
        f"wave database: server {server} (name of {server}) has no record of how its launch ended"
        for server in DATABASE
    ]


def test_a_required_server_that_was_not_launched_is_named(proven: Ledger) -> None:
    """The verdict names its id and its name."""
    proven.save_outcome("database", judge(DATABASE, JOBS["database"], failed=[B]))
    assert doubts() == [f"wave database: server {B} (name of {B}) did not launch"]


def ask(proven: Ledger) -> None:
    """Let the run's plan ask for three checks of wave database."""
    waves = [
        {"name": "database", "protection_groups": ["database"], "validation": ASKED[:1]},
        {"name": "application", "protection_groups": ["application"]},
    ]
    groups = {
        "database": {"source_servers": DATABASE, "validation": ASKED[1:]},
        "application": {"source_servers": APPLICATION},
    }
    proven.save_run(make_run(make_plan(waves=waves, protection_groups=groups)))


def not_valid(*labels: str, servers: Sequence[str] = DATABASE) -> list[str]:
    return [
        f"wave database: server {server} (name of {server}) has not passed: {', '.join(labels)}"
        for server in servers
    ]


def test_every_check_that_the_plan_asks_must_be_passed_by_every_server(proven: Ledger) -> None:
    """The checks of the wave and of the group count; two checks with the same name are told apart."""
    ask(proven)
    proven.save_validation("database", validate(DATABASE, labels=LABELS))
    verdict()
    proven.save_validation("database", validate(DATABASE, labels=LABELS[:3]))
    assert doubts() == not_valid(LABELS[3])
    proven.save_validation("database", validate([A], labels=LABELS))
    assert doubts() == not_valid(*LABELS, servers=[B])


def test_a_check_that_failed_proves_nothing(proven: Ledger) -> None:
    """It counts as failed in whatever state its task is."""
    proven.save_validation("database", validate(DATABASE, passed=False))
    assert doubts() == not_valid("recovery_instance")


def test_a_wave_that_nobody_validated_is_named(proven: Ledger, xcom: Any) -> None:
    """Its task was marked as success by hand."""
    del xcom.values["validation.database"]
    assert doubts() == not_valid("recovery_instance")


@pytest.mark.parametrize("stale", [{"began_at": after(-1)}, {"instance_id": "i-of-before"}], ids=str)
def test_a_validation_of_an_earlier_try_proves_nothing(proven: Ledger, stale: dict[str, Any]) -> None:
    """The wave was launched or judged again after it, and then the last task was marked as success."""
    proven.save_validation("database", validate(DATABASE, **stale))
    assert doubts() == not_valid("recovery_instance")


def test_what_an_optional_server_fails_does_not_matter(proven: Ledger) -> None:
    waves = {"database": resolve(DATABASE, optional=[A]), "application": resolve(APPLICATION)}
    proven.save_resolution(Resolution(waves=waves))
    proven.save_validation("database", validate([B]))
    verdict()


def test_a_drill_that_launched_nothing_does_not_pass(proven: Ledger) -> None:
    """It proved nothing, even if every server is optional."""
    waves = {wave: resolve(servers, optional=servers) for wave, servers in SERVERS.items()}
    proven.save_resolution(Resolution(waves=waves))
    for wave, servers in SERVERS.items():
        proven.save_outcome(wave, judge(servers, JOBS[wave], failed=servers))
    assert doubts() == ["no wave has a record of a server being launched"]


def test_a_server_that_nobody_judged_is_named(proven: Ledger) -> None:
    """Preflight was cleared alone, and then resolved one server more."""
    proven.save_outcome("database", judge([A], JOBS["database"]))
    assert doubts() == [f"wave database: server {B} (name of {B}) has no record of how its launch ended"]


def test_without_a_resolution_nothing_is_proven(proven: Ledger, xcom: Any) -> None:
    """Which servers had to be launched is not known."""
    del xcom.values["resolution"]
    assert doubts() == ["preflight has resolved no servers"]


def test_a_clean_up_without_proof_is_red(proven: Ledger) -> None:
    """It is red in whatever state its task is."""
    proven.save_cleanup(clean(proven=False))
    assert doubts() == [NOT_PROVEN]


@pytest.mark.parametrize(
    "record",
    [None, clean(proven=False, terminate_calls=()), clean(proven=False)],
    ids=["no clean-up", "nothing terminated", "survivors"],
)
def test_a_run_without_a_proof_names_what_may_still_run(
    proven: Ledger, xcom: Any, record: CleanupRecord | None
) -> None:
    """Whatever ended clean-up, the verdict names each instance that the run launched. A TERMINATE job for it
    does not show that it is gone.
    """
    del xcom.values["cleanup"]
    if record is not None:
        proven.save_cleanup(record)
    assert doubts() == [NOT_PROVEN]


def test_a_run_without_a_proof_names_the_jobs_that_were_not_seen_to_end(proven: Ledger) -> None:
    """They may still launch something: a job that nobody judged, a call without a reply, and a job of which
    it is not certain whose it is.
    """
    record = launch(DATABASE, "drsjob-7")
    lost = Call(at=NOW, servers=DATABASE, tagged=False)
    proven.save_launch("database", record.model_copy(update={"calls": (*record.calls, lost)}))
    proven.save_cleanup(clean(proven=False, unsure=("drsjob-8",)))
    told = doubts()[-1]
    assert told.endswith(
        f"these jobs were not seen to end: drsjob-7, the job of {A}, {B} (no reply), "
        "drsjob-8 (perhaps not this run's)"
    )


def test_a_proof_that_does_not_cover_every_job_is_red(proven: Ledger) -> None:
    """Jobs of an earlier try count too: their instances cost as much."""
    proven.save_launch("database", launch(DATABASE, "drsjob-1", "drsjob-8", "drsjob-7"))
    assert doubts() == ["clean-up did not see job(s) drsjob-7, drsjob-8"]


def test_a_run_that_never_began_does_not_pass(ledger: Ledger) -> None:
    """It was refused, and the reason for that is listed first."""
    ledger.save_failure("begin", FailureRecord(code="PLAN_ALREADY_EXECUTING", message="Run r is active."))
    states: dict[str, str | None] = {name: "upstream_failed" for name in SUCCEEDED if "wave" in name}
    told = doubts({"begin": "failed", "terminate": "skipped", "evidence": "skipped", **states})
    assert told[0] == "begin failed: [PLAN_ALREADY_EXECUTING] Run r is active."
    assert told[-1] == "the run never began"


def test_every_doubt_is_told_at_once(proven: Ledger) -> None:
    """The reader sees all reasons without clearing the verdict."""
    proven.save_outcome("database", judge(DATABASE, JOBS["database"], failed=[A]))
    proven.save_cleanup(clean(proven=False))
    assert doubts({"evidence": "skipped"}) == [
        f"wave database: server {A} (name of {A}) did not launch",
        NOT_PROVEN,
        "evidence is skipped",
    ]


def test_evidence_judges_the_run_before_its_own_end(proven: Ledger) -> None:
    """Its own task counts as successful, the verdict after it not at all, and every other task as usual."""
    states = SUCCEEDED | {"evidence": "running", "verdict": "upstream_failed"}
    assert list(doubts_before_evidence(proven, make_run(), states)) == []
    failed = states | {"preflight": "failed"}
    assert list(doubts_before_evidence(proven, make_run(), failed)) == [f"preflight failed: {WITHOUT_CODE}"]


def test_a_missed_dry_run_needs_no_preflight(ledger: Ledger) -> None:
    """It was missed before it could begin."""
    ledger.save_run(make_run(run_type="scheduled", dry_run=True, missed="Missed, not fired."))
    assert verdict(IDLE | {"begin": "skipped", "preflight": "skipped"}).startswith("Missed, not fired")


def test_required_servers_after_an_optional_one_are_judged(proven: Ledger) -> None:
    """The optional one is passed over, and nothing else."""
    waves = {"database": resolve(DATABASE, optional=[A]), "application": resolve(APPLICATION)}
    proven.save_resolution(Resolution(waves=waves))
    proven.save_outcome("database", judge(DATABASE, JOBS["database"], failed=DATABASE))
    assert doubts() == [f"wave database: server {B} (name of {B}) did not launch"]


def test_a_run_whose_waves_were_all_left_out_has_proved_nothing(proven: Ledger) -> None:
    """Whatever is on record of an earlier try."""
    left_out = WaveResolution(left_out="all of its servers are excluded")
    proven.save_resolution(Resolution(waves=dict.fromkeys(SERVERS, left_out)))
    assert doubts() == ["no wave has a record of a server being launched"]


def test_a_server_whose_job_is_still_live_is_not_said_to_be_unlaunched(proven: Ledger) -> None:
    """Its wait ended before its job did."""
    judged = judge(DATABASE, JOBS["database"], failed=[A]).servers
    live = judged[0].model_copy(update={"live": True})
    proven.save_outcome("database", WaveOutcome(servers=(live, *judged[1:])))
    assert doubts() == [f"wave database: server {A} (name of {A}) was still launching when the wait ended"]


# --- beside the run ---------------------------------------------------------------------------------------


def loss(server: str = A, *, optional: bool = False) -> Loss:
    """Somebody else ended the server's instance."""
    return Loss(
        wave="database",
        server_id=server,
        name=f"name of {server}",
        optional=optional,
        instance_id=f"i-{server}",
        what="is gone",
        last_seen=NOW,
        found_at=NOW,
        by="job drsjob-0 of run r of plan billing",
    )


def test_an_instance_that_somebody_else_ended_is_red(proven: Ledger) -> None:
    """Whatever the waves had proven. The first doubt is what happened, and it gives the verdict its code."""
    proven.save_losses((loss(),))
    (doubt,) = doubts(code=RecoveryInstanceLost)
    assert doubt == f"[RECOVERY_INSTANCE_LOST] {describe(loss())}"


def test_every_lost_instance_is_named(proven: Ledger) -> None:
    """Before everything that followed from it."""
    proven.save_losses((loss(A), loss(B)))
    proven.save_cleanup(clean(proven=False))
    assert doubts(code=RecoveryInstanceLost) == [
        f"[RECOVERY_INSTANCE_LOST] {describe(loss(A))}",
        f"[RECOVERY_INSTANCE_LOST] {describe(loss(B))}",
        NOT_PROVEN,
    ]


def test_a_loss_of_an_optional_server_is_no_doubt(proven: Ledger) -> None:
    """The drill does without it."""
    proven.save_losses((loss(optional=True),))
    verdict()


def test_a_wave_that_the_run_s_own_clean_up_had_ended_is_red(proven: Ledger) -> None:
    """The last wave was cleared after clean-up, and came up without the others."""
    servers = judge(APPLICATION, JOBS["application"]).servers
    late = NOW + dt.timedelta(hours=1)
    again = tuple(each.model_copy(update={"launched_at": late}) for each in servers)
    proven.save_outcome("application", WaveOutcome(servers=again))
    call = TerminateCall(job_id="drsjob-9", instances=(f"i-{A}",), at=NOW)
    proven.save_cleanup(clean(terminate_calls=(call, *clean().terminate_calls)))
    (doubt,) = doubts()
    assert f"this run's own clean-up ended i-{A} of server {A}" in doubt


@pytest.mark.parametrize("state", ["failed", "skipped"])
def test_what_a_clean_up_that_did_not_end_well_had_kept_is_named(proven: Ledger, state: str) -> None:
    """Somebody cleared clean-up, and it failed or was marked: what an earlier try has kept may be left."""
    proven.save_run(make_run(keep_instances=True))
    proven.save_cleanup(kept("the run was asked to keep them"))
    verdict()
    (told,) = [doubt for doubt in doubts({"terminate": state}) if "had kept" in doubt]
    assert all(f"i-{server} of {server}" in told for server in (*DATABASE, *APPLICATION))
    assert told.endswith("(the run was asked to keep them)")


@pytest.mark.parametrize("fields", [{}, {"kept": True, "proven": False}], ids=["proven", "kept"])
def test_a_job_that_may_be_the_run_s_is_red(proven: Ledger, fields: dict[str, Any]) -> None:
    """It has no tags, and a call has no reply. What is proven does not cover it, and it costs money."""
    proven.save_run(make_run(keep_instances=True))
    proven.save_cleanup(clean(unsure=("drsjob-7", "drsjob-8"), **fields))
    (doubt,) = doubts()
    assert doubt.startswith("job(s) drsjob-7, drsjob-8 have no tags and may be this run's")
    assert "Their instances were not touched and cost money" in doubt


# --- the verdict: how to go on ----------------------------------------------------------------------------


def failed_verdict(states: dict[str, str | None]) -> str:
    """The failure of a verdict after these states."""
    with pytest.raises(AirflowFailException) as failed:
        verdict(states)
    return str(failed.value)


def test_the_verdict_names_the_cause_and_its_remedy(
    proven: Ledger, capsys: pytest.CaptureFixture[str]
) -> None:
    """In its first line, and at its end. The log also says whether everything is terminated."""
    gate = "wave_database.wait_until_launched"
    failure = FailureRecord(code="SERVER_LAUNCH_FAILED", message="1 of 2.", remedy="Raise the quota.")
    proven.save_failure(gate, failure)
    text = failed_verdict({gate: "failed"}).splitlines()
    assert text[0] == f"[DRILL_FAILED] The drill did not pass: SERVER_LAUNCH_FAILED in {gate}."
    assert text[1] == f"- {gate} failed: [SERVER_LAUNCH_FAILED] 1 of 2."
    assert text[-1] == "What to do: Raise the quota."
    log = capsys.readouterr().out
    assert (
        log.index(text[0])
        < log.index("Everything terminated: yes: all 4 instance(s), proven")
        < log.index(text[-1])
    )
    assert log.count("Raise the quota.") == 1


def test_the_verdict_names_every_remedy_and_the_first_failure_as_the_cause(proven: Ledger) -> None:
    """What clean-up has left costs money, so its remedy must not be hidden behind that of the wave."""
    for task_id, remedy in (
        ("terminate", "Terminate i-1."),
        ("wave_application.validate", "Mount the disk."),
    ):
        proven.save_failure(task_id, FailureRecord(code="X", message="x", remedy=remedy))
    text = failed_verdict({"terminate": "failed", "wave_application.validate": "failed"})
    assert "The drill did not pass: X in wave_application.validate.\n" in text
    assert text.endswith(
        "What to do: - wave_application.validate: Mount the disk.\n- terminate: Terminate i-1."
    )


def test_a_code_of_the_verdict_s_own_keeps_its_remedy(proven: Ledger) -> None:
    """The failures of tasks come after it."""
    proven.save_losses(
        (
            Loss(
                wave="database",
                server_id=A,
                name="db",
                optional=False,
                instance_id="i-1",
                what="is gone",
                last_seen=NOW,
                found_at=NOW,
                by="a job",
            ),
        )
    )
    proven.save_failure("terminate", FailureRecord(code="X", message="x", remedy="Terminate i-1."))
    text = failed_verdict({"terminate": "failed"})
    assert text.endswith(f"What to do: {RecoveryInstanceLost.remedy}\n- terminate: Terminate i-1.")


def test_a_pass_is_logged_with_measures_scope_and_record(
    proven: Ledger, capsys: pytest.CaptureFixture[str]
) -> None:
    """The answer comes first."""
    verdict_after({"not_met": [], "hash": "abc", "id": "orders-000001", "path": "/e/1.json"})
    log = capsys.readouterr().out
    places = [
        log.index(each) for each in ("The drill passed", "RTO, to the", "Scope: full", "/e/1.json", "abc")
    ]
    assert places == sorted(places)


# --- objectives -------------------------------------------------------------------------------------------

RTO = {"code": "RTO_MISSED", "says": "the RTO was missed"}
RPO = {"code": "RPO_MISSED", "says": "the RPO was missed"}


def verdict_after(evidence: Any) -> str:
    """The text of the verdict of a run whose task evidence returned this."""
    context = make_context(SUCCEEDED)
    context["ti"].xcom["evidence"] = evidence
    text = DrsDrillVerdictOperator(task_id="verdict").execute(context)
    assert isinstance(text, str)
    return text


def test_a_missed_objective_is_told_with_the_pass(proven: Ledger, capsys: pytest.CaptureFixture[str]) -> None:
    """The plan does not enforce it, so the run is green. The log warns."""
    assert verdict_after({"not_met": [RTO]}) == (
        "The drill passed, but the RTO was missed. 4 server(s) launched in 2 wave(s); all of them are "
        "terminated."
    )
    log = capsys.readouterr().out
    assert log.count("the RTO was missed") == 1
    assert "warning" in next(line for line in log.splitlines() if "the RTO was missed" in line).lower()


@pytest.mark.parametrize(
    ("evidence", "code"),
    [
        ({"not_met": [RTO]}, "RTO_MISSED"),
        ({"not_met": [RPO]}, "RPO_MISSED"),
        ({"not_met": [RTO, RPO]}, "RTO_MISSED"),
        (None, "RTO_MISSED"),
    ],
)
def test_an_enforced_objective_gives_the_verdict_its_code(proven: Ledger, evidence: Any, code: str) -> None:
    """Also if the task evidence was marked as success by hand and measured nothing."""
    plan = make_plan(objectives={"rto": "1h", "rpo": "1m", "enforce": True})
    proven.save_run(make_run(plan))
    assert verdict_after({"not_met": []}).startswith("The drill passed: ")
    with pytest.raises(AirflowFailException) as failed:
        verdict_after(evidence)
    assert str(failed.value).startswith(f"[{code}] The drill did not pass:\n- the ")
    for each in (evidence or {}).get("not_met", ()):
        assert f"- {each['says']}" in str(failed.value)


def test_an_enforced_objective_beside_another_failure_does_not_give_the_code(proven: Ledger) -> None:
    """It is listed last; the first reason says what to do."""
    proven.save_run(make_run(make_plan(objectives={"rto": "1h", "enforce": True})))
    proven.save_outcome("database", judge(DATABASE, JOBS["database"], failed=[A]))
    with pytest.raises(AirflowFailException, match="DRILL_FAILED") as failed:
        verdict_after({"not_met": [RTO]})
    _, *listed = str(failed.value).splitlines()
    unlaunched = f"wave database: server {A} (name of {A}) did not launch"
    assert listed[:2] == [f"- {unlaunched}", f"- {RTO['says']}"]


def test_a_dry_run_has_no_objectives(ledger: Ledger) -> None:
    """It launched nothing, whatever its plan enforces."""
    plan = make_plan(objectives={"rto": "1h", "enforce": True})
    ledger.save_run(make_run(plan, dry_run=True))
    ledger.save_resolution(Resolution(waves={wave: resolve(servers) for wave, servers in SERVERS.items()}))
    assert verdict(IDLE) == "Dry run of a DRILL: preflight passed, nothing was launched."
