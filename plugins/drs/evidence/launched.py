"""How the launch of each server ended, by the run's records, or by DRS if the run was cut off. Pure."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from drs.aws.jobs import Job, LogEvent, Participant, judge
from drs.aws.states import JobType, LaunchStatus
from drs.evidence.objectives import rpo_seconds, span
from drs.evidence.observed import Account
from drs.evidence.record import EventEvidence, Explanation, ServerEvidence
from drs.run.ledger import Ledger
from drs.run.ownership import WAVE_TAG
from drs.run.records import CheckResult, InstanceRecord, ResolvedServer, ServerRecord, WaveResolution
from drs.run.timeline import ServerSlot

LAUNCH_END = "LAUNCH_END"


def launched_servers(
    ledger: Ledger, wave: str, resolved: WaveResolution | None, account: Account
) -> tuple[ServerEvidence, ...]:
    """The servers of a wave, in the order in which preflight resolved them; empty if it resolved none."""
    if resolved is None:
        return ()
    records = _Records.of(ledger, wave)
    jobs = wave_jobs(ledger, wave, resolved, account)
    return tuple(_Server(records, server, jobs, account).evidence() for server in resolved.servers)


def wave_jobs(
    ledger: Ledger, wave: str, resolved: WaveResolution | None, account: Account
) -> tuple[str, ...]:
    """Every LAUNCH job that the run started for the wave, oldest first.

    These are the jobs that the wave recorded, and those that only clean-up found because the reply to their
    call was lost.
    """
    launch, cleanup = ledger.launch(wave), ledger.cleanup()
    recorded = launch.all_job_ids if launch else frozenset[str]()
    servers = {server.server_id for server in resolved.servers} if resolved else set[str]()
    found = {
        job.job_id
        for job in account.jobs
        if cleanup
        and job.type == JobType.LAUNCH
        and job.job_id in cleanup.jobs
        and (job.tags[WAVE_TAG] == wave if WAVE_TAG in job.tags else job.server_ids <= servers)
        and job.server_ids & servers
    }
    created = {job.job_id: job.created for job in account.jobs}
    unknown = dt.datetime.max.replace(tzinfo=dt.UTC)
    return tuple(sorted(recorded | found, key=lambda job_id: (created.get(job_id, unknown), job_id)))


def event_evidence(event: LogEvent) -> EventEvidence:
    return EventEvidence(
        at=event.at,
        event=event.event,
        server_id=event.server_id,
        instance_id=event.target_instance_id,
        raw_error=event.raw_error,
    )


@dataclass(frozen=True)
class _Launch:
    """How a server's launch ended."""

    launched: bool
    instance_id: str | None
    error: str | None
    live: bool = False


@dataclass(frozen=True)
class _Records:
    """The records of one wave, by server.

    :param unanswered: the servers of calls whose reply was lost
    :param slots: each server's slot on the timeline
    :param outcomes: how launches ended, by server and job
    :param instances: what clean-up saw, by server and job
    :param results: the results of the checks
    """

    unanswered: frozenset[str]
    slots: Mapping[str, ServerSlot]
    outcomes: Mapping[tuple[str, str | None], ServerRecord]
    instances: Mapping[tuple[str, str | None], InstanceRecord]
    results: Mapping[str, Sequence[CheckResult]]

    @classmethod
    def of(cls, ledger: Ledger, wave: str) -> _Records:
        launch, outcome = ledger.launch(wave), ledger.outcome(wave)
        validation, cleanup = ledger.validation(wave), ledger.cleanup()
        results: dict[str, list[CheckResult]] = {}
        for result in validation.results if validation else ():
            results.setdefault(result.server_id, []).append(result)
        return cls(
            unanswered=frozenset(
                server_id for call in (launch.unanswered if launch else ()) for server_id in call.servers
            ),
            slots={slot.server_id: slot for slot in (launch.timeline.servers if launch else ())},
            outcomes={(each.server_id, each.job_id): each for each in (outcome.servers if outcome else ())},
            instances={
                (each.server_id, each.job_id): each for each in (cleanup.instances if cleanup else ())
            },
            results=results,
        )


