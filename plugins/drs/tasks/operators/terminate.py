"""Cleans up after a run, however it ended."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowSkipException
from botocore.exceptions import BotoCoreError, ClientError

from drs import settings
from drs.cleanup.clean_up import CleanUp, WaitForJobs
from drs.cleanup.rule import Keep, Terminate, decide
from drs.run.ledger import Ledger
from drs.run.records import CleanupRecord, Loss, RunRecord, Stood
from drs.run.standing import describe, last_seen, launched_servers
from drs.tasks.aws_task import AwsTask
from drs.tasks.drill_task import (
    ResumesAfterTimeout,
    coded_failures,
    hook_parameters,
    run_ledger,
    task_states,
    use_target,
    wait,
)
from drs.tasks.hook import Ec2Instances
from drs.tasks.identity import find_run
from drs.tasks.links import DrsJobHistoryLink
from drs.tasks.standing import find_losses
from drs.tasks.triggers import DrsHoldersTrigger
from drs.text import shown
from drs.text.times import clock_time, utc_now

if TYPE_CHECKING:
    from airflow.sdk import Context


class DrsTerminateRecoveryInstancesOperator(ResumesAfterTimeout, AwsTask):
    """Terminate the drill instances that this run launched, and prove them gone in DRS and EC2.

    The instances of a real recovery are never terminated. A drill's instances are kept if the run, the plan
    or a person says so. Everything is read from the run's ledger, so clean-up works even if the plan's file
    is broken or edited.

    .. seealso:: https://docs.aws.amazon.com/drs/latest/APIReference/API_TerminateRecoveryInstances.html
    """

    operator_extra_links = (DrsJobHistoryLink(),)

    @coded_failures
    def execute(self, context: Context) -> dict[str, Any]:
        return self._clean_up(context, resumed=False, first=True)

    @coded_failures
    def resume(self, context: Context, event: dict[str, Any] | None = None) -> dict[str, Any]:
        """Continue after a wait. Everything that is known is in the ledger."""
        return self._clean_up(context, resumed=True)

    @coded_failures
    def look_again(self, context: Context, event: dict[str, Any] | None = None) -> dict[str, Any]:
        """Look once more for an instance that DRS may only list late."""
        return self._clean_up(context, resumed=False, first=True)

    @coded_failures
    def resume_kept(self, context: Context, event: dict[str, Any] | None = None) -> dict[str, Any]:
        """Begin after the instances of a passed drill were kept for ``cleanup.keep_for``."""
        return self._clean_up(context, resumed=False)

    def _clean_up(self, context: Context, *, resumed: bool, first: bool = False) -> dict[str, Any]:
        """Clean up as far as it can be done now.

        :param resumed: the same try goes on after a wait for jobs
        :param first: neither the wait of ``keep_for`` nor clean-up has begun: what the run launched must
            still be there
        """
        ledger = run_ledger(context)
        recorded = ledger.at_once()  # what the waves have left; clean-up itself reads it again at each step
        run = find_run(context, recorded, self.log)
        if run is None:
            raise AirflowSkipException("This run launched nothing: it was refused before it began.")
        if run.missed or run.dry_run:
            raise AirflowSkipException(run.missed or "This is a dry run: it launched nothing.")
        use_target(self, run)
        if first and (again := self._look_at_what_stands(recorded, run)):
            self._wait((), again, resume="look_again")
            return self._clean_up(context, resumed=False, first=True)  # the worker itself has waited
        # CleanUp itself never terminates a real recovery, so the plan's rule for drills is not asked.
        rule = decide(recorded, run, task_states(context)) if run.is_drill else Terminate()
        if isinstance(rule, Terminate) and rule.not_before:
            self._keep_until(rule.not_before, run)
        clean_up = CleanUp(
            hook=self.hook,
            describe_ec2=Ec2Instances(hook=self.hook),
            ledger=ledger,
            run=run,
            log=self.log,
            keep=rule.why if isinstance(rule, Keep) else "",
            try_number=context["ti"].try_number,
        )
        clean_up.begin(resumed=resumed)
        while isinstance(step := clean_up.advance(), WaitForJobs):
            self._wait(step.job_ids, step.until, resume="resume")
        self._judge_what_was_lost(ledger.at_once(), run, clean_up.record, keep=isinstance(rule, Keep))
        DrsJobHistoryLink.persist(
            context=context,
            operator=self,
            region_name=self.hook.conn_region_name,
            aws_partition=self.hook.conn_partition,
        )
        return clean_up.record.model_dump(mode="json")

    def _look_at_what_stands(self, ledger: Ledger, run: RunRecord) -> dt.datetime | None:
        """Record what somebody else has ended before the drill was over. It does not stop clean-up.

        A try that follows a look that found nothing wrong does not look again: ``keep_for`` may have begun.

        :return: when to look again, if an instance is missing that DRS may only list late
        """
        launched = {each.instance_id for each in launched_servers(ledger, run)}
        if (stood := ledger.stood()) is not None and stood.final and launched <= _accounted(ledger, stood):
            return None
        try:
            _, again = find_losses(ledger, run, self.hook, Ec2Instances(hook=self.hook), self.log)
        except (ClientError, BotoCoreError) as error:
            self.log.warning(
                "AWS did not say whether the launched instances are still there: %s", shown.line(error)
            )
            return None
        if again:
            return again
        if (stood := ledger.stood()) is not None and launched <= _accounted(ledger, stood):
            ledger.save_stood(stood.model_copy(update={"final": True}))
        return None

    def _judge_what_was_lost(
        self, ledger: Ledger, run: RunRecord, record: CleanupRecord, *, keep: bool
    ) -> None:
        """Record as lost what clean-up did not find, if it was to be kept, or if nothing shows that it was
        still there when the last wave had ended.

        :param keep: everything was to be kept. The record does not say so if nothing was left to keep.
        """
        gone = {(item.job_id, item.server_id) for item in record.instances if item.lost}
        if not gone:
            return
        stood = ledger.stood()
        seen = set(stood.instances) if stood and not keep else set[str]()
        known = {loss.instance_id for loss in ledger.losses()}
        new = tuple(
            Loss(
                wave=each.wave,
                server_id=each.server_id,
                name=each.name,
                optional=each.optional,
                instance_id=each.instance_id,
                what=f"was gone when {'it was to be kept' if keep else 'clean-up came'}",
                last_seen=last_seen(each, stood),
                found_at=utc_now(),
                by="not known; this run did not terminate it",
            )
            for each in launched_servers(ledger, run)
            if (each.job_id, each.server_id) in gone and each.instance_id not in known | seen
        )
        if new:
            ledger.save_losses((*ledger.losses(), *new))
            for loss in new:
                self.log.error("%s", describe(loss))

    def _keep_until(self, until: dt.datetime, run: RunRecord) -> None:
        """Wait for the end of ``cleanup.keep_for``. The time-out of clean-up begins after it."""
        if until <= utc_now():
            return
        self.log.info(
            "Every wave passed: the drill's instances are kept until %s (cleanup.keep_for), then terminated. "
            "To terminate them at once: python -m drs cleanup %s --run %s",
            f"{until:%Y-%m-%d} {clock_time(until)}",
            run.read_plan().name,
            shown.argument(run.run_id),
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


def _accounted(ledger: Ledger, stood: Stood) -> set[str]:
    """The instances that the last look saw as they should be, and those that are known to be lost."""
    return {*stood.instances, *(loss.instance_id for loss in ledger.losses())}
