"""Makes one DAG for each recovery plan.

    open ─► begin ─► preflight ─► wave … ─► wave … ─► terminate ─► evidence ─► verdict
    (setup)                                           (teardown)   (teardown)  (teardown)

If the plan allows a real recovery, ``approve_recovery`` follows preflight; if it cleans up after an approval,
``approve_cleanup`` comes before ``terminate``. The three teardowns run even after a failed wave, a skipped
task or a run that somebody marked failed, because their setup succeeded. The setup does nothing: when
somebody clears a task, Airflow clears its setup and teardowns too, and a setup that held the run's records
would lose them. Only the verdict decides the state of the run.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path
from typing import Any

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG, Asset, BaseOperator, CronTriggerTimetable, Param, TaskGroup, TriggerRule

from drs.compat import alert_after
from drs.plan import BrokenPlan, Plan, Wave, load_folder
from drs.plan.fields import PLAN_NAME_PATTERN
from drs.plan.naming import DAG_ID_PREFIX, dag_id
from drs.plan.plan_schedule import cron_of
from drs.run.ledger import BEGIN_TASK_ID
from drs.run.proof import (
    APPROVE_CLEANUP_TASK_ID,
    EVIDENCE_TASK_ID,
    LAST_TASK,
    PREFLIGHT_TASK_ID,
    SETUP_TASK_ID,
    TERMINATE_TASK_ID,
    VERDICT_TASK_ID,
    group_id,
)
from drs.tasks.operators.approve import DrsApproveRecoveryOperator, DrsApproveWaveOperator
from drs.tasks.operators.approve_cleanup import DrsApproveCleanupOperator
from drs.tasks.operators.begin import DrsBeginDrillOperator, DrsRefuseDrillOperator
from drs.tasks.operators.evidence import DrsDrillEvidenceOperator
from drs.tasks.operators.preflight import DrsPreflightOperator
from drs.tasks.operators.start_recovery import DrsStartRecoveryOperator
from drs.tasks.operators.terminate import DrsTerminateRecoveryInstancesOperator
from drs.tasks.operators.validate_servers import DrsValidateServersOperator
from drs.tasks.operators.verdict import DrsDrillVerdictOperator
from drs.tasks.rto_alarm import rto_has_passed
from drs.tasks.sensors import DrsJobLaunchedSensor, DrsJobStartedSensor
from drs.text import shown
from drs.text.tables import markdown_table

APPROVE_RECOVERY_TASK_ID = "approve_recovery"
FIRST = "first"
"""The key of a wave's first task, which is its approval if it has one."""
GATE_TASKS = {"started": "wait_until_started", "launched": "wait_until_launched", "validated": LAST_TASK}
DEFAULT_ARGS = {"retries": 12, "retry_delay": timedelta(seconds=15)}
"""A wave goes on after a part of Airflow was away for three minutes. The pause does not grow from try to try:
an RTO may be running.
"""
CLOSING_ARGS: dict[str, Any] = {
    "retries": 9,
    "retry_delay": timedelta(seconds=5),
    "retry_exponential_backoff": 2.0,
    "max_retry_delay": timedelta(minutes=5),
}
"""Clean-up, evidence and verdict must come about even if a part of Airflow is away for 15 minutes. The pauses
between their tries grow from 5 s to 5 min, and add up to 20 min at least.
"""


def build_dags(folder: Path, *, only: str | None = None) -> dict[str, DAG]:
    """The DAG of every plan in the folder, by DAG id. The DAG of a broken plan refuses new runs.

    :param only: build only this DAG, as a worker does; other plans are not even read
    :raises drs.plan.PlanError: the folder cannot be read
    """
    stem = only.removeprefix(DAG_ID_PREFIX) if only else None
    dags: dict[str, DAG] = {}
    for plan in load_folder(folder, only=stem):
        if isinstance(plan, Plan):
            dags[dag_id(plan.name)] = drill_dag(plan)
        elif re.fullmatch(PLAN_NAME_PATTERN, plan.stem):
            dags[dag_id(plan.stem)] = refusing_dag(plan)
    return dags


