"""One look of the watch from inside Airflow: AWS by the plans' connections, Airflow by its Task SDK.

The order matters: AWS is read first, then Airflow, and AWS once more where something seems to be left. So a
run that begins or ends during the look is not taken for one that has left its instances.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import functools
import logging
from collections.abc import Iterator, Sequence
from pathlib import PurePath
from typing import Any

from airflow.sdk import Variable
from airflow.sdk.exceptions import AirflowException, AirflowRuntimeError
from pydantic import ValidationError

from drs.aws.jobs import Job
from drs.errors import CheckUnavailable, EvidenceIncomplete
from drs.plan import BrokenPlan, Plan, PlanError, load_folder
from drs.plan.naming import dag_id, plan_name
from drs.run.ledger import Ledger
from drs.run.records import RunRecord
from drs.tasks.active_run import ACTIVE
from drs.tasks.drill_task import XComStore
from drs.tasks.hook import DrsHook, Ec2Instances
from drs.tasks.installation import INSTALLATION, KeptRun, kept_jobs, kept_run, runs_with_kept_jobs
from drs.tasks.operators.evidence import store
from drs.tasks.plans_folder import folder_of
from drs.text.times import utc_now
from drs.watch.airflow_view import AirflowView, DagInAirflow, KeptJobs, RunInAirflow
from drs.watch.compare import WatchResult, compare, suspects
from drs.watch.findings import WatchFinding
from drs.watch.kept import kept_by, kept_in_evidence
from drs.watch.memory import SeenRun, WatchMemory, see_tasks
from drs.watch.view import (
    AwsPlace,
    Connected,
    RunInAws,
    RunKey,
    Unreadable,
    View,
    has_untagged,
    look,
    look_again,
    runs_in,
)

MEMORY = "drs_watch"
"""The Airflow Variable with what the watch remembers."""
NOT_FOUND = 404

log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Looked:
    """The result of one look.

    :param airflow: what Airflow knew
    :param memory: what is to be remembered of the runs; the findings are not in it yet
    :param blind: the names of the places that could not be read
    :param unread: those of them in which this Airflow never drilled
    """

    comparison: WatchResult
    airflow: AirflowView
    memory: WatchMemory
    blind: frozenset[str]
    unread: tuple[Unreadable, ...] = ()


class Folder:
    """The plans folder as it is now.

    :param dag: the id of the DAG that asks; its file says which folder it is
    :param only: read only the plan whose file has this stem
    """

    def __init__(self, dag: str, only: str | None = None) -> None:
        self.error = ""
        self.plans: list[Plan | BrokenPlan] = []
        try:
            self.plans = load_folder(folder_of(dag), only=only)
        except PlanError as error:
            self.error = str(error)

    @property
    def valid(self) -> dict[str, Plan]:
        """The valid plans, by the ids of their DAGs."""
        return {dag_id(plan.name): plan for plan in self.plans if isinstance(plan, Plan)}

    @property
    def files(self) -> frozenset[str] | None:
        """The ids of the DAGs whose files exist; ``None`` if the folder cannot be read."""
        if self.error:
            return None
        names = (plan.name if isinstance(plan, Plan) else plan.stem for plan in self.plans)
        return frozenset(map(dag_id, names))


def read_memory() -> WatchMemory:
    """What the watch remembers. If that cannot be read, it begins empty: people are then notified again."""
    kept = Variable.get(MEMORY, default=None, deserialize_json=True)
    try:
        return WatchMemory() if kept is None else WatchMemory.model_validate(kept)
    except ValidationError as error:
        log.warning("The Variable %s cannot be read, and begins empty: %s", MEMORY, error)
        return WatchMemory()


def save_memory(memory: WatchMemory) -> None:
    """Keep what the watch remembers."""
    Variable.set(
        MEMORY,
        memory.model_dump(mode="json"),
        description="What the watch of the drills has found, and whether people were notified of it",
        serialize_json=True,
    )


def connect(place: AwsPlace) -> Connected:
    """The calls that read a place through its connection."""
    hook = DrsHook(aws_conn_id=place.aws_conn_id, region_name=place.region)

    def account() -> str:
        try:
            return str(hook.account_id)
        except AirflowException as error:
            raise CheckUnavailable(
                f"The connection {place.aws_conn_id} cannot be used: {error}",
                remedy=f"Correct the connection {place.aws_conn_id} in Airflow.",
            ) from error

    return Connected(drs=hook, describe_ec2=Ec2Instances(hook=hook), account=account)


def look_now(
    ti: Any, records: Sequence[RunRecord], folder: Folder, memory: WatchMemory, now: dt.datetime
) -> Looked:
    """Compare what AWS has with what this Airflow knows.

    :param records: the last run of each plan
    :param folder: the plans, which name further places
    """
    plans = {**{record.dag_id: record.read_plan() for record in records}, **folder.valid}
    # A plan's file may name another place by now than its last run.
    drilled = {AwsPlace.of(record.read_plan()) for record in records}
    places = drilled | {AwsPlace.of(plan) for plan in plans.values()}
    open_place = functools.cache(connect)  # clients are slow to make
    views, unreadable = look(places, open_place, now)
    reader = AirflowReader(ti, records, folder, memory, now)
    airflow = dataclasses.replace(reader.read(views), plans=plans, files=folder.files)
    views, lost = look_again(views, suspects(views, airflow), open_place, now)
    airflow = reader.with_kept(airflow, suspects(views, airflow))
    blind = [*unreadable, *lost]
    # Where this Airflow never drilled, it has left nothing. Plans that are only examples make nothing red.
    names = {place.name for place in drilled}
    concerned = [each for each in blind if each.place.name in names]
    return Looked(
        comparison=compare(views, concerned, airflow, now),
        airflow=airflow,
        memory=memory.model_copy(update={"runs": reader.seen}),
        blind=frozenset(each.place.name for each in blind),
        unread=tuple(each for each in blind if each not in concerned),
    )


def findings_about(ti: Any, plan: Plan) -> list[WatchFinding]:
    """What the watch would find now about one plan: for readiness, whether the watch itself runs or not."""
    dag = dag_id(plan.name)
    record = kept_run(dag)
    folder = Folder(ti.dag_id, only=plan.name)
    looked = look_now(ti, [record] if record else [], folder, read_memory(), utc_now())
    return [finding for finding in looked.comparison.findings if finding.dag_id == dag]


class AirflowReader:
    """Reads Airflow through the Task SDK.

    :param ti: the task instance of the watch, which can ask about other DAGs
    :param records: the last run of each plan
    """

    def __init__(
        self, ti: Any, records: Sequence[RunRecord], folder: Folder, memory: WatchMemory, now: dt.datetime
    ) -> None:
        self._ti = ti
        self._records = records
        self._folder = folder
        self._memory = memory
        self._now = now
        self._asks_for_jobs = False
        self._views: Sequence[View] = ()
        self._jobs: list[Job] = []
        self.seen: dict[str, SeenRun] = {}
        """What is to be remembered of the active runs."""

    def read(self, views: Sequence[View]) -> AirflowView:
        """The last run of each plan, and every run of this installation that AWS shows."""
        installation = str(Variable.get(INSTALLATION, default=None) or "")
        # Only then, because it takes many requests: jobs with tags say themselves whose they are.
        self._asks_for_jobs = any(has_untagged(view) for view in views)
        self._views = views
        self._jobs = [job for view in views for job in view.launches]
        self._jobs += [each.job for view in views for each in view.instances if each.job]
        records = [*self._records, *(self._earlier() if self._asks_for_jobs else ())]
        runs = [self._run(record.dag_id, record.run_id, record) for record in records]
        known = AirflowView(installation=installation, runs=tuple(runs))
        for view in views:
            for run in runs_in(view, known.recorded)[0]:
                if run.installation == installation and installation and known.run_of(run.key) is None:
                    runs.append(self._run(run.key.dag_id, run.key.run_id, None))
        active = {run.dag_id for run in runs if run.active}
        return dataclasses.replace(known, runs=tuple(runs), dags={dag: self._dag(dag) for dag in active})

    def with_kept(self, airflow: AirflowView, left: Sequence[RunInAws]) -> AirflowView:
        """Add what ended runs keep by rule, and which plans have an active run."""
        kept: dict[str, KeptJobs] = {}
        doubts: dict[str, str] = {}
        for run in left:
            try:
                found = self._kept(run.key, airflow.run_of(run.key), run.began)
            except EvidenceIncomplete as error:
                doubts[run.key.token] = error.message
            else:
                if found:
                    kept[run.key.token] = found
        busy = frozenset(dag for dag in {run.key.dag_id for run in left} if self._is_busy(dag))
        return dataclasses.replace(airflow, kept=kept, doubts=doubts, busy=busy)

    def _earlier(self) -> Iterator[RunRecord]:
        """The runs before the last ones whose untagged jobs are still there."""
        last = {record.token for record in self._records}
        for record in self._records:
            for kept in runs_with_kept_jobs(record.dag_id):
                if kept.run.token not in last and (self._kept_by(kept) or self._possibly_by(kept)):
                    yield kept.run

    def _kept_by(self, kept: KeptRun) -> frozenset[str]:
        """The untagged jobs of a run that are still there."""
        there = {job.job_id for job in self._jobs}
        there.update(each.record.job_id for view in self._views for each in view.instances)
        return kept.jobs & there

    def _possibly_by(self, kept: KeptRun) -> frozenset[str]:
        """The jobs there that a call of the run may have made, to which the reply was lost."""
        return frozenset(job.job_id for job in self._jobs if kept.may_have_made(job))

    def _run(self, dag: str, run_id: str, record: RunRecord | None) -> RunInAirflow:
        state = run_state(self._ti, dag, run_id)
        kept = kept_jobs(dag, record.token) if record and self._asks_for_jobs else None
        jobs = self._kept_by(kept) if kept else frozenset[str]()
        if state is None:
            # No record of the run says more: what it may have launched must not stay unseen.
            possible = self._possibly_by(kept) if kept else frozenset[str]()
            return RunInAirflow(dag, run_id, None, record, jobs=jobs | possible)
        ledger = Ledger(XComStore(self._ti, dag_id=dag, run_id=run_id))
        record = record or ledger.begun()
        if self._asks_for_jobs:
            jobs |= ledger.job_ids()
        run = RunInAirflow(dag, run_id, state, record, jobs=jobs)
        if not run.active:
            return run
        states = self._ti.get_task_states(dag_id=dag, run_ids=[run_id]).get(run_id, {})
        key = f"{dag} {run_id}"
        self.seen[key], tasks = see_tasks(self._memory.runs.get(key), states, self._now)
        return dataclasses.replace(run, tasks=tasks, moved_at=self.seen[key].since)

    def _dag(self, dag: str) -> DagInAirflow:
        found = self._found(dag)
        if dag not in (self._folder.files or ()) and not self._is_from_another_folder(found):
            if self._folder.error:
                return DagInAirflow("stale", f"the plans folder cannot be read. {self._folder.error}")
            return DagInAirflow("stale", f"the plans folder has no file of plan {plan_name(dag)} any more")
        if found is None:
            return DagInAirflow("removed", "somebody deleted it, and Airflow has not read its file since")
        return DagInAirflow("paused" if found.is_paused else "scheduled")

    def _found(self, dag: str) -> Any:
        """What Airflow knows of a DAG; ``None`` if it does not know it."""
        try:
            return self._ti.get_dag(dag)
        except AirflowRuntimeError as error:
            if (error.error.detail or {}).get("status_code") != NOT_FOUND:
                raise
            return None

    def _is_from_another_folder(self, found: Any) -> bool:
        """Whether a plan's DAG is defined in another DAG bundle, or in another folder of this one, than the
        watch. Its plans are not in the watch's folder of plans then, and Airflow alone knows whether they
        are there.
        """
        own = self._found(self._ti.dag_id)
        return found is not None and own is not None and _place_of(found) != _place_of(own)

    def _kept(self, key: RunKey, run: RunInAirflow | None, began: dt.datetime | None) -> KeptJobs | None:
        """What a run keeps by rule.

        :raises EvidenceIncomplete: neither its own record of clean-up nor its evidence can be read
        """
        if run is not None and run.state is not None:
            cleanup = Ledger(XComStore(self._ti, dag_id=run.dag_id, run_id=run.run_id)).cleanup()
            if cleanup is not None:
                return kept_by(cleanup)
        try:
            return kept_in_evidence(store(), key, began)
        except EvidenceIncomplete:
            raise
        except Exception as error:  # every kind of store raises its own errors
            raise EvidenceIncomplete(
                f"The evidence cannot be read: {type(error).__name__}: {error}"
            ) from error

    def _is_busy(self, dag: str) -> bool:
        return bool(self._ti.get_dr_count(dag_id=dag, states=sorted(ACTIVE)))


def _place_of(dag: Any) -> tuple[str | None, PurePath]:
    """The bundle of a DAG, and the folder of its file there."""
    return dag.bundle_name, PurePath(dag.relative_fileloc or "").parent


def run_state(ti: Any, dag: str, run_id: str) -> str | None:
    """The state of a DAG run; ``None`` if Airflow does not know the run."""
    if not ti.get_dr_count(dag_id=dag, run_ids=[run_id]):
        return None
    state = ti.get_dagrun_state(dag, run_id)
    return str(getattr(state, "value", state))
