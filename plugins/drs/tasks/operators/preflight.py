"""Checks the run against AWS before anything is launched, and records which servers the run launches."""

from __future__ import annotations

import dataclasses
import datetime as dt
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from drs import settings
from drs.aws.clients import AwsClients, role_seconds
from drs.compat import task_store
from drs.evidence.storage import is_url
from drs.plan import Launch, Plan
from drs.preflight import PreflightInputs, Report, findings_table, inspect
from drs.preflight.record_folder import unshared_folder
from drs.run.ledger import Ledger
from drs.run.other_drills import Activity
from drs.run.records import Resolution, RunRecord
from drs.tasks.active_run import activity_of_runs
from drs.tasks.aws_task import AwsTask
from drs.tasks.drill_task import (
    ResumesAfterTimeout,
    coded_failures,
    hook_parameters,
    run_ledger,
    use_target,
    wait,
)
from drs.tasks.hook import DrsHook
from drs.tasks.own_code import code_findings
from drs.tasks.signing import key_findings
from drs.tasks.triggers import DrsHoldersTrigger
from drs.text.tables import table
from drs.text.times import clock_time, utc_now

if TYPE_CHECKING:
    from airflow.sdk import Context

FINDINGS_KEY = "findings"
"""The XCom key of this task's findings, for the approvers' questions, for evidence and for programs."""
PATIENCE_KEY = "patience"


class DrsPreflightOperator(ResumesAfterTimeout, AwsTask):
    """Check everything that can be known before a launch, and record which servers the run launches.

    All findings are reported together. If every error may clear by itself, the task waits and checks again,
    by the plan's ``conflict_backoff`` and up to its ``conflict_timeout``, deferred; a dry run does not wait.
    Once a run's servers are resolved they stay the same, even if the task is cleared.
    """

    @coded_failures
    def execute(self, context: Context) -> dict[str, Any]:
        return self._check_until_clear(context, Patience(since=utc_now()))

    @coded_failures
    def resume(self, context: Context, event: dict[str, Any] | None = None) -> dict[str, Any]:
        """Check again after a wait."""
        patience = Patience.from_json(task_store(context).get(PATIENCE_KEY))
        return self._check_until_clear(context, patience)

    def _check_until_clear(self, context: Context, patience: Patience) -> dict[str, Any]:
        ledger = run_ledger(context)
        run = ledger.run()
        use_target(self, run)
        inputs = with_findings(inputs_of(run, ledger, activity_of_runs(context["ti"])))
        while True:
            report = inspect(inputs, clients(self.hook))
            until = None
            if report.heals and not run.dry_run:
                launch = launch_to_wait_by(inputs.plan, report, run.waves)
                until = patience.next_look(launch, utc_now())
            self._log_report(context, report, fails=bool(report.errors) and until is None)
            if not report.errors:
                assert report.resolution is not None
                ledger.save_resolution(report.resolution)
                return report.resolution.model_dump(mode="json")
            if until is None:
                if report.heals and patience.looks:
                    self.log.error(
                        "The task waited from %s until conflict_timeout was over. The errors did not clear.",
                        clock_time(patience.since),
                    )
                raise report.as_error()
            patience = patience.after_a_look()
            task_store(context).set(PATIENCE_KEY, patience.as_json())
            self._wait(report, until)

    def _wait(self, report: Report, until: dt.datetime) -> None:
        holders = sorted({job_id for finding in report.errors for job_id in finding.holders})
        sooner = f", or when one of {', '.join(holders)} has ended" if holders else ""
        self.log.info(
            "These errors may clear by themselves. The task checks again at %s%s.", clock_time(until), sooner
        )
        trigger = DrsHoldersTrigger(
            deadline=until.isoformat(),
            holders=holders,
            poll=settings.poll_interval_near(),
            **hook_parameters(self),
        )
        wait(self, trigger, until, resume="resume")

    def _log_report(self, context: Context, report: Report, *, fails: bool) -> None:
        """Log what was found, and keep it for others.

        :param fails: the task fails now, and its failure tells every error with its remedy
        """
        ti: Any = context["ti"]
        ti.xcom_push(key=FINDINGS_KEY, value=report.as_json())
        if fails and report.warnings:
            self.log.warning(
                "Preflight found %d error(s), which are told below, and %d warning(s):\n%s",
                len(report.errors),
                len(report.warnings),
                findings_table(report.warnings),
            )
        elif not fails and report.findings:
            self.log.warning(
                "Preflight found %d error(s) and %d warning(s):\n%s",
                len(report.errors),
                len(report.warnings),
                findings_table((*report.errors, *report.warnings)),
            )
        elif not fails:
            self.log.info("Preflight found no errors and no warnings.")
        if report.resolution is not None:
            self._log_servers(report.resolution)
        for note in report.notes:
            self.log.info("%s", note)

    def _log_servers(self, resolution: Resolution) -> None:
        rows = [
            (name, server.server_id, server.name, server.group, server.snapshot_id or "latest", optional)
            for name, wave in resolution.waves.items()
            for server in wave.servers
            for optional in ("optional" if server.optional else "",)
        ]
        header = ("wave", "server", "name", "group", "recovery point", "")
        self.log.info("The waves contain %d server(s):\n%s", len(rows), table(header, rows))
        for name, wave in resolution.waves.items():
            if wave.excluded:
                self.log.info(
                    "Excluded from wave %s by the run parameter exclude_servers: %s",
                    name,
                    ", ".join(wave.excluded),
                )
            if wave.left_out:
                self.log.warning("Wave %s is left out: %s.", name, wave.left_out)


