"""Writes the evidence record of a run: what it did, what was measured, and what is proven."""

from __future__ import annotations

import datetime as dt
import importlib.metadata
import platform
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.sdk import ObjectStoragePath
from airflow.sdk.exceptions import AirflowException, AirflowSkipException
from botocore.exceptions import BotoCoreError, ClientError

from drs import settings
from drs.aws.jobs import Job, LogEvent
from drs.errors import EvidenceIncomplete
from drs.evidence.assemble import assemble
from drs.evidence.objectives import NOT_MET
from drs.evidence.observed import Account
from drs.evidence.page import render_page
from drs.evidence.record import Evidence, Explanation
from drs.evidence.storage import LocalStorage, ObjectStorage, RecordStorage, is_url
from drs.evidence.store import EvidenceStore, Kept
from drs.evidence.summary import judged, measured, not_met, seconds
from drs.explain import explain_failure, raw_error_of
from drs.plan.naming import plan_name
from drs.plan.plan_schedule import next_time
from drs.run.fates import fates
from drs.run.ledger import BEGIN_TASK_ID, Ledger
from drs.run.proof import PREFLIGHT_TASK_ID
from drs.run.records import RunRecord, launch_in_words
from drs.run.request import MANUAL
from drs.run.ticks import MISSED, MissedTick
from drs.tasks.aws_task import AwsTask
from drs.tasks.drill_task import coded_failures, finished_ledger, task_states, use_target
from drs.tasks.identity import find_run
from drs.tasks.operators.preflight import FINDINGS_KEY
from drs.tasks.signing import signer
from drs.text import shown
from drs.text.tables import table
from drs.text.times import utc_now
from drs.version import VERSION

if TYPE_CHECKING:
    from airflow.sdk import Context

PACKAGES = ("apache-airflow", "apache-airflow-providers-amazon", "boto3", "pydantic")
MOST_MISSED = 50
"""Missed and refused ticks that a record lists."""
NO_ANSWER = (ClientError, BotoCoreError, AirflowException)
"""The errors by which DRS, or the way to it, fails to answer."""


class DrsDrillEvidenceOperator(AwsTask):
    """Assemble the run's record from its ledger and from DRS, seal it into the plan's chain, and store it.

    Every run gets a record, however it ended, except one that was refused before it began or that was missed.
    If no person started such a run, it is kept as a tick of the plan's schedule.
    The task's outlet is the asset of the plan's drills; the asset's event says how this drill ended.
    """

    @coded_failures
    def execute(self, context: Context) -> dict[str, Any]:
        ledger = finished_ledger(context)
        run = find_run(context, ledger, self.log)
        if run is None:
            self._keep_refused(context, ledger)
            raise AirflowSkipException("This run was refused before it began; there is nothing to record.")
        if run.missed:
            self._keep_tick(context, run.run_type, at=run.began_at, why=run.missed.removeprefix(MISSED))
            raise AirflowSkipException(run.missed)
        use_target(self, run)
        evidence = store()
        account = self._account(context, ledger, run, evidence)
        kept = evidence.keep(assemble(ledger, run, account, utc_now()))
        self._log_record(kept)
        self._emit_asset_event(context, kept.record)
        return summary(kept)

    def _keep_refused(self, context: Context, ledger: Ledger) -> None:
        failure = ledger.failure(BEGIN_TASK_ID)
        if failure is None or not failure.code:
            return
        dag_run: Any = context["dag_run"]
        run_type = str(getattr(dag_run.run_type, "value", dag_run.run_type))
        if run_type != MANUAL:
            self._keep_tick(context, run_type, at=utc_now(), why=failure.message, code=failure.code)

    def _keep_tick(
        self, context: Context, run_type: str, *, at: dt.datetime, why: str, code: str = ""
    ) -> None:
        dag_run: Any = context["dag_run"]
        due = dag_run.run_after
        tick = MissedTick(run_id=dag_run.run_id, run_type=run_type, due=due, at=at, code=code, why=why)
        path = store().keep_tick(plan_name(dag_run.dag_id), tick)
        self.log.info("Kept in %s, for `report` and the plan's next record: %s", path, shown.line(why))

    def _account(self, context: Context, ledger: Ledger, run: RunRecord, evidence: EvidenceStore) -> Account:
        """What Airflow and DRS say of the run. If DRS does not answer, the record lacks details but is
        written.
        """
        ti: Any = context["ti"]
        plan, now = run.read_plan(), utc_now()
        remarks: list[str] = []
        jobs, logs = self._jobs(ledger, remarks)
        return Account(
            states=task_states(context),
            jobs=jobs,
            logs=logs,
            listed=self._listed(ledger, run, remarks),
            findings=ti.xcom_pull(task_ids=PREFLIGHT_TASK_ID, key=FINDINGS_KEY) or (),
            remarks=remarks,
            url=str(ti.log_url).partition("/tasks/")[0],
            next_run=next_time(plan.schedule, plan.timezone, now) if plan.schedule else None,
            missed=self._missed(evidence, run, remarks),
            software=software(),
            explain=explained,
        )

    def _missed(self, evidence: EvidenceStore, run: RunRecord, remarks: list[str]) -> tuple[MissedTick, ...]:
        try:
            return evidence.ticks_before(run.read_plan().name, run.run_id, MOST_MISSED)
        except Exception as error:  # every kind of store raises its own errors
            self._remark(
                remarks, f"Missed runs before this one could not be read from {evidence}: {shown.line(error)}"
            )
            return ()

    def _jobs(self, ledger: Ledger, remarks: list[str]) -> tuple[list[Job], dict[str, list[LogEvent]]]:
        cleanup = ledger.cleanup()
        ids = ledger.job_ids().union(cleanup.jobs if cleanup else ())
        jobs: list[Job] = []
        logs: dict[str, list[LogEvent]] = {}
        try:
            jobs = self.hook.describe_jobs(ids) if ids else []
            for job in jobs:
                logs[job.job_id] = self.hook.job_log(job.job_id)
        except NO_ANSWER as error:
            self._remark(remarks, f"The jobs' logs could not be read from DRS: {shown.line(error)}")
        return jobs, logs

    def _listed(self, ledger: Ledger, run: RunRecord, remarks: list[str]) -> frozenset[str] | None:
        """The recovery instances that DRS still lists; ``None`` if clean-up proved them gone, this is a real
        recovery, or DRS did not answer.
        """
        cleanup = ledger.cleanup()
        launched = [each.instance.server_id for each in fates(ledger, run)]
        if not run.is_drill or not launched or (cleanup is not None and cleanup.proven):
            return None
        try:
            items = self.hook.recovery_instances(launched)
        except NO_ANSWER as error:
            self._remark(
                remarks, f"The instances that are left could not be read from DRS: {shown.line(error)}"
            )
            return None
        return frozenset(str(item["recoveryInstanceID"]) for item in items)

    def _remark(self, remarks: list[str], text: str) -> None:
        self.log.warning("%s", text)
        remarks.append(text)

    def _log_record(self, kept: Kept) -> None:
        record = kept.record
        rows = [
            (
                wave.name,
                server.server_id,
                server.name,
                launch_in_words(launched=server.launched, live=server.live),
                server.instance_id or "-",
                seconds(server.launch_seconds),
                seconds(server.rpo_seconds),
            )
            for wave in record.waves
            for server in wave.servers
        ]
        header = ("wave", "server", "name", "launch", "instance", "took", "data age")
        self.log.info(
            "%s\n%s",
            shown.block(record.summary),
            table(header, rows) if rows else "Preflight resolved no server.",
        )
        objectives = record.objectives
        self.log.info("RTO, to the last server launched: %s", judged(objectives.rto_launched))
        self.log.info("RTO, to the last wave validated: %s", judged(objectives.rto_validated))
        self.log.info("RPO, of the worst server: %s", judged(objectives.rpo))
        self.log.info("%s: %s", "Evidence" if kept.new else "Evidence (already written before)", kept.path)
        self.log.info("Evidence SHA-256: %s (keep it: it proves that the record is unchanged)", record.hash)
        if record.signature:
            self.log.info("Signed with %s (%s)", record.signature.key_id, record.signature.algorithm)

    def _emit_asset_event(self, context: Context, record: Evidence) -> None:
        for outlet in self.outlets:
            context["outlet_events"][outlet].extra = {
                "id": record.id,
                "hash": record.hash,
                "run_id": record.run.run_id,
                "execution_type": record.run.execution_type,
                "dry_run": record.run.dry_run,
                "scope": record.scope,
                "result": record.result,
                **measured(record),
                NOT_MET: [each.code.value for each in not_met(record)],
            }


