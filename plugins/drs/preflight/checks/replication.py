"""Whether each server's data is there, and recent enough, to launch it from."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

from drs.errors import AgentNotReporting, CheckUnavailable, UnhealthyServerReplication
from drs.plan.durations import render
from drs.preflight.facts import Facts, SourceServer
from drs.preflight.findings import Finding
from drs.preflight.inputs import PreflightInputs
from drs.preflight.servers import Servers
from drs.times import minute

SILENT_AFTER = dt.timedelta(minutes=15)
"""An agent speaks to DRS at least about every 10 minutes: DisconnectSourceServer counts on that to tell it to
uninstall itself (DRS API reference). Half as long again is no accident.
"""


def replication(facts: Facts, question: PreflightInputs, servers: Servers) -> Iterator[Finding]:
    """Not CONTINUOUS, or CONTINUOUS with a lag past the plan's RPO."""
    rpo = question.plan.objectives.rpo
    for wave, resolved in servers:
        server = facts.servers[resolved.server_id]
        label = servers.label(server.server_id)
        if not server.is_continuous:
            error = f" DRS's error: {server.error}." if server.error else ""
            finding = Finding.of(
                UnhealthyServerReplication(
                    f"Replication of server {label} is {server.state}, not CONTINUOUS{_since(facts, server)}."
                    f"{error}"
                )
            )
        elif rpo is None:
            continue
        elif server.lag is None:
            finding = Finding.of(
                CheckUnavailable(
                    f"DRS tells no replication lag of server {label}, so that nobody knows whether it is "
                    f"within the plan's RPO of {render(rpo)}.",
                    remedy=(
                        "Look at the server's replication in the DRS console; trigger a new run when it "
                        "shows a lag, or leave the server out with `exclude_servers`."
                    ),
                )
            )
        elif server.lag > rpo:
            finding = Finding.of(
                UnhealthyServerReplication(
                    f"Replication of server {label} lags by {_rounded(server.lag)} (its data is of "
                    f"{minute(facts.looked_at - server.lag)}), more than the plan's RPO of {render(rpo)}.",
                    remedy=(
                        "Wait until the lag has gone down (the bandwidth of the server, or of its "
                        "replication server, may be too small), leave the server out with "
                        "`exclude_servers`, or correct objectives.rpo in the plan."
                    ),
                )
            )
        else:
            continue
        yield finding.about(wave, server.server_id)


def agents(facts: Facts, _: PreflightInputs, servers: Servers) -> Iterator[Finding]:
    """Agents that DRS has not heard of for longer than :data:`SILENT_AFTER`."""
    for wave, resolved in servers:
        server = facts.servers[resolved.server_id]
        if server.last_seen is None:
            heard = "was never heard of by DRS"
        elif (silence := facts.looked_at - server.last_seen) > SILENT_AFTER:
            heard = f"was last heard of {_rounded(silence)} ago, at {minute(server.last_seen)}"
        else:
            continue
        error = AgentNotReporting(
            f"The replication agent of server {servers.label(server.server_id)} {heard}."
        )
        yield Finding.of(error).about(wave, server.server_id)


def _since(facts: Facts, server: SourceServer) -> str:
    """DRS's lag is the time since the server was last in continuous protection (DRS user guide, FAQ)."""
    if not server.lag:
        return ""
    return f"; its data is {_rounded(server.lag)} old (of {minute(facts.looked_at - server.lag)})"


def _rounded(span: dt.timedelta) -> str:
    return render(dt.timedelta(seconds=round(span.total_seconds())))
