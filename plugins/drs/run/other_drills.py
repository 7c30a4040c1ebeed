"""Whether a drill instance that this run did not launch holds its server. Pure.

DRS terminates a server's earlier instance when it launches the server again. An instance that somebody still
needs is therefore treated like a job that holds the server: one server, one drill at a time.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass

from drs.aws.jobs import Job
from drs.plan.naming import plan_name
from drs.run.ownership import DAG_TAG, INSTALLATION_TAG, RUN_ID_TAG, RUN_TAG
from drs.text import shown
from drs.text.times import duration, minute

Activity = Callable[[Job], str | None]
"""What the run that started a job is doing now, as a clause; ``None`` if the run has ended or does not exist.
Called only for jobs of runs of this Airflow.
"""


@dataclass(frozen=True)
class OtherDrill:
    """A drill instance that this run did not launch.

    :param job: the job that launched it; ``None`` if DRS no longer lists the job
    :param launched: when it was launched, as far as that is known
    """

    instance_id: str
    job: Job | None
    launched: dt.datetime | None

    @property
    def run(self) -> str:
        """The run that launched it, in words; empty if its job has no tags of a run."""
        if self.plan_and_run is None:
            return ""
        plan, run_id = self.plan_and_run
        return f"run {shown.line(run_id)} of plan {shown.line(plan)}"

    @property
    def plan_and_run(self) -> tuple[str, str] | None:
        """The plan and the id of the run that launched it; ``None`` if its job has no tags of a run."""
        tags = self.job.tags if self.job else {}
        dag_id, run_id = tags.get(DAG_TAG), tags.get(RUN_ID_TAG)
        return (plan_name(dag_id), run_id) if dag_id and run_id else None

    def is_of(self, installation: str) -> bool:
        """Whether a run of this Airflow installation launched it."""
        tags = self.job.tags if self.job else {}
        return RUN_TAG in tags and bool(installation) and tags.get(INSTALLATION_TAG) == installation


def why_held(
    drill: OtherDrill,
    *,
    installation: str,
    grace: dt.timedelta,
    now: dt.datetime,
    activity: Activity,
) -> str | None:
    """Why the instance holds its server, as a clause; ``None`` if a new launch may replace it.

    :param installation: the id of this Airflow
    :param grace: for how long an instance of unknown origin holds its server after its launch
    """
    if drill.job is not None and drill.is_of(installation):
        doing = activity(drill.job)
        return f"drill instance {drill.instance_id} belongs to {drill.run}, which {doing}" if doing else None
    if drill.launched is not None and now - drill.launched >= grace:
        return None
    whose = f"{drill.run} of another Airflow" if drill.run else "an unknown origin (its job has no tags)"
    if drill.launched is None:
        return f"drill instance {drill.instance_id} is of {whose}, and DRS does not say how old it is"
    until = drill.launched + grace
    return (
        f"drill instance {drill.instance_id} is of {whose}, launched {minute(drill.launched)}; it holds the "
        f"server for {duration(grace.total_seconds())} (launch.foreign_drill_grace), until {minute(until)}"
    )
