"""Validates the launched servers of a wave: what DRS always owes, and what the plan asks beside it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow.providers.amazon.aws.operators.base_aws import AwsBaseOperator

from drs import settings
from drs.aws.access_denied import allow, denied_action
from drs.errors import DrillFailed, ValidationFailed
from drs.run.ledger import Ledger
from drs.run.records import (
    CheckResult,
    LaunchRecord,
    ResolvedServer,
    RunRecord,
    ServerRecord,
    ValidationBegin,
    WaveOutcome,
    WaveResolution,
    WaveValidation,
)
from drs.tables import table
from drs.tasks.drill_task import chosen_wave, coded_failures, hook_parameters, run_ledger, use_target, wait
from drs.tasks.hook import DrsHook
from drs.tasks.send_messages import announce_wave
from drs.tasks.triggers import DrsValidationTrigger
from drs.times import utc_now
from drs.validation.observation import first_line
from drs.validation.runner import failures, last_deadline
from drs.validation.wave_to_check import ServerToCheck, WaveToCheck

if TYPE_CHECKING:
    from airflow.sdk import Context

NAMED = 5
"""Failed checks that the message tells in full; the table above it has all."""
HEADER = ("server", "name", "check", "result", "seen", "took")


class DrsValidateServersOperator(AwsBaseOperator[DrsHook]):
    """Make every check of a wave's launched servers, in parallel and in the triggerer.

    The gate ``validated`` opens when every required server has passed its checks. What an optional server
    fails is a warning.

    :param wave: the wave's name
    """

    aws_hook_class = DrsHook
    template_fields: Sequence[str] = ()  # the run's record says where: nothing to fill in, and a smaller DAG

    def __init__(self, *, wave: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.wave = wave

    @coded_failures
    def execute(self, context: Context) -> list[dict[str, Any]]:
        """Begin the validation; a try that finds one begun and not ended takes it up."""
        ledger, run, resolution = self._load(context)
        servers = self._launched(ledger, resolution)
        begin = self._begin(ledger, servers)
        wave = self._wave_to_check(run, servers, begin)
        trigger = DrsValidationTrigger(
            wave=wave.model_dump(mode="json"),
            poll=settings.poll_interval_near(),
            **hook_parameters(self),
        )
        results: Sequence[CheckResult] | None = None
        if not wave.asks_more:  # mostly decided by one look, which takes less time than to defer
            results = asyncio.run(trigger.look_once())
        if results is None:
            self.log.info("Checking %d server(s) of wave %s.", len(servers), self.wave)
            results = _of(wait(self, trigger, last_deadline(wave), resume="resume"))
        return self._judge(context, ledger, resolution, results)

    @coded_failures
    def resume(self, context: Context, event: dict[str, Any] | None = None) -> list[dict[str, Any]]:
        """Judge what the checks saw.

        :return: the results
        """
        ledger, _, resolution = self._load(context)
        return self._judge(context, ledger, resolution, _of(event))

    def _load(self, context: Context) -> tuple[Ledger, RunRecord, WaveResolution]:
        ledger = run_ledger(context)
        run = ledger.run()
        resolution = chosen_wave(ledger, run, self.wave)
        use_target(self, run)
        return ledger, run, resolution

    # --- what is to be checked --------------------------------------------------------------------------

    def _launched(self, ledger: Ledger, resolution: WaveResolution) -> list[ServerToCheck]:
        """The servers that the run's own last jobs launched.

        :raises DrillFailed: a required server has no record of it
        """
        launch, outcome = ledger.launch(self.wave), ledger.outcome(self.wave)
        if launch is None or outcome is None:
            raise DrillFailed(
                f"Wave {self.wave} has no record of its servers being launched.",
                remedy="Clear the wave's task 'start_recovery' with all after it.",
            )
        found = []
        for server in resolution.servers:
            record = _last_launch(server, launch, outcome)
            if record is None:
                if not server.optional:
                    raise DrillFailed(
                        f"Wave {self.wave}: server {server.server_id} ({server.name}) is not proven "
                        "launched, so it cannot be validated.",
                        remedy="Clear the wave's task 'start_recovery' with all after it.",
                    )
                self.log.warning(
                    "Optional server %s (%s) was not launched, and is not checked.",
                    server.server_id,
                    server.name,
                )
                continue
            assert record.job_id is not None
            assert record.instance_id is not None
            found.append(
                ServerToCheck(
                    server_id=server.server_id,
                    name=server.name,
                    group=server.group,
                    optional=server.optional,
                    starts=server.starts,
                    job_id=record.job_id,
                    instance_id=record.instance_id,
                )
            )
        return found

    def _begin(self, ledger: Ledger, servers: Sequence[ServerToCheck]) -> ValidationBegin:
        """When the time of the checks began: a triggerer that restarts, or a task that is retried, does not
        begin it anew; a task that was cleared after its end does.
        """
        launched_at = ledger.reached(self.wave, "launched") or utc_now()
        instances = {server.server_id: server.instance_id for server in servers}
        begun, ended = ledger.validation_begin(self.wave), ledger.validation(self.wave)
        if (
            begun is not None
            and begun.instances == instances
            and begun.began_at >= launched_at
            and (ended is None or ended.began_at != begun.began_at)
        ):
            self.log.info("Taking up the validation that began at %s.", begun.began_at.isoformat())
            return begun
        begin = ValidationBegin(began_at=max(utc_now(), launched_at), instances=instances)
        ledger.save_validation_begin(self.wave, begin)
        return begin

    def _wave_to_check(
        self, run: RunRecord, servers: Sequence[ServerToCheck], begin: ValidationBegin
    ) -> WaveToCheck:
        plan = run.read_plan()
        return WaveToCheck(
            plan=plan.name,
            wave=self.wave,
            token=run.token,
            is_drill=run.is_drill,
            region=plan.target.region,
            aws_conn_id=plan.target.aws_conn_id,
            began_at=begin.began_at,
            network=plan.network,
            checks={
                group: plan.checks_for(self.wave, group)
                for group in sorted({server.group for server in servers})
            },
            servers=tuple(servers),
        )

    # --- what was seen ----------------------------------------------------------------------------------

    def _judge(
        self, context: Context, ledger: Ledger, resolution: WaveResolution, results: Sequence[CheckResult]
    ) -> list[dict[str, Any]]:
        begin = ledger.validation_begin(self.wave)
        assert begin is not None
        ended_at = max((result.at for result in results), default=utc_now())
        validation = WaveValidation(began_at=begin.began_at, ended_at=ended_at, results=tuple(results))
        ledger.save_validation(self.wave, validation)
        names = {server.server_id: server.name for server in resolution.servers}
        self._tell(results, names)
        if required := [result for result in failures(results) if not result.optional]:
            raise self._failed(results, required, names)
        ledger.save_reached(self.wave, "validated", ended_at)
        announce_wave(context, ledger, self.wave)
        return [result.model_dump(mode="json", exclude={"output"}) for result in results]

    def _tell(self, results: Sequence[CheckResult], names: Mapping[str, str]) -> None:
        if not results:
            self.log.warning("Wave %s has launched no server, so there is nothing to check.", self.wave)
            return
        self.log.info("Validation of wave %s:\n%s", self.wave, table(HEADER, _rows(results, names)))
        for result in failures(results):
            if result.optional:
                self.log.warning("Optional: %s", _told(result, names))

    def _failed(
        self, results: Sequence[CheckResult], required: Sequence[CheckResult], names: Mapping[str, str]
    ) -> ValidationFailed:
        told = "; ".join(_told(result, names) for result in required[:NAMED])
        more = f"; and {len(required) - NAMED} more" if len(required) > NAMED else ""
        outputs = "".join(
            f"\n\n{result.check} of {result.server_id} ({names[result.server_id]}) said:\n{result.output}"
            for result in required
            if result.output
        )
        remedy = ValidationFailed.remedy
        if actions := sorted({action for each in required if (action := denied_action(each.seen))}):
            remedy = f"{allow(actions)} {remedy}"
        return ValidationFailed(
            f"Wave {self.wave}: {len(required)} of {len(results)} checks failed. {told}{more}",
            remedy=remedy,
            details=f"{table(HEADER, _rows(failures(results), names))}{outputs}",
        )


def _of(event: Mapping[str, Any] | None) -> list[CheckResult]:
    """The results that the trigger's event brings."""
    assert event is not None
    return [CheckResult.model_validate(result) for result in event["results"]]


def _last_launch(server: ResolvedServer, launch: LaunchRecord, outcome: WaveOutcome) -> ServerRecord | None:
    """The record that the job of the server's last start launched it."""
    job_id = next(
        (slot.job_id for slot in launch.timeline.servers if slot.server_id == server.server_id), None
    )
    return next(
        (
            record
            for record in outcome.servers
            if record.server_id == server.server_id and record.launched and record.job_id == job_id
        ),
        None,
    )


def _rows(results: Sequence[CheckResult], names: Mapping[str, str]) -> list[tuple[str, ...]]:
    return [
        (
            result.server_id,
            names[result.server_id],
            result.check,
            "passed" if result.passed else ("failed (optional)" if result.optional else "FAILED"),
            first_line(result.seen),
            f"{result.seconds:.0f} s",
        )
        for result in results
    ]


def _told(result: CheckResult, names: Mapping[str, str]) -> str:
    """``http :80/health of s-… (web-1), i-…: …``"""
    name = names[result.server_id]
    return f"{result.check} of {result.server_id} ({name}), {result.instance_id}: {result.seen}"