def explained(
    error: str, events: Sequence[LogEvent], job_status: str | None, launch_status: str | None, /
) -> Explanation:
    """A failed launch in plain words, the same as in the failing task's log."""
    # Without a job log the record's own error is explained; those are DRS's words, if it gave any.
    raw_error = raw_error_of(events) if events else error
    found = explain_failure(raw_error, events, job_status=job_status, launch_status=launch_status)
    return Explanation(cause=found.cause, remedy=found.remedy, retry_is_safe=found.retry_is_safe)


def store() -> EvidenceStore:
    """The store that the configuration names.

    :raises EvidenceIncomplete: it cannot be reached
    """
    path = settings.evidence_path()
    try:
        return EvidenceStore(place(path), render_page, signer())
    except (
        Exception
    ) as error:  # a missing connection or library, a wrong URL: every kind of store raises its own
        raise EvidenceIncomplete(
            f"{path} cannot be reached: {type(error).__name__}: {shown.line(error)}"
        ) from error


def place(path: str) -> RecordStorage:
    """The storage at that path or URL, reached through Airflow's connection."""
    if not is_url(path):
        return LocalStorage(Path(path.removeprefix("file://")))
    at = ObjectStoragePath(path, conn_id=settings.evidence_conn_id())
    return ObjectStorage(at.fs, at.path, path)


def summary(kept: Kept) -> dict[str, Any]:
    """The record in short, for XCom. The whole record is in the store."""
    record = kept.record
    cleanup = record.cleanup
    return {
        "id": record.id,
        "hash": record.hash,
        "path": kept.path,
        "result": record.result,
        "summary": record.summary,
        "plan": record.plan.name,
        "digest": record.plan.digest,
        "run_id": record.run.run_id,
        "execution_type": record.run.execution_type,
        "dry_run": record.run.dry_run,
        "scope": record.scope,
        "initiator": record.run.initiator,
        "reason": record.run.reason,
        "began_at": record.run.began_at.isoformat(),
        **measured(record),
        NOT_MET: [each.as_json() for each in not_met(record)],
        "approvals": {about: answer.model_dump(mode="json") for about, answer in record.approvals.items()},
        "cleanup": {"proven": cleanup.proven, "kept": cleanup.kept} if cleanup else None,
        "failures": [failure.model_dump(mode="json") for failure in record.failures],
    }


def software(packages: Iterable[str] = PACKAGES) -> Mapping[str, str]:
    """The versions of the software that assembled the record."""
    return {
        "drs-drills": VERSION,
        "python": platform.python_version(),
        **{package: importlib.metadata.version(package) for package in packages},
    }
