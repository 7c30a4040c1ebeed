"""The identity of this Airflow installation, and of the run that owns a plan, outside any run's XCom.

Both are Airflow Variables. They survive what a person can do to a run: delete its XComs, delete the run, or
delete its DAG.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable

from airflow.sdk import Variable
from pydantic import Field

from drs.aws.jobs import Job
from drs.compat import keep_key, keys_beginning
from drs.plan.naming import DAG_ID_PREFIX
from drs.run.ownership import fits
from drs.run.records import Call, LaunchRecord, Record, RunRecord

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
    key = f"{record.dag_id}{RUN_SUFFIX}"
    Variable.set(
        key,
        record.model_dump(mode="json"),
        description="The last run of this recovery plan: what clean-up and the watch need to find it",
        serialize_json=True,
    )
    keep_key(key)


def kept_run(dag_id: str) -> RunRecord | None:
    """The record of the last run that owned the plan of this DAG; ``None`` if it never had one."""
    kept = Variable.get(f"{dag_id}{RUN_SUFFIX}", default=None, deserialize_json=True)
    return None if kept is None else RunRecord.model_validate(kept)


def kept_runs(dag_ids: Iterable[str] = ()) -> list[RunRecord]:
    """The record of the last run of every plan that this Airflow has drilled, also of plans that are gone.

    :param dag_ids: the DAGs of the plans that are not gone
    """
    found = keys_beginning(DAG_ID_PREFIX, perhaps=[f"{dag_id}{RUN_SUFFIX}" for dag_id in dag_ids])
    keys = [key for key in found if key.endswith(RUN_SUFFIX)]
    return [record for key in keys if (record := kept_run(key.removesuffix(RUN_SUFFIX))) is not None]


class KeptRun(Record):
    """A run that has jobs without tags. Nothing in AWS shows whose they are once the run's XComs or its DAG
    are deleted.

    :param jobs: their ids
    :param unanswered: by wave, the calls without tags that may have made more of them
    """

    run: RunRecord
    jobs: frozenset[str] = frozenset()
    unanswered: dict[str, tuple[Call, ...]] = Field(default_factory=dict)

    def may_have_made(self, job: Job) -> bool:
        """Whether a call without a reply would have made this job. It may also be somebody else's."""
        calls = [call for calls in self.unanswered.values() for call in calls]
        return any(fits(job, call, self.run) for call in calls)


def keep_launch(run: RunRecord, wave: str, launch: LaunchRecord) -> None:
    """Keep the ids of untagged jobs of a wave, and its untagged calls without a reply. The last runs of the
    plan keep theirs.
    """
    runs = {kept.run.token: kept for kept in runs_with_kept_jobs(run.dag_id)}
    before = runs.pop(run.token, KeptRun(run=run))
    jobs, unanswered = before.jobs | launch.all_job_ids, {**before.unanswered, wave: launch.unanswered}
    kept = before.model_copy(update={"jobs": jobs, "unanswered": unanswered})
    if kept == before:
        return
    Variable.set(
        f"{run.dag_id}{JOBS_SUFFIX}",
        [each.model_dump(mode="json") for each in [*runs.values(), kept][-KEPT_RUNS:]],
        description="The last runs of this recovery plan whose DRS jobs have no tags, and those jobs",
        serialize_json=True,
    )


def kept_jobs(dag_id: str, token: str) -> KeptRun | None:
    """The untagged jobs of a run; ``None`` if it had none, or if too many runs have had some since."""
    return next((kept for kept in runs_with_kept_jobs(dag_id) if kept.run.token == token), None)


def runs_with_kept_jobs(dag_id: str) -> list[KeptRun]:
    """The last runs of a plan that have untagged jobs, oldest first. At most :data:`KEPT_RUNS`."""
    kept = Variable.get(f"{dag_id}{JOBS_SUFFIX}", default=None, deserialize_json=True)
    return [KeptRun.model_validate(each) for each in kept or ()]
