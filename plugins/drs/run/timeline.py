"""When each server of a wave is launched next. Pure: every instant is given from outside.

Every server has its own place on one timeline. Its next call comes at the later of the last call plus
``server_delay`` and its own retry time, so a held server never keeps the free ones waiting.

All instants are UTC; all spans are seconds.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from typing import Literal

from pydantic import BaseModel, ConfigDict

from drs.aws.jobs import Job

THROTTLE_BOUND = 600.0
"""Seconds of being throttled, or of no answer at all, after which DRS counts as unavailable."""
THROTTLE_BACKOFF = (5.0, 10.0, 20.0, 40.0, 60.0)


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ServerSlot(_Frozen):
    """One server's place on the timeline."""

    server_id: str
    optional: bool = False
    not_before: dt.datetime
    job_id: str | None = None
    refusals: int = 0
    unexplained: int = 0
    """Refusals in a row at which no live job could be seen that holds it."""
    refused_since: dt.datetime | None = None
    holder: str | None = None
    """The job that held the server at the last refusal, when one could be seen."""
    given_up: str | None = None
    """Why no further call is made for this server."""

    @property
    def waiting(self) -> bool:
        return self.job_id is None and self.given_up is None


_UNREFUSED: Mapping[str, object] = {"refusals": 0, "unexplained": 0, "refused_since": None, "holder": None}


_UNPAUSED: Mapping[str, object] = {
    "paused_until": None,
    "pauses": 0,
    "paused_since": None,
    "paused_why": None,
}


class CallNow(_Frozen):
    """Make one StartRecovery call for these servers now."""

    server_ids: tuple[str, ...]


class WaitUntil(_Frozen):
    """Nothing is due before ``at``; sooner when one of the holders ends."""

    at: dt.datetime
    holders: tuple[str, ...] = ()


class Finished(_Frozen):
    """Every server was started or given up."""


Step = CallNow | WaitUntil | Finished


