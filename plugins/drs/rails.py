"""The rails around a real recovery: the one place that lets ``isDrill`` be false. Pure."""

from __future__ import annotations

from drs.errors import InvalidExecutionType
from drs.ledger import RECOVERY_APPROVAL, Ledger, RunRecord


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
