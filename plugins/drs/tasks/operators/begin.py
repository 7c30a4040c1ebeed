"""Begins a run: checks its parameters, claims the plan, and records the run for every later task."""

from __future__ import annotations

import dataclasses
import datetime as dt
import uuid
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator, Variable
from airflow.sdk.exceptions import AirflowSkipException

from drs import settings
from drs.compat import task_store
from drs.errors import DrillError, InvalidField, PlanAlreadyExecuting, PlanChanged
from drs.plan import Plan
from drs.plan.naming import plan_name
from drs.run.records import RunRecord
from drs.run.request import MANUAL, read_request
from drs.run.ticks import MISSED, SCHEDULED, UNPAUSED_AT, make_up, why_missed, without_run
from drs.tasks.active_run import is_active, owner_key
from drs.tasks.drill_task import coded_failures, run_ledger
from drs.tasks.identity import copy_of_cleared_run, restore_jobs, restore_launches
from drs.tasks.installation import installation_id, keep_run
from drs.tasks.schedules import known_schedule
from drs.tasks.send_messages import notify_missed, notify_start
from drs.tasks.task_log import explained
from drs.text import shown
from drs.text.times import utc_now

if TYPE_CHECKING:
    from airflow.sdk import Context

KEPT_RUN = "run"
"""The key under which begin keeps a copy of the run's record in its task state store. Clearing a task empties
it from Airflow 3.4 on."""
TOLD = "told"
"""The key under which begin keeps in the same store that people were notified of a missed or refused tick."""


