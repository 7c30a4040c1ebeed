"""When each server of a wave is launched next. Pure: the caller gives every instant.

All servers of a wave share one timeline, and each has its own slot on it. A server's next call is due at its
own retry time, but not before ``server_delay`` has passed since the wave's last call. So a held server never
keeps the free servers waiting.

All instants are UTC; all spans are seconds.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict

from drs.aws.jobs import Job

THROTTLE_BOUND = 600.0
"""Seconds of throttling, or of no answer at all, after which DRS counts as unavailable."""
THROTTLE_BACKOFF = (5.0, 10.0, 20.0, 40.0, 60.0)
"""Seconds to wait after the first such answer, the second, and so on; the last value repeats."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ServerSlot(_Frozen):
    """One server's slot on the timeline."""

    server_id: str
    optional: bool = False
    not_before: dt.datetime
    job_id: str | None = None
    refusals: int = 0
    unexplained: int = 0
    """Refusals in a row for which no live job was seen that holds the server."""
    refused_since: dt.datetime | None = None
    holder: str | None = None
    """The job that held the server at the last refusal, if one was seen."""
    held_by: str | None = None
    """What else held the server at the last refusal, in words: the drill instance of another run."""
    given_up: str | None = None
    """Why no further call is made for this server."""

    @property
    def waiting(self) -> bool:
        """Whether the server still has to be launched."""
        return self.job_id is None and self.given_up is None


_UNREFUSED: Mapping[str, object] = {
    "refusals": 0,
    "unexplained": 0,
    "refused_since": None,
    "holder": None,
    "held_by": None,
}
_UNPAUSED: Mapping[str, object] = {
    "paused_by": (),
    "paused_until": None,
    "pauses": 0,
    "paused_since": None,
    "paused_why": None,
}


class CallNow(_Frozen):
    """Make one StartRecovery call for these servers now."""

    server_ids: tuple[str, ...]


