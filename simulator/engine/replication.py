"""How a server replicates at a given time: as the fleet says, changed by the armed faults."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from drs.aws.states import ReplicationState
from simulator.engine.fault_plan import ArmedFault
from simulator.engine.faults import ReplicationChange
from simulator.engine.model import SourceServer


@dataclass(frozen=True)
class ReplicationStatus:
    """:param last_seen: when the agent last reported; None means that it reports all the time"""

    state: ReplicationState
    lag: timedelta
    last_seen: datetime | None


def status_of(server: SourceServer, changes: Iterable[ArmedFault[ReplicationChange]]) -> ReplicationStatus:
    """Return how a server replicates.

    :param changes: the armed faults of the server; a later one overrides an earlier one
    """
    fleet = server.replication
    silence = fleet.last_contact
    status = ReplicationStatus(fleet.state, fleet.lag, None if silence is None else server.added - silence)
    for armed in changes:
        fault = armed.fault
        if fault.state is not None:
            status = replace(status, state=fault.state)
        if fault.lag is not None:
            status = replace(status, lag=fault.lag)
        if fault.last_contact is not None:
            status = replace(status, last_seen=armed.since - fault.last_contact)
    return status
