"""Asks of every recovery plan, between drills, whether a drill of it could begin now. Launches nothing."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator

from drs import settings
from drs.errors import Code, InvalidField, RecoveryPlanNotFound
from drs.plan import BrokenPlan, Plan, PlanError, load_folder
from drs.plan.naming import dag_id
from drs.preflight import Finding, PreflightInputs, Report, findings_table, inspect
from drs.tasks.active_run import jobs_under_way
from drs.tasks.drill_task import told_failures
from drs.tasks.hook import DrsHook
from drs.tasks.operators.preflight import clients

if TYPE_CHECKING:
    from airflow.sdk import Context


class DrsListPlansOperator(BaseOperator):
    """List the plans that are in the plans folder now, broken ones included."""

    @told_failures
    def execute(self, context: Context) -> list[str]:
        try:
            plans = load_folder(settings.plans_folder())
        except PlanError as error:
            raise RecoveryPlanNotFound(
                str(error), remedy="Create the folder, or correct the setting plans_folder in section [drs]."
            ) from None
        names = [plan.name if isinstance(plan, Plan) else plan.stem for plan in plans]
        self.log.info("%d recovery plan(s): %s", len(names), ", ".join(names))
        return names


class DrsReadinessOperator(BaseOperator):
    """Run the whole preflight of a plan as its file stands now, and fail where a drill would be refused.

    What time may heal is told at once. The jobs of a drill of this plan that is under way are its own:
    neither they nor their instances are findings.

    :param plan: the plan's name
    """

    def __init__(self, *, plan: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.plan = plan
        self.aws_conn_id: str | None = None

    @told_failures
    def execute(self, context: Context) -> None:
        ti = context["ti"]
        plan = read_plan(self.plan)
        self.aws_conn_id = plan.target.aws_conn_id
        report = look(plan, lambda: jobs_under_way(ti, dag_id(plan.name)))
        self._tell(plan, report)
        if report.errors:
            error = report.as_error()
            error.retryable = all(map(unanswered, report.errors))
            raise error

    def _tell(self, plan: Plan, report: Report) -> None:
        target = plan.target
        self.log.info(
            "Plan %s (digest %s) in %s, account %s, connection %s.",
            plan.name,
            plan.digest[:12],
            target.region,
            target.account_id,
            target.aws_conn_id,
        )
        if report.resolution:
            for name, wave in report.resolution.waves.items():
                self.log.info("Wave %s: %d server(s)", name, len(wave.servers))
        if report.findings:
            self.log.info("Findings:\n%s", findings_table(report.findings))
        for note in report.notes:
            self.log.info(note)
        if not report.errors:
            self.log.info("A drill of %s could begin now.", plan.name)


def read_plan(name: str) -> Plan:
    """The plan as its file stands now.

    :raises InvalidField: the file is broken
    :raises RecoveryPlanNotFound: the file is gone
    """
    for plan in load_folder(settings.plans_folder(), only=name):
        if isinstance(plan, BrokenPlan):
            raise InvalidField(
                f"The plan's file is broken, so no drill can begin:\n{plan.describe()}",
                remedy="Mend the file (`python -m drs validate` lists every error).",
            )
        return plan
    raise RecoveryPlanNotFound(
        f"The file of plan {name} was there when this run began, and is gone now.",
        remedy="Nothing to mend if it was removed or renamed on purpose: the next run does not ask for it.",
    )


def unanswered(finding: Finding) -> bool:
    """Whether AWS has only not answered, and may when it is asked again: that says nothing about the plan."""
    return finding.code == Code.DRS_UNAVAILABLE or (finding.code == Code.CHECK_UNAVAILABLE and finding.heals)


def look(plan: Plan, own_jobs: Callable[[], frozenset[str]]) -> Report:
    """The preflight of every wave of the plan.

    A drill that goes on meanwhile may have begun further jobs since it was asked for them: as long as there
    are such, what they hold is looked at again.

    :param own_jobs: asks for the DRS jobs of the plan's drill that is under way
    """
    aws = clients(DrsHook(aws_conn_id=plan.target.aws_conn_id, region_name=plan.target.region))
    while True:
        own = own_jobs()
        report = inspect(dataclasses.replace(PreflightInputs.whole(plan), own_jobs=own), aws)
        if not report.heals or own_jobs() == own:
            return report
