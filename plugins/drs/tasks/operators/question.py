"""What all questions to a person share: how they are asked in the Airflow UI and how answers are kept."""

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
from drs.tasks.send_messages import notify_question
from drs.times import clock_time, utc_now

if TYPE_CHECKING:
    from airflow.sdk import Context


class DrsQuestionOperator(HITLOperator):
    """Ask a person under *Required Actions*. The wait occupies neither a worker nor the triggerer."""

    template_fields: Sequence[str] = ()  # braces in a reason or a server's name are text, not templates

    def _ask(
        self,
        context: Context,
        ledger: Ledger,
        run: RunRecord,
        *,
        about: str,
        what: str,
        rule: Approval,
        passes: bool,
        silence: str,
        facts: Iterable[str],
    ) -> None:
        """Ask ``subject``, and defer until there is an answer or the time is over.

        :param about: the subject under which the answer is kept
        :param what: what is approved, in the words of a sentence
        :param passes: whether no answer means yes
        :param silence: what no answer means, as the end of a sentence
        :param facts: what a person needs to know before answering, in Markdown; the run itself and the state
            of its waves are added
        """
        number = context["ti"].try_number
        until = utc_now() + rule.timeout
        without = f"Without an answer by {until:%Y-%m-%d} {clock_time(until)} {silence}."
        self.body = "\n".join(
            [*_asked_again(number), *_run_lines(run), without, *facts, *_wave_lines(ledger, run)]
        )
        self.response_timeout = rule.timeout
        self.assigned_users = [HITLUser(id=user, name=user) for user in rule.approvers]
        # Added here and not when the DAG is built, because it would make the DAG larger for each question.
        comment = Param(None, type=["null", "string"], maxLength=500, title="Comment")
        self.params = ParamsDict({"comment": comment})
        self.log.info("%s\n%s", self.subject, self.body)
        notify_question(
            context,
            ledger,
            about=f"{about} in try {number}",
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
        """The answer, and whether it comes from somebody who may give it.

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
    """Whether this user may answer. Airflow itself refuses others, except where everybody is an
    administrator.
    """
    return user is None or not approvers or bool({user["id"], user["name"]} & set(approvers))


def answered(record: ApprovalRecord) -> str:
    """Who answered, when, and with which comment."""
    who = record.by or record.answered.removeprefix("by ")
    return f"{who} at {clock_time(record.at)}, comment: {record.comment or 'none'}"


def _asked_again(try_number: int) -> Iterator[str]:
    """That an earlier answer is void: its task was tried again, or somebody cleared it."""
    if try_number > 1:
        yield (
            f"**This question is asked again** (try {try_number}). An answer that was given before does not "
            "count: Airflow lost it, or somebody cleared the task.\n"
        )


def _run_lines(run: RunRecord) -> Iterator[str]:
    """Who started the run and why, and the account and Region in which it acts."""
    target = run.read_plan().target
    if not run.is_drill:
        yield (
            "**This is a real recovery (isDrill false).** DRS cleans up earlier recovery instances of these "
            "servers, and this run terminates none of the instances that it launches.\n"
        )
    yield f"Started by {run.initiator}; reason: {run.reason or 'none given'}."
    yield f"Account {target.account_id}, Region {target.region}."
    point = run.recovery_point
    yield f"Recovery point: {f'at or before {point:%Y-%m-%dT%H:%M:%SZ}' if point else 'the latest state'}."


def _wave_lines(ledger: Ledger, run: RunRecord) -> Iterator[str]:
    """The state of each wave."""
    yield "\n**So far**\n"
    nothing = True
    for name in run.waves:
        outcome, launch = ledger.outcome(name), ledger.launch(name)
        if outcome:
            launched = [server for server in outcome.servers if server.launched]
            yield f"- wave {name}: {len(launched)} of {len(outcome.servers)} servers launched"
            for server in outcome.servers:
                if not server.launched:
                    yield f"- wave {name}: {server.server_id} ({server.name}) {server.result}: {server.error}"
        elif launch:
            yield f"- wave {name}: {len(launch.jobs)} launch job(s) started, not ended yet"
        nothing = nothing and not launch
    if nothing:
        yield "- nothing has been launched"