class DrsBeginDrillOperator(BaseOperator):
    """Check the run's parameters, make sure that no other run of the plan is active, and record the run.

    A scheduled run that comes at the wrong time is recorded as missed and launches nothing: see
    :mod:`drs.run.ticks`.

    :param plan: the plan
    """

    def __init__(self, *, plan: Plan, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.plan = plan

    @coded_failures
    def execute(self, context: Context) -> dict[str, Any]:
        try:
            return self._begin(context)
        except DrillError as refused:
            self._tell_refused(context, refused)
            raise

    def _begin(self, context: Context) -> dict[str, Any]:
        before = restore(context)
        dag_run: Any = context["dag_run"]
        plan = self.plan
        now = utc_now()
        run_type = type_of(dag_run)
        params: Any = context["params"]
        conf: Mapping[str, Any] = dag_run.conf or {}
        asked = conf.keys() - ({UNPAUSED_AT} if run_type == SCHEDULED else set())
        request = read_request(plan, params, conf=asked, run_type=run_type, now=now)
        if before:
            check_same_place(before, plan)
        began_at = before.began_at if before else now
        # A run that began in time and is cleared later is not judged again.
        why = None if before else self._why_missed(context, run_type, conf, began_at)
        remedy = make_up(plan.name, dag_run.run_after)
        record = RunRecord(
            token=before.token if before else uuid.uuid4().hex,
            began_at=began_at,
            dag_id=dag_run.dag_id,
            run_id=dag_run.run_id,
            plan=plan.model_dump(mode="json"),
            digest=plan.digest,
            installation=before.installation if before else installation_id(),
            run_type=run_type,
            initiator=initiator(dag_run, run_type),
            missed=before.missed if before else why and f"{MISSED}{why}",
            **dataclasses.asdict(request),
        )
        if not record.missed:
            claim(context)
            keep_run(record)
        task_store(context).set(KEPT_RUN, record.model_dump(mode="json"))
        run_ledger(context).save_run(record)
        if record.missed:
            self._tell(context, record, record.missed.removeprefix(MISSED), remedy)
            self.log.warning("Skipped: %s %s", record.missed, remedy)
            raise explained(AirflowSkipException(record.missed))
        self._log_run(record)
        if not before:
            notify_start(context, run_ledger(context))
        return {"token": record.token, "waves": list(record.waves)}

    def _why_missed(
        self, context: Context, run_type: str, conf: Mapping[str, Any], began_at: dt.datetime
    ) -> str | None:
        if run_type == MANUAL:
            return None
        dag_run: Any = context["dag_run"]
        unpaused_at = conf.get(UNPAUSED_AT) if run_type == SCHEDULED else None
        known = known_schedule(dag_run.dag_id) if run_type == SCHEDULED else None
        why = why_missed(
            self.plan,
            run_type=run_type,
            due=dag_run.run_after,
            began_at=began_at,
            late_start=settings.late_start(),
            unpaused_at=dt.datetime.fromisoformat(unpaused_at) if unpaused_at else None,
            known=known,
        )
        if why is None:
            return None
        ti: Any = context["ti"]
        previous = ti.get_previous_dagrun()
        others = without_run(known, previous.run_after if previous else None, dag_run.run_after)
        return f"{why} {others}".strip()

    def _tell_refused(self, context: Context, refused: DrillError) -> None:
        """Notify people that a tick was refused. A person who started or cleared a run sees it anyway."""
        dag_run: Any = context["dag_run"]
        run_type = type_of(dag_run)
        if run_type == MANUAL or refused.retryable or task_store(context).get(KEPT_RUN) is not None:
            return
        plan = self.plan
        record = RunRecord(
            token="",
            dag_id=dag_run.dag_id,
            run_id=dag_run.run_id,
            began_at=utc_now(),
            plan=plan.model_dump(mode="json"),
            digest=plan.digest,
            waves=tuple(wave.name for wave in plan.waves),
            run_type=run_type,
            initiator=initiator(dag_run, run_type),
        )
        remedy = f"{refused.remedy} {make_up(plan.name, dag_run.run_after)}".strip()
        self._tell(context, record, refused.message, remedy, refused.code)

    def _tell(self, context: Context, record: RunRecord, why: str, remedy: str, code: str = "") -> None:
        """Notify people once that a run which no person started launches nothing."""
        store = task_store(context)
        if store.get(TOLD) is None:
            store.set(TOLD, True)
            notify_missed(context, run_ledger(context), record, why=why, remedy=remedy, code=code)

    def _log_run(self, record: RunRecord) -> None:
        target = self.plan.target
        self.log.info(
            "%s of plan %s (digest %s) in %s, account %s, started by %s. Waves: %s. Recovery point: %s. "
            "Reason: %s",
            f"{record.execution_type} (dry run)" if record.dry_run else record.execution_type,
            self.plan.name,
            record.digest[:12],
            target.region,
            target.account_id,
            record.started_by,
            ", ".join(record.waves),
            record.recovery_point.isoformat() if record.recovery_point else "latest",
            shown.line(record.reason or "none given"),
        )


def check_same_place(before: RunRecord, plan: Plan) -> None:
    """Make sure that a cleared run continues in the account and Region in which it launched.

    In any other place, clean-up would find nothing to terminate.

    :raises PlanChanged: the plan's file now names another account or Region
    """
    then, now = before.read_plan().target, plan.target
    if (then.account_id, then.region) != (now.account_id, now.region):
        raise PlanChanged(
            f"This run began in {then.region}, account {then.account_id}, but its plan now names "
            f"{now.region}, account {now.account_id}: clean-up would not find what the run launched."
        )


class DrsRefuseDrillOperator(BaseOperator):
    """Take the place of ``begin`` in the DAG of a plan whose file is broken: refuse every new run.

    A run that began before the file broke still cleans up and ends.

    :param problems: what is wrong with the file, in words
    """

    def __init__(self, *, problems: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.problems = problems

    @coded_failures
    def execute(self, context: Context) -> None:
        restore(context)
        raise InvalidField(
            f"The plan's file is broken, so no drill can begin:\n{self.problems}",
            remedy="Fix the file (`python -m drs validate` lists its errors), then trigger a new run.",
        )


def restore(context: Context) -> RunRecord | None:
    """Give a run that was cleared after it began its records back, including those of its launches.

    The run must clean up what it launched, even if it is refused this time or does not launch its waves
    again.

    :return: the run's record; ``None`` for a run that begins for the first time
    """
    kept = task_store(context).get(KEPT_RUN)
    record = copy_of_cleared_run(context) if kept is None else RunRecord.model_validate(kept)
    if record is None:
        return None
    ledger = run_ledger(context)
    ledger.save_run(record)
    restore_launches(context, ledger, record)
    if kept is None:
        restore_jobs(ledger, record)
    return record


def claim(context: Context) -> None:
    """Make this run the owner of its plan.

    Of two runs that begin together only one can pass, because a DAG runs ``begin`` once at a time.

    :raises PlanAlreadyExecuting: the owner is another run, which is active
    """
    ti: Any = context["ti"]
    key = owner_key(ti.dag_id)
    owner = Variable.get(key, default=None)
    if owner == ti.run_id:
        return
    if owner and is_active(ti, ti.dag_id, owner):
        raise PlanAlreadyExecuting(
            f"Run {shown.line(owner)} of {ti.dag_id} is active, and only one run of a plan may be active. "
            "This run changed nothing.",
            remedy=(
                f"Wait for {shown.line(owner)} to end, or stop it with `python -m drs stop "
                f"{plan_name(ti.dag_id)} --run {shown.argument(owner)}` (or mark it failed in the Airflow "
                "UI): it then terminates what it launched and ends."
            ),
        )
    Variable.set(key, ti.run_id, description="The run that owns this recovery plan")


def type_of(dag_run: Any) -> str:
    """Airflow's word for how the run was started."""
    return str(getattr(dag_run.run_type, "value", dag_run.run_type))


def initiator(dag_run: Any, run_type: str) -> str:
    """Who or what started the run: the name of a person, or the type of run."""
    user = getattr(dag_run, "triggering_user_name", None)
    return f"{user} ({run_type})" if user else run_type
