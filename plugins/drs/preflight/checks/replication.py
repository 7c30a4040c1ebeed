"""Whether each server's data is complete and recent enough for a launch."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

from drs.errors import AgentNotReporting, CheckUnavailable, UnhealthyServerReplication
from drs.plan.durations import render
from drs.preflight.facts import Facts, SourceServer
from drs.preflight.findings import Finding
from drs.preflight.inputs import PreflightInputs
from drs.preflight.servers import Servers
from drs.text import shown
from drs.text.times import minute

AGENT_SILENT_AFTER = dt.timedelta(minutes=15)
"""An agent contacts DRS about every 10 minutes or more often: DisconnectSourceServer relies on that when it
makes the agent uninstall itself (DRS API reference). After half as long again something is wrong.
"""


def replication(facts: Facts, inputs: PreflightInputs, servers: Servers) -> Iterator[Finding]:
    """Servers whose replication is not CONTINUOUS, or lags by more than the plan's RPO."""
    rpo = inputs.plan.objectives.rpo
    for wave, resolved in servers:
        server = facts.servers[resolved.server_id]
        label = servers.label(server.server_id)
        if not server.is_continuous:
            error = f" DRS's error: {shown.line(server.error)}." if server.error else ""
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
                    f"DRS gives no replication lag for server {label}, so it is unknown whether it is "
                    f"within the plan's RPO of {render(rpo)}.",
                    remedy=(
                        "Look at the server's replication in the DRS console. Trigger a new run when it "
                        "shows a lag, or leave the server out with `exclude_servers`."
                    ),
                )
            )
        elif server.lag > rpo:
            finding = Finding.of(
                UnhealthyServerReplication(
                    f"Replication of server {label} lags by {_rounded(server.lag)} (its data is from "
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
    """Agents that have not contacted DRS for longer than :data:`AGENT_SILENT_AFTER`."""
    for wave, resolved in servers:
        server = facts.servers[resolved.server_id]
        if server.last_seen is None:
            heard = "has never contacted DRS"
        elif (silence := facts.looked_at - server.last_seen) > AGENT_SILENT_AFTER:
            heard = f"last contacted DRS {_rounded(silence)} ago, at {minute(server.last_seen)}"
        else:
            continue
        error = AgentNotReporting(
            f"The replication agent of server {servers.label(server.server_id)} {heard}."
        )
        yield Finding.of(error).about(wave, server.server_id)


def _since(facts: Facts, server: SourceServer) -> str:
    """How old the data is: the lag is the time since the last continuous protection (DRS user guide, FAQ)."""
    if not server.lag:
        return ""
    return f"; its data is {_rounded(server.lag)} old (from {minute(facts.looked_at - server.lag)})"


def _rounded(span: dt.timedelta) -> str:
    return render(dt.timedelta(seconds=round(span.total_seconds())))
