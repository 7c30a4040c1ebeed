"""The points in time to which a server can be recovered, with DRS's default retention.

There is one every 10 minutes for an hour, every hour for a day, every day for a week. Nothing is stored: a
point's id is computed from its server and time.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Final

from simulator.engine.model import Snapshot

RULES: Final = (
    (timedelta(minutes=10), timedelta(hours=1)),
    (timedelta(hours=1), timedelta(days=1)),
    (timedelta(days=1), timedelta(days=7)),
)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def retained(server_id: str, newest: datetime) -> list[Snapshot]:
    """Return the server's snapshots, oldest first. None of them is newer than ``newest``."""
    times = {at for interval, retention in RULES for at in _grid(newest, interval, retention)}
    return [_snapshot(server_id, at) for at in sorted(times)]


def find(server_id: str, snapshot_id: str, newest: datetime) -> Snapshot | None:
    """Return the snapshot with that id, even if the retention has removed it from the list since."""
    finest, longest = RULES[0][0], RULES[-1][1]
    candidates = (_snapshot(server_id, at) for at in _grid(newest, finest, longest))
    return next((snapshot for snapshot in candidates if snapshot.id == snapshot_id), None)


def _grid(newest: datetime, interval: timedelta, retention: timedelta) -> Iterator[datetime]:
    at = newest - (newest - _EPOCH) % interval
    while at > newest - retention:
        yield at
        at -= interval


def _snapshot(server_id: str, at: datetime) -> Snapshot:
    digest = hashlib.sha256(f"{server_id}@{at.isoformat()}".encode()).hexdigest()
    return Snapshot(f"pit-{digest[:17]}", server_id, at)
