"""Assembles what a run showed, from its own records and from DRS, however the run ended. Pure."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from drs.aws.states import JobType
from drs.evidence.launched import event_evidence, launched_servers, wave_jobs
from drs.evidence.objectives import last_launch, measure, missed, span, unmet, worst_rpo
from drs.evidence.observed import Account
from drs.evidence.record import (
    CleanupEvidence,
    Exclusion,
    FailureEvidence,
    FindingEvidence,
    InstanceEvidence,
    JobEvidence,
    Objectives,
    PlanEvidence,
    RunEvidence,
    RunFindings,
    TargetEvidence,
    WaveEvidence,
    WaveState,
)
from drs.plan import Plan
from drs.run.fates import InstanceFate, fates
from drs.run.ledger import Ledger
from drs.run.proof import (
    EVIDENCE_TASK_ID,
    SETUP_TASK_ID,
    VERDICT_TASK_ID,
    cut_off_by_hand,
    doubted_wave,
    doubts_before_evidence,
    group_id,
)
from drs.run.records import (
    CLEANUP_APPROVAL,
    RECOVERY_APPROVAL,
    ApprovalRecord,
    CleanupRecord,
    LaunchRecord,
    RunRecord,
    WaveResolution,
)
from drs.run.result import passed
from drs.run.scope import scope_of_run

CONFLICT = "ConflictException"
"""DRS's error code for a call that it refused because a live job holds one of the servers."""
CUT_OFF = {
    "failed": "It failed without an error code, or somebody marked it failed; see its log.",
    "upstream_failed": "It did not run: a task before it failed.",
    "removed": "It did not run: the plan's file was edited, or broke, while the run was active.",
}


def assemble(ledger: Ledger, run: RunRecord, account: Account, now: dt.datetime) -> RunFindings:
    """What the run showed. The store seals it into a record.

    :param now: the time of assembly
    """
    plan = run.read_plan()
    waves = tuple(_wave(ledger, run, plan, name, account) for name in (wave.name for wave in plan.waves))
    objectives = measure(plan, [wave for wave in waves if wave.state != "left_out"])
    reasons = tuple(_reasons(ledger, run, plan, objectives, account))
    what = "drill" if run.is_drill else "recovery"
    return RunFindings(
        assembled_at=now,
        result="failed" if reasons else "passed",
        summary=f"The {what} failed: {reasons[0]}" if reasons else _passed(ledger, run, objectives),
        reasons=reasons,
        plan=PlanEvidence(
            name=plan.name,
            description=plan.description,
            owner=plan.owner,
            digest=run.digest,
            content=run.plan,
        ),
        run=_run(ledger, run, account),
        target=TargetEvidence(
            account_id=plan.target.account_id,
            region=plan.target.region,
            aws_conn_id=plan.target.aws_conn_id,
        ),
        objectives=objectives,
        approvals=dict(answers(ledger, run)),
        waves=waves,
        excluded=tuple(_excluded(ledger, run, plan)),
        scope=scope_of_run(run),
        findings=tuple(_finding(found) for found in account.findings),
        failures=tuple(failures(ledger, account.states)),
        losses=ledger.losses(),
        missed_before=tuple(account.missed),
        cleanup=_cleanup(ledger, run, plan, account),
        jobs=tuple(_jobs(ledger, waves, account)),
        remarks=(*account.remarks, *_remarks(ledger, account.states)),
        software=dict(account.software),
    )


def answers(ledger: Ledger, run: RunRecord) -> Iterator[tuple[str, ApprovalRecord]]:
    """The answers to the run's questions, with what they are about."""
    for subject in _questions(run):
        if (answer := ledger.approval(subject)) is not None:
            yield subject, answer


def _questions(run: RunRecord) -> Iterator[str]:
    """What a person is asked about in this run, by the plan that it began with."""
    plan = run.read_plan()
    if not run.is_drill:
        yield RECOVERY_APPROVAL
    yield from (name for name in run.waves if plan.wave(name).approval)
    if plan.cleanup.when == "after_approval":
        yield CLEANUP_APPROVAL


