"""A wave's launch record in the run's ledger: every change is saved at once.

Airflow may take a task's worker for dead and start another try while the worker is only frozen. When it goes
on, two processes have the same record. So every save first reads what is there: the newest try owns the
record, and an older one only adds what must not be lost, a job that DRS made for it.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Sequence

from drs.aws.jobs import Job
from drs.plan import Launch
from drs.run.ledger import Ledger, SupersededError
from drs.run.records import Call, LaunchRecord, ResolvedServer
from drs.run.timeline import ServerSlot, Timeline


class WaveRecord:
    """The record, and how it changes.

    :param ledger: the run's records
    :param wave: the wave's name
    :param settings: how the plan launches the wave
    :param try_number: the try of the wave's task that this is
    :param now: the clock
    """

    def __init__(
        self, ledger: Ledger, wave: str, settings: Launch, try_number: int, now: Callable[[], dt.datetime]
    ) -> None:
        self._ledger = ledger
        self._wave = wave
        self._settings = settings
        self._try_number = try_number
        self._now = now
        self.saved = LaunchRecord(timeline=new_timeline(settings, (), now()), try_number=try_number)

    @property
    def timeline(self) -> Timeline:
        return self.saved.timeline

    def open(self, servers: Sequence[ResolvedServer], opens_at: dt.datetime) -> None:
        """Read this run's record of the wave, or write the first one. It now belongs to this try.

        :param servers: the servers to launch; after preflight was cleared they may differ from the record's
        :param opens_at: when the first of them may be launched
        :raises SupersededError: a newer try owns the record
        """
        timeline = new_timeline(self._settings, servers, opens_at)
        existing = self._owned()
        if existing is None:
            self._save(LaunchRecord(timeline=timeline, try_number=self._try_number))
            return
        known = {slot.server_id: slot for slot in existing.timeline.servers}
        slots = tuple(known.get(slot.server_id, slot) for slot in timeline.servers)
        update = {
            "timeline": existing.timeline.model_copy(update={"servers": slots}),
            "try_number": self._try_number,
        }
        self.saved = existing
        if (owned := existing.model_copy(update=update)) != existing:
            self._save(owned)

    def move_to(self, timeline: Timeline) -> None:
        self._save(self.saved.model_copy(update={"timeline": timeline}))

    def intend(self, server_ids: Sequence[str]) -> Call:
        """Record that a call for these servers is about to be made."""
        now = self._now()
        call = Call(at=now, servers=tuple(server_ids), tagged=not self.saved.tags_refused)
        update = {"calls": (*self.saved.calls, call), "timeline": self.timeline.called(now)}
        self._save(self.saved.model_copy(update=update))
        return call

    def check_owned(self) -> None:
        """Check that this try still owns the record.

        :raises SupersededError: a newer try owns it
        """
        self._owned()

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
        answered = call.model_copy(update={"job_id": job_id, "error": error, "not_made": not_made})
        calls = tuple(answered if made == call else made for made in self.saved.calls)
        self._save(self.saved.model_copy(update={"calls": calls, "timeline": settled}))

    def adopt(self, job: Job, server_ids: Sequence[str]) -> None:
        """Record a job of this run that no call of the record names, or whose servers the record lacks.

        It is the job of the newest call for these servers that got no answer or was thought not to be made.
        """
        made = self.saved.calls
        timeline = self.timeline.started(server_ids, job.job_id)
        if job.job_id not in self.saved.all_job_ids:
            wanted = set(server_ids)
            lost = [call for call in made if call.job_id is None and wanted & set(call.servers)]
            call = next((c for c in reversed(lost) if c.error is None), None)
            if call is None:
                at = lost[-1].at if lost else self._now()
                made = (*made, Call(at=at, servers=tuple(server_ids), job_id=job.job_id))
            else:
                found = call.model_copy(update={"job_id": job.job_id, "not_made": False})
                made = tuple(found if each == call else each for each in made)
        self._save(self.saved.model_copy(update={"calls": made, "timeline": timeline}))

    def refuse_tags(self) -> None:
        """Record that the account refuses tags on DRS jobs."""
        self._save(self.saved.model_copy(update={"tags_refused": True}))

    def _owned(self) -> LaunchRecord | None:
        """The record as the ledger has it now.

        :raises SupersededError: a newer try owns it
        """
        current = self._ledger.launch(self._wave)
        if current is not None and current.try_number > self._try_number:
            raise SupersededError(
                f"Try {current.try_number} of this task has taken over; this try does nothing more."
            )
        return current

    def _save(self, record: LaunchRecord) -> None:
        current = self._ledger.launch(self._wave)
        if current is not None and current.try_number > self._try_number:
            with_jobs = current.model_copy(update={"calls": _with_jobs(current.calls, of=record.calls)})
            self._ledger.save_launch(self._wave, with_jobs)
            self._owned()
        if current is not None:
            record = record.model_copy(update={"calls": _with_jobs(record.calls, of=current.calls)})
        self._ledger.save_launch(self._wave, record)
        self.saved = record


def new_timeline(settings: Launch, servers: Sequence[ResolvedServer], opens_at: dt.datetime) -> Timeline:
    """The timeline of a wave of which nothing is launched yet.

    :param settings: how the plan launches the wave
    :param opens_at: when the first of the servers may be launched
    """
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


def _with_jobs(calls: Iterable[Call], of: Iterable[Call]) -> tuple[Call, ...]:
    """These calls with every job that the calls ``of`` made, each job only once, in the order of their times.

    A refused call has made no job, so it is never taken for one that did.
    """
    merged = list(calls)
    known = {call.job_id for call in merged}
    for made in of:
        if made.job_id is None or made.job_id in known:
            continue
        intent = made.model_copy(update={"job_id": None})
        merged = [call for call in merged if call.model_copy(update={"not_made": False}) != intent]
        merged.append(made)
        known.add(made.job_id)
    return tuple(sorted(merged, key=lambda call: call.at))
