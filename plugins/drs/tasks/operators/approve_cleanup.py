"""Asks a person whether to terminate or keep a drill's instances. No answer terminates them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowSkipException

from drs.errors import ApprovalRejected
from drs.plan import Approval
from drs.run.records import CLEANUP_APPROVAL, RunRecord
from drs.tasks import question_text
from drs.tasks.drill_task import coded_failures, run_ledger
from drs.tasks.identity import find_run
from drs.tasks.operators.question import (
    DrsQuestionOperator,
    Facts,
    InstancesNow,
    answered,
    findings_of_preflight,
    look_at_instances,
    server_names,
)
from drs.tasks.question_text import Medium
from drs.tasks.standing import require_standing_before_question
from drs.text import shown

if TYPE_CHECKING:
    from airflow.sdk import Context

TERMINATE, KEEP = "Terminate", "Keep"


class DrsApproveCleanupOperator(DrsQuestionOperator):
    """Ask, once the waves have ended, whether to terminate the instances that they launched.

    Only the answer ``Keep`` keeps them. If this task is skipped, fails or is marked by hand, no answer is on
    record, and the instances are terminated.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(subject="Terminate?", options=[TERMINATE, KEEP], defaults=[TERMINATE], **kwargs)

    @coded_failures
    def execute(self, context: Context) -> None:
        ledger = run_ledger(context)
        run = find_run(context, ledger, self.log)
        if run is None:
            raise AirflowSkipException("This run was refused before it began: it launched nothing.")
        ledger.forget_approval(CLEANUP_APPROVAL)
        if why := _need_not_ask(run):
            raise AirflowSkipException(why)
        require_standing_before_question(ledger, run, self.log)
        seen = look_at_instances(ledger, run)
        if not (seen.instances or seen.live):
            raise AirflowSkipException("This run has no drill instances, so there is nothing to ask about.")
        rule = run.read_plan().cleanup
        what = f"the {len(seen.instances)} drill instance(s) of this run"
        self.subject = f"Drill of plan {run.read_plan().name}: terminate {what}?"
        self._ask(
            context,
            ledger,
            run,
            about=CLEANUP_APPROVAL,
            what=f"the termination of {what}",
            rule=Approval(timeout=rule.approval_timeout, on_timeout="approve", approvers=rule.approvers),
            passes=True,
            silence="the instances are terminated",
            facts=_facts(run, seen, server_names(ledger), findings_of_preflight(context)),
        )

    @coded_failures
    def execute_complete(self, context: Context, event: dict[str, Any]) -> dict[str, Any]:
        """Record the answer.

        :raises ApprovalRejected: it comes from somebody who may not answer; the instances are then terminated
        """
        ledger = run_ledger(context)
        approvers = ledger.run().read_plan().cleanup.approvers
        record, may = self._answer(context, event, yes=TERMINATE, approvers=approvers)
        if not may:
            named = ", ".join(map(shown.line, approvers))
            raise ApprovalRejected(
                f"The answer about clean-up came from somebody who may not answer ({answered(record)}); the "
                f"plan's approvers are {named}. The instances are terminated.",
                remedy="In the next run, have one of the named approvers answer.",
            )
        ledger.save_approval(CLEANUP_APPROVAL, record)
        self.log.info(
            "The instances are %s, decided by %s",
            "terminated" if record.approved else "kept",
            answered(record),
        )
        return record.model_dump(mode="json")


def _need_not_ask(run: RunRecord) -> str | None:
    """Why there is no question about the run's instances; ``None`` if there is one."""
    if run.missed:
        return run.missed
    if run.dry_run:
        return "This is a dry run: it launched nothing."
    if not run.is_drill:
        return "This is a real recovery: nothing that it launched is terminated."
    if run.keep_instances:
        return "The run was asked to keep its instances (keep_instances)."
    if run.read_plan().cleanup.when != "after_approval":
        return "The plan that this run began with does not ask before its clean-up."
    return None


def _facts(
    run: RunRecord, seen: InstancesNow, names: Mapping[str, str], findings: Sequence[Mapping[str, Any]]
) -> Facts:
    """The instances as they are now, what it means to keep them, and what preflight warned of."""
    command = f"python -m drs cleanup {run.read_plan().name} --run {shown.argument(run.run_id)}"

    def facts(medium: Medium) -> Iterator[str]:
        yield from question_text.instances_now(medium, seen.instances, names, seen.notes)
        yield (
            "\nIf they are kept, they cost money until somebody terminates them with this command: "
            f"{medium.value(command)}"
        )
        yield from question_text.preflight(medium, findings, run.waves)

    return facts
