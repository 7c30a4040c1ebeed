"""The identity of this Airflow installation, and of the run that owns a plan, outside any run's XCom.

Both are Airflow Variables. They survive what a person can do to a run: delete its XComs, delete the run, or
delete its DAG.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable

from airflow.sdk import Variable

from drs.plan.naming import DAG_ID_PREFIX
from drs.run.records import Record, RunRecord

INSTALLATION = "drs_installation"
RUN_SUFFIX = "__run"
JOBS_SUFFIX = "__jobs"
KEPT_RUNS = 20
"""Runs of one plan whose untagged jobs are kept. A drill instance that none of the last 20 runs launched has
stood for months, and the watch still lists it, as one of unknown origin."""


def installation_id() -> str:
    """The id of this Airflow installation. The first run that asks for it makes it.

    If two runs make it at the same moment, one of them records an id that nobody uses later. What it launches
    then counts as that of another installation: it is reported, and never terminated by the watch.
    """
    known = known_installation()
    if not known:
        known = uuid.uuid4().hex[:12]
        description = "Marks the DRS jobs of this Airflow: several Airflows may share an AWS account"
        Variable.set(INSTALLATION, known, description=description)
    return known


def known_installation() -> str:
    """The id of this Airflow installation; empty if no run has made it yet."""
    return str(Variable.get(INSTALLATION, default=None) or "")


def keep_run(record: RunRecord) -> None:
    """Keep a copy of the record of the run that now owns its plan."""
    Variable.set(
        f"{record.dag_id}{RUN_SUFFIX}",
        record.model_dump(mode="json"),
        description="The last run of this recovery plan: what clean-up and the watch need to find it",
        serialize_json=True,
    )


def kept_run(dag_id: str) -> RunRecord | None:
    """The record of the last run that owned the plan of this DAG; ``None`` if it never had one."""
    kept = Variable.get(f"{dag_id}{RUN_SUFFIX}", default=None, deserialize_json=True)
    return None if kept is None else RunRecord.model_validate(kept)


def kept_runs() -> list[RunRecord]:
    """The record of the last run of every plan that this Airflow has drilled, also of plans that are gone."""
    keys = [key for key in Variable.keys(prefix=DAG_ID_PREFIX) if key.endswith(RUN_SUFFIX)]
    return [record for key in keys if (record := kept_run(key.removesuffix(RUN_SUFFIX))) is not None]


class KeptRun(Record):
    """A run that has jobs without tags, and their ids. Nothing in AWS shows whose they are once the run's
    XComs or its DAG are deleted.
    """

    run: RunRecord
    jobs: frozenset[str]


def keep_jobs(run: RunRecord, job_ids: Iterable[str]) -> None:
    """Keep the ids of untagged jobs of a run. The last runs of the plan keep theirs."""
    jobs = kept_jobs(run.dag_id, run.token) | frozenset(job_ids)
    others = [kept for kept in runs_with_kept_jobs(run.dag_id) if kept.run.token != run.token]
    runs = [*others, KeptRun(run=run, jobs=jobs)][-KEPT_RUNS:]
    Variable.set(
        f"{run.dag_id}{JOBS_SUFFIX}",
        [kept.model_dump(mode="json") for kept in runs],
        description="The last runs of this recovery plan whose DRS jobs have no tags, and those jobs",
        serialize_json=True,
    )


def kept_jobs(dag_id: str, token: str) -> frozenset[str]:
    """The ids of the untagged jobs of a run; none if it had none, or if too many runs have had some since."""
    return next((kept.jobs for kept in runs_with_kept_jobs(dag_id) if kept.run.token == token), frozenset())


def runs_with_kept_jobs(dag_id: str) -> list[KeptRun]:
    """The last runs of a plan that have untagged jobs, oldest first. At most :data:`KEPT_RUNS`."""
    kept = Variable.get(f"{dag_id}{JOBS_SUFFIX}", default=None, deserialize_json=True)
    return [KeptRun.model_validate(each) for each in kept or ()]
