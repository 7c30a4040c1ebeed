"""Begins a run: checks what was asked, claims the plan, and records both for every later task."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator, Variable
from airflow.sdk.execution_time.context import NEVER_EXPIRE

from drs.drill_task import coded_failures, run_ledger
from drs.errors import InvalidField, PlanAlreadyExecuting, PlanHasNoWaves
from drs.jobs import utc_now
from drs.ledger import RunRecord
from drs.plan import Plan

if TYPE_CHECKING:
    from airflow.sdk import Context

RUN_PARAMETERS = ("waves", "exclude_servers", "keep_instances", "reason")
KEPT_RUN = "run"
"""Where begin keeps a copy of the run's record: in its own state store, which survives being cleared."""
ACTIVE = frozenset({"running", "queued"})


class DrsBeginDrillOperator(BaseOperator):
    """Check the run's parameters, make sure that no other run of the plan is active, and record the run.

    :param plan: the plan
    """

    def __init__(self, *, plan: Plan, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.plan = plan

    @coded_failures
    def execute(self, context: Context) -> dict[str, Any]:
        before = restore(context)
        dag_run: Any = context["dag_run"]
        params: Any = context["params"]
        plan = self.plan
        waves = chosen_waves(plan, dict(dag_run.conf or {}), params["waves"])
        claim(context)
        record = RunRecord(
            token=before.token if before else uuid.uuid4().hex,
            began_at=before.began_at if before else utc_now(),
            dag_id=dag_run.dag_id,
            run_id=dag_run.run_id,
            plan=plan.model_dump(mode="json"),
            digest=plan.digest,
            waves=waves,
            exclude_servers=tuple(params["exclude_servers"] or ()),
            keep_instances=bool(params["keep_instances"]),
            reason=str(params["reason"] or ""),
            initiator=initiator(dag_run),
        )
        store: Any = context["task_state_store"]
        store.set(KEPT_RUN, record.model_dump(mode="json"), retention=NEVER_EXPIRE)
        run_ledger(context).save_run(record)
        self.log.info(
            "Drill of plan %s (digest %s) in %s, account %s, begun by %s. Waves: %s. Reason: %s",
            plan.name,
            plan.digest[:12],
            plan.target.region,
            plan.target.account_id,
            record.initiator,
            ", ".join(waves),
            record.reason or "none given",
        )
        return {"token": record.token, "waves": list(waves)}


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
    """Give a run that began before, and was cleared, its record back: what it launched is its own to clean
    up, even if this time it is refused.
    """
    store: Any = context["task_state_store"]
    kept = store.get(KEPT_RUN)
    if kept is None:
        return None
    record = RunRecord.model_validate(kept)
    run_ledger(context).save_run(record)
    return record


def chosen_waves(plan: Plan, conf: dict[str, Any], asked: Any) -> tuple[str, ...]:
    """The waves of this run, in the plan's order.

    :raises InvalidField: an unknown key in ``conf``, or a wave that the plan does not have
    :raises PlanHasNoWaves: no wave is chosen
    """
    if unknown := sorted(set(conf) - set(RUN_PARAMETERS)):
        raise InvalidField(
            f"Unknown run parameter(s): {', '.join(unknown)}.",
            remedy=f"A run of this plan takes: {', '.join(RUN_PARAMETERS)}.",
        )
    names = [wave.name for wave in plan.waves]
    if strange := [str(name) for name in asked if name not in names]:
        raise InvalidField(
            f"The plan {plan.name} has no wave {', '.join(strange)}.",
            remedy=f"Choose from its waves: {', '.join(names)}.",
        )
    if not asked:
        raise PlanHasNoWaves("No wave was chosen for this run.")
    return tuple(name for name in names if name in asked)


def claim(context: Context) -> None:
    """Make this run the owner of its plan.

    Two runs that begin together do not pass both: ``begin`` runs once at a time for a DAG.

    :raises PlanAlreadyExecuting: the owner is another run, and it is active
    """
    ti: Any = context["ti"]
    key = f"{ti.dag_id}__owner"
    owner = Variable.get(key, default=None)
    if owner == ti.run_id:
        return
    if owner and _is_active(ti, owner):
        raise PlanAlreadyExecuting(
            f"Run {owner} of {ti.dag_id} is under way; a plan runs once at a time. This run touched nothing.",
            remedy=(
                f"Wait for {owner} to end, or mark it failed in the Airflow UI: it then terminates what it "
                "launched and ends."
            ),
        )
    Variable.set(key, ti.run_id, description="The run that owns this recovery plan")


def _is_active(ti: Any, run_id: str) -> bool:
    if not ti.get_dr_count(dag_id=ti.dag_id, run_ids=[run_id]):
        return False  # deleted since
    return ti.get_dagrun_state(ti.dag_id, run_id) in ACTIVE


def initiator(dag_run: Any) -> str:
    """Who or what began the run: a person's name, or the schedule."""
    user = getattr(dag_run, "triggering_user_name", None)
    kind = getattr(dag_run.run_type, "value", dag_run.run_type)
    return f"{user} ({kind})" if user else str(kind)
