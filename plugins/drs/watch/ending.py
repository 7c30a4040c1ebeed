"""Ends what a run has left, one step at a time, by the rules of clean-up."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

from drs.cleanup.clean_up import CleanUp, Proven
from drs.plan import Plan
from drs.run.ledger import Ledger
from drs.run.log import Log
from drs.run.records import RunRecord
from drs.watch.airflow_view import AirflowView
from drs.watch.findings import WatchFinding
from drs.watch.view import AwsPlace, Connected, RunInAws

GRACE = dt.timedelta(hours=1)
"""How long the watch must have seen an orphan before it ends it."""


class MemoryOnly:
    """The ledger of a run that is gone: nothing outlives the step."""

    def __init__(self) -> None:
        self._values: dict[str, Any] = {}

    def get(self, key: str) -> Any:
        return self._values.get(key)

    def set(self, key: str, value: Any) -> None:
        self._values[key] = value


def may_end(finding: WatchFinding, airflow: AirflowView) -> Plan | None:
    """The plan by whose rules the watch may end what the finding names; ``None`` if it may not.

    Every job must name this installation, no run of the plan may be active, it must be known that no rule
    keeps anything of the run, and the plan must be of the same account and Region.
    """
    left = finding.orphan
    if left is None or not airflow.installation or left.installation != airflow.installation:
        return None
    if left.key.dag_id in airflow.busy or left.key.token in airflow.doubts:
        return None
    plan = airflow.plans.get(left.key.dag_id)
    return plan if plan is not None and AwsPlace.of(plan).name == left.place.name else None


def end(left: RunInAws, plan: Plan, aws: Connected, log: Log, now: Callable[[], dt.datetime]) -> bool:
    """Take one step of the clean-up of a run that has ended. The next look of the watch takes the next one.

    :return: whether DRS and EC2 show that everything is gone
    :raises drs.errors.CleanupIncomplete: an instance cannot be terminated
    :raises drs.errors.AccessDenied: AWS does not allow it
    """
    run = RunRecord(
        token=left.key.token,
        dag_id=left.key.dag_id,
        run_id=left.key.run_id,
        began_at=left.began or now(),
        plan=plan.model_dump(mode="json"),
        digest=plan.digest,
        waves=tuple(wave.name for wave in plan.waves),
        installation=left.installation,
    )
    clean_up = CleanUp(
        hook=aws.drs,
        describe_ec2=aws.describe_ec2,
        ledger=Ledger(MemoryOnly()),
        run=run,
        log=log,
        now=now,
    )
    clean_up.begin(resumed=False)
    return isinstance(clean_up.advance(), Proven)
