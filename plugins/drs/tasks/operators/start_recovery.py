"""Launches the servers of a wave, by the wave's timeline."""

from __future__ import annotations

import contextlib
import datetime as dt
import time
from functools import cached_property
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from drs import settings
from drs.errors import PlanChanged, ServerConflict
from drs.launch.before_call import WhyHeld
from drs.launch.wave_launch import WaveLaunch
from drs.run.ledger import Ledger
from drs.run.other_drills import OtherDrill, why_held
from drs.run.proof import KEPT_LAUNCH
from drs.run.records import LaunchRecord, RunRecord
from drs.run.timeline import ServerSlot, Timeline, WaitUntil
from drs.tasks.active_run import activity_of_runs
from drs.tasks.aws_task import AwsTask
from drs.tasks.drill_task import (
    ResumesAfterTimeout,
    XComStore,
    chosen_wave,
    cleanup_has_begun,
    coded_failures,
    hook_parameters,
    use_target,
    wait,
)
from drs.tasks.hook import Ec2Instances
from drs.tasks.installation import keep_launch
from drs.tasks.links import DrsJobHistoryLink
from drs.tasks.operators.begin import claim
from drs.tasks.publish_measures import measure_calls
from drs.tasks.standing import require_standing
from drs.tasks.triggers import DrsHoldersTrigger
from drs.text.times import clock_time, duration, utc_now

if TYPE_CHECKING:
    from airflow.sdk import Context

RESUME_LEAD = dt.timedelta(seconds=4)
"""A deferred task needs about this long until it can make a call. Its trigger begins to count about 1.3 s
late, a worker has it about 1.1 s after the trigger's end, and it reads its records and makes its clients.
It is woken that much earlier and sleeps the rest, so that the call is made when the plan says."""


class DrsStartRecoveryOperator(ResumesAfterTimeout, AwsTask):
    """Start the recovery of every server of a wave, ``server_delay`` apart or in one job.

    The task is deferred during every pause. A server that another job holds is retried by the plan's backoff.
    While it waits, the free servers are launched.

    .. seealso:: https://docs.aws.amazon.com/drs/latest/APIReference/API_StartRecovery.html

    :param wave: the wave's name
    """

    operator_extra_links = (DrsJobHistoryLink(),)

    def __init__(self, *, wave: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.wave = wave

    @coded_failures
    def execute(self, context: Context) -> dict[str, Any]:
        """Begin the launch; a later try launches what is missing."""
        return self._launch(context, resumed=False)

    @coded_failures
    def resume(self, context: Context, event: dict[str, Any] | None = None) -> dict[str, Any]:
        """Continue after a pause. Everything that is known is in the ledger."""
        return self._launch(context, resumed=True)

    def _launch(self, context: Context, *, resumed: bool) -> dict[str, Any]:
        ledger = _KeptLedger(context)
        known = ledger.launch(self.wave)
        if known and not resumed:
            ledger.save_launch(self.wave, known)  # Airflow has just deleted the copy that an earlier try kept
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
            still_standing=lambda: require_standing(ledger, run, self.hook, self._ec2, self.log),
            why_held=self._why_held(context, run),
            try_number=context["ti"].try_number,
        )
        launch.begin(resolved.servers, opens_at)
        if known and not resumed:
            launch.reconcile()
        while isinstance(step := launch.advance(), WaitUntil):
            self._pause(step, launch.record.timeline)
        self._persist_link(context)
        measure_calls(context, ledger, self.wave, launch.record)
        return self._finish(launch.record)

    @cached_property
    def _ec2(self) -> Ec2Instances:
        return Ec2Instances(hook=self.hook)

    def _why_held(self, context: Context, run: RunRecord) -> WhyHeld:
        """Why a drill instance that this run did not launch holds its server."""
        activity = activity_of_runs(context["ti"])
        grace = run.read_plan().launch_for(self.wave).foreign_drill_grace

        def why(drill: OtherDrill) -> str | None:
            return why_held(
                drill, installation=run.installation, grace=grace, now=utc_now(), activity=activity
            )

        return why

    def _opens_at(self, ledger: Ledger, run: RunRecord) -> dt.datetime:
        """When the wave's first call is due: ``delay_before`` after its approval and after the gates before
        it.
        """
        plan = run.read_plan()
        gates = _gates_reached(ledger, run, self.wave)
        delay = plan.delay_for(self.wave) if gates or not plan.dependencies(self.wave) else dt.timedelta(0)
        approval = ledger.approval(self.wave)
        answered = [approval.at] if approval else []
        return max([*gates, *answered], default=utc_now()) + delay

    def _pause(self, step: WaitUntil, timeline: Timeline) -> None:
        left = step.at - utc_now()
        if left <= RESUME_LEAD:
            self._open_clients()
            time.sleep(max((step.at - utc_now()).total_seconds(), 0.0))
            return
        self._log_pause(step, timeline, left)
        wake_at = step.at - RESUME_LEAD
        trigger = DrsHoldersTrigger(
            deadline=wake_at.isoformat(),
            holders=list(step.holders),
            poll=settings.poll_interval_near(),
            **hook_parameters(self),
        )
        wait(self, trigger, wake_at, resume="resume")

    def _open_clients(self) -> None:
        """Make the clients that the next call needs while it is not due yet: each takes a while."""
        # What AWS refuses here, it refuses again at the call, where it is handled.
        with contextlib.suppress(ClientError, BotoCoreError):
            assert self.hook.conn
            assert self.hook.unrepeated
            assert self.hook.ec2

    def _log_pause(self, step: WaitUntil, timeline: Timeline, left: dt.timedelta) -> None:
        due = min((slot for slot in timeline.servers if slot.waiting), key=lambda slot: slot.not_before)
        held_up = timeline.paused_until is not None or due.refused_since is not None
        servers = "wave's servers" if timeline.jobs == "per_wave" else "next server"
        self.log.info(
            "Waiting %s (%s) before launching the %s, until %s%s.",
            duration(round(left.total_seconds())),
            "servers are held or calls are paused, see above" if held_up else "the plan's delay",
            "wave's first server" if timeline.last_call is None else servers,
            clock_time(step.at),
            f" or until one of these jobs has ended: {', '.join(step.holders)}" if step.holders else "",
        )

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
                self.log.warning("Optional server %s was not launched: %s.", slot.server_id, slot.given_up)
        if required := [slot for slot in given_up if not slot.optional]:
            held = "; ".join(f"{slot.server_id}: {slot.given_up}, {_holder(slot)}" for slot in required)
            raise ServerConflict(
                f"Wave {self.wave}: {len(required)} server(s) could not be launched. {held}."
            )
        self.log.info("Wave %s: %d launch jobs started.", self.wave, len(jobs))
        return jobs


