"""What every question to a person shares: how it is asked in the Airflow UI, how its answer is recorded."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from airflow.providers.standard.operators.hitl import HITLOperator
from airflow.sdk import Param
from airflow.sdk.definitions.param import ParamsDict
from airflow.sdk.execution_time.hitl import HITLUser

from drs.plan import Approval
from drs.run.ledger import Ledger
from drs.run.records import ApprovalRecord, RunRecord
from drs.tasks.send_messages import announce_question
from drs.times import clock_time, utc_now

if TYPE_CHECKING:
    from airflow.sdk import Context


class DrsQuestionOperator(HITLOperator):
    """Ask a person under *Required Actions*; the wait costs neither a worker nor the triggerer."""

    template_fields: Sequence[str] = ()  # a reason or a server's name that holds braces is no template

    @staticmethod
    def _forget_answer(ledger: Ledger, about: str) -> str:
        """Void an earlier answer, and give what this question is announced as.

        A task that is tried again asks the same; one that is cleared after an answer asks anew.
        """
        before = ledger.approval(about)
        ledger.forget_approval(about)
        return f"{about} after {before.at.isoformat()}" if before else about

    def _ask(
        self,
        context: Context,
        ledger: Ledger,
        run: RunRecord,
        *,
        announced_as: str,
        what: str,
        rule: Approval,
        passes: bool,
        silence: str,
        told: Iterable[str],
    ) -> None:
        """Ask, in the words of ``subject``, and defer until there is an answer or the time is over.

        :param what: what is approved, for a sentence
        :param passes: whether no answer means yes
        :param silence: the same as the end of a sentence
        :param told: what there is to know before one answers, in Markdown, besides the run itself and how its
            waves stand
        """
        until = utc_now() + rule.timeout
        without = f"Without an answer by {until:%Y-%m-%d} {clock_time(until)} {silence}."
        self.body = "\n".join([*_told_of_run(run), without, *told, *_told_so_far(ledger, run)])
        self.response_timeout = rule.timeout
        self.assigned_users = [HITLUser(id=user, name=user) for user in rule.approvers]
        # Not when the DAG is built, which it would make larger for each question.
        comment = Param(None, type=["null", "string"], maxLength=500, title="Comment")
        self.params = ParamsDict({"comment": comment})
        self.log.info("%s\n%s", self.subject, self.body)
        announce_question(
            context,
            ledger,
            about=announced_as,
            what=what,
            rule=rule,
            until=until,
            passes=passes,
            body=self.body,
        )
        super().execute(context)

    def _answer(
        self, context: Context, event: dict[str, Any], *, yes: str, approvers: Sequence[str]
    ) -> tuple[ApprovalRecord, bool]:
        """The answer, and whether it is of somebody who may give it.

        :param yes: the option that approves
        """
        answer = super().execute_complete(context, event)
        user = answer["responded_by_user"]
        answered_at: dt.datetime = answer["responded_at"]
        record = ApprovalRecord(
            approved=answer["chosen_options"] == [yes],
            answered="by time-out" if user is None else "by a person",
            by=user["name"] if user else "",
            at=answered_at,
            comment=str(answer["params_input"].get("comment") or ""),
        )
        return record, _may_answer(user, approvers)


def _may_answer(user: Any, approvers: Sequence[str]) -> bool:
    """Airflow itself refuses others, unless everybody is an administrator of it."""
    return user is None or not approvers or bool({user["id"], user["name"]} & set(approvers))


def said(record: ApprovalRecord) -> str:
    """Who answered, when, and with which comment."""
    return f"{record.by or 'nobody'} at {clock_time(record.at)}, comment: {record.comment or 'none'}"


def _told_of_run(run: RunRecord) -> Iterator[str]:
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


def _told_so_far(ledger: Ledger, run: RunRecord) -> Iterator[str]:
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