def failures(ledger: Ledger, states: Mapping[str, str | None]) -> Iterator[FailureEvidence]:
    """The tasks that failed or were cut off, without evidence and verdict. Those that failed come first."""
    by_hand = cut_off_by_hand(ledger, states)
    for wanted in CUT_OFF:
        for task_id, state in sorted(states.items()):
            if state != wanted or task_id in {EVIDENCE_TASK_ID, VERDICT_TASK_ID}:
                continue
            # A task that did not run may have a record of an earlier try, which does not concern this one.
            recorded = ledger.failure(task_id) if state != "upstream_failed" else None
            known = by_hand.get(task_id) or recorded
            yield FailureEvidence(
                task_id=task_id,
                state=state,
                code=known.code if known else None,
                message=known.message if known else CUT_OFF[state],
                remedy=known.remedy if known else "",
            )


def _reasons(
    ledger: Ledger, run: RunRecord, plan: Plan, objectives: Objectives, account: Account
) -> Iterator[str]:
    """Every reason why the run did not pass. An enforced objective counts in a run that was to launch."""
    doubts = list(doubts_before_evidence(ledger, run, account.states))
    yield from doubts
    if plan.objectives.enforce and not run.dry_run:
        yield from (each.says for each in unmet(objectives, doubted=bool(doubts)))


def _passed(ledger: Ledger, run: RunRecord, objectives: Objectives) -> str:
    return passed(ledger, run, [each.says for each in missed(objectives)])


def _run(ledger: Ledger, run: RunRecord, account: Account) -> RunEvidence:
    return RunEvidence(
        dag_id=run.dag_id,
        run_id=run.run_id,
        run_type=run.run_type,
        initiator=run.initiator,
        reason=run.reason,
        execution_type=run.execution_type,
        dry_run=run.dry_run,
        waves=run.waves,
        keep_instances=run.keep_instances,
        skip_approvals=run.skip_approvals,
        recovery_point=run.recovery_point,
        url=account.url,
        began_at=run.began_at,
        next_run=account.next_run,
        stop=ledger.stop(),
    )


# --- waves ------------------------------------------------------------------------------------------------


def _wave(ledger: Ledger, run: RunRecord, plan: Plan, name: str, account: Account) -> WaveEvidence:
    resolution = ledger.resolution()
    resolved = resolution.waves.get(name) if resolution else None
    launch = ledger.launch(name)
    state, why = _judged(ledger, run, name, resolved, launch, account)
    servers = launched_servers(ledger, name, resolved, account)
    launched_at = last_launch(servers)
    validated_at = ledger.reached(name, "validated")
    if validated_at is None or launched_at is None or validated_at < launched_at:
        validated_at = None  # an earlier try reached it, or none did
    return WaveEvidence(
        name=name,
        state=state,
        why=why,
        depends_on=plan.dependencies(name),
        jobs=wave_jobs(ledger, name, resolved, account),
        first_call_at=launch.calls[0].at if launch and launch.calls else None,
        started_at=ledger.reached(name, "started"),
        launched_at=launched_at,
        validated_at=validated_at,
        rto_launched_seconds=span(run.began_at, launched_at),
        rto_validated_seconds=span(run.began_at, validated_at),
        rpo_seconds=worst_rpo(servers),
        conflicts=sum(call.error == CONFLICT for call in launch.calls) if launch else 0,
        servers=servers,
    )


def _judged(
    ledger: Ledger,
    run: RunRecord,
    name: str,
    resolved: WaveResolution | None,
    launch: LaunchRecord | None,
    account: Account,
) -> tuple[WaveState, str]:
    """How the wave ended, and why if it did not pass."""
    if name not in run.waves:
        return "left_out", "It was not chosen for this run."
    if resolved is not None and resolved.left_out:
        return "left_out", f"{resolved.left_out}."
    if launch is None:
        return "not_reached", _why_not_reached(ledger, run, name, resolved, account)
    group = f"{group_id(name)}."
    reasons = [
        f"{failure.task_id}: {failure.message}"
        for failure in failures(ledger, account.states)
        if failure.task_id.startswith(group)
    ]
    reasons += doubted_wave(ledger, run, name, resolved, account.states)
    return ("failed", "\n".join(reasons)) if reasons else ("passed", "")


