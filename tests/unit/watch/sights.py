"""What AWS and Airflow show of a drill, for tests of the watch."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

from drs.aws.jobs import Job
from drs.run.ownership import job_tags
from drs.run.records import InstanceRecord, RunRecord
from drs.watch.airflow_view import AirflowView, DagInAirflow, RunInAirflow, TaskSeen
from drs.watch.view import AwsPlace, DrillInstance, View
from tests.unit.drill import DATABASE, NOW, after, make_job, make_plan, make_run

HERE = "0123456789ab"
"""The id of the Airflow that watches."""
PLACE = AwsPlace("111122223333", "us-east-1", "aws_default")
RUN = make_run(installation=HERE)
DAG = RUN.dag_id


def launch(job_id: str = "drsjob-1", run: RunRecord | None = RUN, **fields: Any) -> Job:
    """A LAUNCH job of the run's wave database that has ended; without a run, it has no tags."""
    known: dict[str, Any] = {"status": "COMPLETED", "ended": after(600)}
    tags = job_tags(run, "database") if run else {}
    return make_job(job_id, DATABASE[0], tags=tags, **{**known, **fields})


def instance(instance_id: str = "i-1", job: Job | None = None, job_id: str = "drsjob-1") -> DrillInstance:
    """A running drill instance of that job; without one, DRS no longer lists the job."""
    record = InstanceRecord(
        recovery_instance_id=instance_id,
        ec2_instance_id=instance_id,
        server_id=DATABASE[0],
        job_id=job.job_id if job else job_id,
        instance_type="m5.large",
        launched_at=NOW,
        state="running",
    )
    return DrillInstance(record, job)


def view(*instances: DrillInstance, jobs: tuple[Job, ...] = (), place: AwsPlace = PLACE) -> View:
    """A look at a place; ``jobs`` are those of the last day."""
    return View(place, NOW, instances, jobs)


def in_airflow(
    state: str | None = "running",
    run: RunRecord | None = RUN,
    tasks: Mapping[str, str] | None = None,
    **fields: Any,
) -> RunInAirflow:
    """The run in Airflow, with tasks that are in their states since the run began."""
    seen = tuple(TaskSeen(name, of, NOW) for name, of in (tasks or {}).items())
    known = {"moved_at": NOW, "record": run, **fields}
    return RunInAirflow(RUN.dag_id, RUN.run_id, state, tasks=seen, **known)


def airflow(*runs: RunInAirflow, dag: DagInAirflow | None = None, **fields: Any) -> AirflowView:
    """An Airflow that knows these runs, and the plan's file."""
    known: dict[str, Any] = {
        "installation": HERE,
        "dags": {DAG: dag or DagInAirflow("scheduled")},
        "plans": {DAG: make_plan()},
        "files": frozenset({DAG}),
    }
    return AirflowView(runs=runs, **{**known, **fields})


def hours(number: float) -> dt.datetime:
    """That many hours after the run began."""
    return after(number * 3600)
