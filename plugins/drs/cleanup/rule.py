"""Decides whether a run's instances are terminated, and when, or kept. Pure."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from drs.plan import Cleanup
from drs.run.ledger import Ledger
from drs.run.proof import (
    EVIDENCE_TASK_ID,
    TERMINATE_TASK_ID,
    VERDICT_TASK_ID,
    doubted_waves,
    failed_tasks,
    lost_instances,
)
from drs.run.records import CLEANUP_APPROVAL, ApprovalRecord, RunRecord
from drs.text import shown
from drs.text.times import clock_time

CLOSING = frozenset({TERMINATE_TASK_ID, EVIDENCE_TASK_ID, VERDICT_TASK_ID})
"""The tasks after the waves. Their states are of an earlier try and say nothing about the drill so far."""
WHY_LENGTH = 300
"""Characters of the first reason that are quoted."""


@dataclass(frozen=True)
class Terminate:
    """The instances are terminated, but not before ``not_before`` if that is given."""

    not_before: dt.datetime | None = None


@dataclass(frozen=True)
class Keep:
    """The instances are kept.

    :param why: the reason, as a clause
    """

    why: str


def decide(ledger: Ledger, run: RunRecord, states: Mapping[str, str | None]) -> Terminate | Keep:
    """Decide what happens to a drill's instances once its waves have ended.

    :param states: the state of each of the run's tasks
    """
    rule = run.read_plan().cleanup
    if why := _kept_by_choice(ledger, run, rule):
        return Keep(why)
    if rule.when == "after_approval" or not (rule.when == "on_success" or rule.keep_for):
        return Terminate()  # however the drill went, so the records of its checks need not be read
    doubts = list(_doubts(ledger, run, states))
    if rule.when == "on_success" and doubts:
        more = f" (and {len(doubts) - 1} more)" if len(doubts) > 1 else ""
        return Keep(
            "the plan terminates only after a success (cleanup: {when: on_success}), and the drill has not "
            f"passed: {doubts[0][:WHY_LENGTH]}{more}"
        )
    if rule.keep_for and not doubts and (ended := _waves_ended_at(ledger, run)):
        return Terminate(not_before=ended + rule.keep_for)
    return Terminate()


def _kept_by_choice(ledger: Ledger, run: RunRecord, rule: Cleanup) -> str | None:
    """Why the run, the plan or a person wants the instances kept, whatever came of the drill."""
    if run.keep_instances:
        return "the run was asked to keep them (keep_instances)"
    if rule.when == "never":
        return "the plan says so (cleanup: {when: never})"
    answer = ledger.approval(CLEANUP_APPROVAL) if rule.when == "after_approval" else None
    return _answered(answer) if answer and not answer.approved else None


def _doubts(ledger: Ledger, run: RunRecord, states: Mapping[str, str | None]) -> Iterator[str]:
    """Every reason to doubt that the drill has passed so far."""
    so_far = {task_id: state for task_id, state in states.items() if task_id not in CLOSING}
    yield from failed_tasks(ledger, so_far)
    yield from lost_instances(ledger)
    yield from doubted_waves(ledger, run, states)


def _waves_ended_at(ledger: Ledger, run: RunRecord) -> dt.datetime | None:
    """When the last gate of the last wave was reached."""
    gates = [ledger.reached(wave, gate) for wave in run.waves for gate in ("launched", "validated")]
    return max((at for at in gates if at is not None), default=None)


def _answered(answer: ApprovalRecord) -> str:
    comment = f": {shown.line(answer.comment)}" if answer.comment else ""
    return f"{shown.line(answer.by or 'somebody')} chose to keep them at {clock_time(answer.at)}{comment}"
