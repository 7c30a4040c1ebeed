"""A journal of all AWS calls, in the order in which they were answered."""

from __future__ import annotations

import threading
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any


@dataclass(frozen=True)
class Entry:
    """One call. ``status`` is None if the connection was dropped without an answer."""

    n: int
    at: str
    time: float
    service: str
    operation: str | None
    account: str
    region: str
    caller: dict[str, str | None]
    user_agent: str
    parameters: dict[str, Any]
    status: int | None
    error: str | None
    result: dict[str, Any]


class Journal:
    """The entries. Several threads may use it at the same time."""

    def __init__(self) -> None:
        self._entries: list[Entry] = []
        self._written = 0
        self._lock = threading.Lock()

    def write(self, at: datetime, **members: Any) -> None:
        """Add a call that arrived at the time ``at``; the other members are those of ``Entry``."""
        with self._lock:
            self._written += 1
            stamp = at.astimezone(UTC).isoformat()
            self._entries.append(Entry(self._written, stamp, at.timestamp(), **members))

    def read(self, wanted: dict[str, str]) -> list[dict[str, Any]]:
        """Return the entries whose members have the ``wanted`` values."""
        with self._lock:
            entries = [asdict(entry) for entry in self._entries]
        return [entry for entry in entries if all(str(entry[name]) == wanted[name] for name in wanted)]

    def clear(self) -> int:
        """Empty the journal, and return how many entries it had. The numbering continues."""
        with self._lock:
            count = len(self._entries)
            self._entries.clear()
            return count
