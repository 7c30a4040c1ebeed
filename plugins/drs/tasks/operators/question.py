"""What all questions to a person share: how they are asked in the Airflow UI and how answers are kept."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow.providers.standard.operators.hitl import HITLOperator
from airflow.sdk import Param
from airflow.sdk.definitions.param import ParamsDict
from airflow.sdk.execution_time.hitl import HITLUser

from drs.cleanup.drill_instances import drill_instances, instances_to_show, with_types
from drs.plan import Approval
from drs.run.ledger import Ledger
from drs.run.proof import PREFLIGHT_TASK_ID
from drs.run.records import ApprovalRecord, InstanceRecord, RunRecord
from drs.tasks import question_text
from drs.tasks.hook import DrsHook, Ec2Instances
from drs.tasks.operators.preflight import FINDINGS_KEY
from drs.tasks.question_text import Medium
from drs.tasks.send_messages import notify_question
from drs.text import shown
from drs.text.times import clock_time, utc_now

if TYPE_CHECKING:
    from airflow.sdk import Context


Facts = Callable[[Medium], Iterable[str]]
"""Gives what a person needs to know before answering, for the place where it is shown."""


class DrsQuestionOperator(HITLOperator):
    """Ask a person under *Required Actions*. The wait occupies no worker and, from Airflow 3.3 on, no
    triggerer.
    """

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
        facts: Facts,
    ) -> None:
        """Ask ``subject``, and defer until there is an answer or the time is over.

        :param about: the subject under which the answer is kept
        :param what: what is approved, in the words of a sentence
        :param passes: whether no answer means yes
        :param silence: what no answer means, as the end of a sentence
        :param facts: what a person needs to know before answering; the run itself and the state of its waves
            are added
        """
        number = context["ti"].try_number
        until = utc_now() + rule.timeout
        without = f"- Without an answer by {until:%Y-%m-%d} {clock_time(until)} {silence}."
        waves = [(name, ledger.launch(name), ledger.outcome(name)) for name in run.waves]

        def body(medium: Medium) -> str:
            return "\n".join(
                [
                    *question_text.asked_again(medium, number),
                    *question_text.about_run(medium, run),
                    without,
                    *facts(medium),
                    *question_text.so_far(medium, waves),
                ]
            )

        self.body = body(question_text.MARKDOWN)
        self.response_timeout = rule.timeout
        self.assigned_users = [HITLUser(id=user, name=user) for user in rule.approvers]
        # Added here and not when the DAG is built, because it would make the DAG larger for each question.
        comment = Param(None, type=["null", "string"], maxLength=500, title="Comment")
        self.params = ParamsDict({"comment": comment})
        plain = body(question_text.PLAIN)
        self.log.info("%s\n%s", self.subject, shown.block(plain))
        notify_question(
            context,
            ledger,
            about=f"{about} in try {number}",
            what=what,
            rule=rule,
            until=until,
            passes=passes,
            body=plain,
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
    return f"{shown.line(who)} at {clock_time(record.at)}, comment: {shown.line(record.comment or 'none')}"


@dataclass(frozen=True)
class InstancesNow:
    """What a run has in AWS at the moment of a question.

    :param instances: its instances, as EC2 has them
    :param live: the jobs that may launch more
    :param notes: what could not be read, and what may come; a sentence each
    """

    instances: Sequence[InstanceRecord] = ()
    live: Sequence[str] = ()
    notes: Sequence[str] = ()


def look_at_instances(ledger: Ledger, run: RunRecord) -> InstancesNow:
    """The run's instances and its live jobs.

    :raises botocore.exceptions.ClientError: DRS refused to list them
    """
    launches = [launch for wave in run.waves if (launch := ledger.launch(wave))]
    jobs = frozenset[str]().union(*(launch.all_job_ids for launch in launches))
    if not jobs:
        return InstancesNow()
    ids = {server for launch in launches for call in launch.calls for server in call.servers}
    target = run.read_plan().target
    hook = DrsHook(aws_conn_id=target.aws_conn_id, region_name=target.region)
    live = [job.job_id for job in hook.describe_jobs(jobs) if job.live]
    shows = drill_instances if run.is_drill else instances_to_show
    instances, no_price = with_types(shows(hook, ids, jobs), Ec2Instances(hook=hook))
    notes = [no_price] if no_price else []
    if live:
        notes.append(f"{len(live)} job(s) are still live and may launch more instances: {', '.join(live)}.")
    return InstancesNow(instances, live, notes)


def server_names(ledger: Ledger) -> dict[str, str]:
    """The names of the run's servers, by id."""
    resolution = ledger.resolution()
    waves = resolution.waves.values() if resolution else ()
    return {server.server_id: server.name for wave in waves for server in wave.servers}


def findings_of_preflight(context: Context) -> Sequence[Mapping[str, Any]]:
    """What preflight found, errors and warnings."""
    ti: Any = context["ti"]
    return ti.xcom_pull(task_ids=PREFLIGHT_TASK_ID, key=FINDINGS_KEY) or []