def clients(hook: DrsHook) -> AwsClients:
    """The clients that preflight needs, with the hook's credentials, account and Region."""
    return AwsClients(
        drs=hook,
        ec2=hook.ec2,
        sts=hook.client_of("sts"),
        iam=hook.client_of("iam"),
        role_seconds=role_seconds(hook.conn_config.assume_role_kwargs),
    )


def inputs_of(run: RunRecord, ledger: Ledger, activity: Activity) -> PreflightInputs:
    """What preflight has to check for this run."""
    launches = (ledger.launch(wave) for wave in run.waves)
    return PreflightInputs(
        plan=run.read_plan(),
        waves=run.waves,
        exclude_servers=run.exclude_servers,
        execution_type=run.execution_type,
        recovery_point=run.recovery_point,
        own_jobs=frozenset().union(*(record.all_job_ids for record in launches if record)),
        token=run.token,
        installation=run.installation,
        activity=activity,
        resolved=ledger.resolution(),
    )


def with_findings(inputs: PreflightInputs) -> PreflightInputs:
    """The inputs with what is found outside AWS's DRS: about the code that the plan names, the place of the
    records, and the key that signs them. In a RECOVERY the key is only a warning.
    """
    found = list(code_findings(inputs))
    if not is_url(path := settings.evidence_path()):
        shared, executors = settings.evidence_shared(), settings.executors()
        found += unshared_folder(path, executors, shared=shared, environment=os.environ)
    if key_id := settings.evidence_kms_key_id():
        about_key = key_findings(key_id)
        if inputs.execution_type == "RECOVERY":
            about_key = [finding.as_warning() for finding in about_key]
        found += about_key
    return dataclasses.replace(inputs, found=tuple(found))


def launch_to_wait_by(plan: Plan, report: Report, waves: Sequence[str]) -> Launch:
    """The launch settings that give a wait its backoff and time-out.

    They are those of the wave with the shortest ``conflict_timeout`` among the waves that have errors. An
    error that names no wave concerns all waves of the run.
    """
    named = {finding.wave for finding in report.errors}
    concerned = [wave for wave in waves if wave in named or None in named]
    return min((plan.launch_for(wave) for wave in concerned), key=lambda launch: launch.conflict_timeout)


@dataclass(frozen=True, slots=True)
class Patience:
    """How often the task has checked, and since when."""

    since: dt.datetime
    looks: int = 0

    def next_look(self, launch: Launch, now: dt.datetime) -> dt.datetime | None:
        """When to check again; ``None`` when ``conflict_timeout`` is over."""
        end = self.since + launch.conflict_timeout
        if now >= end:
            return None
        backoff = launch.conflict_backoff
        return min(now + backoff[min(self.looks, len(backoff) - 1)], end)

    def after_a_look(self) -> Patience:
        return Patience(self.since, self.looks + 1)

    def as_json(self) -> dict[str, Any]:
        return {"since": self.since.isoformat(), "looks": self.looks}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Patience:
        return cls(dt.datetime.fromisoformat(value["since"]), value["looks"])
