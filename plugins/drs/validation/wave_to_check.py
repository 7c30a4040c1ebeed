"""What is to be validated: a wave's launched servers and their checks. JSON takes it to the triggerer."""

from __future__ import annotations

import datetime as dt

from drs.plan.checks import Check
from drs.plan.model import Network
from drs.run.records import Record


class ServerToCheck(Record):
    """A server that the run launched, from the record of its launch."""

    server_id: str
    name: str
    group: str
    job_id: str
    instance_id: str
    optional: bool = False
    starts: bool = True


class WaveToCheck(Record):
    """The servers of one wave, and the checks that the plan asks for, by protection group.

    All time-outs count from ``began_at``. It stays the same when another triggerer takes over the checks.
    """

    plan: str
    wave: str
    token: str
    is_drill: bool
    region: str
    aws_conn_id: str
    began_at: dt.datetime
    network: Network
    checks: dict[str, tuple[Check, ...]]
    servers: tuple[ServerToCheck, ...]

    @property
    def asks_more(self) -> bool:
        """Whether the plan asks for any check in addition to the one that is always made."""
        return any(self.checks[server.group] for server in self.servers)
