"""Resolves a run's protection groups once, and refuses to begin what cannot succeed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow.providers.amazon.aws.hooks.sts import StsHook
from airflow.providers.amazon.aws.operators.base_aws import AwsBaseOperator
from airflow.providers.amazon.aws.utils.mixins import aws_template_fields

from drs.drill_task import coded_failures, hook_parameters, run_ledger, use_target
from drs.errors import AccountMismatch, DrillError
from drs.hook import DrsHook
from drs.ledger import Resolution
from drs.plan import Plan
from drs.resolution import resolve
from drs.tables import table

if TYPE_CHECKING:
    from airflow.sdk import Context


class DrsPreflightOperator(AwsBaseOperator[DrsHook]):
    """Resolve the plan's groups to source servers and record the result for the run.

    The caller's account is compared with the plan's before DRS is asked for anything else. Every finding is
    told at once.
    """

    aws_hook_class = DrsHook
    template_fields: Sequence[str] = aws_template_fields()

    @coded_failures
    def execute(self, context: Context) -> dict[str, Any]:
        ledger = run_ledger(context)
        run = ledger.run()
        use_target(self, run)
        plan = run.read_plan()
        self._check_account(plan)
        servers = list(self.hook.source_servers())
        resolution, findings = resolve(plan, run.waves, run.exclude_servers, servers)
        self._tell(resolution)
        if findings:
            raise _together(findings)
        ledger.save_resolution(resolution)
        return resolution.model_dump(mode="json")

    def _check_account(self, plan: Plan) -> None:
        parameters = hook_parameters(self)
        caller = StsHook(config=parameters.pop("botocore_config"), **parameters).get_account_number()
        if caller != plan.target.account_id:
            raise AccountMismatch(
                f"The connection {plan.target.aws_conn_id} leads to account {caller}, but plan {plan.name} "
                f"is for account {plan.target.account_id}. Nothing was launched.",
                remedy=(
                    f"Give the connection {plan.target.aws_conn_id} a role in {plan.target.account_id}, or "
                    "correct target.account_id or target.aws_conn_id in the plan."
                ),
            )

    def _tell(self, resolution: Resolution) -> None:
        rows = [
            (name, server.server_id, server.name, server.group, "optional" if server.optional else "")
            for name, wave in resolution.waves.items()
            for server in wave.servers
        ]
        header = ("wave", "server", "name", "group", "")
        self.log.info("This run launches %d server(s):\n%s", len(rows), table(header, rows))
        for name, wave in resolution.waves.items():
            if wave.excluded:
                self.log.info("Excluded from wave %s by run parameter: %s", name, ", ".join(wave.excluded))
            if wave.left_out:
                self.log.warning("Wave %s is left out: %s.", name, wave.left_out)
        for warning in resolution.warnings:
            self.log.warning(warning)


def _together(findings: Sequence[DrillError]) -> DrillError:
    """One failure that tells every finding; it bears the first one's code."""
    if len(findings) == 1:
        return findings[0]
    text = "\n".join(f"{position}. {finding}" for position, finding in enumerate(findings, start=1))
    first = type(findings[0])
    return first(f"{len(findings)} findings stop this drill:\n{text}", remedy="Mend every finding above.")
