"""A wave's launch record in the run's ledger: every change is saved at once."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence

from drs.plan import Launch
from drs.run.ledger import Ledger
from drs.run.records import Call, LaunchRecord, ResolvedServer
from drs.run.timeline import ServerSlot, Timeline


class WaveRecord:
    """The record, and how it changes.

    :param ledger: the run's records
    :param wave: the wave's name
    :param settings: how the plan launches the wave
    :param now: the clock
    """

    def __init__(self, ledger: Ledger, wave: str, settings: Launch, now: Callable[[], dt.datetime]) -> None:
        self._ledger = ledger
        self._wave = wave
        self._settings = settings
        self._now = now
        self.saved = LaunchRecord(timeline=self._new_timeline((), now()))

    @property
    def timeline(self) -> Timeline:
        return self.saved.timeline

    def open(self, servers: Sequence[ResolvedServer], opens_at: dt.datetime) -> None:
        """Read this run's record of the wave, or write the first one.

        :param servers: the servers to launch; after preflight was cleared they may differ from the record's
        :param opens_at: when the first of them may be launched
        """
        timeline = self._new_timeline(servers, opens_at)
        existing = self._ledger.launch(self._wave)
        if existing is None:
            self._save(LaunchRecord(timeline=timeline))
            return
        self.saved = existing
        known = {slot.server_id: slot for slot in existing.timeline.servers}
        slots = tuple(known.get(slot.server_id, slot) for slot in timeline.servers)
        if slots != existing.timeline.servers:
            self.move_to(existing.timeline.model_copy(update={"servers": slots}))

    def move_to(self, timeline: Timeline) -> None:
        self._save(self.saved.model_copy(update={"timeline": timeline}))

    def intend(self, server_ids: Sequence[str]) -> Call:
        """Record that a call for these servers is about to be made."""
        now = self._now()
        call = Call(at=now, servers=tuple(server_ids), tagged=not self.saved.tags_refused)
        update = {"calls": (*self.saved.calls, call), "timeline": self.timeline.called(now)}
        self._save(self.saved.model_copy(update=update))
        return call

    def answer(
        self,
        call: Call,
        timeline: Timeline | None = None,
        *,
        job_id: str | None = None,
        error: str | None = None,
        not_made: bool = False,
    ) -> None:
        """Record how a call ended, and the timeline after it.

        The delay to the next call counts from now, because DRS may have received the call as late as this.
        """
        settled = (timeline or self.timeline).called(self._now())
        calls = tuple(
            call.model_copy(update={"job_id": job_id, "error": error, "not_made": not_made})
            if made == call
            else made
            for made in self.saved.calls
        )
        self._save(self.saved.model_copy(update={"calls": calls, "timeline": settled}))

    def refuse_tags(self) -> None:
        """Record that the account refuses tags on DRS jobs."""
        self._save(self.saved.model_copy(update={"tags_refused": True}))

    def _save(self, record: LaunchRecord) -> None:
        self._ledger.save_launch(self._wave, record)
        self.saved = record

    def _new_timeline(self, servers: Sequence[ResolvedServer], opens_at: dt.datetime) -> Timeline:
        settings = self._settings
        return Timeline(
            jobs=settings.jobs,
            server_delay=settings.server_delay.total_seconds(),
            conflict_backoff=tuple(span.total_seconds() for span in settings.conflict_backoff),
            conflict_timeout=settings.conflict_timeout.total_seconds(),
            servers=tuple(
                ServerSlot(server_id=server.server_id, optional=server.optional, not_before=opens_at)
                for server in servers
            ),
        )
