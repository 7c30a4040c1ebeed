"""One preflight: reads AWS, makes every check, and reports all findings at once."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Callable, Container, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from drs.aws.clients import AwsClients
from drs.errors import AccountMismatch, Code, SourceServerNotFound
from drs.preflight.capacity import capacity
from drs.preflight.checks import SERVER_CHECKS, SOURCE_CHECKS
from drs.preflight.checks.launch_settings import stopped_servers
from drs.preflight.checks.recovery_points import newest_before
from drs.preflight.facts import Facts
from drs.preflight.findings import Finding, Report
from drs.preflight.inputs import PreflightInputs
from drs.preflight.permissions import rehearse
from drs.preflight.reading import Caller, Reader, clock_skew
from drs.preflight.role_session import short_role_session
from drs.preflight.servers import Servers
from drs.run.records import Resolution, ResolvedServer, WaveResolution
from drs.run.resolution import nothing_to_launch, resolve
from drs.text.times import utc_now

LEAVES_OUT = frozenset(
    {
        Code.SERVER_CONFLICT,
        Code.UNHEALTHY_SERVER_REPLICATION,
        Code.RECOVERY_INSTANCE_EXISTS,
        Code.LAUNCH_CONFIGURATION_INVALID,
        Code.RECOVERY_POINT_NOT_FOUND,
        Code.CHECK_UNAVAILABLE,
    }
)
"""Findings that take an optional server out of the run. Its launch would be refused and hold up its wave,
would prove nothing, would land where the plan forbids, or would destroy a real recovery instance.
"""


def inspect(
    inputs: PreflightInputs, clients: AwsClients, *, now: Callable[[], dt.datetime] = utc_now
) -> Report:
    """Check whether the run may begin, and with which servers.

    Preflight ends early only in the wrong account and where DRS is not initialised, because the other checks
    would mean nothing there. Otherwise it makes every check, whatever the earlier ones found. Something that
    cannot be read is a finding: preflight fails closed.
    """
    report = _inspect(inputs, clients, now)
    return dataclasses.replace(report, findings=(*inputs.found, *report.findings))


def _inspect(inputs: PreflightInputs, clients: AwsClients, now: Callable[[], dt.datetime]) -> Report:
    reader = Reader(clients)
    caller = reader.caller()
    if caller is None:
        return Report(tuple(reader.findings))
    if caller.account_id != inputs.plan.target.account_id:
        return Report((_wrong_account(inputs, caller),))
    with ThreadPoolExecutor(1) as pool:  # DRS and EC2 are read while IAM is called about thirty times
        rehearsal = pool.submit(rehearse, clients, inputs, inputs.principal or caller.arn)
        items = reader.source_servers()
        if items is None:
            return Report((*rehearsal.result(), *reader.findings))
        resolution, findings, notes = _select(inputs, items)
        facts = reader.facts(items, resolution, inputs, now())
    servers = Servers(resolution)
    in_disaster = inputs.execution_type == "RECOVERY"
    rated = [
        _rated(finding, servers, only_warns=in_disaster and check in SOURCE_CHECKS)
        for check in SERVER_CHECKS
        for finding in check(facts, inputs, servers)
    ]
    rated += [_rated(finding, servers) for finding in reader.findings]
    findings = [
        *clock_skew(caller.clock_ahead),
        *short_role_session(inputs.plan.target.aws_conn_id, clients.role_seconds),
        *rehearsal.result(),
        *findings,
        *(finding for finding, _ in rated),
    ]
    resolution = _without(resolution, {finding.server_id for finding, leaves_out in rated if leaves_out})
    resolution = _with_facts(resolution, facts, inputs)
    findings += capacity(facts, inputs, resolution)
    if not any(finding.severity == "error" for finding in findings) and (
        empty := nothing_to_launch(resolution)
    ):
        findings.append(Finding.of(empty))
    if stopped := stopped_servers(facts, Servers(resolution)):
        notes.append(
            f"The launch settings of {Servers(resolution).labels(stopped)} leave the instance stopped "
            "(launch disposition STOPPED): DRS launches it, but does not start it."
        )
    return Report(tuple(findings), resolution, tuple(notes))


def _wrong_account(inputs: PreflightInputs, caller: Caller) -> Finding:
    target, name = inputs.plan.target, inputs.plan.name
    return Finding.of(
        AccountMismatch(
            f"The connection {target.aws_conn_id} leads to account {caller.account_id}, but plan {name} is "
            f"for account {target.account_id}. Nothing was launched.",
            remedy=(
                f"Give the connection {target.aws_conn_id} a role in {target.account_id}, or correct "
                "target.account_id or target.aws_conn_id in the plan."
            ),
        )
    )


def _select(
    inputs: PreflightInputs, items: Sequence[Mapping[str, Any]]
) -> tuple[Resolution, list[Finding], list[str]]:
    """The servers to check, findings about this selection, and notes on how it differs from before."""
    fresh, problems = resolve(inputs.plan, inputs.waves, inputs.exclude_servers, items)
    if inputs.resolved is None:
        findings = [
            Finding.of(problem.error, severity="warning" if problem.optional else "error").about(
                problem.wave, problem.server_id
            )
            for problem in problems
        ]
        return fresh, findings, []
    return _kept(inputs.resolved, fresh, {item["sourceServerID"] for item in items})


def _kept(
    before: Resolution, fresh: Resolution, known: set[str]
) -> tuple[Resolution, list[Finding], list[str]]:
    """The servers that the run resolved before, whatever servers the plan's groups contain by now.

    A server that DRS does not list any more is an error.
    """
    placed, now = Servers(before), Servers(fresh)
    lost = [server for _, server in placed if server.server_id not in known]
    findings = [
        Finding.of(
            SourceServerNotFound(
                f"This run is to launch server {placed.label(server.server_id)}, which it resolved earlier, "
                "but DRS does not list the server any more.",
                remedy="Trigger a new run, which resolves the plan's groups again.",
            ),
            severity="warning" if server.optional else "error",
        ).about(placed.wave_of(server.server_id), server.server_id)
        for server in lost
    ]
    notes = ["This run keeps the servers that it resolved when it began."]
    if left := [each for each in placed.ids if each in known and now.get(each) is None]:
        notes.append(
            f"The plan's groups do not contain {placed.labels(left)} any more; this run still launches them."
        )
    if joined := [each for each in now.ids if placed.get(each) is None]:
        notes.append(
            f"The plan's groups now contain {now.labels(joined)}, too; only a new run launches them."
        )
    return _without(before, {server.server_id for server in lost}), findings, notes


def _rated(finding: Finding, servers: Servers, *, only_warns: bool = False) -> tuple[Finding, bool]:
    """The finding with the severity that it has in this run, and whether the run leaves its server out.

    :param only_warns: the finding is a warning even if its server is required
    """
    server = servers.get(finding.server_id)
    if only_warns:
        return finding.as_warning(), False
    if server is None or not server.optional:
        return finding, False
    if finding.code in LEAVES_OUT:
        return finding.as_warning().adding("The server is optional, and is left out of this run."), True
    return finding.as_warning(), False


def _without(resolution: Resolution, gone: Container[str | None]) -> Resolution:
    """The resolution without these servers; a wave that loses all of its servers is left out."""
    waves: dict[str, WaveResolution] = {}
    for name, wave in resolution.waves.items():
        kept = tuple(server for server in wave.servers if server.server_id not in gone)
        left_out = wave.left_out or (None if kept else "preflight left out every server of it")
        waves[name] = wave.model_copy(update={"servers": kept, "left_out": left_out})
    return resolution.model_copy(update={"waves": waves})


def _with_facts(resolution: Resolution, facts: Facts, inputs: PreflightInputs) -> Resolution:
    """The resolution with the state of each server before the launch, and with its recovery snapshot.

    A later preflight of the same run keeps what the first one recorded here.
    """
    if inputs.resolved is not None:
        return resolution
    waves = {
        name: wave.model_copy(
            update={"servers": tuple(_with_state(each, facts, inputs) for each in wave.servers)}
        )
        for name, wave in resolution.waves.items()
    }
    return resolution.model_copy(update={"waves": waves})


def _with_state(server: ResolvedServer, facts: Facts, inputs: PreflightInputs) -> ResolvedServer:
    source, settings = facts.servers[server.server_id], facts.settings.get(server.server_id)
    found = None
    if inputs.recovery_point is not None:
        found = newest_before(facts.snapshots.get(server.server_id, ()), inputs.recovery_point)
    return server.model_copy(
        update={
            "snapshot_id": found.snapshot_id if found else None,
            "lag_seconds": source.lag.total_seconds() if source.lag is not None else None,
            "starts": settings.starts if settings else True,
        }
    )
