"""What a run left behind when it ended, and whether it only waits for its end: by the run's own records."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pydantic import ValidationError

from drs.cli.airflow_records import UnreadableRecordError
from drs.cli.common import counted
from drs.plan.naming import plan_name
from drs.run.fates import InstanceFate, fates
from drs.run.ledger import BEGIN_TASK_ID, Ledger
from drs.run.proof import CLOSING_TASKS, TERMINATE_TASK_ID, TaskStates, doubted_cleanup
from drs.run.records import CleanupRecord, InstanceRecord, RunRecord
from drs.run.result import lost_in_words

_ENDED = frozenset({"success", "failed", "skipped", "upstream_failed", "removed"})
"""The states in which a task has ended."""
UNDER_WAY = frozenset({"running", "deferred", "awaiting_input"})
"""The states of a task that works or waits. Airflow ends it if the run is marked as failed."""


@dataclass(frozen=True)
class End:
    """What is left of a run.

    :param nothing_left: it is proven that nothing is left, or nothing was launched
    :param text: a clause that follows the name of the run
    :param instances: those that are left, as far as they are known
    :param is_drill: only what a drill left may be terminated by ``cleanup``
    """

    nothing_left: bool
    text: str
    instances: tuple[InstanceRecord, ...] = ()
    is_drill: bool = True


def waves_ended(states: TaskStates) -> bool:
    """Whether only clean-up, evidence and verdict may be under way: then a stop cuts nothing off."""
    return all(state in _ENDED for task_id, state in states.items() if task_id not in CLOSING_TASKS)


def in_keep_for(ledger: Ledger, states: TaskStates) -> bool:
    """Whether every wave has ended, and clean-up waits until ``cleanup.keep_for`` has passed."""
    if not waves_ended(states) or states.get(TERMINATE_TASK_ID) not in UNDER_WAY:
        return False
    try:
        run, cleanup = ledger.begun(), ledger.cleanup()
        return run is not None and cleanup is None and bool(run.read_plan().cleanup.keep_for)
    except (UnreadableRecordError, ValidationError):  # the latter: of the plan, by another version
        return False


def end_of(ledger: Ledger, states: TaskStates) -> End:
    """What is left of a run that has ended."""
    run = ledger.begun()
    if run is None and states.get(BEGIN_TASK_ID) == "success":
        return End(False, "its records are gone from Airflow, so it is not known what it launched")
    if run is None:
        return End(True, "it had not begun, and launched nothing")
    if run.missed or run.dry_run:
        return End(True, "it was not to launch anything")
    if not run.is_drill:
        return _end_of_recovery(ledger, run)
    cleanup, instances = ledger.cleanup(), fates(ledger, run)
    kept = tuple(each.instance for each in instances if each.fate == "kept")
    if cleanup is not None and kept:
        return End(False, kept_or_gone(cleanup, instances), kept)
    if lacking := list(_lacking(ledger, run, cleanup)):
        return End(False, "; ".join(lacking), cleanup.instances if cleanup else ())
    gone = kept_or_gone(cleanup, instances) if cleanup and instances else "it had launched nothing"
    return End(True, gone)


def kept_or_gone(cleanup: CleanupRecord, instances: Sequence[InstanceFate]) -> str:
    """What became of the instances of a run whose clean-up is complete, as a clause."""
    kept = sum(each.fate == "kept" for each in instances)
    text = f"{counted(len(instances), 'instance')} launched, all gone"
    if cleanup.kept:
        text = f"{counted(kept, 'instance')} kept, and costing money: {cleanup.why_kept}"
    lost = sum(each.fate == "lost" for each in instances)
    return f"{text}; {lost} LOST, not terminated by this run: {lost_in_words(instances)}" if lost else text


def _end_of_recovery(ledger: Ledger, run: RunRecord) -> End:
    jobs = frozenset[str]().union(
        *(launch.all_job_ids for wave in run.waves if (launch := ledger.launch(wave)))
    )
    if not jobs:
        return End(True, "this real recovery had started no job")
    listed = ", ".join(sorted(jobs))
    text = f"this is a real recovery: what its {counted(len(jobs), 'job')} launched runs on ({listed})"
    return End(False, text, is_drill=False)


def _lacking(ledger: Ledger, run: RunRecord, cleanup: CleanupRecord | None) -> Iterator[str]:
    """What clean-up did not prove, and why, as far as it is on record."""
    yield from doubted_cleanup(ledger, run)
    if (failure := ledger.failure(TERMINATE_TASK_ID)) is not None:
        yield f"[{failure.code}] {failure.message}"
    if cleanup is not None and cleanup.unsure:
        yield f"perhaps launched by this run, and not touched: {', '.join(cleanup.unsure)}"


def how_to_look(dag_id: str, run_id: str) -> str:
    """What a person does about a run that left something."""
    return f"python -m drs cleanup {plan_name(dag_id)} --run {shlex.quote(run_id)}"
