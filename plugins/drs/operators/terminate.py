"""Cleans up after a run, whatever happened to it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow.providers.amazon.aws.hooks.base_aws import AwsBaseHook
from airflow.providers.amazon.aws.operators.base_aws import AwsBaseOperator
from airflow.sdk.exceptions import AirflowSkipException

from drs import settings
from drs.cleanup import CleanUp, WaitForJobs
from drs.drill_task import coded_failures, hook_parameters, run_ledger, use_target, wait
from drs.hook import DrsHook
from drs.jobs import utc_now
from drs.links import DrsJobHistoryLink
from drs.triggers import DrsHoldersTrigger

if TYPE_CHECKING:
    from airflow.sdk import Context


class DrsTerminateRecoveryInstancesOperator(AwsBaseOperator[DrsHook]):
    """Terminate the drill instances that this run launched, and prove them gone in DRS and EC2.

    What a real recovery launched is left alone. It takes everything from the run's ledger, so it does its
    work when the plan's file is broken or edited.

    .. seealso:: https://docs.aws.amazon.com/drs/latest/APIReference/API_TerminateRecoveryInstances.html
    """

    aws_hook_class = DrsHook
    template_fields: Sequence[str] = ()  # the run's record says where: nothing to fill in, and a smaller DAG
    operator_extra_links = (DrsJobHistoryLink(),)

    @coded_failures
    def execute(self, context: Context) -> dict[str, Any]:
        return self._clean_up(context, resumed=False)

    @coded_failures
    def resume(self, context: Context, event: dict[str, Any] | None = None) -> dict[str, Any]:
        """Go on after a wait; the ledger holds all that is known."""
        return self._clean_up(context, resumed=True)

    def _clean_up(self, context: Context, *, resumed: bool) -> dict[str, Any]:
        ledger = run_ledger(context)
        run = ledger.begun()
        if run is None:
            raise AirflowSkipException("This run was refused before it began: it launched nothing.")
        if run.missed or run.dry_run:
            raise AirflowSkipException(run.missed or "This is a dry run: it launched nothing.")
        use_target(self, run)
        clean_up = CleanUp(
            hook=self.hook, describe_ec2=self._describe_ec2, ledger=ledger, run=run, log=self.log
        )
        clean_up.begin(resumed=resumed)
        while isinstance(step := clean_up.advance(), WaitForJobs):
            self._wait(step)
        DrsJobHistoryLink.persist(
            context=context,
            operator=self,
            region_name=self.hook.conn_region_name,
            aws_partition=self.hook.conn_partition,
        )
        return clean_up.record.model_dump(mode="json")

    def _wait(self, step: WaitForJobs) -> None:
        until = max(step.until, utc_now())
        trigger = DrsHoldersTrigger(
            deadline=until.isoformat(),
            holders=list(step.job_ids),
            poll=settings.poll_interval_near(),
            **hook_parameters(self),
        )
        wait(self, trigger, until, resume="resume")

    @cached_property
    def _ec2(self) -> Any:
        parameters = hook_parameters(self)
        return AwsBaseHook(client_type="ec2", config=parameters.pop("botocore_config"), **parameters).conn

    def _describe_ec2(self, filters: list[dict[str, Any]]) -> Iterable[Mapping[str, Any]]:
        for page in self._ec2.get_paginator("describe_instances").paginate(Filters=filters):
            for reservation in page["Reservations"]:
                yield from reservation["Instances"]
