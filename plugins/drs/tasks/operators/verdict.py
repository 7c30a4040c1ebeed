"""The end of a run: decides whether the run passed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from airflow.sdk import BaseOperator

from drs.errors import Code, DrillError, error_class
from drs.evidence.objectives import Unmet, read_unmet
from drs.notify.messages import record_facts, result_facts
from drs.run.proof import EVIDENCE_TASK_ID, causes, doubts, failed_tasks, verdict_code
from drs.run.records import FailureRecord, RunRecord
from drs.run.result import left_in_words, passed
from drs.tasks.drill_task import coded_failures, finished_ledger, task_states
from drs.tasks.identity import find_run
from drs.tasks.send_messages import notify_pass, told
from drs.text import shown

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
            known = causes(ledger, run, states)
            raise _did_not_pass("drill", found, verdict_code(ledger, run, states), known)
        found = list(doubts(ledger, run, states))
        unmet = _unmet(context, run)
        missed = [each.says for each in unmet]
        enforced = missed if run.read_plan().objectives.enforce else []
        if found or enforced:
            # A missed objective gives the code only if nothing else kept the run from passing.
            code = verdict_code(ledger, run, states) if found else unmet[0].code
            raise _did_not_pass(
                "drill" if run.is_drill else "recovery",
                [*found, *enforced],
                code,
                causes(ledger, run, states),
                facts=[("Everything terminated", left_in_words(ledger, run)), *record_facts(told(context))],
            )
        text = passed(ledger, run, missed)
        (self.log.warning if missed else self.log.info)("%s", shown.block(text))
        if not run.missed:
            self.log.info("%s", shown.block(_listed(result_facts(run, told(context)))))
        notify_pass(context, ledger, text, missed)
        return text


def _unmet(context: Context, run: RunRecord) -> tuple[Unmet, ...]:
    """The objectives that a run which was to launch servers did not meet."""
    if run.missed or run.dry_run:
        return ()
    return read_unmet(context["ti"].xcom_pull(task_ids=EVIDENCE_TASK_ID), run.read_plan())


def _did_not_pass(
    what: str,
    found: Sequence[str],
    code: Code,
    known: Sequence[tuple[str, FailureRecord]],
    facts: Iterable[tuple[str, str]] = (),
) -> DrillError:
    """The failure of the verdict: the cause in the first line, every doubt, and how to go on.

    :param known: the failures of the run's tasks, the cause first
    :param facts: what else a person wants to know at the end of a drill
    """
    cause = next((f" {failure.code} in {task_id}." for task_id, failure in known), "")
    listed = "\n".join(f"- {doubt}" for doubt in found)
    return error_class(code)(
        f"The {what} did not pass:{cause}\n{listed}", remedy=_remedy(code, known), details=_listed(facts)
    )


def _remedy(code: Code, known: Sequence[tuple[str, FailureRecord]]) -> str:
    """What to do: the remedy of the verdict's own code if that tells more, and the remedy of each cause."""
    tasks: dict[str, list[str]] = {}
    for task_id, failure in known:
        if failure.remedy:
            tasks.setdefault(failure.remedy, []).append(task_id)
    own = error_class(code).remedy
    if not tasks:
        return own
    if code is Code.DRILL_FAILED and len(tasks) == 1:
        return next(iter(tasks))
    told = [f"- {', '.join(ids)}: {remedy}" for remedy, ids in tasks.items()]
    return "\n".join([*([] if code is Code.DRILL_FAILED else [own]), *told])


def _listed(facts: Iterable[tuple[str, str]]) -> str:
    return "\n".join(f"{name}: {text}" for name, text in facts)
