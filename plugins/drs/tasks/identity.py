"""Which run a task belongs to, even if somebody deleted the run's records.

Clean-up must find what the run launched. So the run's record is looked for in three places, in this order:
the run's ledger, the copy in Airflow's Variables, and the tags of its jobs in AWS.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from drs.aws.jobs import Job
from drs.aws.states import InitiatedBy, JobType
from drs.errors import CleanupIncomplete
from drs.launch.wave_record import new_timeline
from drs.plan import Plan, PlanError, load_folder
from drs.plan.naming import plan_name
from drs.run.ledger import BEGIN_TASK_ID, Ledger
from drs.run.log import Log
from drs.run.ownership import DAG_TAG, INSTALLATION_TAG, LOOK_BEHIND, RUN_ID_TAG, RUN_TAG, tag_value
from drs.run.proof import KEPT_LAUNCH, start_task_id
from drs.run.records import Call, LaunchRecord, RunRecord
from drs.tasks.drill_task import task_states
from drs.tasks.hook import DrsHook
from drs.tasks.installation import kept_jobs, kept_run, known_installation
from drs.tasks.plans_folder import folder_of
from drs.text.times import SEARCH_CLOCK_SKEW

if TYPE_CHECKING:
    from airflow.sdk import Context


def find_run(context: Context, ledger: Ledger, log: Log) -> RunRecord | None:
    """The run's record, put back into the ledger if it was not there.

    :return: ``None`` if the run launched nothing: it was refused at its beginning, or AWS was asked and has
        no job of it
    :raises CleanupIncomplete: the run's records are gone, and it cannot be known what it launched
    """
    ti: Any = context["ti"]
    run = ledger.begun()
    if run is None:
        run = _copy(ti.dag_id, ti.run_id)
        source = "the copy in Airflow's Variables"
        if run is None:
            if task_states(context).get(BEGIN_TASK_ID) == "failed":
                return None  # no task after begin can have run
            run = _from_aws(context, log)
            source = "the tags of its jobs in AWS"
        if run is None:
            return None
        log.warning(
            "The run's own records are gone: somebody deleted its XComs. What is known of it comes from %s.",
            source,
        )
        ledger.save_run(run)
        restore_launches(context, ledger, run)
        restore_jobs(ledger, run)
    else:
        restore_launches(context, ledger, run)
    return run


def copy_of_cleared_run(context: Context) -> RunRecord | None:
    """The copy of the run's record in Airflow's Variables, for a ``begin`` that runs again: Airflow 3.4
    empties a task's state store when the task is cleared. In a first try, the copy is that of a deleted run
    with the same id, which is another run.
    """
    ti: Any = context["ti"]
    return _copy(ti.dag_id, ti.run_id) if ti.try_number > 1 else None


def restore_launches(context: Context, ledger: Ledger, run: RunRecord) -> None:
    """Give the ledger back the launches that it lacks, from the copies that the launching tasks keep."""
    ti: Any = context["ti"]
    for wave in run.read_plan().waves:
        if ledger.launch(wave.name) is not None:
            continue
        launch = ti.xcom_pull(task_ids=start_task_id(wave.name), key=KEPT_LAUNCH)
        if launch is not None:
            ledger.save_launch(wave.name, LaunchRecord.model_validate(launch))


def restore_jobs(ledger: Ledger, run: RunRecord) -> None:
    """Give the ledger back the jobs without tags that no launch in it names, and the calls without a reply:
    nothing in AWS shows whose they are. The jobs are written to the first wave, because it is not known which
    wave started them.
    """
    kept = kept_jobs(run.dag_id, run.token)
    if kept is None:
        return
    for wave, calls in kept.unanswered.items():
        if calls and ledger.launch(wave) is None:
            _add_calls(ledger, run, wave, calls)
    if lost := kept.jobs - ledger.job_ids():
        made = (Call(at=run.began_at, servers=(), tagged=False, job_id=job_id) for job_id in sorted(lost))
        _add_calls(ledger, run, run.waves[0], tuple(made))


def _add_calls(ledger: Ledger, run: RunRecord, wave: str, calls: tuple[Call, ...]) -> None:
    timeline = new_timeline(run.read_plan().launch_for(wave), (), run.began_at)
    record = ledger.launch(wave) or LaunchRecord(timeline=timeline, tags_refused=True)
    ledger.save_launch(wave, record.model_copy(update={"calls": (*record.calls, *calls)}))


def _copy(dag_id: str, run_id: str) -> RunRecord | None:
    kept = kept_run(dag_id)
    return kept if kept is not None and kept.run_id == run_id else None


def _from_aws(context: Context, log: Log) -> RunRecord | None:
    """The run as its jobs in AWS show it; ``None`` if AWS has none.

    Another Airflow may run a plan of this name under the same run id. So only jobs of this one count.
    """
    ti: Any = context["ti"]
    dag_run: Any = context["dag_run"]
    plan = _plan(ti.dag_id, ti.run_id)
    hook = DrsHook(aws_conn_id=plan.target.aws_conn_id, region_name=plan.target.region)
    began = dag_run.start_date or dag_run.run_after
    jobs = [job for job in hook.jobs_since(began - LOOK_BEHIND) if job.type == JobType.LAUNCH]
    named = [
        job
        for job in jobs
        if job.tags.get(DAG_TAG) == ti.dag_id and job.tags.get(RUN_ID_TAG) == tag_value(ti.run_id)
    ]
    installation = known_installation()
    own = [job for job in named if RUN_TAG in job.tags and job.tags.get(INSTALLATION_TAG) == installation]
    tokens = {job.tags[RUN_TAG] for job in own}
    if len(tokens) == 1:
        recovers = any(job.initiated_by == InitiatedBy.START_RECOVERY for job in own)
        return RunRecord(
            token=tokens.pop(),
            installation=installation,
            dag_id=ti.dag_id,
            run_id=ti.run_id,
            began_at=min(job.created for job in own),
            plan=plan.model_dump(mode="json"),
            digest=plan.digest,
            waves=tuple(wave.name for wave in plan.waves),
            execution_type="RECOVERY" if recovers else "DRILL",
        )
    if named:
        raise _not_certain("These jobs have the run's id, but are not certainly of this Airflow", named)
    # A job without tags is known by its time alone: one from before the run is not the run's.
    recent = [job for job in jobs if job.created >= began - SEARCH_CLOCK_SKEW]
    if untagged := list(_untagged_drills(plan, recent)):
        raise _not_certain("These jobs without tags drilled servers of the plan since it began", untagged)
    log.info("The run has no records. DRS was asked, and lists no job of this run: it launched nothing.")
    return None


def _not_certain(what: str, jobs: list[Job]) -> CleanupIncomplete:
    return CleanupIncomplete(
        f"The run's own records are gone, and it is not certain what it launched. {what}: "
        f"{', '.join(job.describe() for job in jobs)}. Their instances were not touched.",
        remedy="Look at these jobs in the DRS console, and terminate their instances if they are yours.",
    )


def _untagged_drills(plan: Plan, jobs: list[Job]) -> Iterator[Job]:
    listed = {server for wave in plan.waves for server in plan.listed_servers(wave.name)}
    by_tags = any(group.server_tags is not None for group in plan.protection_groups.values())
    for job in jobs:
        untagged = job.initiated_by == InitiatedBy.START_DRILL and RUN_TAG not in job.tags
        if untagged and (by_tags or job.server_ids & listed):
            yield job


def _plan(dag_id: str, run_id: str) -> Plan:
    """The plan as its file is now.

    :raises CleanupIncomplete: the file is gone or broken
    """
    name = plan_name(dag_id)
    try:
        found = next(iter(load_folder(folder_of(dag_id), only=name)), None)
    except PlanError:
        found = None
    if isinstance(found, Plan):
        return found
    raise CleanupIncomplete(
        f"The run's own records are gone, and so is a readable file of plan {name}: it is not known in which "
        "account and Region the run launched.",
        remedy=(
            f"Look in DRS for jobs with the tag {RUN_ID_TAG}={tag_value(run_id)} and terminate their "
            "instances; `python -m drs watch` lists what runs have left."
        ),
    )
