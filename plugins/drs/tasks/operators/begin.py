"""Begins a run: checks what was asked, claims the plan, and records both for every later task."""

from __future__ import annotations

import dataclasses
import datetime as dt
import uuid
from typing import TYPE_CHECKING, Any, cast

from airflow.sdk import BaseOperator, Variable
from airflow.sdk.exceptions import AirflowSkipException
from airflow.sdk.execution_time.context import NEVER_EXPIRE

from drs.errors import InvalidField, PlanAlreadyExecuting, PlanChanged
from drs.plan import Plan
from drs.run.proof import KEPT_LAUNCH, start_task_id
from drs.run.records import LaunchRecord, RunRecord
from drs.run.request import MANUAL, read_request
from drs.tasks.active_run import is_active, owner_key
from drs.tasks.drill_task import coded_failures, run_ledger
from drs.tasks.send_messages import announce_start
from drs.times import clock_time, utc_now

if TYPE_CHECKING:
    from airflow.sdk import Context

KEPT_RUN = "run"
"""Where begin keeps a copy of the run's record: in its own state store, which survives being cleared."""
LATE = dt.timedelta(minutes=15)
"""A scheduled run that begins later than this was missed: Airflow makes up for the last tick of a schedule
when its DAG is unpaused, or when the scheduler is back."""


class DrsBeginDrillOperator(BaseOperator):
    """Check the run's parameters, make sure that no other run of the plan is active, and record the run.

    A scheduled run whose time has gone by is recorded as missed and launches nothing.

    :param plan: the plan
    """

    def __init__(self, *, plan: Plan, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.plan = plan

    @coded_failures
    def execute(self, context: Context) -> dict[str, Any]:
        before = restore(context)
        dag_run: Any = context["dag_run"]
        plan = self.plan
        now = utc_now()
        run_type = str(getattr(dag_run.run_type, "value", dag_run.run_type))
        params: Any = context["params"]
        request = read_request(plan, params, conf=dag_run.conf or (), run_type=run_type, now=now)
        if before:
            check_same_place(before, plan)
        began_at = before.began_at if before else now
        record = RunRecord(
            token=before.token if before else uuid.uuid4().hex,
            began_at=began_at,
            dag_id=dag_run.dag_id,
            run_id=dag_run.run_id,
            plan=plan.model_dump(mode="json"),
            digest=plan.digest,
            run_type=run_type,
            initiator=initiator(dag_run, run_type),
            missed=missed(run_type, dag_run.run_after, began_at),
            **dataclasses.asdict(request),
        )
        if not record.missed:
            claim(context)
        store: Any = context["task_state_store"]
        store.set(KEPT_RUN, record.model_dump(mode="json"), retention=NEVER_EXPIRE)
        run_ledger(context).save_run(record)
        if record.missed:
            raise AirflowSkipException(record.missed)
        self._tell(record)
        if not before:
            announce_start(context, run_ledger(context))
        return {"token": record.token, "waves": list(record.waves)}

    def _tell(self, record: RunRecord) -> None:
        target = self.plan.target
        self.log.info(
            "%s of plan %s (digest %s) in %s, account %s, begun by %s. Waves: %s. Recovery point: %s. "
            "Reason: %s",
            f"{record.execution_type} (dry run)" if record.dry_run else record.execution_type,
            self.plan.name,
            record.digest[:12],
            target.region,
            target.account_id,
            record.initiator,
            ", ".join(record.waves),
            record.recovery_point.isoformat() if record.recovery_point else "latest",
            record.reason or "none given",
        )


def check_same_place(before: RunRecord, plan: Plan) -> None:
    """See that a cleared run goes on where it launched: clean-up elsewhere would find nothing to terminate.

    :raises PlanChanged: the plan's file names another account or Region by now
    """
    then, now = before.read_plan().target, plan.target
    if (then.account_id, then.region) != (now.account_id, now.region):
        raise PlanChanged(
            f"This run began in {then.region}, account {then.account_id}, and its plan is by now for "
            f"{now.region}, account {now.account_id}: what the run launched would not be cleaned up."
        )


def missed(run_type: str, due: dt.datetime, began_at: dt.datetime) -> str | None:
    """Why a run that nobody started by hand comes too late to launch anything, if it does."""
    late = began_at - due
    if run_type == MANUAL or late <= LATE:
        return None
    return (
        f"Missed, not fired: this {run_type} run was due at {due:%Y-%m-%d} {clock_time(due)} and began "
        f"{late.total_seconds() / 60:.0f} min later; perhaps its DAG was paused. A run that is more than "
        f"{LATE.total_seconds() / 60:.0f} min late launches nothing. To make up for it, trigger one by hand."
    )


class DrsRefuseDrillOperator(BaseOperator):
    """Stand where ``begin`` stands in the DAG of a plan whose file is broken: every new run ends here, while
    a run that began before still cleans up and ends.

    :param problems: what is wrong with the file, readable
    """

    def __init__(self, *, problems: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.problems = problems

    @coded_failures
    def execute(self, context: Context) -> None:
        restore(context)
        raise InvalidField(
            f"The plan's file is broken, so no drill can begin:\n{self.problems}",
            remedy="Mend the file (`python -m drs validate` lists every error), then trigger again.",
        )


def restore(context: Context) -> RunRecord | None:
    """Give a run that began before, and was cleared, its records back, those of its launches too: what it
    launched is its own to clean up, even if this time it is refused or its waves are not launched again.
    """
    store: Any = context["task_state_store"]
    kept = store.get(KEPT_RUN)
    if kept is None:
        return None
    record = RunRecord.model_validate(kept)
    ledger, ti = run_ledger(context), cast("Any", context["ti"])
    ledger.save_run(record)
    for wave in record.read_plan().waves:
        launch = ti.xcom_pull(task_ids=start_task_id(wave.name), key=KEPT_LAUNCH)
        if launch is not None:
            ledger.save_launch(wave.name, LaunchRecord.model_validate(launch))
    return record


def claim(context: Context) -> None:
    """Make this run the owner of its plan.

    Two runs that begin together do not pass both: ``begin`` runs once at a time for a DAG.

    :raises PlanAlreadyExecuting: the owner is another run, and it is active
    """
    ti: Any = context["ti"]
    key = owner_key(ti.dag_id)
    owner = Variable.get(key, default=None)
    if owner == ti.run_id:
        return
    if owner and is_active(ti, ti.dag_id, owner):
        raise PlanAlreadyExecuting(
            f"Run {owner} of {ti.dag_id} is under way; a plan runs once at a time. This run touched nothing.",
            remedy=(
                f"Wait for {owner} to end, or mark it failed in the Airflow UI: it then terminates what it "
                "launched and ends."
            ),
        )
    Variable.set(key, ti.run_id, description="The run that owns this recovery plan")


def initiator(dag_run: Any, run_type: str) -> str:
    """Who or what began the run: a person's name, or the schedule."""
    user = getattr(dag_run, "triggering_user_name", None)
    return f"{user} ({run_type})" if user else run_type
