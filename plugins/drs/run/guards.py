"""The rails around every launch: what a person must have approved, and the one place that lets ``isDrill`` be
false. They believe the run's records and no task's state, which a person can set. Pure.
"""

from __future__ import annotations

from drs.errors import ApprovalRejected, InvalidExecutionType
from drs.run.ledger import Ledger
from drs.run.records import RECOVERY_APPROVAL, RunRecord


def launches_as_drill(run: RunRecord, ledger: Ledger) -> bool:
    """Whether this run's servers are launched as drills. Asked right before every call.

    False only for a run that asked for a RECOVERY, was started by hand, of a plan that allows it, and that a
    person has approved. Whatever else claims to be a RECOVERY is refused, never turned into a drill: what a
    person wants in a disaster must not silently become something else.

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
                "Trigger a run by hand of a plan with `allow_recovery: true`, with execution_type RECOVERY "
                "and a reason, and have it approved."
            ),
        )
    return False


def refuse_unapproved(run: RunRecord, ledger: Ledger, wave: str) -> None:
    """See that the wave's approval, if the plan wants one, was given. Asked right before every call.

    A real recovery is never approved by silence.

    :raises ApprovalRejected: nobody has approved, or it was passed by where the plan does not let it
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
            f"Wave {wave} needs an approval, and the run has no record of one: its task 'approve' was marked "
            "by hand, or the plan's file was edited while the run was under way.",
            remedy=(
                "Clear the wave's task 'approve' with all after it, and have it answered; or trigger a new "
                "run."
            ),
        )
