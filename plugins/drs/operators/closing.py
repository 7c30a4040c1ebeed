"""The end of a run: what it showed, and whether that is what it set out to show."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator

from drs.drill_task import TERMINATE_TASK_ID, coded_failures, run_ledger
from drs.errors import DrillFailed
from drs.ledger import Ledger, RunRecord
from drs.tables import table

if TYPE_CHECKING:
    from airflow.sdk import Context

PREFLIGHT_TASK_ID = "preflight"
EVIDENCE_TASK_ID = "evidence"
VERDICT_TASK_ID = "verdict"
LAST_TASK = "wait_until_launched"


def last_task_id(wave: str) -> str:
    """The task whose success means that the wave did what it was to do."""
    return f"{group_id(wave)}.{LAST_TASK}"


def group_id(wave: str) -> str:
    """The wave's task group; the prefix keeps a wave named ``begin`` apart from the task of that name."""
    return f"wave_{wave}"


class DrsDrillEvidenceOperator(BaseOperator):
    """Summarise what the run recorded, in the log and as XCom."""

    @coded_failures
    def execute(self, context: Context) -> dict[str, Any]:
        ledger = run_ledger(context)
        run = ledger.run()
        plan = run.read_plan()
        cleanup = ledger.cleanup()
        states = task_states(context)
        waves = {
            name: [server.model_dump(mode="json") for server in outcome.servers]
            for name in run.waves
            if (outcome := ledger.outcome(name)) is not None
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
        self.log.info("Servers of this drill:\n%s", table(header, rows) if rows else "none was launched")
        return {
            "plan": plan.name,
            "digest": run.digest,
            "run_id": run.run_id,
            "initiator": run.initiator,
            "reason": run.reason,
            "account_id": plan.target.account_id,
            "region": plan.target.region,
            "began_at": run.began_at.isoformat(),
            "waves": waves,
            "excluded": list(run.exclude_servers),
            "cleanup": cleanup.model_dump(mode="json") if cleanup else None,
            "failures": failures,
        }


class DrsDrillVerdictOperator(BaseOperator):
    """Pass the run only if it proved all that it set out to prove.

    A task that was skipped, removed or never run is not a success, whatever Airflow's own run state would be.
    """

    @coded_failures
    def execute(self, context: Context) -> str:
        ledger = run_ledger(context)
        run = ledger.run()
        doubts = list(self._doubts(ledger, run, task_states(context)))
        if doubts:
            listed = "\n".join(f"- {doubt}" for doubt in doubts)
            raise DrillFailed(
                f"The drill of {run.dag_id} did not pass:\n{listed}",
                remedy="Read the log of the task named first: it says what failed and what to do.",
            )
        launched = sum(
            server.launched
            for name in run.waves
            if (outcome := ledger.outcome(name)) is not None
            for server in outcome.servers
        )
        text = f"The drill passed: {launched} server(s) launched in {len(run.waves)} wave(s), and cleaned up."
        self.log.info(text)
        return text

    def _doubts(self, ledger: Ledger, run: RunRecord, states: Mapping[str, str | None]) -> Any:
        resolution = ledger.resolution()
        required = [PREFLIGHT_TASK_ID]
        for name in run.waves:
            wave = resolution.waves.get(name) if resolution else None
            if wave is None or not wave.left_out:
                required.append(last_task_id(name))
        required += [TERMINATE_TASK_ID, EVIDENCE_TASK_ID]
        for task_id in required:
            state = states.get(task_id)
            if state != "success":
                yield f"{task_id} is {state or 'without a state'}"
        for task_id, state in sorted(states.items()):
            failure = ledger.failure(task_id)
            if state == "failed" and failure is not None:
                yield f"{task_id} failed with [{failure.code}] {failure.message}"
        cleanup = ledger.cleanup()
        if cleanup is None or not (cleanup.proven or cleanup.kept):
            yield "clean-up is not proven complete"


def task_states(context: Context) -> dict[str, str | None]:
    """The state of every task of the run, by task id."""
    ti: Any = context["ti"]
    states = ti.get_task_states(dag_id=ti.dag_id, run_ids=[ti.run_id])
    return dict(states.get(ti.run_id, {}))