class _Server:
    """One server of a wave and everything that is known about its launch.

    :param records: the wave's records
    :param server: as preflight resolved it
    :param jobs: the wave's LAUNCH jobs, oldest first
    """

    def __init__(
        self, records: _Records, server: ResolvedServer, jobs: Sequence[str], account: Account
    ) -> None:
        self._server = server
        self._account = account
        self._no_reply = (
            "The reply to the call that launches it was lost. Whether DRS launched it is not known."
            if server.server_id in records.unanswered
            else None
        )
        self._slot = records.slots.get(server.server_id)
        self._job_id = (self._slot.job_id if self._slot else None) or self._found_job(jobs)
        self._job: Job | None = account.job(self._job_id)
        self._log = list(account.logs.get(self._job_id or "", ()))
        # A record of an earlier job says nothing about this job.
        self._record = records.outcomes.get((server.server_id, self._job_id))
        self._instance = records.instances.get((server.server_id, self._job_id))
        self._results = records.results.get(server.server_id, ())

    def _found_job(self, jobs: Sequence[str]) -> str | None:
        """The newest job that contains the server, for a run that has no record of the server's job."""
        newest_first = (self._account.job(job_id) for job_id in reversed(jobs))
        return next(
            (job.job_id for job in newest_first if job and self._server.server_id in job.server_ids), None
        )

    def evidence(self) -> ServerEvidence:
        server, record, instance = self._server, self._record, self._instance
        ended = self._ended()
        requested_at = self._job.created if self._job else (record.requested_at if record else None)
        launched_at = self._launched_at() if ended.launched else None
        point_in_time = (record.point_in_time if record else None) or (
            instance.point_in_time if instance else None
        )
        checks = tuple(self._checks(ended.instance_id))
        return ServerEvidence(
            server_id=server.server_id,
            name=server.name,
            group=server.group,
            optional=server.optional,
            lag_at_start_seconds=server.lag_seconds,
            launched=ended.launched,
            live=ended.live,
            valid=all(result.passed for result in checks) if checks else None,
            job_id=self._job_id,
            instance_id=ended.instance_id,
            snapshot_id=server.snapshot_id,
            requested_at=requested_at,
            launched_at=launched_at,
            launch_seconds=span(requested_at, launched_at) if requested_at else None,
            point_in_time=point_in_time,
            rpo_seconds=rpo_seconds(requested_at, point_in_time),
            error=ended.error,
            explanation=self._explained(ended.error),
            events=tuple(event_evidence(event) for event in self._own_events()),
            checks=checks,
        )

    def _ended(self) -> _Launch:
        """Uses the wave's own result; if the run was cut off before the wave ended, uses what DRS reports."""
        late = self._instance.recovery_instance_id if self._instance else None
        if (record := self._record) is not None:
            # A job that was live when the wave was judged may have launched its server before clean-up came.
            instance_id = record.instance_id or (late if record.live else None)
            return _Launch(record.launched, instance_id, record.error, record.live)
        if self._job is None:
            why = self._slot.given_up if self._slot else None
            known = f"How job {self._job_id} ended is not known." if self._job_id else self._no_reply
            never = "This run did not request a launch of this server."
            return _Launch(False, late, why or known or never, live=known is not None and not why)
        instances = (
            {(self._instance.job_id, self._instance.server_id): self._instance.recovery_instance_id}
            if self._instance
            else {}
        )
        job = replace(self._job, participants=tuple(self._before_its_end(p) for p in self._job.participants))
        (outcome,) = judge(job, self._log, instances, [self._server.server_id])
        return _Launch(
            outcome.launched, outcome.instance_id, outcome.error, job.live and not outcome.launched
        )

    def _before_its_end(self, part: Participant) -> Participant:
        """The server's status before clean-up. DRS now says TERMINATED, but the log shows that it had
        launched.
        """
        ended = any(event.event == LAUNCH_END for event in self._own_events())
        if part.server_id == self._server.server_id and part.status == LaunchStatus.TERMINATED and ended:
            return replace(part, status=LaunchStatus.LAUNCHED)
        return part

    def _explained(self, error: str | None) -> Explanation | None:
        if error is None or self._job_id is None:
            return None
        events = [event for event in self._log if event.server_id in {None, self._server.server_id}]
        parts = self._job.participants if self._job else ()
        status = next((part.status for part in parts if part.server_id == self._server.server_id), None)
        return self._account.explain(error, events, self._job.status if self._job else None, status)

    def _launched_at(self) -> dt.datetime | None:
        ends = [event.at for event in self._own_events() if event.event == LAUNCH_END]
        if ends:
            return max(ends)
        return self._record.launched_at if self._record else None

    def _own_events(self) -> Iterator[LogEvent]:
        return (event for event in self._log if event.server_id == self._server.server_id)

    def _checks(self, instance_id: str | None) -> Iterator[CheckResult]:
        """The checks of this launch, without those of an earlier instance of the server."""
        return (result for result in self._results if result.instance_id in {None, instance_id})
