"""Asks a person before a wave is launched, and before anything of a real recovery is.

The question stands under *Required Actions* in the Airflow UI; the wait for its answer costs neither a worker
nor the triggerer. The answer is written to the run's ledger, which is what the rails around a launch believe.
"""

from __future__ import annotations

import datetime as dt
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from airflow.providers.standard.operators.hitl import HITLOperator
from airflow.sdk import Param
from airflow.sdk.definitions.param import ParamsDict
from airflow.sdk.exceptions import AirflowSkipException
from airflow.sdk.execution_time.hitl import HITLUser

from drs.drill_task import chosen_wave, coded_failures, run_ledger
from drs.errors import ApprovalRejected, ApprovalTimeout
from drs.jobs import clock_time, utc_now
from drs.ledger import Ledger
from drs.operators.preflight import FINDINGS_KEY
from drs.plan import Approval, Plan
from drs.proof import PREFLIGHT_TASK_ID
from drs.records import RECOVERY_APPROVAL, ApprovalRecord, RunRecord

if TYPE_CHECKING:
    from airflow.sdk import Context

APPROVE, REJECT = "Approve", "Reject"


class _ApprovalOperator(HITLOperator):
    """Ask a person, and fail unless the answer is yes. Cleared, it asks again: an earlier answer is void."""

    template_fields: Sequence[str] = ()  # a reason or a server's name that holds braces is no template

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
        ledger.forget_approval(self.about)
        rule = self._rule(ledger, run)
        ti: Any = context["ti"]
        findings = ti.xcom_pull(task_ids=PREFLIGHT_TASK_ID, key=FINDINGS_KEY) or []
        passes = silence_approves(rule, run)
        until = utc_now() + rule.timeout
        self.subject = f"{run.execution_type} of plan {run.read_plan().name}: approve {self.what}?"
        self.body = "\n".join(
            [
                *told_of_run(run),
                f"Without an answer by {until:%Y-%m-%d} {clock_time(until)} it is "
                f"{'approved' if passes else 'rejected'}.",
                *_told_of_servers(ledger, self._waves(run)),
                *_told_of_findings(findings, self._waves(run)),
                *told_so_far(ledger, run),
            ]
        )
        self.defaults = [APPROVE] if passes else None
        self.response_timeout = rule.timeout
        self.assigned_users = [HITLUser(id=user, name=user) for user in rule.approvers]
        # Not when the DAG is built, which it would make larger for each wave.
        comment = Param(None, type=["null", "string"], maxLength=500, title="Comment")
        self.params = ParamsDict({"comment": comment})
        self.log.info("%s\n%s", self.subject, self.body)
        super().execute(context)

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
        answer = super().execute_complete(context, event)
        answered_at: dt.datetime = answer["responded_at"]
        user = answer["responded_by_user"]
        record = ApprovalRecord(
            approved=answer["chosen_options"] == [APPROVE] and may_answer(user, rule.approvers),
            answered="by time-out" if user is None else "by a person",
            by=user["name"] if user else "",
            at=answered_at,
            comment=str(answer["params_input"].get("comment") or ""),
        )
        ledger.save_approval(self.about, record)
        said = f"{record.by or 'nobody'} at {clock_time(record.at)}, comment: {record.comment or 'none'}"
        if not may_answer(user, rule.approvers):
            raise ApprovalRejected(
                f"The answer about {self.what} is not of somebody who may give it ({said}); "
                f"the plan names {', '.join(rule.approvers)}.",
                remedy="Clear this task with all after it, and have one of those named answer.",
            )
        if not record.approved:
            raise ApprovalRejected(f"No to {self.what}, by {said}")
        self.log.info("Yes to %s, %s, %s", self.what, record.answered, said)
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


def may_answer(user: Any, approvers: Sequence[str]) -> bool:
    """Airflow itself refuses others, unless everybody is an administrator of it."""
    return user is None or not approvers or bool({user["id"], user["name"]} & set(approvers))


def told_of_run(run: RunRecord) -> Iterator[str]:
    """Who asked for the run and why, and where it acts."""
    target = run.read_plan().target
    if not run.is_drill:
        yield (
            "**This is a real recovery (isDrill false).** DRS cleans up earlier recovery instances of these "
            "servers, and this run terminates nothing of what it launches.\n"
        )
    yield f"Asked by {run.initiator}; reason: {run.reason or 'none given'}."
    yield f"Account {target.account_id}, Region {target.region}."
    point = run.recovery_point
    yield f"Recovery point: {f'at or before {point:%Y-%m-%dT%H:%M:%SZ}' if point else 'the latest state'}."


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


def told_so_far(ledger: Ledger, run: RunRecord) -> Iterator[str]:
    """How each wave stands."""
    yield "\n**So far**\n"
    nothing = True
    for name in run.waves:
        outcome, launch = ledger.outcome(name), ledger.launch(name)
        if outcome:
            launched = [server for server in outcome.servers if server.launched]
            yield f"- wave {name}: {len(launched)} of {len(outcome.servers)} servers launched"
            for server in outcome.servers:
                if not server.launched:
                    yield f"- wave {name}: {server.server_id} ({server.name}) not launched: {server.error}"
        elif launch:
            yield f"- wave {name}: {len(launch.jobs)} job(s) started, not ended yet"
        nothing = nothing and not launch
    if nothing:
        yield "- nothing was launched"
