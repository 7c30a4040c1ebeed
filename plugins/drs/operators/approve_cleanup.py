"""Asks a person whether a drill's instances are terminated, or kept. Silence terminates them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from airflow.providers.standard.operators.hitl import HITLOperator
from airflow.sdk import Param
from airflow.sdk.definitions.param import ParamsDict
from airflow.sdk.exceptions import AirflowSkipException
from airflow.sdk.execution_time.hitl import HITLUser

from drs.drill_instances import drill_instances, with_types
from drs.drill_task import coded_failures, run_ledger
from drs.errors import ApprovalRejected
from drs.hook import DrsHook, Ec2Instances
from drs.jobs import clock_time, utc_now
from drs.ledger import Ledger
from drs.notifications import announce_question
from drs.operators.approve import may_answer, told_of_run, told_so_far
from drs.plan import Approval
from drs.prices import cost_listing
from drs.records import CLEANUP_APPROVAL, ApprovalRecord, InstanceRecord, RunRecord

if TYPE_CHECKING:
    from airflow.sdk import Context

TERMINATE, KEEP = "Terminate", "Keep"


class DrsApproveCleanupOperator(HITLOperator):
    """Ask, once the waves have ended, whether what they launched is terminated.

    Only ``Keep`` keeps it. Skipped, failed, or marked by hand, the question has no answer on record, and the
    instances are terminated.
    """

    template_fields: Sequence[str] = ()  # a reason or a server's name that holds braces is no template

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(subject="Terminate?", options=[TERMINATE, KEEP], defaults=[TERMINATE], **kwargs)

    @coded_failures
    def execute(self, context: Context) -> None:
        ledger = run_ledger(context)
        run = ledger.begun()
        if run is None:
            raise AirflowSkipException("This run was refused before it began: it launched nothing.")
        before = ledger.approval(CLEANUP_APPROVAL)
        ledger.forget_approval(CLEANUP_APPROVAL)
        if why := _need_not_ask(run):
            raise AirflowSkipException(why)
        instances, live, remark = _left(ledger, run)
        if not (instances or live):
            raise AirflowSkipException("There is no drill instance of this run: nothing to ask about.")
        rule = run.read_plan().cleanup
        until = utc_now() + rule.approval_timeout
        what = f"the {len(instances)} drill instance(s) of this run"
        self.subject = f"Drill of plan {run.read_plan().name}: terminate {what}?"
        self.body = "\n".join(
            [
                *told_of_run(run),
                f"Without an answer by {until:%Y-%m-%d} {clock_time(until)} they are terminated.",
                *_told_of_instances(instances, run, remark),
                *_told_of_live(live),
                *told_so_far(ledger, run),
            ]
        )
        self.response_timeout = rule.approval_timeout
        self.assigned_users = [HITLUser(id=user, name=user) for user in rule.approvers]
        comment = Param(None, type=["null", "string"], maxLength=500, title="Comment")
        self.params = ParamsDict({"comment": comment})
        self.log.info("%s\n%s", self.subject, self.body)
        announce_question(
            context,
            ledger,
            about=f"{CLEANUP_APPROVAL} after {before.at.isoformat()}" if before else CLEANUP_APPROVAL,
            what=f"the termination of {what}",
            rule=Approval(timeout=rule.approval_timeout, on_timeout="approve", approvers=rule.approvers),
            until=until,
            passes=True,
            body=self.body,
        )
        super().execute(context)

    @coded_failures
    def execute_complete(self, context: Context, event: dict[str, Any]) -> dict[str, Any]:
        """Record the answer.

        :raises ApprovalRejected: it is not of somebody who may give it; the instances are then terminated
        """
        ledger = run_ledger(context)
        rule = ledger.run().read_plan().cleanup
        answer = super().execute_complete(context, event)
        user = answer["responded_by_user"]
        record = ApprovalRecord(
            approved=answer["chosen_options"] == [TERMINATE],
            answered="by time-out" if user is None else "by a person",
            by=user["name"] if user else "",
            at=answer["responded_at"],
            comment=str(answer["params_input"].get("comment") or ""),
        )
        said = f"{record.by or 'nobody'} at {clock_time(record.at)}, comment: {record.comment or 'none'}"
        if not may_answer(user, rule.approvers):
            raise ApprovalRejected(
                f"The answer about clean-up is not of somebody who may give it ({said}); the plan names "
                f"{', '.join(rule.approvers)}. The instances are terminated.",
                remedy="Have one of those named answer in the next run.",
            )
        ledger.save_approval(CLEANUP_APPROVAL, record)
        self.log.info(
            "The instances are %s: %s, %s",
            "terminated" if record.approved else "kept",
            record.answered,
            said,
        )
        return record.model_dump(mode="json")


def _need_not_ask(run: RunRecord) -> str | None:
    """Why the run's instances are no question."""
    if run.missed:
        return run.missed
    if run.dry_run:
        return "This is a dry run: it launched nothing."
    if not run.is_drill:
        return "This is a real recovery: nothing of it is terminated."
    if run.keep_instances:
        return "The run was asked to keep its instances (keep_instances)."
    if run.read_plan().cleanup.when != "after_approval":
        return "The plan that this run began with does not ask before its clean-up."
    return None


def _left(ledger: Ledger, run: RunRecord) -> tuple[list[InstanceRecord], list[str], str | None]:
    """The run's instances, its jobs that are still live, and why it is not known what the instances cost."""
    launches = [launch for wave in run.waves if (launch := ledger.launch(wave))]
    jobs = frozenset[str]().union(*(launch.all_job_ids for launch in launches))
    if not jobs:
        return [], [], None
    servers = {server for launch in launches for call in launch.calls for server in call.servers}
    target = run.read_plan().target
    reach = {"aws_conn_id": target.aws_conn_id, "region_name": target.region}
    hook = DrsHook(**reach)
    live = [job.job_id for job in hook.describe_jobs(jobs) if job.live]
    instances, remark = with_types(drill_instances(hook, servers, jobs), Ec2Instances(**reach))
    return instances, live, remark


def _told_of_instances(
    instances: Sequence[InstanceRecord], run: RunRecord, remark: str | None
) -> Iterator[str]:
    yield "\n**Instances**\n"
    yield f"```\n{cost_listing(instances, utc_now()) if instances else 'none yet'}\n```"
    if remark:
        yield remark
    yield (
        "\nKept, they cost money until somebody terminates them: "
        f"`python -m drs cleanup {run.read_plan().name} --run {run.run_id}`"
    )


def _told_of_live(live: Sequence[str]) -> Iterator[str]:
    if live:
        yield f"\n{len(live)} job(s) are still live, and may launch more: {', '.join(live)}"
