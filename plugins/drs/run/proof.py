"""Whether a run proved what it was meant to prove, from its records and the states of its tasks. Pure.

A task's state alone proves nothing, because a person can set it. A record alone proves nothing either,
because it may be of an earlier try.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from drs.errors import Code
from drs.plan import Plan
from drs.plan.check_labels import asked_of
from drs.run.ledger import Ledger
from drs.run.records import (
    CLEANUP_APPROVAL,
    RECOVERY_APPROVAL,
    ApprovalRecord,
    LaunchRecord,
    ResolvedServer,
    RunRecord,
    ServerRecord,
    WaveOutcome,
    WaveResolution,
)
from drs.run.standing import describe

PREFLIGHT_TASK_ID = "preflight"
APPROVE_CLEANUP_TASK_ID = "approve_cleanup"
TERMINATE_TASK_ID = "terminate"
EVIDENCE_TASK_ID = "evidence"
VERDICT_TASK_ID = "verdict"
LAST_TASK = "validate"
"""The last task of a wave, within its group."""
LAST_GATE = "validated"
"""The gate that this task reaches."""
KEPT_LAUNCH = "launch"
"""The XCom in which a wave's start_recovery keeps a copy of its launch record: if ``begin`` is cleared, the
ledger is lost.
"""
WITHOUT_CODE = (
    "it recorded no error code (somebody marked it as failed, its process died, or an error that has no code "
    "ended it); see its log"
)
TaskStates = Mapping[str, str | None]
"""The state of each of the run's tasks, by task id."""


def start_task_id(wave: str) -> str:
    """The task that launches the wave."""
    return f"{group_id(wave)}.start_recovery"


def group_id(wave: str) -> str:
    """The wave's task group. The prefix keeps a wave named ``begin`` apart from the task of that name."""
    return f"wave_{wave}"


def passed(ledger: Ledger, run: RunRecord) -> str:
    """One sentence on what a run that passed has done."""
    if run.missed:
        return run.missed
    if run.dry_run:
        return f"Dry run of a {run.execution_type}: preflight passed, nothing was launched."
    servers = [server for _, outcome in outcomes(ledger, run) for server in outcome.servers]
    launched = f"{sum(server.launched for server in servers)} server(s) launched in {len(run.waves)} wave(s)"
    if not run.is_drill:
        return f"The RECOVERY passed: {launched}; none of them is terminated."
    cleanup = ledger.cleanup()
    end = "all of them are terminated"
    if cleanup is not None and cleanup.kept:
        end = f"{len(cleanup.instances)} instance(s) are kept and cost money: {cleanup.why_kept}"
    return f"The drill passed: {launched}; {end}."


def failed_tasks(ledger: Ledger, states: TaskStates) -> Iterator[str]:
    """The tasks that failed, and after them the tasks that did not run because of it."""
    for task_id, state in sorted(states.items()):
        if state == "failed":
            failure = ledger.failure(task_id)
            why = f"[{failure.code}] {failure.message}" if failure else WITHOUT_CODE
            yield f"{task_id} failed: {why}"
    for task_id, state in sorted(states.items()):
        if state in {"upstream_failed", "removed"}:
            yield f"{task_id} did not run ({state})"


def doubts(ledger: Ledger, run: RunRecord, states: TaskStates) -> Iterator[str]:
    """Every reason to doubt that the run proved what it was meant to prove; empty if it did."""
    yield from failed_tasks(ledger, states)
    if run.missed or run.dry_run:
        yield from doubted_idleness(ledger, run, states)
    else:
        yield from lost_instances(ledger)
        yield from doubted_approvals(ledger, run)
        yield from doubted_waves(ledger, run, states)
        yield from doubted_end(ledger, run, states)


def doubts_before_evidence(ledger: Ledger, run: RunRecord, states: TaskStates) -> Iterator[str]:
    """The doubts while the task ``evidence`` runs: it counts as successful, the verdict not at all."""
    known = {task_id: state for task_id, state in states.items() if task_id != VERDICT_TASK_ID}
    return doubts(ledger, run, known | {EVIDENCE_TASK_ID: "success"})


def lost_instances(ledger: Ledger) -> Iterator[str]:
    """The instances of required servers that somebody else ended before the drill was over."""
    for loss in ledger.losses():
        if not loss.optional:
            yield f"[{Code.RECOVERY_INSTANCE_LOST}] {describe(loss)}"


def doubted_idleness(ledger: Ledger, run: RunRecord, states: TaskStates) -> Iterator[str]:
    """The doubts about a run that was to launch nothing."""
    if run.dry_run and not run.missed:
        if ledger.resolution() is None:
            yield "preflight has resolved no servers"
        yield from _not_ended(PREFLIGHT_TASK_ID, states)
    for name in run.waves:
        if ledger.launch(name) is not None:
            yield f"wave {name} has a record of a launch, and nothing was to be launched"


def doubted_approvals(ledger: Ledger, run: RunRecord) -> Iterator[str]:
    """The approvals that the run needed and has no record of."""
    if not run.is_drill and not _approved(ledger.approval(RECOVERY_APPROVAL)):
        yield "nobody has approved the recovery"
    for wave in run.read_plan().waves:
        if wave.approval and ledger.launch(wave.name) and not _approved(ledger.approval(wave.name)):
            yield f"nobody has approved wave {wave.name}"


def _approved(answer: ApprovalRecord | None) -> bool:
    return answer is not None and answer.approved


