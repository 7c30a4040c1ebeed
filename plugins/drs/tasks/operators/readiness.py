"""Checks between drills whether a drill of each recovery plan could begin now. Launches nothing."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator

from drs.errors import Code, InvalidField, RecoveryPlanNotFound
from drs.plan import BrokenPlan, Plan, PlanError, load_folder
from drs.plan.naming import dag_id
from drs.preflight import Finding, PreflightInputs, Report, findings_table, inspect
from drs.run.other_drills import Activity
from drs.tasks.active_run import activity_of_runs, jobs_of_active_run
from drs.tasks.drill_task import logged_failures
from drs.tasks.hook import DrsHook
from drs.tasks.installation import known_installation
from drs.tasks.operators.preflight import clients, with_findings
from drs.tasks.plans_folder import folder_of
from drs.tasks.since_last_pass import since_last_full_pass
from drs.tasks.watching import findings_about

if TYPE_CHECKING:
    from airflow.sdk import Context


class DrsListPlansOperator(BaseOperator):
    """List the plans that are now in the plans folder, including broken ones."""

    @logged_failures
    def execute(self, context: Context) -> list[str]:
        try:
            plans = load_folder(folder_of(self.dag_id))
        except PlanError as error:
            raise RecoveryPlanNotFound(
                str(error), remedy="Create the folder, or correct the setting plans_folder in section [drs]."
            ) from None
        names = [plan.name if isinstance(plan, Plan) else plan.stem for plan in plans]
        self.log.info("%d recovery plan(s): %s", len(names), ", ".join(names))
        return names


class DrsReadinessOperator(BaseOperator):
    """Run the whole preflight of a plan as its file is now, and fail if a drill would be refused.

    It does not wait for errors that may clear by themselves. If a drill of this plan is active, its jobs and
    their instances are no findings: they belong to the plan. But what the watch finds about the plan is: a
    drill that stands still, and what an ended drill has left.

    :param plan: the plan's name
    """

    def __init__(self, *, plan: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.plan = plan
        self.aws_conn_id: str | None = None

    @logged_failures
    def execute(self, context: Context) -> None:
        ti = context["ti"]
        plan = read_plan(self.plan, folder_of(self.dag_id))
        self.aws_conn_id = plan.target.aws_conn_id
        report = check_plan(
            plan, lambda: jobs_of_active_run(ti, dag_id(plan.name)), activity=activity_of_runs(ti)
        )
        # The jobs of the active drill are no findings above, so a drill that stands still must be one here.
        found = [finding.as_preflight() for finding in findings_about(ti, plan)]
        report = dataclasses.replace(report, findings=(*found, *report.findings))
        self._log_report(plan, report)
        for line in since_last_full_pass(plan, report):
            self.log.info(line)
        if report.errors:
            error = report.as_error()
            error.retryable = all(map(not_answered, report.errors))
            raise error

    def _log_report(self, plan: Plan, report: Report) -> None:
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


def read_plan(name: str, folder: Path) -> Plan:
    """The plan as its file is now.

    :raises InvalidField: the file is broken
    :raises RecoveryPlanNotFound: the file is gone
    """
    for plan in load_folder(folder, only=name):
        if isinstance(plan, BrokenPlan):
            raise InvalidField(
                f"The plan's file is broken, so no drill can begin:\n{plan.describe()}",
                remedy="Fix the file (`python -m drs validate` lists its errors).",
            )
        return plan
    raise RecoveryPlanNotFound(
        f"The file of plan {name} existed when this run began, and is gone now.",
        remedy="Nothing to do if the file was removed or renamed on purpose: the next run does not check it.",
    )


def not_answered(finding: Finding) -> bool:
    """Whether AWS just did not answer. That says nothing about the plan, and a retry may get an answer."""
    return finding.code == Code.DRS_UNAVAILABLE or (finding.code == Code.CHECK_UNAVAILABLE and finding.heals)


def check_plan(
    plan: Plan, own_jobs: Callable[[], frozenset[str]], activity: Activity | None = None
) -> Report:
    """The preflight of every wave of the plan.

    An active drill of the plan may start more jobs while preflight runs. If it did, and an error may clear by
    itself, preflight runs again, so that the servers that these jobs hold are no findings.

    :param own_jobs: returns the DRS jobs of the plan's active drill
    :param activity: what an active run of this Airflow is doing
    """
    aws = clients(DrsHook(aws_conn_id=plan.target.aws_conn_id, region_name=plan.target.region))
    installation = known_installation() if activity else ""
    inputs = with_findings(
        dataclasses.replace(PreflightInputs.whole(plan), activity=activity, installation=installation)
    )
    while True:
        own = own_jobs()
        report = inspect(dataclasses.replace(inputs, own_jobs=own), aws)
        if not report.heals or own_jobs() == own:
            return report
