"""How a wave ended: a table of its servers, and an explanation of each failure. Pure."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from drs.aws.access_denied import allow
from drs.aws.jobs import Job, LogEvent
from drs.aws.refusals.meaning import OTHERWISE
from drs.explain import LaunchExplanation, explain_failure, raw_error_of
from drs.run.records import ServerRecord
from drs.text import shown
from drs.text.tables import first_of, named, table
from drs.text.times import age, clock_time, duration

REMEDIES = 3
"""Remedies in a message; the details above it contain all of them."""
RAW_ERROR_LENGTH = 200
"""Characters of a raw error in a message; the details above it contain the whole error."""
IN_OTHER_WORDS = frozenset({"unknown", "no_job", "no_instance_named", "unexplained"})
"""Patterns whose phrase says less than the error."""
HEADER = ("server", "name", "launch", "instance", "took", "job")


@dataclass(frozen=True)
class FailedServer:
    """A server that was not launched, and why.

    :param events: the server's events in the job log, and those of the job itself
    """

    server: ServerRecord
    events: tuple[LogEvent, ...]
    raw_error: str | None
    explanation: LaunchExplanation

    @property
    def cause(self) -> str:
        """The cause in a few words, with the error in DRS's own words if there is one."""
        if self.explanation.pattern in IN_OTHER_WORDS:
            return _cut(self.raw_error or self.server.error or self.explanation.phrase)
        if self.raw_error:
            return f"{self.explanation.phrase} ({_cut(self.raw_error)})"
        return self.explanation.phrase

    @property
    def where(self) -> str:
        """``s-… (db-1) in job drsjob-…``"""
        job = f"job {self.server.job_id}" if self.server.job_id else "no job"
        return f"{named(self.server.server_id, self.server.name)} in {job}"

    def lines(self, *, remedy_too: bool = True) -> Iterator[str]:
        """The events of the server, then its error, the cause and the remedy.

        :param remedy_too: false if the remedy is told elsewhere
        """
        yield self.where
        yield from (f"  {clock_time(event.at)}  {event.event}" for event in self.events)
        if not self.events:
            yield "  DRS has written no event about this server"
        error = self.server.error or "none"
        yield f"  {'raw error' if self.raw_error else 'seen'}: {shown.line(self.raw_error or error)}"
        yield f"  cause: {self.explanation.cause}"
        if remedy_too:
            yield f"  what to do: {self.explanation.remedy}"
        yield f"  retry: {self.explanation.retry}"


def failed_servers(
    servers: Iterable[ServerRecord],
    jobs: Mapping[str, Job],
    logs: Mapping[str, Sequence[LogEvent]],
    now: dt.datetime,
) -> list[FailedServer]:
    """Explain each server that was not launched.

    :param jobs: the jobs of the wave that DRS lists, by id
    :param logs: the logs of these jobs, by job id
    """
    return [
        _explained(server, jobs.get(server.job_id or ""), logs.get(server.job_id or "", ()), now)
        for server in servers
        if not server.launched
    ]


def _explained(
    server: ServerRecord, job: Job | None, log: Sequence[LogEvent], now: dt.datetime
) -> FailedServer:
    own = tuple(event for event in log if event.server_id in (server.server_id, None))
    raw_error = raw_error_of(own)
    last = max((event.at for event in log), default=job.created if job else now)
    participants = job.participants if job else ()
    explanation = explain_failure(
        raw_error,
        own,
        job_status=job.status if job else None,
        launch_status=next((p.status for p in participants if p.server_id == server.server_id), None),
        silent_for=now - last if job and job.live else None,
    )
    return FailedServer(server, own, raw_error, explanation)


def servers_table(servers: Iterable[ServerRecord]) -> str:
    """A table of the wave's servers that shows how each launch ended."""
    rows = [
        (
            server.server_id,
            server.name,
            _launch(server),
            server.instance_id or "-",
            duration(server.seconds, none="-"),
            server.job_id or "-",
        )
        for server in servers
    ]
    return table(HEADER, rows)


def _launch(server: ServerRecord) -> str:
    """How the launch ended, for a cell of the table."""
    if server.launched:
        return "launched"
    if server.live:
        return "STILL LAUNCHING (optional)" if server.optional else "STILL LAUNCHING"
    return "not launched (optional)" if server.optional else "FAILED"


def details(servers: Sequence[ServerRecord], failed: Sequence[FailedServer]) -> str:
    """The table of the wave's servers, then each failed one with its events and cause; and with its remedy if
    they differ. A remedy of all stands in the message of the wave.
    """
    differ = len({each.explanation.remedy for each in failed}) > 1
    lines = (line for each in failed for line in ("", *each.lines(remedy_too=differ)))
    return "\n".join([servers_table(servers), *lines])


def causes(failed: Sequence[FailedServer]) -> str:
    """The servers and the cause of each failure in a few words. Servers with the same cause are grouped."""
    groups: dict[str, list[str]] = {}
    for each in failed:
        groups.setdefault(each.cause, []).append(each.where)
    return "; ".join(f"{first_of(where)}: {cause}" for cause, where in groups.items())


def remedy(failed: Sequence[FailedServer], then: str) -> str:
    """What to do: one statement for all missing permissions, then each other remedy once."""
    plain = [each for each in failed if each.explanation.pattern == "permission"]
    actions = sorted({str(each.explanation.action) for each in plain})
    others = list(dict.fromkeys(each.explanation.remedy for each in failed if each not in plain))
    unnamed = any(each.explanation.denied_by is None for each in plain)
    allowed = f"DRS acts with the caller's permissions. {allow(actions)}{OTHERWISE if unnamed else ''}"
    steps = [allowed] if actions else []
    steps += others[:REMEDIES]
    if len(others) > REMEDIES:
        steps.append(f"The log above shows all remedies ({len(others) - REMEDIES} more).")
    return "\n".join([*steps, then])


def _cut(text: str) -> str:
    text = shown.line(text)
    return text if len(text) <= RAW_ERROR_LENGTH else f"{text[:RAW_ERROR_LENGTH]}..."


def last_event(log: Sequence[LogEvent]) -> str:
    """The last event in a job's log, or ``none``."""
    return log[-1].describe() if log else "none"


def silence(job: Job, log: Sequence[LogEvent], now: dt.datetime) -> str:
    """How long the job's log has had no new event."""
    since = max((event.at for event in log), default=job.created)
    return f"silent for {age(since, now)} since {clock_time(since)}"