def drill_dag(plan: Plan) -> DAG:
    """The DAG that drills the plan."""
    with DAG(
        dag_id=dag_id(plan.name),
        description=" ".join(map(shown.line, plan.description.split("\n")))
        or f"Disaster-recovery drill of {plan.name}",
        schedule=_timetable(plan),
        catchup=False,
        default_args={**DEFAULT_ARGS, "owner": plan.owner},
        tags=["drs-drill", *plan.dag_tags],
        doc_md=document(plan),
        is_paused_upon_creation=True,
        deadline=rto_alert(plan),
    ) as dag:
        setup = EmptyOperator(task_id=SETUP_TASK_ID)
        begin = DrsBeginDrillOperator(task_id=BEGIN_TASK_ID, plan=plan, max_active_tis_per_dag=1)
        preflight = DrsPreflightOperator(task_id=PREFLIGHT_TASK_ID, retries=4)  # nothing is launched yet
        setup >> begin >> preflight
        ready: BaseOperator = preflight
        if plan.allow_recovery:
            # Skips itself in a drill; the first tasks of the waves run all the same.
            ready = DrsApproveRecoveryOperator(task_id=APPROVE_RECOVERY_TASK_ID)
            preflight >> ready
        tasks = {wave.name: wave_tasks(wave) for wave in plan.waves}
        for wave in plan.waves:
            first = tasks[wave.name][FIRST]
            for before in plan.dependencies(wave.name):
                tasks[before][GATE_TASKS[plan.wave(before).next_wave_when]] >> first
            if not plan.dependencies(wave.name):
                ready >> first
        last: list[BaseOperator] = [wave[LAST_TASK] for wave in tasks.values()]
        if plan.cleanup.when == "after_approval":
            # Runs however the waves ended, and skips itself if there is nothing to ask about.
            ask = DrsApproveCleanupOperator(
                task_id=APPROVE_CLEANUP_TASK_ID, trigger_rule=TriggerRule.ALL_DONE
            )
            last >> ask
            last = [ask]
        closing_tasks(plan.name, setup, last)
    # Only now, when every task is made: a task copies the parameters that its DAG has at that moment, and
    # with those copies the serialised DAG would be three times as large.
    dag.params.update(run_parameters(plan))
    return dag


def _timetable(plan: Plan) -> CronTriggerTimetable | None:
    """When Airflow runs the DAG by itself."""
    if plan.schedule is None:
        return None
    return CronTriggerTimetable(cron_of(plan.schedule), timezone=plan.timezone)


def rto_alert(plan: Plan) -> Any:
    """Airflow's own alarm at the plan's RTO. Its callback decides whether people need to be notified."""
    if plan.objectives.rto is None:
        return None
    return alert_after(plan.objectives.rto, rto_has_passed, name="rto")


def wave_tasks(wave: Wave) -> dict[str, BaseOperator]:
    """The tasks of one wave in its task group, by name; the first one also under :data:`FIRST`."""
    with TaskGroup(group_id=group_id(wave.name), prefix_group_id=True):
        start = DrsStartRecoveryOperator(
            task_id="start_recovery",
            wave=wave.name,
            # A wave that this run leaves out is skipped; later waves still run.
            trigger_rule=TriggerRule.NONE_FAILED,
        )
        started = DrsJobStartedSensor(task_id="wait_until_started", wave=wave.name)
        launched = DrsJobLaunchedSensor(task_id="wait_until_launched", wave=wave.name)
        validated = DrsValidateServersOperator(task_id=LAST_TASK, wave=wave.name)
        start >> started >> launched >> validated
        first: BaseOperator = start
        if wave.approval:
            first = DrsApproveWaveOperator(
                task_id="approve", wave=wave.name, trigger_rule=TriggerRule.NONE_FAILED
            )
            first >> start
    return {
        FIRST: first,
        "wait_until_started": started,
        "wait_until_launched": launched,
        LAST_TASK: validated,
    }


def closing_tasks(plan_name: str, setup: BaseOperator, last: Iterable[BaseOperator]) -> None:
    """Clean-up, evidence and verdict, which run however the tasks before them ended."""
    terminate = DrsTerminateRecoveryInstancesOperator(task_id=TERMINATE_TASK_ID, **CLOSING_ARGS)
    # The asset is named after the DAG: other DAGs can be scheduled by a plan's drills.
    evidence = DrsDrillEvidenceOperator(
        task_id=EVIDENCE_TASK_ID, outlets=[Asset(dag_id(plan_name))], **CLOSING_ARGS
    )
    verdict = DrsDrillVerdictOperator(task_id=VERDICT_TASK_ID, **CLOSING_ARGS)
    list(last) >> terminate
    terminate.as_teardown(setups=setup)
    evidence.as_teardown(setups=setup)
    verdict.as_teardown(setups=setup, on_failure_fail_dagrun=True)
    terminate >> evidence >> verdict


