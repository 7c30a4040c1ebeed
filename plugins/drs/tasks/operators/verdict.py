"""The end of a run: decides whether the run passed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow.sdk import BaseOperator

from drs.errors import DrillFailed
from drs.run.proof import doubts, failed_tasks, passed
from drs.tasks.drill_task import coded_failures, finished_ledger, task_states
from drs.tasks.identity import find_run
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
        run = find_run(context, ledger, self.log)
        states = task_states(context)
        if run is None:
            found = [*failed_tasks(ledger, states), "the run never began"]
        else:
            found = list(doubts(ledger, run, states))
        if run is None or found:
            listed = "\n".join(f"- {doubt}" for doubt in found)
            what = "recovery" if run and not run.is_drill else "drill"
            raise DrillFailed(
                f"The {what} did not pass:\n{listed}",
                remedy="Read the end of the log of the first task named: it says what failed and what to do.",
            )
        text = passed(ledger, run)
        self.log.info(text)
        notify_pass(context, ledger, text)
        return text
