"""Validates the launched servers of a wave: by the check that is always made, and by those in the plan."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from drs import settings
from drs.aws.access_denied import allow
from drs.aws.refusals import meaning_of
from drs.errors import BEFORE_CLEAN_UP, DrillFailed, ValidationFailed
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
from drs.tasks.aws_task import AwsTask
from drs.tasks.drill_task import (
    ResumesAfterTimeout,
    chosen_wave,
    coded_failures,
    hook_parameters,
    run_ledger,
    use_target,
    wait,
)
from drs.tasks.send_messages import notify_wave
from drs.tasks.triggers import DrsValidationTrigger
from drs.tasks.worker_clients import WorkerClients
from drs.text import shown
from drs.text.tables import named, table
from drs.text.times import clock_time, utc_now
from drs.validation.observation import first_line
from drs.validation.runner import DENIES, failures, last_deadline
from drs.validation.wave_to_check import ServerToCheck, WaveToCheck

if TYPE_CHECKING:
    from airflow.sdk import Context

NAMED = 5
"""How many failed checks the message describes in full. The table above the message has all of them."""
HEADER = ("server", "name", "check", "result", "seen", "took")


class DrsValidateServersOperator(ResumesAfterTimeout, AwsTask):
    """Run every check of a wave's launched servers, in parallel and in the triggerer.

    The gate ``validated`` opens when every required server has passed its checks. A failed check of an
    optional server is a warning.

    :param wave: the wave's name
    """

    after_timeout = "execute"

    def __init__(self, *, wave: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.wave = wave

    @coded_failures
    def execute(self, context: Context) -> list[dict[str, Any]]:
        """Begin the validation, or continue one that an earlier try began and did not end."""
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
        if not wave.asks_more:  # one look mostly decides, and takes less time than a deferral
            results = asyncio.run(trigger.look_once(WorkerClients(self.hook)))
        if results is None:
            self.log.info("Checking %d server(s) of wave %s.", len(servers), self.wave)
            results = _of(wait(self, trigger, last_deadline(wave), resume="resume"))
        return self._judge(context, ledger, resolution, results)

    @coded_failures
    def resume(self, context: Context, event: dict[str, Any] | None = None) -> list[dict[str, Any]]:
        """Judge the results of the checks.

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
        """The servers that the last jobs of this run launched.

        :raises DrillFailed: for a required server, no record says that it launched
        """
        launch, outcome = ledger.launch(self.wave), ledger.outcome(self.wave)
        if launch is None or outcome is None:
            raise DrillFailed(
                f"No record says that the servers of wave {self.wave} launched.",
                remedy="Clear the wave's task 'start_recovery' with all tasks after it.",
            )
        found = []
        for server in resolution.servers:
            record = _last_launch(server, launch, outcome)
            if record is None:
                if not server.optional:
                    raise DrillFailed(
                        f"Wave {self.wave}: no record says that server "
                        f"{named(server.server_id, server.name)} launched, so it cannot be validated.",
                        remedy="Clear the wave's task 'start_recovery' with all tasks after it.",
                    )
                self.log.warning(
                    "No record says that optional server %s launched, so it is not checked.",
                    named(server.server_id, server.name),
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
        """When the time of the checks began.

        A restarted triggerer or a retried task continues that time. A task that is cleared after it ended
        begins again.
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
            self.log.info("Continuing the validation that began at %s.", clock_time(begun.began_at))
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
        required = [result for result in failures(results) if not result.optional]
        self._log_results(results, names, passed=not required)
        if required:
            raise self._failed(results, required, names)
        ledger.save_reached(self.wave, "validated", ended_at)
        notify_wave(context, ledger, self.wave)
        return [result.model_dump(mode="json", exclude={"output"}) for result in results]

    def _log_results(self, results: Sequence[CheckResult], names: Mapping[str, str], *, passed: bool) -> None:
        """Log the results, and warn of optional servers. The failure of the task shows its own table."""
        if not results:
            self.log.warning("No server of wave %s launched, so there is nothing to check.", self.wave)
            return
        if passed:
            self.log.info(
                "Wave %s: %d of %d checks of %d server(s) passed.\n%s",
                self.wave,
                sum(result.passed for result in results),
                len(results),
                len({result.server_id for result in results}),
                table(HEADER, _rows(results, names)),
            )
        for result in failures(results):
            if result.optional:
                self.log.warning("Optional: %s", _described(result, names))

    def _failed(
        self, results: Sequence[CheckResult], required: Sequence[CheckResult], names: Mapping[str, str]
    ) -> ValidationFailed:
        described = "; ".join(_described(result, names) for result in required[:NAMED])
        more = f"; and {len(required) - NAMED} more" if len(required) > NAMED else ""
        outputs = "".join(
            f"\n\n{result.check} of {named(result.server_id, names[result.server_id])} printed:\n"
            f"{shown.quoted(result.output)}"
            for result in required
            if result.output
        )
        remedy = ValidationFailed.remedy
        if denied := _about_denials(required):
            remedy = f"{denied} {remedy}"
        return ValidationFailed(
            f"Wave {self.wave}: {len(required)} of {len(results)} checks failed. {described}{more}",
            remedy=remedy,
            details=f"{table(HEADER, _rows(failures(results), names))}{outputs}",
        )


def _of(event: Mapping[str, Any] | None) -> list[CheckResult]:
    """The results in the trigger's event."""
    assert event is not None
    return [CheckResult.model_validate(result) for result in event["results"]]


def _last_launch(server: ResolvedServer, launch: LaunchRecord, outcome: WaveOutcome) -> ServerRecord | None:
    """The record that the server was launched by the job of its last launch; ``None`` if there is none."""
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


def _about_denials(results: Sequence[CheckResult]) -> str:
    """What to do about the checks whose calls AWS denied; empty if there are none."""
    denied = [meaning_of(each.seen) for each in results if each.seen.startswith(DENIES)]
    actions = sorted({str(each.action) for each in denied if each.statement_helps})
    others = dict.fromkeys(each.remedy for each in denied if not each.statement_helps)
    allowed = [f"{allow(actions)}, then {BEFORE_CLEAN_UP}"] if actions else []
    return " ".join([*allowed, *others])


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


def _described(result: CheckResult, names: Mapping[str, str]) -> str:
    """``http :80/health of s-… (web-1), i-…: …``"""
    server = named(result.server_id, names[result.server_id])
    return f"{shown.line(result.check)} of {server}, {result.instance_id}: {shown.line(result.seen)}"
