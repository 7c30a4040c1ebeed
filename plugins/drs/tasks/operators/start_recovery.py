"""Starts the recovery of a wave's servers, along the wave's timeline."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow.providers.amazon.aws.operators.base_aws import AwsBaseOperator

from drs import settings
from drs.errors import PlanChanged, ServerConflict
from drs.launch.wave_launch import WaveLaunch
from drs.run.ledger import Ledger
from drs.run.proof import KEPT_LAUNCH
from drs.run.records import LaunchRecord, RunRecord
from drs.run.timeline import WaitUntil
from drs.tasks.drill_task import (
    XComStore,
    chosen_wave,
    cleanup_has_begun,
    coded_failures,
    hook_parameters,
    use_target,
    wait,
)
from drs.tasks.hook import DrsHook
from drs.tasks.links import DrsJobHistoryLink
from drs.tasks.operators.begin import claim
from drs.tasks.publish_measures import measure_calls
from drs.tasks.triggers import DrsHoldersTrigger
from drs.times import clock_time, utc_now

if TYPE_CHECKING:
    from airflow.sdk import Context

RESUME_LEAD = dt.timedelta(seconds=2.5)
"""A deferred task takes about this long to be back in a worker: it is woken earlier and sleeps the rest, so
that a call comes when the plan says."""


class DrsStartRecoveryOperator(AwsBaseOperator[DrsHook]):
    """Start the recovery of every server of a wave, ``server_delay`` apart or in one job.

    Every pause is a deferral. A server that another job holds is retried on the plan's backoff, while the
    free ones go on.

    .. seealso:: https://docs.aws.amazon.com/drs/latest/APIReference/API_StartRecovery.html

    :param wave: the wave's name
    """

    aws_hook_class = DrsHook
    template_fields: Sequence[str] = ()  # the run's record says where: nothing to fill in, and a smaller DAG
    operator_extra_links = (DrsJobHistoryLink(),)

    def __init__(self, *, wave: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.wave = wave

    @coded_failures
    def execute(self, context: Context) -> dict[str, Any]:
        """Begin the launch, or on a later try go on with what is missing."""
        return self._launch(context, resumed=False)

    @coded_failures
    def resume(self, context: Context, event: dict[str, Any] | None = None) -> dict[str, Any]:
        """Go on after a pause; the ledger holds all that is known."""
        return self._launch(context, resumed=True)

    def _launch(self, context: Context, *, resumed: bool) -> dict[str, Any]:
        ledger = _KeptLedger(context)
        known = ledger.launch(self.wave)
        if known and not resumed:
            ledger.save_launch(self.wave, known)  # Airflow has just wiped the copy of an earlier try
        run = ledger.run()
        resolved = chosen_wave(ledger, run, self.wave)
        if not resumed:
            claim(context)
        opens_at = self._opens_at(ledger, run)
        use_target(self, run)
        launch = WaveLaunch(
            hook=self.hook,
            ledger=ledger,
            run=run,
            wave=self.wave,
            closed=lambda: cleanup_has_begun(context),
            log=self.log,
        )
        launch.begin(resolved.servers, opens_at)
        if known and not resumed:
            launch.reconcile()
        while isinstance(step := launch.advance(), WaitUntil):
            self._pause(step)
        self._persist_link(context)
        measure_calls(context, ledger, self.wave, launch.record)
        return self._finish(launch.record)

    def _opens_at(self, ledger: Ledger, run: RunRecord) -> dt.datetime:
        """When the wave's first call is due: ``delay_before`` after its approval and the gates before it."""
        plan = run.read_plan()
        gates = _gates_reached(ledger, run, self.wave)
        delay = plan.delay_for(self.wave) if gates or not plan.dependencies(self.wave) else dt.timedelta(0)
        approval = ledger.approval(self.wave)
        answered = [approval.at] if approval else []
        return max([*gates, *answered], default=utc_now()) + delay

    def _pause(self, step: WaitUntil) -> None:
        left = step.at - utc_now()
        if left <= RESUME_LEAD:
            time.sleep(max(left.total_seconds(), 0.0))
            return
        self.log.info("Next call at %s, in %.0f s.", clock_time(step.at), left.total_seconds())
        wake_at = step.at - RESUME_LEAD
        trigger = DrsHoldersTrigger(
            deadline=wake_at.isoformat(),
            holders=list(step.holders),
            poll=settings.poll_interval_near(),
            **hook_parameters(self),
        )
        wait(self, trigger, wake_at, resume="resume")

    def _persist_link(self, context: Context) -> None:
        DrsJobHistoryLink.persist(
            context=context,
            operator=self,
            region_name=self.hook.conn_region_name,
            aws_partition=self.hook.conn_partition,
        )

    def _finish(self, record: LaunchRecord) -> dict[str, Any]:
        jobs = {job_id: list(servers) for job_id, servers in record.jobs.items()}
        given_up = [slot for slot in record.timeline.servers if slot.given_up]
        for slot in given_up:
            if slot.optional:
                self.log.warning("Optional server %s was not started: %s.", slot.server_id, slot.given_up)
        if required := [slot for slot in given_up if not slot.optional]:
            held = "; ".join(
                f"{slot.server_id}: {slot.given_up}, last held by {slot.holder or 'no job that can be seen'}"
                for slot in required
            )
            raise ServerConflict(f"Wave {self.wave}: DRS refused to start {len(required)} server(s). {held}.")
        self.log.info("Wave %s: %d job(s) made.", self.wave, len(jobs))
        return jobs


class _KeptLedger(Ledger):
    """Keeps a copy of the wave's launch with this task: when the whole run is cleared, and its ledger wiped
    with it, ``begin`` puts it back.
    """

    def __init__(self, context: Context) -> None:
        super().__init__(XComStore(context["ti"]))
        self._ti: Any = context["ti"]

    def save_launch(self, wave: str, record: LaunchRecord) -> None:
        super().save_launch(wave, record)
        self._ti.xcom_push(key=KEPT_LAUNCH, value=record.model_dump(mode="json"))


def _gates_reached(ledger: Ledger, run: RunRecord, wave: str) -> list[dt.datetime]:
    """When each gate before the wave was reached; a wave that this run leaves out passes on those before it.

    :raises PlanChanged: a wave that must come first has not reached its gate: the file's order was edited
    """
    plan = run.read_plan()
    resolution = ledger.resolution()
    reached = []
    for name in plan.dependencies(wave):
        left_out = name not in run.waves or (resolution is not None and resolution.waves[name].left_out)
        if left_out:
            reached += _gates_reached(ledger, run, name)
            continue
        at = ledger.reached(name, plan.wave(name).next_wave_when)
        if at is None:
            raise PlanChanged(
                f"Wave {wave} comes after wave {name}, and nothing says when that was "
                f"{plan.wave(name).next_wave_when}: the plan file's order of waves was edited while this run "
                "was under way, or a task of the wave was marked as success by hand.",
                remedy="Nothing to mend: this run cleans up and ends. Trigger a new one.",
            )
        reached.append(at)
    return reached
