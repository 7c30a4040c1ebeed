"""The guards before every launch call: the approvals that it needs, and the only place that lets ``isDrill``
be false. They read the run's records and never a task's state, because a person can set that. Pure.
"""

from __future__ import annotations

from drs.errors import ApprovalRejected, InvalidExecutionType
from drs.run.ledger import Ledger
from drs.run.records import RECOVERY_APPROVAL, RunRecord


def launches_as_drill(run: RunRecord, ledger: Ledger) -> bool:
    """Whether this run's servers are launched as drills. Called right before every launch call.

    The answer is false only if the run asked for a RECOVERY, a person started it by hand, its plan allows it
    and a person has approved it. A RECOVERY that lacks one of these is refused and never turned into a drill:
    in a disaster, what a person asked for must not silently become something else.

    :raises InvalidExecutionType: a RECOVERY that lacks any of these
    """
    if run.execution_type == "DRILL":
        return True
    lacking = []
    if run.run_type != "manual":
        lacking.append(f"it was not started by hand but {run.run_type}")
    if not run.read_plan().allow_recovery:
        lacking.append("its plan does not allow it (allow_recovery)")
    approval = ledger.approval(RECOVERY_APPROVAL)
    if approval is None or not approval.approved or approval.answered != "by a person":
        lacking.append("no person has approved it")
    if lacking:
        raise InvalidExecutionType(
            f"This run may not launch a real recovery: {'; '.join(lacking)}.",
            remedy=(
                "By hand, trigger a run of a plan with `allow_recovery: true`, with execution_type RECOVERY "
                "and a reason, and have somebody approve it."
            ),
        )
    return False


def refuse_unapproved(run: RunRecord, ledger: Ledger, wave: str) -> None:
    """Check that the wave was approved, if its plan wants that. Called right before every launch call.

    A real recovery is never approved by a time-out.

    :raises ApprovalRejected: nobody has approved, or the approval was skipped or timed out and the plan does
        not allow that
    """
    approval = run.read_plan().wave(wave).approval
    if approval is None:
        return
    answer = ledger.approval(wave)
    valid = {
        "by a person": True,
        "by time-out": approval.on_timeout == "approve" and run.is_drill,
        "skipped": approval.skippable and run.skip_approvals,
    }
    if answer is None or not answer.approved or not valid[answer.answered]:
        raise ApprovalRejected(
            f"Wave {wave} needs an approval, and the run has no record of one: somebody marked its "
            "task 'approve' by hand, or edited the plan's file while the run was active.",
            remedy=(
                "Clear the wave's task 'approve' with all tasks after it and have somebody answer it, or "
                "trigger a new run."
            ),
        )
