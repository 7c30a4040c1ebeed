"""Whether a run proved what it was meant to prove, from its records and the states of its tasks. Pure.

A task's state alone proves nothing, because a person can set it. A record alone proves nothing either,
because it may be of an earlier try.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence, Set

from drs.errors import Code, StoppedByHand
from drs.plan.check_labels import asked_of
from drs.run.ledger import BEGIN_TASK_ID, Ledger
from drs.run.records import (
    CLEANUP_APPROVAL,
    RECOVERY_APPROVAL,
    ApprovalRecord,
    FailureRecord,
    RunRecord,
    ServerRecord,
    WaveResolution,
)
from drs.run.standing import describe, ended_too_early, launched_servers
from drs.text import shown
from drs.text.tables import named
from drs.text.times import clock_time

SETUP_TASK_ID = "open"
"""The first task. If it is skipped, Airflow skips the three closing tasks too."""
PREFLIGHT_TASK_ID = "preflight"
APPROVE_CLEANUP_TASK_ID = "approve_cleanup"
TERMINATE_TASK_ID = "terminate"
EVIDENCE_TASK_ID = "evidence"
VERDICT_TASK_ID = "verdict"
CLOSING_TASKS = frozenset({TERMINATE_TASK_ID, EVIDENCE_TASK_ID, VERDICT_TASK_ID})
"""The tasks after the waves. Airflow runs them even if a person ends the run."""
APPROVE_TASK = "approve"
"""The task that asks a person about a wave, within the wave's group."""
LAST_TASK = "validate"
"""The last task of a wave, within its group."""
LAST_GATE = "validated"
"""The gate that this task reaches."""
KEPT_LAUNCH = "launch"
"""The XCom in which a wave's start_recovery keeps a copy of its launch record: if ``begin`` is cleared, the
ledger is lost.
"""
WITHOUT_CODE = (
    "it recorded no error code (somebody marked it as failed, its process died, Airflow's API did not answer "
    "it, or an error that has no code ended it); see its log, and if that is empty the logs of its worker "
    "and of the scheduler"
)
STOPPED_IN_AIRFLOW = "someone stopped the run (or skipped its tasks) in Airflow, whose audit log says who"
TaskStates = Mapping[str, str | None]
"""The state of each of the run's tasks, by task id."""
PassedCheck = tuple[str, str | None, str]
"""Server, instance and name of a check that the instance has passed."""


def asks_a_person(task_id: str, state: str | None) -> bool:
    """Whether a task in this state waits for a person's answer. Below 3.3, Airflow calls that deferred."""
    is_question = task_id.rpartition(".")[2].startswith(APPROVE_TASK)
    return state == "awaiting_input" or (state == "deferred" and is_question)


def start_task_id(wave: str) -> str:
    """The task that launches the wave."""
    return f"{group_id(wave)}.start_recovery"


def group_id(wave: str) -> str:
    """The wave's task group. The prefix keeps a wave named ``begin`` apart from the task of that name."""
    return f"wave_{wave}"


def verdict_code(ledger: Ledger, run: RunRecord | None, states: TaskStates) -> Code:
    """The code of a run that did not pass: the first one in :data:`TELLING_CODES` that holds."""
    return next((code for code, holds in TELLING_CODES if holds(ledger, run, states)), Code.DRILL_FAILED)


def only_stopped(ledger: Ledger, run: RunRecord | None, states: TaskStates) -> bool:
    """Whether a person ended the run, nothing failed by itself, and nothing is left of it."""
    if stopped(ledger, states) is None:
        return False
    failed = {task_id for task_id, state in states.items() if state == "failed"} - {VERDICT_TASK_ID}
    if failed - set(_cut_off(ledger, states)):
        return False
    if run is None or run.missed or run.dry_run:
        return True
    return not any(doubted_cleanup(ledger, run))


TELLING_CODES: tuple[tuple[Code, Callable[[Ledger, RunRecord | None, TaskStates], bool]], ...] = (
    (Code.RECOVERY_INSTANCE_LOST, lambda ledger, *_: any(lost_instances(ledger))),
    (Code.STOPPED_BY_HAND, only_stopped),
)
"""The codes that a verdict may have, the most telling first, and when each of them holds."""


def stopped(ledger: Ledger, states: TaskStates) -> str | None:
    """Who ended the run before its time, as a sentence; ``None`` if nobody did, as far as it is certain.

    ``python -m drs stop`` records who stops the run. When a person marks the run as failed or as success in
    Airflow, Airflow skips every task that has not begun; after a failure by itself such a task would be
    ``upstream_failed``. One failed task without a code is no such sign, because its process may have died.
    """
    skipped = "skipped" in states.values() and any(_skipped_by_hand(ledger, states))
    if not (skipped or any(_cut_off(ledger, states))):
        return None
    if (stop := ledger.stop()) is not None:
        reason = f": {shown.line(stop.reason)}" if stop.reason else ""
        return f"{shown.line(stop.by)} stopped the run at {stop.at:%Y-%m-%d} {clock_time(stop.at)}{reason}"
    return STOPPED_IN_AIRFLOW if skipped else None


