"""Which recovery snapshot each server is launched from, if the run has a recovery point."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

from drs.errors import RecoveryPointNotFound
from drs.preflight.facts import Facts, Snapshot
from drs.preflight.findings import Finding
from drs.preflight.inputs import PreflightInputs
from drs.preflight.servers import Servers
from drs.text.times import minute


def recovery_points(facts: Facts, inputs: PreflightInputs, servers: Servers) -> Iterator[Finding]:
    """Servers that have no recovery snapshot at or before the run's recovery point."""
    asked = inputs.recovery_point
    if asked is None:
        return
    for wave, server in servers:
        snapshots = facts.snapshots.get(server.server_id)
        if snapshots is None or newest_before(snapshots, asked):
            continue
        later = min(snapshots, key=lambda each: each.at, default=None)
        nearest = f"its oldest is from {minute(later.at)} ({later.snapshot_id})" if later else "it has none"
        error = RecoveryPointNotFound(
            f"Server {servers.label(server.server_id)} has no recovery snapshot at or before "
            f"{minute(asked)}: {nearest}.",
            remedy=(
                f"Trigger a new run with recovery_point {later.at.isoformat()} or later, or `latest`."
                if later
                else "Trigger a new run with recovery_point `latest`. The DRS console shows why the server "
                "has no snapshots."
            ),
        )
        yield Finding.of(error).about(wave, server.server_id)


def newest_before(snapshots: tuple[Snapshot, ...], asked: dt.datetime) -> Snapshot | None:
    """The newest recovery snapshot at or before that time."""
    return max((each for each in snapshots if each.at <= asked), key=lambda each: each.at, default=None)
