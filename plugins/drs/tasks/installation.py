"""The identity of this Airflow installation, and of the run that owns a plan, outside any run's XCom.

Both are Airflow Variables. They survive what a person can do to a run: delete its XComs, delete the run, or
delete its DAG.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable

from airflow.sdk import Variable

from drs.plan.naming import DAG_ID_PREFIX
from drs.run.records import RunRecord

INSTALLATION = "drs_installation"
RUN_SUFFIX = "__run"
JOBS_SUFFIX = "__jobs"


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


def keep_jobs(run: RunRecord, job_ids: Iterable[str]) -> None:
    """Keep the ids of untagged jobs of a run. In an account that refuses tags, nothing else shows whose they
    are once the run's XComs or its DAG are deleted.
    """
    jobs = sorted({*kept_jobs(run.dag_id, run.token), *job_ids})
    Variable.set(
        f"{run.dag_id}{JOBS_SUFFIX}",
        {"token": run.token, "jobs": jobs},
        description="The DRS jobs of the last run of this recovery plan, which have no tags",
        serialize_json=True,
    )


def kept_jobs(dag_id: str, token: str) -> frozenset[str]:
    """The ids of the untagged jobs of a run; none if it is not the last run that had any."""
    kept = Variable.get(f"{dag_id}{JOBS_SUFFIX}", default=None, deserialize_json=True)
    return frozenset(kept["jobs"]) if kept is not None and kept["token"] == token else frozenset()