class Timeline(_Frozen):
    """The launch of one wave."""

    jobs: Literal["per_server", "per_wave"]
    server_delay: float
    conflict_backoff: tuple[float, ...]
    conflict_timeout: float
    servers: tuple[ServerSlot, ...]
    last_call: dt.datetime | None = None
    paused_until: dt.datetime | None = None
    """DRS refuses every call until then: throttled, out of quota, or out of reach."""
    pauses: int = 0
    paused_since: dt.datetime | None = None
    paused_why: str | None = None

    def next_step(self, now: dt.datetime) -> Step:
        """What is due now, or how long to wait."""
        waiting = [slot for slot in self.servers if slot.waiting]
        if not waiting:
            return Finished()
        earliest = self._earliest_call()
        due = [slot for slot in waiting if max(slot.not_before, earliest) <= now]
        if due:
            if self.jobs == "per_wave":
                return CallNow(server_ids=tuple(slot.server_id for slot in due))
            first = min(due, key=lambda slot: slot.not_before)
            return CallNow(server_ids=(first.server_id,))
        return WaitUntil(
            at=max(min(slot.not_before for slot in waiting), earliest),
            holders=tuple(sorted({slot.holder for slot in waiting if slot.holder})),
        )

    def _earliest_call(self) -> dt.datetime:
        floor = dt.datetime.min.replace(tzinfo=dt.UTC)
        spaced = floor
        if self.jobs == "per_server" and self.last_call is not None:
            spaced = self.last_call + dt.timedelta(seconds=self.server_delay)
        return max(spaced, self.paused_until or floor)

    def called(self, now: dt.datetime) -> Timeline:
        """A call is being made."""
        return self.model_copy(update={"last_call": now})

    def started(self, server_ids: Iterable[str], job_id: str) -> Timeline:
        """DRS made a job of these servers."""
        return self._answered()._update(server_ids, {"job_id": job_id, **_UNREFUSED})

    def refused(self, server_ids: Iterable[str], holders: Mapping[str, Job], now: dt.datetime) -> Timeline:
        """DRS refused the call with a conflict: the servers that a live job holds back off, the rest do not.

        A refusal names no server. Where no live job can be seen, every server of the call may be the held
        one, and all of them back off.
        """
        called = set(server_ids)
        held = called & set(holders) or called
        slots = []
        for slot in self.servers:
            if slot.server_id not in held:
                slots.append(slot)
                continue
            since = slot.refused_since or now
            holder = holders.get(slot.server_id)
            give_up_at = since + dt.timedelta(seconds=self.conflict_timeout)
            backoff = self.conflict_backoff[min(slot.refusals, len(self.conflict_backoff) - 1)]
            given_up = None
            if now >= give_up_at:
                given_up = f"still refused {self.conflict_timeout:.0f} s after the first refusal"
            elif holder is None and slot.unexplained >= len(self.conflict_backoff):
                given_up = f"refused {slot.unexplained + 1} times in a row, though no live job holds it"
            slots.append(
                slot.model_copy(
                    update={
                        "refusals": slot.refusals + 1,
                        "unexplained": 0 if holder else slot.unexplained + 1,
                        "refused_since": since,
                        "holder": holder.job_id if holder else None,
                        "not_before": min(now + dt.timedelta(seconds=backoff), give_up_at),
                        "given_up": given_up,
                    }
                )
            )
        return self._answered().model_copy(update={"servers": tuple(slots)})

    def released(self, ended: Iterable[str], now: dt.datetime) -> Timeline:
        """These holders have ended: their servers are due now."""
        gone = set(ended)
        return self._update(
            (slot.server_id for slot in self.servers if slot.waiting and slot.holder in gone),
            {"not_before": now, "holder": None},
        )

    def paused(self, now: dt.datetime, why: str, *, retry_after: float | None = None) -> Timeline:
        """DRS answers no call for now; the pause grows, and is never shorter than DRS asked for.

        Each reason has a span of its own: a throttled call after a long wait for quota begins anew.
        """
        same = why == self.paused_why
        pauses = self.pauses if same else 0
        own = THROTTLE_BACKOFF[min(pauses, len(THROTTLE_BACKOFF) - 1)]
        asked = min(retry_after or 0.0, THROTTLE_BOUND)
        return self.model_copy(
            update={
                "pauses": pauses + 1,
                "paused_why": why,
                "paused_since": self.paused_since if same and self.paused_since else now,
                "paused_until": now + dt.timedelta(seconds=max(own, asked)),
            }
        )

    def given_up(self, server_ids: Iterable[str], why: str) -> Timeline:
        """No further call is made for these servers."""
        return self._answered()._update(server_ids, {"given_up": why})

    def paused_for(self, now: dt.datetime) -> float:
        """Seconds since DRS last answered a call in earnest."""
        return (now - self.paused_since).total_seconds() if self.paused_since else 0.0

    def anew(self, server_ids: Iterable[str], now: dt.datetime) -> Timeline:
        """Put servers back to the start of their place, to be launched (again) from now on."""
        return self._update(server_ids, {"job_id": None, "given_up": None, "not_before": now, **_UNREFUSED})

    def retried(self, now: dt.datetime) -> Timeline:
        """A new try of the task: what was refused so far is due now, and every bound counts from here."""
        refused = [slot.server_id for slot in self.servers if slot.waiting and slot.refused_since]
        return self._answered().anew(refused, now)

    def slot(self, server_id: str) -> ServerSlot:
        return next(slot for slot in self.servers if slot.server_id == server_id)

    def _answered(self) -> Timeline:
        return self.model_copy(update=dict(_UNPAUSED))

    def _update(self, server_ids: Iterable[str], update: Mapping[str, object]) -> Timeline:
        chosen = set(server_ids)
        return self.model_copy(
            update={
                "servers": tuple(
                    slot.model_copy(update=dict(update)) if slot.server_id in chosen else slot
                    for slot in self.servers
                )
            }
        )