def _why_not_reached(
    ledger: Ledger, run: RunRecord, name: str, resolved: WaveResolution | None, account: Account
) -> str:
    if run.dry_run:
        return "This was a dry run: it ended with preflight."
    first = next(failures(ledger, account.states), None)
    if first is not None:
        return f"The run ended before this wave. {first.task_id}: {first.message}"
    if resolved is None:
        return "The run ended before preflight had resolved the wave's servers."
    state = account.states.get(f"{group_id(name)}.start_recovery")
    return (
        "The run ended before this wave: the wave launched nothing "
        f"(its start_recovery is {state or 'without a state'})."
    )


def _excluded(ledger: Ledger, run: RunRecord, plan: Plan) -> Iterator[Exclusion]:
    resolution = ledger.resolution()
    waves = {
        server: name
        for name, wave in (resolution.waves if resolution else {}).items()
        for server in wave.excluded
    }
    listed = {server: wave.name for wave in plan.waves for server in plan.listed_servers(wave.name)}
    for server in run.exclude_servers:
        wave = waves.get(server) or listed.get(server) or ""
        yield Exclusion(server_id=server, wave=wave, why="Excluded by the run parameter exclude_servers.")


def _finding(found: Mapping[str, Any]) -> FindingEvidence:
    wanted = FindingEvidence.model_fields
    return FindingEvidence.model_validate({name: found.get(name) for name in wanted})


# --- the end ----------------------------------------------------------------------------------------------


def _cleanup(ledger: Ledger, run: RunRecord, plan: Plan, account: Account) -> CleanupEvidence | None:
    """The end of every instance, also of one that a wave launched and that clean-up never looked for."""
    record = ledger.cleanup()
    instances = fates(ledger, run, account.listed)
    if record is None and not instances:
        return None
    return CleanupEvidence(
        when=plan.cleanup.when,
        started_at=record.started_at if record else None,
        ended_at=record.ended_at if record else None,
        proven=record.proven if record else False,
        kept=record.kept if record else False,
        why_kept=record.why_kept if record else "",
        instances=tuple(_instance(each, record) for each in instances),
    )


def _instance(each: InstanceFate, record: CleanupRecord | None) -> InstanceEvidence:
    item = each.instance
    return InstanceEvidence(
        recovery_instance_id=item.recovery_instance_id,
        ec2_instance_id=item.ec2_instance_id,
        server_id=item.server_id,
        launch_job_id=item.job_id,
        terminate_jobs=tuple(
            call.job_id
            for call in (record.terminate_calls if record else ())
            if item.recovery_instance_id in call.instances
        ),
        instance_type=item.instance_type,
        gone=each.fate in {"terminated", "lost"},
        fate=each.fate,
        lost_to=each.lost_to,
    )


def _jobs(ledger: Ledger, waves: Sequence[WaveEvidence], account: Account) -> Iterator[JobEvidence]:
    """The run's jobs, oldest first. Jobs that DRS gave no answer about come last."""
    cleanup = ledger.cleanup()
    known = {job.job_id: job for job in account.jobs}
    of_wave = {job_id: wave.name for wave in waves for job_id in wave.jobs}
    terminating = [call.job_id for call in cleanup.terminate_calls if call.job_id] if cleanup else []
    launching = [*of_wave, *(cleanup.jobs if cleanup else ())]
    ids = dict.fromkeys([*launching, *terminating])
    latest = dt.datetime.max.replace(tzinfo=dt.UTC)
    for job_id in sorted(ids, key=lambda one: known[one].created if one in known else latest):
        job = known.get(job_id)
        with_server = {server.server_id for wave in waves if job_id in wave.jobs for server in wave.servers}
        yield JobEvidence(
            job_id=job_id,
            type=job.type if job else (JobType.TERMINATE if job_id in terminating else JobType.LAUNCH).value,
            wave=of_wave.get(job_id),
            status=job.status if job else None,
            created_at=job.created if job else None,
            ended_at=job.ended if job else None,
            events=tuple(
                event_evidence(event)
                for event in account.logs.get(job_id, ())
                if event.server_id not in with_server
            ),
        )


def _remarks(ledger: Ledger, states: Mapping[str, str | None]) -> Iterator[str]:
    for task_id in states:
        if task_id != SETUP_TASK_ID:  # it only opens the run, and has nothing to note
            for note in ledger.notes(task_id):
                yield f"{task_id}: {note}"
