"""Asks a person before a wave is launched, and before anything of a real recovery is.

The answer is written to the run's ledger, which is what the rails around a launch believe.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowSkipException

from drs.errors import ApprovalRejected, ApprovalTimeout
from drs.plan import Approval, Plan
from drs.run.ledger import Ledger
from drs.run.proof import PREFLIGHT_TASK_ID
from drs.run.records import RECOVERY_APPROVAL, ApprovalRecord, RunRecord
from drs.tasks.drill_task import chosen_wave, coded_failures, run_ledger
from drs.tasks.operators.preflight import FINDINGS_KEY
from drs.tasks.operators.question import DrsQuestionOperator, said
from drs.times import utc_now

if TYPE_CHECKING:
    from airflow.sdk import Context

APPROVE, REJECT = "Approve", "Reject"


class _ApprovalOperator(DrsQuestionOperator):
    """Ask a person, and fail unless the answer is yes. Cleared, it asks again: an earlier answer is void."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(subject="Approve?", options=[APPROVE, REJECT], **kwargs)

    @property
    @abstractmethod
    def about(self) -> str:
        """What the answer is about, as the ledger has it."""

    @property
    @abstractmethod
    def what(self) -> str:
        """What is approved, for a sentence."""

    @abstractmethod
    def _rule(self, ledger: Ledger, run: RunRecord) -> Approval:
        """By which rule this run must ask.

        :raises AirflowSkipException: it need not
        """

    @abstractmethod
    def _waves(self, run: RunRecord) -> Sequence[str]:
        """The waves whose servers the question shows."""

    @coded_failures
    def execute(self, context: Context) -> None:
        ledger = run_ledger(context)
        run = ledger.run()
        announced_as = self._forget_answer(ledger, self.about)
        rule = self._rule(ledger, run)
        ti: Any = context["ti"]
        findings = ti.xcom_pull(task_ids=PREFLIGHT_TASK_ID, key=FINDINGS_KEY) or []
        passes = silence_approves(rule, run)
        self.subject = f"{run.execution_type} of plan {run.read_plan().name}: approve {self.what}?"
        self.defaults = [APPROVE] if passes else None
        self._ask(
            context,
            ledger,
            run,
            announced_as=announced_as,
            what=self.what,
            rule=rule,
            passes=passes,
            silence=f"it is {'approved' if passes else 'rejected'}",
            told=[
                *_told_of_servers(ledger, self._waves(run)),
                *_told_of_findings(findings, self._waves(run)),
            ],
        )

    @coded_failures
    def execute_complete(self, context: Context, event: dict[str, Any]) -> dict[str, Any]:
        """Record the answer.

        :raises ApprovalRejected: it is no, or not of somebody who may answer
        :raises ApprovalTimeout: there is none
        """
        ledger = run_ledger(context)
        rule = self._rule(ledger, ledger.run())
        if event.get("error_type") == "timeout":
            ledger.save_approval(
                self.about, ApprovalRecord(approved=False, answered="by time-out", at=utc_now())
            )
            raise ApprovalTimeout(
                f"Nobody answered within {rule.timeout} whether {self.what} is approved, which means no."
            )
        answer, may = self._answer(context, event, yes=APPROVE, approvers=rule.approvers)
        record = answer.model_copy(update={"approved": answer.approved and may})
        ledger.save_approval(self.about, record)
        if not may:
            raise ApprovalRejected(
                f"The answer about {self.what} is not of somebody who may give it ({said(record)}); "
                f"the plan names {', '.join(rule.approvers)}.",
                remedy="Clear this task with all after it, and have one of those named answer.",
            )
        if not record.approved:
            raise ApprovalRejected(f"No to {self.what}, by {said(record)}")
        self.log.info("Yes to %s, %s, %s", self.what, record.answered, said(record))
        return record.model_dump(mode="json")


class DrsApproveWaveOperator(_ApprovalOperator):
    """Have a wave approved before it is launched, if the plan wants it.

    :param wave: the wave's name
    """

    def __init__(self, *, wave: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.wave = wave

    @property
    def about(self) -> str:
        return self.wave

    @property
    def what(self) -> str:
        return f"wave {self.wave}"

    def _rule(self, ledger: Ledger, run: RunRecord) -> Approval:
        chosen_wave(ledger, run, self.wave)
        rule = run.read_plan().wave(self.wave).approval
        if rule is None:
            raise AirflowSkipException("The plan that this run began with asks for no approval here.")
        if run.skip_approvals and rule.skippable:
            skipped = ApprovalRecord(approved=True, answered="skipped", by=run.initiator, at=utc_now())
            ledger.save_approval(self.about, skipped)
            raise AirflowSkipException("Passed by, as the run was asked to (skip_approvals).")
        return rule

    def _waves(self, run: RunRecord) -> Sequence[str]:
        return [self.wave]


class DrsApproveRecoveryOperator(_ApprovalOperator):
    """Have a real recovery approved before anything of it is launched; a drill passes."""

    about = RECOVERY_APPROVAL
    what = "the real recovery"

    def _rule(self, ledger: Ledger, run: RunRecord) -> Approval:
        if run.is_drill:
            raise AirflowSkipException("This run is a drill.")
        if run.dry_run:
            raise AirflowSkipException("This is a dry run: it ends with preflight.")
        return recovery_approval(run.read_plan())

    def _waves(self, run: RunRecord) -> Sequence[str]:
        return run.waves


def recovery_approval(plan: Plan) -> Approval:
    """The rule for a real recovery: whoever may approve a wave may approve it, and silence means no."""
    approvers = {user: None for wave in plan.waves if wave.approval for user in wave.approval.approvers}
    return Approval(approvers=tuple(approvers))


def silence_approves(rule: Approval, run: RunRecord) -> bool:
    """Whether a question without an answer in time is approved; in a real recovery never."""
    return rule.on_timeout == "approve" and run.is_drill


def _told_of_servers(ledger: Ledger, waves: Sequence[str]) -> Iterator[str]:
    resolution = ledger.resolution()
    yield "\n**Servers**\n"
    for name in waves:
        wave = resolution.waves.get(name) if resolution else None
        servers = wave.servers if wave else ()
        listed = ", ".join(f"{server.server_id} ({server.name})" for server in servers)
        yield f"- wave {name}, {len(servers)}: {listed or 'none'}"


def _told_of_findings(findings: Sequence[dict[str, Any]], waves: Sequence[str]) -> Iterator[str]:
    concerned = [finding for finding in findings if finding["wave"] is None or finding["wave"] in waves]
    yield "\n**What preflight found**\n"
    for finding in concerned:
        yield f"- {finding['severity']} [{finding['code']}] {finding['seen']}"
    if not concerned:
        yield "- nothing"
