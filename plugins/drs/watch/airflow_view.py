"""What Airflow knows of the runs: their states, their tasks since when, and whether their DAGs are scheduled.

The task ``watch`` fills this from the Task SDK, and the command line from Airflow's REST API. Pure.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from drs.plan import Plan
from drs.run.ownership import tag_value
from drs.run.records import RunRecord
from drs.watch.view import RunKey

ACTIVE = frozenset({"running", "queued"})
"""The states of a DAG run that has not ended."""
ENDED = frozenset({"success", "failed", "skipped", "upstream_failed", "removed"})
"""The states of a task that has ended."""


class TaskSeen(NamedTuple):
    """One task of a run, its state, and since when it is in that state."""

    task_id: str
    state: str | None
    since: dt.datetime


@dataclass(frozen=True)
class RunInAirflow:
    """One run.

    :param state: the state of the DAG run; ``None`` if Airflow does not know the run
    :param record: what ``begin`` recorded, if that can still be read
    :param tasks: its tasks that have begun or are about to begin, and have not ended
    :param moved_at: when the state of any of its tasks last changed
    :param jobs: the DRS jobs that it has recorded
    """

    dag_id: str
    run_id: str
    state: str | None
    record: RunRecord | None = None
    tasks: tuple[TaskSeen, ...] = ()
    moved_at: dt.datetime | None = None
    jobs: frozenset[str] = frozenset()

    @property
    def active(self) -> bool:
        return self.state in ACTIVE

    def is_run_of(self, key: RunKey) -> bool:
        """Whether jobs with these tags are this run's."""
        if self.record is not None:
            return self.record.token == key.token
        return (self.dag_id, tag_value(self.run_id)) == (key.dag_id, key.run_id)


@dataclass(frozen=True)
class DagInAirflow:
    """Whether Airflow schedules the tasks of a DAG.

    :param why: for a DAG that is ``stale`` or ``removed``, why
    """

    state: Literal["scheduled", "paused", "stale", "removed"]
    why: str = ""


@dataclass(frozen=True)
class KeptJobs:
    """The jobs whose instances a rule keeps, and the rule in words."""

    jobs: frozenset[str]
    why: str


@dataclass(frozen=True)
class AirflowView:
    """What one Airflow knows.

    :param installation: its id; ``None`` if the id could not be read
    :param runs: every run that is active or that AWS shows
    :param dags: the DAGs of the active runs, by their ids
    :param plans: every plan that is known, by the id of its DAG; the plan of the last run if its file is gone
    :param files: the ids of the DAGs whose plan files exist; ``None`` if the folder could not be read
    :param kept: what runs that have ended keep by rule, by the token of the run
    :param doubts: why it could not be read what a run keeps, by the token of the run
    :param busy: the DAGs of which any run is active
    :param down: the components of Airflow that do not run, with since when as text
    """

    installation: str | None
    runs: tuple[RunInAirflow, ...] = ()
    dags: Mapping[str, DagInAirflow] = field(default_factory=dict)
    plans: Mapping[str, Plan] = field(default_factory=dict)
    files: frozenset[str] | None = frozenset()
    kept: Mapping[str, KeptJobs] = field(default_factory=dict)
    doubts: Mapping[str, str] = field(default_factory=dict)
    busy: frozenset[str] = frozenset()
    down: Mapping[str, str] = field(default_factory=dict)

    def run_of(self, key: RunKey) -> RunInAirflow | None:
        """The run that started the jobs with these tags; ``None`` if Airflow was not asked about it."""
        return next((run for run in self.runs if run.is_run_of(key)), None)

    @property
    def recorded(self) -> dict[str, RunKey]:
        """The run of every job that a run has recorded."""
        return {
            job: RunKey(run.dag_id, tag_value(run.run_id), run.record.token)
            for run in self.runs
            if run.record
            for job in run.jobs
        }

    def has_file(self, dag_id: str) -> bool:
        """Whether the plan of this DAG has a file, so that commands can be given its name."""
        return self.files is not None and dag_id in self.files