def cut_off_by_hand(ledger: Ledger, states: TaskStates) -> dict[str, FailureRecord]:
    """Why those tasks failed that were cut off when a person stopped the run, by task id."""
    stop = stopped(ledger, states)
    if stop is None:
        return {}
    failure = FailureRecord(
        code=Code.STOPPED_BY_HAND, message=f"It was cut off: {stop}.", remedy=StoppedByHand.remedy
    )
    return dict.fromkeys(_cut_off(ledger, states), failure)


def _cut_off(ledger: Ledger, states: TaskStates) -> Iterator[str]:
    """The tasks that failed without a code while the waves ran: a person's stop ends them in this way."""
    for task_id, state in sorted(states.items()):
        if state == "failed" and task_id not in CLOSING_TASKS and ledger.failure(task_id) is None:
            yield task_id


def _skipped_by_hand(ledger: Ledger, states: TaskStates) -> Iterator[str]:
    """The skipped tasks that did not skip themselves, as far as the run's records show."""
    run = ledger.begun()
    if run is None:
        expected = {BEGIN_TASK_ID, PREFLIGHT_TASK_ID}
    elif run.missed:
        expected = set[str]()
    else:
        expected = {PREFLIGHT_TASK_ID}.union(
            *(_wave_tasks(name, states) for name in _waves_due(ledger, run, states))
        )
    yield from (task_id for task_id in expected if states.get(task_id) == "skipped")


def _waves_due(ledger: Ledger, run: RunRecord, states: TaskStates) -> Iterator[str]:
    """The waves whose tasks had no reason of their own to be skipped."""
    resolution = ledger.resolution()
    if states.get(PREFLIGHT_TASK_ID) == "success" and (run.dry_run or resolution is None):
        return  # a dry run skips every wave; without a resolution it is not known which waves are left out
    for name in run.waves:
        resolved = resolution.waves.get(name) if resolution else None
        if resolved is None or not resolved.left_out:
            yield name


def _wave_tasks(wave: str, states: TaskStates) -> set[str]:
    """The tasks of a wave that skip themselves only if the run does not launch the wave."""
    group = f"{group_id(wave)}."
    return {name for name in states if name.startswith(group) and name != f"{group}{APPROVE_TASK}"}


def failed_tasks(ledger: Ledger, states: TaskStates) -> Iterator[str]:
    """Who stopped the run, if anybody did; then the tasks that failed, and those that did not run because of
    it.
    """
    stop = stopped(ledger, states)
    if stop:
        yield stop
    for task_id, state in sorted(states.items()):
        if state == "failed":
            yield f"{task_id} {_why_failed(ledger, task_id, stop)}"
    for task_id, state in sorted(states.items()):
        if state in {"upstream_failed", "removed"}:
            yield f"{task_id} did not run ({state})"


def causes(ledger: Ledger, run: RunRecord | None, states: TaskStates) -> list[tuple[str, FailureRecord]]:
    """The failures that the run's failed tasks recorded, by task id and in the order of a drill: the first
    one is the cause.
    """
    waves = [group_id(wave) for wave in run.waves] if run else []
    last = [APPROVE_CLEANUP_TASK_ID, TERMINATE_TASK_ID, EVIDENCE_TASK_ID]
    order = [BEGIN_TASK_ID, PREFLIGHT_TASK_ID, "approve_recovery", *waves, *last]

    def place(task_id: str) -> int:
        name = task_id.partition(".")[0]
        return order.index(name) if name in order else len(order)

    failed = sorted((name for name, state in states.items() if state == "failed"), key=place)
    found = [(name, ledger.failure(name)) for name in failed if name != VERDICT_TASK_ID]
    return [(name, failure) for name, failure in found if failure is not None]


def _why_failed(ledger: Ledger, task_id: str, stop: str | None) -> str:
    if (failure := ledger.failure(task_id)) is not None:
        return f"failed: [{failure.code}] {failure.message}"
    return "was cut off by that" if stop and task_id not in CLOSING_TASKS else f"failed: {WITHOUT_CODE}"


