"""Asks a person whether to terminate or keep a drill's instances. No answer terminates them."""

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
from drs.tasks.identity import find_run
from drs.tasks.operators.question import DrsQuestionOperator, answered
from drs.tasks.standing import require_standing_before_question
from drs.times import utc_now

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
        instances, live, no_price = _left(ledger, run)
        if not (instances or live):
            raise AirflowSkipException("This run has no drill instances, so there is nothing to ask about.")
        rule = run.read_plan().cleanup
        what = f"the {len(instances)} drill instance(s) of this run"
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
            facts=[
                *_instance_lines(instances, run, no_price),
                *_live_lines(live),
            ],
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
            raise ApprovalRejected(
                f"The answer about clean-up came from somebody who may not answer "
                f"({answered(record)}); the plan's approvers are {', '.join(approvers)}. The instances "
                "are terminated.",
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


def _left(ledger: Ledger, run: RunRecord) -> tuple[list[InstanceRecord], list[str], str | None]:
    """The run's instances, its jobs that are still live, and why the cost of the instances is not known."""
    launches = [launch for wave in run.waves if (launch := ledger.launch(wave))]
    jobs = frozenset[str]().union(*(launch.all_job_ids for launch in launches))
    if not jobs:
        return [], [], None
    servers = {server for launch in launches for call in launch.calls for server in call.servers}
    target = run.read_plan().target
    hook = DrsHook(aws_conn_id=target.aws_conn_id, region_name=target.region)
    live = [job.job_id for job in hook.describe_jobs(jobs) if job.live]
    instances, no_price = with_types(drill_instances(hook, servers, jobs), Ec2Instances(hook=hook))
    return instances, live, no_price


def _instance_lines(
    instances: Sequence[InstanceRecord], run: RunRecord, no_price: str | None
) -> Iterator[str]:
    yield "\n**Instances**\n"
    yield f"```\n{cost_listing(instances, utc_now()) if instances else 'none yet'}\n```"
    if no_price:
        yield no_price
    yield (
        "\nIf they are kept, they cost money until somebody terminates them: "
        f"`python -m drs cleanup {run.read_plan().name} --run {run.run_id}`"
    )


def _live_lines(live: Sequence[str]) -> Iterator[str]:
    if live:
        yield f"\n{len(live)} job(s) are still live and may launch more instances: {', '.join(live)}"
