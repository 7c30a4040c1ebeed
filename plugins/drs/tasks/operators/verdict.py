"""The end of a run: decides whether the run passed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from airflow.sdk import BaseOperator

from drs.errors import Code, DrillError, error_class
from drs.evidence.objectives import Unmet, read_unmet
from drs.run.proof import EVIDENCE_TASK_ID, doubts, failed_tasks, verdict_code
from drs.run.records import RunRecord
from drs.run.result import passed
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
            raise _did_not_pass("drill", found, verdict_code(ledger, run, states))
        found = list(doubts(ledger, run, states))
        unmet = _unmet(context, run)
        missed = [each.says for each in unmet]
        enforced = missed if run.read_plan().objectives.enforce else []
        if found or enforced:
            # A missed objective gives the code only if nothing else kept the run from passing.
            code = verdict_code(ledger, run, states) if found else unmet[0].code
            raise _did_not_pass("drill" if run.is_drill else "recovery", [*found, *enforced], code)
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


def _did_not_pass(what: str, found: Sequence[str], code: Code) -> DrillError:
    listed = "\n".join(f"- {doubt}" for doubt in found)
    return error_class(code)(f"The {what} did not pass:\n{listed}")
