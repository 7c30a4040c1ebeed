"""What is to be validated: a wave's launched servers and their checks, as JSON takes it to the triggerer."""

from __future__ import annotations

import datetime as dt

from drs.plan.checks import Check
from drs.plan.model import Network
from drs.run.records import Record


class ServerToCheck(Record):
    """A server that the run launched, by the record of its launch."""

    server_id: str
    name: str
    group: str
    job_id: str
    instance_id: str
    optional: bool = False
    starts: bool = True


class WaveToCheck(Record):
    """The servers of one wave, and by their protection groups what the plan asks of them.

    Every time is counted from ``began_at``, which stays the same when a check is taken up again elsewhere.
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
        """Whether the plan asks for any check beside the one that is always made."""
        return any(self.checks[server.group] for server in self.servers)
