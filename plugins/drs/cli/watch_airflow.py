"""What Airflow knows of the runs, by its REST API, for the watch at the command line."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from drs.cli.airflow_api import AirflowApi, DagRun, NotAllowed, TaskInstance
from drs.cli.airflow_records import RunLedger, UnreadableRecordError
from drs.cli.airflow_runs import drill_runs
from drs.errors import EvidenceIncomplete
from drs.evidence.store import EvidenceStore
from drs.plan import BrokenPlan, Plan, load_folder
from drs.plan.naming import DAG_ID_PREFIX, dag_id, plan_name
from drs.run.records import RunRecord
from drs.text.times import utc_now
from drs.watch.airflow_view import ENDED, AirflowView, DagInAirflow, KeptJobs, RunInAirflow, TaskSeen
from drs.watch.kept import kept_by, kept_in_evidence
from drs.watch.view import RunInAws, RunKey, View, has_untagged, runs_in

INSTALLATION = "drs_installation"
RUN_SUFFIX = "__run"
"""The Variables that :mod:`drs.tasks.installation` writes: this Airflow's id, and each plan's last run."""
COMPONENTS = ("scheduler", "triggerer")
"""The components of Airflow without which a run stands still."""


@dataclass(frozen=True)
class Plans:
    """The plans of a folder, and those of runs whose plan files are gone.

    :param valid: by the ids of their DAGs
    :param files: the ids of the DAGs whose files exist
    """

    valid: Mapping[str, Plan]
    files: frozenset[str]

    @classmethod
    def of(cls, folder: Path) -> Plans:
        """The plans of a folder.

        :raises PlanError: it cannot be read
        """
        found = load_folder(folder)
        names = [plan.stem if isinstance(plan, BrokenPlan) else plan.name for plan in found]
        valid = {dag_id(plan.name): plan for plan in found if isinstance(plan, Plan)}
        return cls(valid, frozenset(map(dag_id, names)))


class AirflowByApi:
    """Reads Airflow through its REST API."""

    def __init__(self, api: AirflowApi, plans: Plans, store: EvidenceStore) -> None:
        self._api = api
        self._plans = plans
        self._store = store
        self._asks_for_jobs = False
        self.notes: list[str] = []

    def last_runs(self) -> list[RunRecord]:
        """The last run of each plan whose DAG has drilled, for the places of plans that are gone."""
        try:
            kept = self._api.variables(DAG_ID_PREFIX)
        except NotAllowed:
            self.notes.append(
                "This login may not read Airflow's Variables: places of plans whose files are gone were not "
                "looked at."
            )
            return []
        records = []
        for key, value in kept.items():
            if not key.endswith(RUN_SUFFIX):
                continue
            try:
                records.append(RunRecord.model_validate_json(value))
            except ValidationError:
                self.notes.append(f"The Variable {key} cannot be read.")
        return records

    def read(self, views: Sequence[View]) -> AirflowView:
        """Every active run, and every run that AWS shows and that this Airflow started."""
        installation = self._installation()
        self._asks_for_jobs = any(has_untagged(view) for view in views)
        listed = [run for state in ("running", "queued") for run in drill_runs(self._api, None, state=state)]
        runs = [self._run(run) for run in listed]
        known = AirflowView(installation=installation, runs=tuple(runs))
        for view in views:
            for seen in runs_in(view, known.recorded)[0]:
                if installation and seen.installation == installation and known.run_of(seen.key) is None:
                    runs.append(self._asked(seen.key))
        runs = [run for run in runs if not (run.state == "queued" and run.record is None)]
        active = {run.dag_id for run in runs if run.active}
        return dataclasses.replace(
            known, runs=tuple(runs), dags={dag: self._dag(dag) for dag in active}, down=self._down()
        )

    def with_kept(self, airflow: AirflowView, left: Sequence[RunInAws]) -> AirflowView:
        """Add what ended runs keep by rule."""
        kept: dict[str, KeptJobs] = {}
        doubts: dict[str, str] = {}
        for run in left:
            try:
                if found := self._kept(run.key, airflow.run_of(run.key), run.began):
                    kept[run.key.token] = found
            except EvidenceIncomplete as error:
                doubts[run.key.token] = error.message
        return dataclasses.replace(airflow, kept=kept, doubts=doubts)

    def _installation(self) -> str | None:
        try:
            return self._api.variable(INSTALLATION) or ""
        except NotAllowed:
            self.notes.append(
                f"This login may not read the Airflow Variable {INSTALLATION}: only active runs were judged, "
                "and not what ended or deleted runs have left."
            )
            return None

    def _asked(self, key: RunKey) -> RunInAirflow:
        found = self._api.run_or_none(key.dag_id, key.run_id)
        return self._run(found) if found else RunInAirflow(key.dag_id, key.run_id, None)

    def _run(self, run: DagRun) -> RunInAirflow:
        name = (run["dag_id"], run["dag_run_id"])
        ledger = RunLedger(self._api, *name)
        try:
            jobs = ledger.job_ids() if self._asks_for_jobs else frozenset[str]()
            found = RunInAirflow(*name, run["state"], ledger.begun(), jobs=jobs)
        except UnreadableRecordError as error:
            self.notes.append(f"What run {name[1]} recorded was not judged: {error}.")
            found = RunInAirflow(*name, run["state"])
        if not found.active:
            return found
        instances = self._api.task_instances(*name)
        tasks = tuple(seen for each in instances if (seen := _task_seen(each)))
        times = [time for each in instances for time in _times(each)]
        if run["start_date"]:
            times.append(_parsed(run["start_date"]))
        return dataclasses.replace(found, tasks=tasks, moved_at=max(times, default=None))

    def _dag(self, dag: str) -> DagInAirflow:
        found = self._api.dag(dag)
        if found is None:
            return DagInAirflow("removed", "Airflow does not know it")
        if found["is_stale"]:
            gone = dag not in self._plans.files
            why = f"there is no file of plan {plan_name(dag)} here" if gone else "it has an import error"
            return DagInAirflow("stale", f"Airflow could not read it again, perhaps because {why}")
        return DagInAirflow("paused" if found["is_paused"] else "scheduled")

    def _down(self) -> dict[str, str]:
        health = self._api.health()
        return {
            part: str(report.get(f"latest_{part}_heartbeat") or "")
            for part in COMPONENTS
            if (report := health.get(part) or {}).get("status") != "healthy"
        }

    def _kept(self, key: RunKey, run: RunInAirflow | None, began: dt.datetime | None) -> KeptJobs | None:
        """What a run keeps by rule.

        :raises EvidenceIncomplete: neither its own record of clean-up nor its evidence can be read
        """
        if run is not None and run.state is not None:
            try:
                cleanup = RunLedger(self._api, run.dag_id, run.run_id).cleanup()
            except UnreadableRecordError as error:
                raise EvidenceIncomplete(f"Run {run.run_id} may keep instances by rule: {error}.") from error
            if cleanup is not None:
                return kept_by(cleanup)
        return kept_by_evidence(self._store, key, began)


def kept_by_evidence(store: EvidenceStore, key: RunKey, began: dt.datetime | None) -> KeptJobs | None:
    """What a run keeps, by its evidence.

    :raises EvidenceIncomplete: the evidence cannot be read
    """
    try:
        return kept_in_evidence(store, key, began)
    except Exception as error:  # every kind of store raises its own errors
        why = f"The evidence in {store} cannot be read: {type(error).__name__}: {error}."
        raise EvidenceIncomplete(why) from error


def _task_seen(instance: TaskInstance) -> TaskSeen | None:
    """A task that has not ended and is not only to come, since when it is in its state."""
    state = instance["state"]
    if state is None or state in ENDED:
        return None
    field: dict[str, Any] = {"scheduled": instance["scheduled_when"], "queued": instance["queued_when"]}
    began = field.get(state) or (instance["end_date"] if state == "up_for_retry" else instance["start_date"])
    return TaskSeen(instance["task_id"], state, _parsed(began) if began else utc_now())


def _times(instance: TaskInstance) -> Iterator[dt.datetime]:
    for text in (
        instance["scheduled_when"],
        instance["queued_when"],
        instance["start_date"],
        instance["end_date"],
    ):
        if text:
            yield _parsed(text)


def _parsed(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text).astimezone(dt.UTC)