def doubts(ledger: Ledger, run: RunRecord, states: TaskStates) -> Iterator[str]:
    """Every reason to doubt that the run proved what it was meant to prove; empty if it did."""
    yield from failed_tasks(ledger, states)
    if run.missed or run.dry_run:
        yield from doubted_idleness(ledger, run, states)
    else:
        yield from lost_instances(ledger)
        yield from ended_too_early(ledger, run)
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
    jobs = {slot.server_id: slot.job_id for slot in launch.timeline.servers}
    # A record of an earlier job says nothing about the last one.
    judged = {each.server_id: each for each in outcome.servers if each.job_id == jobs.get(each.server_id)}
    passed = _passed_checks(ledger, name)
    plan = run.read_plan()
    for server in wave.servers:
        if server.optional:
            continue
        asked = asked_of(plan, name, server.group)
        if lacking := _lacking(asked, judged.get(server.server_id), passed):
            yield f"wave {name}: server {named(server.server_id, server.name)} {lacking}"


def _lacking(asked: Sequence[str], judged: ServerRecord | None, passed: Set[PassedCheck]) -> str:
    """What one server's records do not show; empty if it was launched and passed every check.

    :param asked: the names of the server's checks
    :param judged: how the server's last launch ended, if that is on record
    :param passed: the checks that the wave's servers have passed
    """
    if judged is None:
        return "has no record of how its launch ended"
    if not judged.launched:
        return judged.result
    unproven = [label for label in asked if (judged.server_id, judged.instance_id, label) not in passed]
    return f"has not passed: {', '.join(unproven)}" if unproven else ""


def _passed_checks(ledger: Ledger, wave: str) -> frozenset[PassedCheck]:
    """The checks that the wave's servers have passed since they launched, as far as the records show."""
    validation, since = ledger.validation(wave), ledger.reached(wave, "launched")
    if validation is None or since is None or validation.began_at < since:  # of an earlier try
        return frozenset()
    return frozenset(
        (result.server_id, result.instance_id, result.check) for result in validation.results if result.passed
    )


def doubted_end(ledger: Ledger, run: RunRecord, states: TaskStates) -> Iterator[str]:
    """The doubts that clean-up covered everything and that evidence was written."""
    yield from doubted_cleanup(ledger, run)
    cleanup = ledger.cleanup()
    if cleanup is not None and cleanup.kept and states.get(TERMINATE_TASK_ID) != "success":
        left = ", ".join(f"{item.recovery_instance_id} of {item.server_id}" for item in cleanup.instances)
        yield f"clean-up did not end well, and had kept {left or 'nothing'} ({shown.line(cleanup.why_kept)})"
    for task_id in (TERMINATE_TASK_ID, EVIDENCE_TASK_ID):
        yield from _not_ended(task_id, states)


def doubted_cleanup(ledger: Ledger, run: RunRecord) -> Iterator[str]:
    """The doubts that clean-up left nothing, or only what may be kept."""
    cleanup = ledger.cleanup()
    launches = [record for name in run.waves if (record := ledger.launch(name)) is not None]
    made = frozenset[str]().union(*(record.all_job_ids for record in launches))
    if cleanup is None or not (cleanup.proven or cleanup.kept):
        yield f"clean-up is not proven complete{_what_may_be_left(ledger, run)}"
    elif cleanup.unsure:
        yield (
            f"job(s) {', '.join(cleanup.unsure)} have no tags and may be this run's: the reply to a call was "
            "lost. Their instances were not touched and cost money if nobody else started them"
        )
    elif cleanup.kept and not _may_keep(ledger, run):
        yield "instances are kept, and neither the run nor the plan nor a person has asked for that"
    elif uncovered := made - set(cleanup.jobs):
        yield f"clean-up did not see job(s) {', '.join(sorted(uncovered))}"


def _what_may_be_left(ledger: Ledger, run: RunRecord) -> str:
    """What the run launched, by its records. It may all be left: nothing proves the end of any of it."""
    cleanup = ledger.cleanup()
    seen = {each.recovery_instance_id: each.server_id for each in cleanup.instances} if cleanup else {}
    seen |= {each.instance_id: each.server_id for each in launched_servers(ledger, run)}
    instances = [f"{instance_id} of {server_id}" for instance_id, server_id in seen.items()]
    ended = [outcome for name in run.waves if (outcome := ledger.outcome(name)) is not None]
    judged = {server.job_id for outcome in ended for server in outcome.servers if not server.live}
    launches = [record for name in run.waves if (record := ledger.launch(name)) is not None]
    jobs = sorted({job_id for record in launches for job_id in record.all_job_ids} - judged)
    jobs += [
        f"the job of {', '.join(call.servers)} (no reply)" for each in launches for call in each.unanswered
    ]
    if cleanup is not None:
        jobs += [f"{job_id} (perhaps not this run's)" for job_id in cleanup.unsure]
    left = [f"these may still run: {', '.join(instances)}"] if instances else []
    left += [f"these jobs were not seen to end: {', '.join(jobs)}"] if jobs else []
    return f"; {'; '.join(left)}" if left else ""


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