def _holder(slot: ServerSlot) -> str:
    """What held a server at the last refusal, as a clause."""
    return f"because {slot.held_by}" if slot.held_by else f"last held by {slot.holder or 'no listed job'}"


class _KeptLedger(Ledger):
    """Keeps a copy of the wave's launch in this task's own XCom.

    Clearing the whole run deletes the ledger; ``begin`` then restores the launch from this copy.
    """

    def __init__(self, context: Context) -> None:
        super().__init__(XComStore(context["ti"]))
        self._ti: Any = context["ti"]
        self._begun: RunRecord | None = None

    def begun(self) -> RunRecord | None:
        """The run's record, which does not change while the wave is launched, even if somebody deletes it."""
        if self._begun is None:
            self._begun = super().begun()
        return self._begun

    def save_launch(self, wave: str, record: LaunchRecord) -> None:
        # First, because there may be no run any more to which an XCom can be written.
        if record.tags_refused and (run := self.begun()):
            keep_launch(run, wave, record)
        super().save_launch(wave, record)
        self._ti.xcom_push(key=KEPT_LAUNCH, value=record.model_dump(mode="json"))


def _gates_reached(ledger: Ledger, run: RunRecord, wave: str) -> list[dt.datetime]:
    """When each gate before the wave was reached. For a wave that this run leaves out, the gates before it
    count.

    :raises PlanChanged: a wave that must come first has not reached its gate, because the file's order was
        edited
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
                f"Wave {wave} comes after wave {name}, but no record says when wave {name} was "
                f"{plan.wave(name).next_wave_when}: either the order of waves in the plan file was edited "
                "while this run was active, or somebody marked a task of that wave as success.",
                remedy="Nothing to fix: this run cleans up and ends. Start a new run.",
            )
        reached.append(at)
    return reached
