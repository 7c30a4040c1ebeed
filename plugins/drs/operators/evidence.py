"""Tells what a run showed, in its log and as XCom."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowSkipException

from drs.drill_task import coded_failures, run_ledger, task_states
from drs.ledger import Ledger
from drs.proof import outcomes
from drs.records import RECOVERY_APPROVAL, ApprovalRecord, RunRecord
from drs.tables import table

if TYPE_CHECKING:
    from airflow.sdk import Context


class DrsDrillEvidenceOperator(BaseOperator):
    """Summarise what the run recorded, in the log and as XCom."""

    @coded_failures
    def execute(self, context: Context) -> dict[str, Any]:
        ledger = run_ledger(context)
        run = ledger.begun()
        if run is None:
            raise AirflowSkipException("This run was refused before it began; there is nothing to tell.")
        if run.missed:
            raise AirflowSkipException(run.missed)
        plan = run.read_plan()
        cleanup = ledger.cleanup()
        states = task_states(context)
        waves = {
            name: [server.model_dump(mode="json") for server in outcome.servers]
            for name, outcome in outcomes(ledger, run)
        }
        failures = {
            task_id: failure.model_dump()
            for task_id, state in sorted(states.items())
            if state in {"failed", "removed"} and (failure := ledger.failure(task_id)) is not None
        }
        rows = [
            (
                name,
                server["server_id"],
                server["name"],
                "launched" if server["launched"] else "not launched",
                server["instance_id"] or "-",
                f"{server['seconds']:.0f} s" if server["seconds"] is not None else "-",
            )
            for name, servers in waves.items()
            for server in servers
        ]
        header = ("wave", "server", "name", "launch", "instance", "took")
        self.log.info("Servers of this run:\n%s", table(header, rows) if rows else "none was launched")
        objective, measured = plan.objectives.rto, recovery_time(ledger, run)
        if objective:
            self.log.info(
                "Recovery time, from the run's start to its last server: %s", judged(measured, objective)
            )
        return {
            "plan": plan.name,
            "digest": run.digest,
            "run_id": run.run_id,
            "execution_type": run.execution_type,
            "dry_run": run.dry_run,
            "initiator": run.initiator,
            "reason": run.reason,
            "account_id": plan.target.account_id,
            "region": plan.target.region,
            "began_at": run.began_at.isoformat(),
            "recovery_point": run.recovery_point.isoformat() if run.recovery_point else None,
            "approvals": {
                subject: answer.model_dump(mode="json") for subject, answer in answers(ledger, run)
            },
            "rto_seconds": objective.total_seconds() if objective else None,
            "recovery_seconds": measured.total_seconds() if measured else None,
            "waves": waves,
            "excluded": list(run.exclude_servers),
            "cleanup": cleanup.model_dump(mode="json") if cleanup else None,
            "failures": failures,
        }


def answers(ledger: Ledger, run: RunRecord) -> Iterator[tuple[str, ApprovalRecord]]:
    """The answers to the run's questions, by what they are about."""
    for subject in (RECOVERY_APPROVAL, *run.waves):
        if (answer := ledger.approval(subject)) is not None:
            yield subject, answer


def recovery_time(ledger: Ledger, run: RunRecord) -> dt.timedelta | None:
    """From the run's start to the moment when its last wave was launched; ``None`` unless all were."""
    resolution = ledger.resolution()
    if resolution is None:
        return None
    left_out = {name for name, wave in resolution.waves.items() if wave.left_out}
    wanted = [name for name in run.waves if name not in left_out]
    reached = [at for name in wanted if (at := ledger.reached(name, "launched")) is not None]
    return max(reached) - run.began_at if reached and len(reached) == len(wanted) else None


def judged(measured: dt.timedelta | None, objective: dt.timedelta) -> str:
    """The measured time against the RTO, as a person reads it."""
    if measured is None:
        return f"not measured, for not every wave was launched (RTO {objective})"
    seconds = dt.timedelta(seconds=round(measured.total_seconds()))
    return f"{seconds}, {'within' if measured <= objective else 'beyond'} the RTO of {objective}"