class WaitUntil(_Frozen):
    """Nothing is due before ``at``, unless one of the jobs in ``holders`` ends earlier: it holds a server, or
    uses up a quota.
    """

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
    """No call is made before then: DRS throttles the account, a quota is used up, or DRS is out of reach."""
    pauses: int = 0
    paused_since: dt.datetime | None = None
    paused_why: str | None = None
    paused_by: tuple[str, ...] = ()
    """The jobs whose end may end the pause: those in progress while a quota is used up."""

    def next_step(self, now: dt.datetime) -> Step:
        """What is due now, or how long to wait."""
        waiting = [slot for slot in self.servers if slot.waiting]
        if not waiting:
            return Finished()
        earliest = self._earliest_call()
        if due := [slot for slot in waiting if max(slot.not_before, earliest) <= now]:
            return self._next_call(due)
        return WaitUntil(
            at=max(min(slot.not_before for slot in waiting), earliest),
            holders=tuple(sorted(self.waits_for(now))),
        )

    def _pausing(self, now: dt.datetime) -> tuple[str, ...]:
        """The jobs whose end ends a pause that is not over yet."""
        return self.paused_by if self.paused_until and now < self.paused_until else ()

    def waits_for(self, now: dt.datetime) -> frozenset[str]:
        """The jobs whose end makes a call due earlier."""
        holders = {slot.holder for slot in self.servers if slot.waiting and slot.holder}
        return frozenset(holders.union(self._pausing(now)))

    def _next_call(self, due: Sequence[ServerSlot]) -> CallNow:
        if self.jobs == "per_wave":
            return CallNow(server_ids=tuple(slot.server_id for slot in due))
        first = min(due, key=lambda slot: slot.not_before)
        return CallNow(server_ids=(first.server_id,))

    def _earliest_call(self) -> dt.datetime:
        floor = dt.datetime.min.replace(tzinfo=dt.UTC)
        spaced = floor
        if self.jobs == "per_server" and self.last_call is not None:
            spaced = self.last_call + dt.timedelta(seconds=self.server_delay)
        return max(spaced, self.paused_until or floor)

    def called(self, now: dt.datetime) -> Timeline:
        """The timeline when a call is about to be made."""
        return self.model_copy(update={"last_call": now})

    def started(self, server_ids: Iterable[str], job_id: str) -> Timeline:
        """The timeline after DRS made a job for these servers."""
        return self._answered()._update(server_ids, {"job_id": job_id, **_UNREFUSED})

    def refused(self, server_ids: Iterable[str], holders: Mapping[str, Job], now: dt.datetime) -> Timeline:
        """DRS refused the call with a conflict. Servers that a live job holds wait; the others are due now.

        DRS does not say which server is held. If no live job is seen that holds one of them, any of them may
        be the held one, and all of them wait.

        :param holders: the live job that holds a server, by server id
        """
        called = set(server_ids)
        held = called & set(holders) or called
        slots = tuple(
            self._refused_slot(slot, now, holder=holders.get(slot.server_id))
            if slot.server_id in held
            else slot
            for slot in self.servers
        )
        return self._answered().model_copy(update={"servers": slots})

    def held(self, held_by: Mapping[str, str], now: dt.datetime) -> Timeline:
        """Something that is no live job holds these servers: they wait as they would for a job.

        :param held_by: what holds a server, in words, by server id
        """
        slots = tuple(
            self._refused_slot(slot, now, held_by=held_by[slot.server_id])
            if slot.server_id in held_by
            else slot
            for slot in self.servers
        )
        return self.model_copy(update={"servers": slots})

    def _refused_slot(
        self, slot: ServerSlot, now: dt.datetime, *, holder: Job | None = None, held_by: str | None = None
    ) -> ServerSlot:
        since = slot.refused_since or now
        give_up_at = since + dt.timedelta(seconds=self.conflict_timeout)
        backoff = self.conflict_backoff[min(slot.refusals, len(self.conflict_backoff) - 1)]
        given_up = None
        if now >= give_up_at:
            given_up = f"still refused {self.conflict_timeout:.0f} s after the first refusal"
        elif holder is None and held_by is None and slot.unexplained >= len(self.conflict_backoff):
            given_up = f"refused {slot.unexplained + 1} times in a row, though no live job holds it"
        return slot.model_copy(
            update={
                "refusals": slot.refusals + 1,
                "unexplained": 0 if holder or held_by else slot.unexplained + 1,
                "refused_since": since,
                "holder": holder.job_id if holder else None,
                "held_by": held_by,
                "not_before": min(now + dt.timedelta(seconds=backoff), give_up_at),
                "given_up": given_up,
            }
        )

    def released(self, ended: Iterable[str], now: dt.datetime) -> Timeline:
        """These jobs have ended: the servers that they held are due now, and a quota has room again."""
        gone = set(ended)
        timeline = self
        if gone & set(self.paused_by):
            # The count of the pauses stays: another wave may be faster, and the quota be used up again.
            timeline = self.model_copy(update={"paused_until": now, "paused_by": ()})
        return timeline._update(
            (slot.server_id for slot in self.servers if slot.waiting and slot.holder in gone),
            {"not_before": now, "holder": None},
        )

    def paused(
        self,
        now: dt.datetime,
        why: str,
        *,
        retry_after: float | None = None,
        until_one_of: Iterable[str] = (),
    ) -> Timeline:
        """DRS answers no call for now. Each pause is longer than the last, and never shorter than DRS asks.

        The pauses are counted for each reason: a throttled call after a long wait for quota starts with the
        shortest pause again.

        :param why: the reason
        :param retry_after: the seconds that DRS asks to wait, if it does
        :param until_one_of: jobs of which the first that ends also ends the pause
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
                "paused_by": tuple(sorted(until_one_of)),
            }
        )

    def given_up(self, server_ids: Iterable[str], why: str) -> Timeline:
        """The timeline with these servers given up: no further call is made for them."""
        return self._answered()._update(server_ids, {"given_up": why})

    def paused_for(self, now: dt.datetime) -> float:
        """Seconds since the first of the pauses in a row, all for one reason."""
        return (now - self.paused_since).total_seconds() if self.paused_since else 0.0

    def relaunched(self, server_ids: Iterable[str], now: dt.datetime) -> Timeline:
        """These servers are launched again: their slots start from the beginning and are due now."""
        return self._update(server_ids, {"job_id": None, "given_up": None, "not_before": now, **_UNREFUSED})

    def task_retried(self, now: dt.datetime) -> Timeline:
        """The task is tried again: refused servers are due now, and every time limit counts from now."""
        refused = [slot.server_id for slot in self.servers if slot.waiting and slot.refused_since]
        return self._answered().relaunched(refused, now)

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
