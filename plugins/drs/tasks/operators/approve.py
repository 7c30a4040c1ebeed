"""Asks a person for approval before a wave is launched, and before a real recovery launches anything.

The answer is written to the run's ledger, where the guards around a launch read it.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowSkipException
from botocore.exceptions import BotoCoreError, ClientError

from drs.errors import ApprovalRejected, ApprovalTimeout
from drs.plan import Approval, Plan
from drs.run.ledger import Ledger
from drs.run.records import RECOVERY_APPROVAL, ApprovalRecord, RunRecord
from drs.tasks import question_text
from drs.tasks.drill_task import chosen_wave, coded_failures, run_ledger
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
from drs.text.times import duration, utc_now

if TYPE_CHECKING:
    from airflow.sdk import Context

APPROVE, REJECT = "Approve", "Reject"


class _ApprovalOperator(DrsQuestionOperator):
    """Ask a person, and fail unless the answer is yes. A cleared task asks again, whatever the answer was."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(subject="Approve?", options=[APPROVE, REJECT], **kwargs)

    @property
    @abstractmethod
    def about(self) -> str:
        """What the answer is about, as a key in the ledger."""

    @property
    @abstractmethod
    def what(self) -> str:
        """What is approved, in the words of a sentence."""

    def _subject(self) -> str:
        """What is approved, at the beginning of a sentence."""
        return self.what[0].upper() + self.what[1:]

    @abstractmethod
    def _rule(self, ledger: Ledger, run: RunRecord) -> Approval:
        """The rule by which this run must ask.

        :raises AirflowSkipException: this run need not ask
        """

    @abstractmethod
    def _waves(self, run: RunRecord) -> Sequence[str]:
        """The waves whose servers the question shows."""

    @coded_failures
    def execute(self, context: Context) -> None:
        ledger = run_ledger(context)
        run = ledger.run()
        ledger.forget_approval(self.about)
        rule = self._rule(ledger, run)
        require_standing_before_question(ledger, run, self.log)
        facts = self._facts(context, ledger, run)
        passes = silence_approves(rule, run)
        self.subject = f"{run.execution_type} of plan {run.read_plan().name}: approve {self.what}?"
        self.defaults = [APPROVE] if passes else None
        self._ask(
            context,
            ledger,
            run,
            about=self.about,
            what=self.what,
            rule=rule,
            passes=passes,
            silence=f"{self.what} is {'approved' if passes else 'rejected'}",
            facts=facts,
        )

    def _facts(self, context: Context, ledger: Ledger, run: RunRecord) -> Facts:
        """The servers that are to be launched, what preflight found, and what the run has launched so far."""
        findings, names = findings_of_preflight(context), server_names(ledger)
        resolution, chosen = ledger.resolution(), self._waves(run)
        waves = {name: resolution.waves.get(name) if resolution else None for name in chosen}
        try:
            seen = look_at_instances(ledger, run)
        except (ClientError, BotoCoreError) as error:
            seen = InstancesNow(notes=[f"AWS did not say how they are now: {shown.line(error)}."])
        launched = bool(seen.instances or seen.live or seen.notes)

        def facts(medium: Medium) -> Iterator[str]:
            yield from question_text.servers(medium, waves)
            yield from question_text.preflight(medium, findings, chosen)
            if launched:
                yield from question_text.instances_now(medium, seen.instances, names, seen.notes)

        return facts

    @coded_failures
    def execute_complete(self, context: Context, event: dict[str, Any]) -> dict[str, Any]:
        """Record the answer.

        :raises ApprovalRejected: the answer is no, or comes from somebody who may not approve
        :raises ApprovalTimeout: nobody answered in time
        """
        ledger = run_ledger(context)
        rule = self._rule(ledger, ledger.run())
        if event.get("error_type") == "timeout":
            ledger.save_approval(
                self.about, ApprovalRecord(approved=False, answered="by time-out", at=utc_now())
            )
            raise ApprovalTimeout(
                f"Nobody answered within {duration(rule.timeout.total_seconds())} whether {self.what} is "
                "approved. No answer means no."
            )
        answer, may = self._answer(context, event, yes=APPROVE, approvers=rule.approvers)
        record = answer.model_copy(update={"approved": answer.approved and may})
        ledger.save_approval(self.about, record)
        if not may:
            named = ", ".join(map(shown.line, rule.approvers))
            raise ApprovalRejected(
                f"The answer about {self.what} came from somebody who may not answer "
                f"({answered(record)}); the plan's approvers are {named}.",
                remedy="Clear this task with all tasks after it, and have one of the named approvers answer.",
            )
        if not record.approved:
            raise ApprovalRejected(f"{self._subject()} rejected by {answered(record)}.")
        self.log.info("%s approved by %s", self._subject(), answered(record))
        return record.model_dump(mode="json")


class DrsApproveWaveOperator(_ApprovalOperator):
    """Have a wave approved before it is launched, if the plan asks for that.

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
            raise AirflowSkipException("The plan that this run began with asks for no approval of this wave.")
        if run.skip_approvals and rule.skippable:
            skipped = ApprovalRecord(approved=True, answered="skipped", by=run.initiator, at=utc_now())
            ledger.save_approval(self.about, skipped)
            raise AirflowSkipException("Skipped, because this run was started with skip_approvals.")
        return rule

    def _waves(self, run: RunRecord) -> Sequence[str]:
        return [self.wave]


class DrsApproveRecoveryOperator(_ApprovalOperator):
    """Have a real recovery approved before it launches anything. A drill skips this task."""

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
    """The rule for a real recovery: anyone who may approve a wave may approve it, and no answer means no."""
    approvers = {user: None for wave in plan.waves if wave.approval for user in wave.approval.approvers}
    return Approval(approvers=tuple(approvers))


def silence_approves(rule: Approval, run: RunRecord) -> bool:
    """Whether no answer in time counts as approval. In a real recovery it never does."""
    return rule.on_timeout == "approve" and run.is_drill
