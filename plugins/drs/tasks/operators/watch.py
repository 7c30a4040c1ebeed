"""Looks every few minutes for drills that stand still, and for what drills have left in AWS."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator
from botocore.exceptions import BotoCoreError, ClientError

from drs import settings
from drs.errors import DrillError, InvalidField
from drs.plan import Plan
from drs.plan.model import Notifier
from drs.tasks.active_run import is_active
from drs.tasks.drill_task import logged_failures
from drs.tasks.installation import kept_runs
from drs.tasks.send_messages import MadeNotifier, deliver, named_notifiers, plan_notifiers
from drs.tasks.watching import Folder, Looked, connect, look_now, read_memory, save_memory
from drs.text.times import utc_now
from drs.watch import messages
from drs.watch.ending import GRACE, end, may_end
from drs.watch.findings import WatchFinding, as_error
from drs.watch.memory import WatchMemory, notified, see_findings, seen_since, to_notify

if TYPE_CHECKING:
    from airflow.sdk import Context


class DrsWatchOperator(BaseOperator):
    """Compare what AWS has with what Airflow knows, notify people once of each finding, and fail as long as
    there is any.

    With ``[drs] watch_terminates`` it also ends what it has seen left for an hour, one step in each run.
    """

    @logged_failures
    def execute(self, context: Context) -> None:
        ti, now = context["ti"], utc_now()
        before, folder = read_memory(), Folder(self.dag_id)
        looked = look_now(ti, kept_runs(folder.files or ()), folder, before, now)
        notifiers, findings = watch_notifiers(looked.comparison.findings)
        memory = see_findings(looked.memory, findings, looked.blind, now)
        findings = [self._announced(finding, looked, memory) for finding in findings]
        due = to_notify(memory, findings, now)
        # Written before anything is sent: a task that is cut off in between sends nothing, rather than twice.
        save_memory(notified(memory, due))
        for finding in due:
            self._notify(finding, looked, notifiers)
        self._log_facts(looked, now)
        failures = list(self._end(ti, looked, memory, findings, now))
        if findings:
            error = as_error(findings)
            raise error if not failures else _with_failures(error, failures)
        self.log.info("No drill stands still, and nothing is left that no rule keeps.")

    def _announced(self, finding: WatchFinding, looked: Looked, memory: WatchMemory) -> WatchFinding:
        """The finding, which says if the watch will end it by itself."""
        if not settings.watch_terminates() or may_end(finding, looked.airflow) is None:
            return finding
        at = messages.ends_at(seen_since(memory, finding) + GRACE)
        return dataclasses.replace(finding, remedy=f"{finding.remedy} {at}")

    def _notify(self, finding: WatchFinding, looked: Looked, others: Sequence[Notifier]) -> None:
        chosen = list(who(finding, looked, others))
        if not chosen:
            self.log.warning(
                "Nobody is notified of this (%s): neither the plan's notifications nor [drs] watch_notifiers "
                "name anybody.",
                finding.title,
            )
        for failure in deliver(messages.notice(finding, settings.base_url()), chosen):
            self.log.warning("%s.", failure)

    def _log_facts(self, looked: Looked, now: dt.datetime) -> None:
        for unread in looked.unread:
            self.log.warning(
                "Not read, because no drill was ever run there: %s", messages.unreadable(unread).message
            )
        if facts := looked.comparison.facts:
            self.log.info(
                "These drill instances are no findings, and the watch does not touch them:\n%s",
                messages.facts_table(facts, now),
            )

    def _end(
        self, ti: Any, looked: Looked, memory: WatchMemory, findings: Sequence[WatchFinding], now: dt.datetime
    ) -> Iterator[str]:
        """End what has been left for longer than the grace; gives why that failed."""
        if not settings.watch_terminates():
            return
        for finding in findings:
            plan = may_end(finding, looked.airflow)
            if plan is None or now - seen_since(memory, finding) < GRACE:
                continue
            if is_active(ti, finding.dag_id, finding.run_id):
                continue  # it was cleared since this look began
            try:
                self._take_step(finding, plan)
            except (DrillError, ClientError, BotoCoreError) as error:
                self.log.error("The watch could not terminate it: %s", error)
                yield str(error)

    def _take_step(self, finding: WatchFinding, plan: Plan) -> None:
        assert finding.orphan is not None
        self.log.warning("Terminating what run %s of %s has left.", finding.run_id, finding.plan)
        if not end(finding.orphan, plan, connect(finding.orphan.place), self.log, utc_now):
            self.log.info("The next run of the watch looks whether it is gone.")


def who(finding: WatchFinding, looked: Looked, others: Sequence[Notifier]) -> Iterator[MadeNotifier]:
    """Who is notified of a finding: those that its plan names; and the watch's own notifiers if the plan's
    file is gone, or if the plan names nobody.
    """
    plan = looked.airflow.plans.get(finding.dag_id)
    named = list(plan_notifiers(plan)) if plan else []
    yield from named
    if not named or not looked.airflow.has_file(finding.dag_id):
        yield from named_notifiers(others)


def watch_notifiers(findings: Sequence[WatchFinding]) -> tuple[tuple[Notifier, ...], list[WatchFinding]]:
    """The notifiers that the setting names. A setting that cannot be read is one more finding."""
    try:
        return settings.watch_notifiers(), list(findings)
    except InvalidField as error:
        broken = WatchFinding(
            code=error.code,
            keys=("setting watch_notifiers",),
            title="the setting watch_notifiers is broken",
            message=error.message,
            remedy=error.remedy,
        )
        return (), [*findings, broken]


def _with_failures(error: DrillError, failures: Sequence[str]) -> DrillError:
    """The error, which also says what the watch could not terminate."""
    listed = "\n".join(failures)
    return type(error)(
        f"{error.message}\nThe watch could not terminate everything:\n{listed}",
        remedy=error.remedy,
        details=error.details,
    )
