"""What Airflow and DRS say about a run, in addition to its own records. Pure: the caller asks them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from drs.aws.jobs import Job, LogEvent
from drs.evidence.record import Explanation
from drs.run.ticks import MissedTick


class Explain(Protocol):
    """Explains why a server did not launch, if it can."""

    def __call__(
        self, error: str, events: Sequence[LogEvent], job_status: str | None, launch_status: str | None, /
    ) -> Explanation | None:
        """Explain it from what is known.

        :param error: the error in the record
        :param events: the server's part of the job's log, and the job's own events
        """


def explains_nothing(
    _error: str, _events: Sequence[LogEvent], _job_status: str | None, _launch_status: str | None, /
) -> None:
    """Explanation for servers that have none of their own."""


@dataclass(frozen=True)
class Account:
    """What Airflow and DRS say about a run.

    :param states: the states of the run's tasks
    :param jobs: DRS's jobs of the run; empty if DRS did not answer
    :param logs: their logs, by job id
    :param listed: the recovery instances of the run's servers that DRS still lists; ``None`` if it was not
        asked
    :param findings: preflight's findings, from its XCom
    :param remarks: what went wrong when all this was read
    :param url: the run's page in Airflow
    :param next_run: when the plan's schedule runs it next
    :param missed: the plan's runs that were missed or refused since its previous record
    :param software: versions, by package
    :param explain: explains a failed launch
    """

    states: Mapping[str, str | None]
    jobs: Sequence[Job] = ()
    logs: Mapping[str, Sequence[LogEvent]] = field(default_factory=dict)
    listed: frozenset[str] | None = None
    findings: Sequence[Mapping[str, Any]] = ()
    remarks: Sequence[str] = ()
    url: str | None = None
    next_run: dt.datetime | None = None
    missed: Sequence[MissedTick] = ()
    software: Mapping[str, str] = field(default_factory=dict)
    explain: Explain = explains_nothing

    def job(self, job_id: str | None) -> Job | None:
        return next((job for job in self.jobs if job.job_id == job_id), None)
