"""Asks a person whether a drill's instances are terminated, or kept. Silence terminates them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowSkipException

from drs.cleanup.drill_instances import drill_instances, with_types
from drs.cleanup.prices import cost_listing
from drs.errors import ApprovalRejected
from drs.plan import Approval
from drs.run.ledger import Ledger
from drs.run.records import CLEANUP_APPROVAL, InstanceRecord, RunRecord
from drs.tasks.drill_task import coded_failures, run_ledger
from drs.tasks.hook import DrsHook, Ec2Instances
from drs.tasks.operators.question import DrsQuestionOperator, said
from drs.times import utc_now

if TYPE_CHECKING:
    from airflow.sdk import Context

TERMINATE, KEEP = "Terminate", "Keep"


class DrsApproveCleanupOperator(DrsQuestionOperator):
    """Ask, once the waves have ended, whether what they launched is terminated.

    Only ``Keep`` keeps it. Skipped, failed, or marked by hand, the question has no answer on record, and the
    instances are terminated.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(subject="Terminate?", options=[TERMINATE, KEEP], defaults=[TERMINATE], **kwargs)

    @coded_failures
    def execute(self, context: Context) -> None:
        ledger = run_ledger(context)
        run = ledger.begun()
        if run is None:
            raise AirflowSkipException("This run was refused before it began: it launched nothing.")
        announced_as = self._forget_answer(ledger, CLEANUP_APPROVAL)
        if why := _need_not_ask(run):
            raise AirflowSkipException(why)
        instances, live, remark = _left(ledger, run)
        if not (instances or live):
            raise AirflowSkipException("There is no drill instance of this run: nothing to ask about.")
        rule = run.read_plan().cleanup
        what = f"the {len(instances)} drill instance(s) of this run"
        self.subject = f"Drill of plan {run.read_plan().name}: terminate {what}?"
        self._ask(
            context,
            ledger,
            run,
            announced_as=announced_as,
            what=f"the termination of {what}",
            rule=Approval(timeout=rule.approval_timeout, on_timeout="approve", approvers=rule.approvers),
            passes=True,
            silence="they are terminated",
            told=[
                *_told_of_instances(instances, run, remark),
                *_told_of_live(live),
            ],
        )

    @coded_failures
    def execute_complete(self, context: Context, event: dict[str, Any]) -> dict[str, Any]:
        """Record the answer.

        :raises ApprovalRejected: it is not of somebody who may give it; the instances are then terminated
        """
        ledger = run_ledger(context)
        approvers = ledger.run().read_plan().cleanup.approvers
        record, may = self._answer(context, event, yes=TERMINATE, approvers=approvers)
        if not may:
            raise ApprovalRejected(
                f"The answer about clean-up is not of somebody who may give it ({said(record)}); the plan "
                f"names {', '.join(approvers)}. The instances are terminated.",
                remedy="Have one of those named answer in the next run.",
            )
        ledger.save_approval(CLEANUP_APPROVAL, record)
        self.log.info(
            "The instances are %s: %s, %s",
            "terminated" if record.approved else "kept",
            record.answered,
            said(record),
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
