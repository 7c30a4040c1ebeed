"""Cleans up after a run, however it ended."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow.providers.amazon.aws.operators.base_aws import AwsBaseOperator
from airflow.sdk.exceptions import AirflowSkipException

from drs import settings
from drs.cleanup.clean_up import CleanUp, WaitForJobs
from drs.cleanup.rule import Keep, Terminate, decide
from drs.run.records import RunRecord
from drs.tasks.drill_task import (
    coded_failures,
    hook_parameters,
    run_ledger,
    task_states,
    use_target,
    wait,
)
from drs.tasks.hook import DrsHook, Ec2Instances
from drs.tasks.links import DrsJobHistoryLink
from drs.tasks.triggers import DrsHoldersTrigger
from drs.times import clock_time, utc_now

if TYPE_CHECKING:
    from airflow.sdk import Context


class DrsTerminateRecoveryInstancesOperator(AwsBaseOperator[DrsHook]):
    """Terminate the drill instances that this run launched, and prove them gone in DRS and EC2.

    The instances of a real recovery are never terminated. A drill's instances are kept if the run, the plan
    or a person says so. Everything is read from the run's ledger, so clean-up works even if the plan's file
    is broken or edited.

    .. seealso:: https://docs.aws.amazon.com/drs/latest/APIReference/API_TerminateRecoveryInstances.html
    """

    aws_hook_class = DrsHook
    template_fields: Sequence[str] = ()  # the run's record says where to act: no templates, and a smaller DAG
    operator_extra_links = (DrsJobHistoryLink(),)

    @coded_failures
    def execute(self, context: Context) -> dict[str, Any]:
        return self._clean_up(context, resumed=False)

    @coded_failures
    def resume(self, context: Context, event: dict[str, Any] | None = None) -> dict[str, Any]:
        """Continue after a wait. Everything that is known is in the ledger."""
        return self._clean_up(context, resumed=True)

    @coded_failures
    def resume_kept(self, context: Context, event: dict[str, Any] | None = None) -> dict[str, Any]:
        """Begin after the instances of a passed drill were kept for ``cleanup.keep_for``."""
        return self._clean_up(context, resumed=False)

    def _clean_up(self, context: Context, *, resumed: bool) -> dict[str, Any]:
        ledger = run_ledger(context)
        run = ledger.begun()
        if run is None:
            raise AirflowSkipException("This run was refused before it began: it launched nothing.")
        if run.missed or run.dry_run:
            raise AirflowSkipException(run.missed or "This is a dry run: it launched nothing.")
        use_target(self, run)
        # CleanUp itself never terminates a real recovery, so the plan's rule for drills is not asked.
        rule = decide(ledger, run, task_states(context)) if run.is_drill else Terminate()
        if isinstance(rule, Terminate) and rule.not_before:
            self._keep_until(rule.not_before, run)
        clean_up = CleanUp(
            hook=self.hook,
            describe_ec2=Ec2Instances(**hook_parameters(self)),
            ledger=ledger,
            run=run,
            log=self.log,
            keep=rule.why if isinstance(rule, Keep) else "",
        )
        clean_up.begin(resumed=resumed)
        while isinstance(step := clean_up.advance(), WaitForJobs):
            self._wait(step.job_ids, step.until, resume="resume")
        DrsJobHistoryLink.persist(
            context=context,
            operator=self,
            region_name=self.hook.conn_region_name,
            aws_partition=self.hook.conn_partition,
        )
        return clean_up.record.model_dump(mode="json")

    def _keep_until(self, until: dt.datetime, run: RunRecord) -> None:
        """Wait for the end of ``cleanup.keep_for``. The time-out of clean-up begins after it."""
        if until <= utc_now():
            return
        self.log.info(
            "Every wave passed: the drill's instances are kept until %s (cleanup.keep_for), then terminated. "
            "To terminate them at once: python -m drs cleanup %s --run %s",
            f"{until:%Y-%m-%d} {clock_time(until)}",
            run.read_plan().name,
            run.run_id,
        )
        self._wait((), until, resume="resume_kept")

    def _wait(self, job_ids: Sequence[str], until: dt.datetime, *, resume: str) -> None:
        """Wait until one of the jobs has ended, or until the given time."""
        until = max(until, utc_now())
        trigger = DrsHoldersTrigger(
            deadline=until.isoformat(),
            holders=list(job_ids),
            poll=settings.poll_interval_near(),
            **hook_parameters(self),
        )
        wait(self, trigger, until, resume=resume)