def refusing_dag(broken: BrokenPlan) -> DAG:
    """The DAG of a broken plan. It refuses new runs; a run that began before the file broke still cleans up
    and ends.
    """
    with DAG(
        dag_id=dag_id(broken.stem),
        description="This plan's file is broken. The text on the DAG's page says what to fix",
        schedule=None,
        catchup=False,
        default_args=DEFAULT_ARGS,
        tags=["drs-drill", "broken-plan"],
        doc_md=(
            f"**The plan's file is broken; no drill can begin.**\n\n{shown.markdown_block(broken.describe())}"
        ),
        is_paused_upon_creation=True,
    ) as dag:
        setup = EmptyOperator(task_id=SETUP_TASK_ID)
        begin = DrsRefuseDrillOperator(task_id=BEGIN_TASK_ID, problems=broken.describe())
        setup >> begin
        closing_tasks(broken.stem, setup, [begin])
    return dag


def run_parameters(plan: Plan) -> dict[str, Any]:
    """The parameters of a run: the form in the Airflow UI, and ``conf`` in the API."""
    waves = [wave.name for wave in plan.waves]
    return {
        # No enum: for a wrong value, begin gives an error code and says what this plan allows.
        "execution_type": Param(
            "DRILL",
            type="string",
            examples=["DRILL", "RECOVERY"] if plan.allow_recovery else ["DRILL"],
            title="Execution type",
            description=(
                "DRILL, or RECOVERY for a real recovery, which the plan must allow and a person must approve."
            ),
        ),
        "waves": Param(
            waves,
            type="array",
            items={"type": "string", "enum": waves},
            examples=waves,
            title="Waves",
            description="A wave that you remove is not launched; later waves still run.",
        ),
        # "null" is allowed, because the form does not trigger a run while a field of another type is empty.
        "exclude_servers": Param(
            None,
            type=["null", "array"],
            items={"type": "string", "pattern": "^s-[0-9a-f]{17}$"},
            title="Exclude servers",
            description="Source servers that this run leaves out: one id on each line.",
        ),
        "recovery_point": Param(
            None,
            type=["null", "string"],
            title="Recovery point",
            description=(
                "Leave empty for the latest data, or give a time with a UTC offset, such as "
                "2026-11-27T03:00Z, to use the newest snapshot up to then."
            ),
        ),
        "dry_run": Param(
            False, type="boolean", title="Dry run", description="Run preflight only; launch nothing."
        ),
        "keep_instances": Param(
            False,
            type="boolean",
            title="Keep instances",
            description="Do not terminate what this run launches. It costs money until terminated.",
        ),
        "skip_approvals": Param(
            False,
            type="boolean",
            title="Skip approvals",
            description="Do not wait for approvals that the plan allows to be skipped.",
        ),
        "reason": Param(
            None,
            type=["null", "string"],
            maxLength=500,
            title="Reason",
            description="Why this run is started. It is kept in the evidence. A RECOVERY needs a reason.",
        ),
    }


def document(plan: Plan) -> str:
    """The text on the DAG's page. Because of the digest, a changed plan makes a new version of the DAG."""
    target = plan.target
    lines = [
        *(shown.markdown_sentence(each.strip()) for each in plan.description.split("\n")),
        "",
        f"Account {target.account_id}, Region {target.region}, "
        f"connection {shown.markdown(target.aws_conn_id)}",
        "",
    ]
    rows = [
        (
            wave.name,
            ", ".join(plan.dependencies(wave.name)) or "-",
            ", ".join(wave.protection_groups),
            plan.launch_for(wave.name).jobs,
            wave.next_wave_when,
        )
        for wave in plan.waves
    ]
    header = ("wave", "after", "protection groups", "jobs", "next wave when")
    return "\n".join(
        [*lines, markdown_table(header, rows, sentences=header), "", f"Plan digest: `{plan.digest}`"]
    )
