"""The end of a run: decides whether the run passed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow.sdk import BaseOperator

from drs.errors import Code, DrillError, DrillFailed, RpoMissed, RtoMissed
from drs.evidence.objectives import Unmet, read_unmet
from drs.run.proof import EVIDENCE_TASK_ID, doubts, failed_tasks
from drs.run.records import RunRecord
from drs.run.result import passed
from drs.tasks.drill_task import coded_failures, finished_ledger, task_states
from drs.tasks.send_messages import notify_pass

if TYPE_CHECKING:
    from airflow.sdk import Context


class DrsDrillVerdictOperator(BaseOperator):
    """Pass the run only if it proved everything that it was started to prove.

    A task that was skipped, removed or never run is not a success, even where Airflow would call the run one.
    """

    @coded_failures
    def execute(self, context: Context) -> str:
        ledger = finished_ledger(context)
        run = ledger.begun()
        states = task_states(context)
        if run is None:
            found = [*failed_tasks(ledger, states), "the run never began"]
            unmet: tuple[Unmet, ...] = ()
        else:
            found = list(doubts(ledger, run, states))
            unmet = _unmet(context, run)
        enforced = [each.says for each in unmet] if run and run.read_plan().objectives.enforce else []
        if run is None or found or enforced:
            listed = "\n".join(f"- {doubt}" for doubt in (*found, *enforced))
            what = "recovery" if run and not run.is_drill else "drill"
            message = f"The {what} did not pass:\n{listed}"
            if not found:
                raise _missed(unmet[0], message)
            raise DrillFailed(
                message,
                remedy="Read the end of the log of the first task named: it says what failed and what to do.",
            )
        missed = [each.says for each in unmet]
        text = passed(ledger, run, missed)
        for each in missed:
            self.log.warning("An objective of the plan was missed: %s.", each)
        self.log.info(text)
        notify_pass(context, ledger, text, missed)
        return text


def _unmet(context: Context, run: RunRecord) -> tuple[Unmet, ...]:
    """The objectives that a run which was to launch servers did not meet."""
    if run.missed or run.dry_run:
        return ()
    return read_unmet(context["ti"].xcom_pull(task_ids=EVIDENCE_TASK_ID), run.read_plan())


def _missed(unmet: Unmet, message: str) -> DrillError:
    return RpoMissed(message) if unmet.code == Code.RPO_MISSED else RtoMissed(message)
