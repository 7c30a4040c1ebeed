"""One preflight: reads AWS, makes every check, and tells all findings at once."""

from __future__ import annotations

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
from drs.preflight.reading import Caller, Reader
from drs.preflight.servers import Servers
from drs.run.records import Resolution, ResolvedServer, WaveResolution
from drs.run.resolution import nothing_to_launch, resolve
from drs.times import utc_now

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
"""What takes an optional server out of the run: its launch would be refused and hold up its wave, would prove
nothing, would land where the plan forbids, or would destroy a real recovery instance.
"""


def inspect(
    question: PreflightInputs, clients: AwsClients, *, now: Callable[[], dt.datetime] = utc_now
) -> Report:
    """Whether the run may begin, and with which servers.

    Another account, or one where DRS is not initialised, ends the look there: what it says of our servers
    means nothing. Everything else is looked at, whatever was found before. What cannot be read is a finding:
    it fails closed.
    """
    reader = Reader(clients)
    caller = reader.caller()
    if caller is None:
        return Report(tuple(reader.findings))
    if caller.account_id != question.plan.target.account_id:
        return Report((_mismatch(question, caller),))
    with ThreadPoolExecutor(1) as aside:  # IAM is asked some thirty times, DRS and EC2 meanwhile
        rehearsal = aside.submit(rehearse, clients, question, caller.arn)
        items = reader.source_servers()
        if items is None:
            return Report((*rehearsal.result(), *reader.findings))
        resolution, findings, notes = _select(question, items)
        facts = reader.facts(items, resolution, question, now())
    servers = Servers(resolution)
    in_disaster = question.execution_type == "RECOVERY"
    weighed = [
        _weighed(finding, servers, waived=in_disaster and check in SOURCE_CHECKS)
        for check in SERVER_CHECKS
        for finding in check(facts, question, servers)
    ]
    weighed += [_weighed(finding, servers) for finding in reader.findings]
    findings = [*rehearsal.result(), *findings, *(finding for finding, _ in weighed)]
    resolution = _cut(resolution, {finding.server_id for finding, leaves_out in weighed if leaves_out})
    resolution = _with_facts(resolution, facts, question)
    findings += capacity(facts, question, resolution)
    if not any(finding.severity == "error" for finding in findings) and (
        empty := nothing_to_launch(resolution)
    ):
        findings.append(Finding.of(empty))
    if stopped := stopped_servers(facts, Servers(resolution)):
        notes.append(
            f"The launch settings of {Servers(resolution).labels(stopped)} leave the instance stopped "
            "(launch disposition STOPPED): it is launched, but does not run."
        )
    return Report(tuple(findings), resolution, tuple(notes))


def _mismatch(question: PreflightInputs, caller: Caller) -> Finding:
    target, name = question.plan.target, question.plan.name
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
    question: PreflightInputs, items: Sequence[Mapping[str, Any]]
) -> tuple[Resolution, list[Finding], list[str]]:
    """The servers to look at, what is wrong with the choice, and how it differs from an earlier one."""
    fresh, problems = resolve(question.plan, question.waves, question.exclude_servers, items)
    if question.resolved is None:
        findings = [
            Finding.of(problem.error, severity="warning" if problem.optional else "error").about(
                problem.wave, problem.server_id
            )
            for problem in problems
        ]
        return fresh, findings, []
    return _as_before(question.resolved, fresh, {item["sourceServerID"] for item in items})


def _as_before(
    before: Resolution, fresh: Resolution, known: set[str]
) -> tuple[Resolution, list[Finding], list[str]]:
    """What the run resolved before, whatever its groups hold by now; a server that is gone is an error."""
    placed, now = Servers(before), Servers(fresh)
    lost = [server for _, server in placed if server.server_id not in known]
    findings = [
        Finding.of(
            SourceServerNotFound(
                f"This run has resolved server {placed.label(server.server_id)} before, and DRS knows it no "
                "longer.",
                remedy="Trigger a new run, which resolves the plan's groups anew.",
            ),
            severity="warning" if server.optional else "error",
        ).about(placed.wave_of(server.server_id), server.server_id)
        for server in lost
    ]
    notes = ["This run keeps the servers that it resolved at first."]
    if left := [each for each in placed.ids if each in known and now.get(each) is None]:
        notes.append(f"No group of the plan holds {placed.labels(left)} by now; the run keeps them.")
    if joined := [each for each in now.ids if placed.get(each) is None]:
        notes.append(f"{now.labels(joined)} would belong to a new run; this one goes on without.")
    return _cut(before, {server.server_id for server in lost}), findings, notes


def _weighed(finding: Finding, servers: Servers, *, waived: bool = False) -> tuple[Finding, bool]:
    """The finding as it counts for this run, and whether its server is left out.

    :param waived: it only warns, of whatever server
    """
    server = servers.get(finding.server_id)
    if waived:
        return finding.as_warning(), False
    if server is None or not server.optional:
        return finding, False
    if finding.code in LEAVES_OUT:
        return finding.as_warning().adding("The server is optional, and left out of this run."), True
    return finding.as_warning(), False


def _cut(resolution: Resolution, gone: Container[str | None]) -> Resolution:
    """The resolution without these servers; a wave that loses all of its servers is left out."""
    waves: dict[str, WaveResolution] = {}
    for name, wave in resolution.waves.items():
        kept = tuple(server for server in wave.servers if server.server_id not in gone)
        left_out = wave.left_out or (None if kept else "preflight left out every server of it")
        waves[name] = wave.model_copy(update={"servers": kept, "left_out": left_out})
    return resolution.model_copy(update={"waves": waves})


def _with_facts(resolution: Resolution, facts: Facts, question: PreflightInputs) -> Resolution:
    """Each server with what was seen of it before anything is launched, and with the recovery snapshot that
    it is launched from; that stands for the run, and is kept when preflight looks again.
    """
    if question.resolved is not None:
        return resolution
    waves = {
        name: wave.model_copy(
            update={"servers": tuple(_with_fact(each, facts, question) for each in wave.servers)}
        )
        for name, wave in resolution.waves.items()
    }
    return resolution.model_copy(update={"waves": waves})


def _with_fact(server: ResolvedServer, facts: Facts, question: PreflightInputs) -> ResolvedServer:
    source, settings = facts.servers[server.server_id], facts.settings.get(server.server_id)
    found = None
    if question.recovery_point is not None:
        found = newest_before(facts.snapshots.get(server.server_id, ()), question.recovery_point)
    return server.model_copy(
        update={
            "snapshot_id": found.snapshot_id if found else None,
            "lag_seconds": source.lag.total_seconds() if source.lag is not None else None,
            "starts": settings.starts if settings else True,
        }
    )
