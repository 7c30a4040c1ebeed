"""Whether what a run launched is terminated, and when, or kept: by the run, the plan or a person. Pure."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from drs.run.ledger import Ledger
from drs.run.proof import (
    EVIDENCE_TASK_ID,
    TERMINATE_TASK_ID,
    VERDICT_TASK_ID,
    doubted_waves,
    failed_tasks,
)
from drs.run.records import CLEANUP_APPROVAL, ApprovalRecord, RunRecord
from drs.times import clock_time

CLOSING = frozenset({TERMINATE_TASK_ID, EVIDENCE_TASK_ID, VERDICT_TASK_ID})
WHY_LENGTH = 300


@dataclass(frozen=True)
class Terminate:
    """The instances are terminated, but not before a moment, where one is given."""

    not_before: dt.datetime | None = None


@dataclass(frozen=True)
class Keep:
    """The instances are kept.

    :param why: the reason, as a clause
    """

    why: str


def decide(ledger: Ledger, run: RunRecord, states: Mapping[str, str | None]) -> Terminate | Keep:
    """What becomes of a drill's instances, once its waves have ended.

    :param states: the state of each of the run's tasks
    """
    rule = run.read_plan().cleanup
    if run.keep_instances:
        return Keep("the run was asked to keep them (keep_instances)")
    if rule.when == "never":
        return Keep("the plan says so (cleanup: {when: never})")
    if rule.when == "after_approval":
        answer = ledger.approval(CLEANUP_APPROVAL)
        return Keep(_answered(answer)) if answer and not answer.approved else Terminate()
    doubts = list(_doubts(ledger, run, states))
    if rule.when == "on_success" and doubts:
        more = f" (and {len(doubts) - 1} more)" if len(doubts) > 1 else ""
        return Keep(
            "the plan terminates after a success alone (cleanup: {when: on_success}), and the drill has not "
            f"passed: {doubts[0][:WHY_LENGTH]}{more}"
        )
    if rule.keep_for and not doubts and (ended := _waves_ended_at(ledger, run)):
        return Terminate(not_before=ended + rule.keep_for)
    return Terminate()


def _doubts(ledger: Ledger, run: RunRecord, states: Mapping[str, str | None]) -> Iterator[str]:
    """What speaks against the drill having passed so far."""
    so_far = {task_id: state for task_id, state in states.items() if task_id not in CLOSING}
    yield from failed_tasks(ledger, so_far)
    yield from doubted_waves(ledger, run, states)


def _waves_ended_at(ledger: Ledger, run: RunRecord) -> dt.datetime | None:
    """When the last wave's last gate was reached."""
    gates = [ledger.reached(wave, gate) for wave in run.waves for gate in ("launched", "validated")]
    return max((at for at in gates if at is not None), default=None)


def _answered(answer: ApprovalRecord) -> str:
    comment = f": {answer.comment}" if answer.comment else ""
    return f"{answer.by or 'somebody'} chose so at {clock_time(answer.at)}{comment}"