def doubted_waves(ledger: Ledger, run: RunRecord, states: TaskStates) -> Iterator[str]:
    """The doubts that every required server of every chosen wave was launched and passed its checks."""
    resolution = ledger.resolution()
    if resolution is None:
        yield "preflight has resolved no servers"
        return
    for name in run.waves:
        yield from doubted_wave(ledger, run, name, resolution.waves.get(name), states)
    if not any(_launched_any(ledger, name, resolution.waves.get(name)) for name in run.waves):
        yield "no wave has a record of a server being launched"


def _launched_any(ledger: Ledger, name: str, wave: WaveResolution | None) -> bool:
    """Whether the records of a wave show a server that was launched."""
    outcome = ledger.outcome(name)
    if wave is None or wave.left_out or outcome is None or ledger.launch(name) is None:
        return False
    return any(server.launched for server in outcome.servers)


def doubted_wave(
    ledger: Ledger,
    run: RunRecord,
    name: str,
    wave: WaveResolution | None,
    states: TaskStates,
) -> Iterator[str]:
    """The doubts that every required server of one wave was launched and passed its checks.

    :param wave: what preflight resolved the wave to
    """
    if wave is not None and wave.left_out:
        return
    outcome, launch = ledger.outcome(name), ledger.launch(name)
    if wave is None or outcome is None or launch is None:
        yield f"wave {name} has no record of its servers being launched"
        return
    yield from _not_ended(f"{group_id(name)}.{LAST_TASK}", states)
    judged = {server.server_id: server for server in outcome.servers}
    plan = run.read_plan()
    for server in wave.servers:
        if server.optional:
            continue
        if lacking := _lacking(ledger, plan, name, server, judged.get(server.server_id), launch):
            yield f"wave {name}: server {server.server_id} ({server.name}) {lacking}"


def _lacking(
    ledger: Ledger,
    plan: Plan,
    wave: str,
    server: ResolvedServer,
    judged: ServerRecord | None,
    launch: LaunchRecord,
) -> str | None:
    """What one server's records do not show; ``None`` if it was launched and passed every check.

    :param judged: how the server's launch ended, if that is on record
    """
    if judged is None or judged.job_id != launch.timeline.slot(server.server_id).job_id:
        return "has no record of how its launch ended"
    if judged.live:
        return f"was still launching when its wave was judged (job {judged.job_id} had not ended)"
    if not judged.launched:
        return "did not launch"
    unproven = _unproven_checks(ledger, plan, wave, server, judged)
    return f"has not passed: {', '.join(unproven)}" if unproven else None


def _unproven_checks(
    ledger: Ledger, plan: Plan, wave: str, server: ResolvedServer, launched: ServerRecord
) -> list[str]:
    """The checks that this launch of the server has not passed, as far as the records show."""
    asked = asked_of(plan, wave, server.group)
    validation, since = ledger.validation(wave), ledger.reached(wave, "launched")
    if validation is None or since is None or validation.began_at < since:  # of an earlier try
        return list(asked)
    passed = {
        result.check
        for result in validation.results
        if result.passed
        and (result.server_id, result.instance_id) == (server.server_id, launched.instance_id)
    }
    return [label for label in asked if label not in passed]


def doubted_end(ledger: Ledger, run: RunRecord, states: TaskStates) -> Iterator[str]:
    """The doubts that clean-up covered everything and that evidence was written."""
    yield from _doubted_cleanup(ledger, run)
    for task_id in (TERMINATE_TASK_ID, EVIDENCE_TASK_ID):
        yield from _not_ended(task_id, states)


def _doubted_cleanup(ledger: Ledger, run: RunRecord) -> Iterator[str]:
    cleanup = ledger.cleanup()
    launches = [record for name in run.waves if (record := ledger.launch(name)) is not None]
    made = frozenset[str]().union(*(record.all_job_ids for record in launches))
    if cleanup is None or not (cleanup.proven or cleanup.kept):
        yield "clean-up is not proven complete"
    elif cleanup.unsure:
        yield (
            f"job(s) {', '.join(cleanup.unsure)} have no tags and may be this run's: the reply to a call was "
            "lost. Their instances were not touched and cost money if nobody else started them"
        )
    elif cleanup.kept and not _may_keep(ledger, run):
        yield "instances are kept, and neither the run nor the plan nor a person has asked for that"
    elif uncovered := made - set(cleanup.jobs):
        yield f"clean-up did not see job(s) {', '.join(sorted(uncovered))}"


def _may_keep(ledger: Ledger, run: RunRecord) -> bool:
    """Whether the run, its plan or a person allows that instances are kept."""
    if run.keep_instances or not run.is_drill:
        return True
    when = run.read_plan().cleanup.when
    if when == "after_approval":
        answer = ledger.approval(CLEANUP_APPROVAL)
        return answer is not None and not answer.approved
    return when in {"never", "on_success"}


def _not_ended(task_id: str, states: TaskStates) -> Iterator[str]:
    """The doubt about a task that did not succeed and is not among :func:`failed_tasks`, such as a skipped
    task.
    """
    state = states.get(task_id)
    if state not in {"success", "failed", "upstream_failed"}:
        yield f"{task_id} is {state or 'without a state'}"


def outcomes(ledger: Ledger, run: RunRecord) -> Iterator[tuple[str, WaveOutcome]]:
    """How each chosen wave ended, for the waves that did."""
    for name in run.waves:
        if (outcome := ledger.outcome(name)) is not None:
            yield name, outcome
