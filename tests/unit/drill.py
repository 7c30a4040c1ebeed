"""The parts of a drill's run for tests: a plan, a ledger in memory, jobs and log events."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

from drs.aws.jobs import Job, LogEvent, Participant
from drs.plan import Plan
from drs.run.records import RunRecord

NOW = dt.datetime(2026, 3, 1, 6, 0, tzinfo=dt.UTC)
DATABASE = ("s-3c1730a9e0771ea14", "s-3c1730a9e0771ea15")
APPLICATION = ("s-57eae3bdae1f0a261", "s-57eae3bdae1f0a262")


class MemoryStore:
    """A run's XCom in memory. Values pass through JSON, as in Airflow."""

    def __init__(self) -> None:
        self.values: dict[str, str] = {}

    def get(self, key: str) -> Any:
        return json.loads(self.values[key]) if key in self.values else None

    def set(self, key: str, value: Any) -> None:
        self.values[key] = json.dumps(value)


def after(seconds: float) -> dt.datetime:
    """The moment that many seconds after ``NOW``."""
    return NOW + dt.timedelta(seconds=seconds)


def make_plan(**parts: Any) -> Plan:
    """A plan of two waves, database and application; ``parts`` replace its parts."""
    return Plan.model_validate(
        {
            "name": "orders",
            "target": {"region": "us-east-1", "account_id": "111122223333"},
            "protection_groups": {
                "database": {"source_servers": DATABASE},
                "application": {"source_servers": APPLICATION},
            },
            "waves": [
                {"name": "database", "protection_groups": ["database"]},
                {"name": "application", "protection_groups": ["application"]},
            ],
            **parts,
        }
    )


def make_run(plan: Plan | None = None, **fields: Any) -> RunRecord:
    """A run of the plan with all of its waves."""
    plan = plan or make_plan()
    return RunRecord.model_validate(
        {
            "token": "0123456789abcdef",
            "dag_id": f"drs_drill__{plan.name}",
            "run_id": "manual__2026-03-01T06:00:00+00:00",
            "began_at": NOW,
            "plan": plan.model_dump(mode="json"),
            "digest": plan.digest,
            "waves": [wave.name for wave in plan.waves],
            **fields,
        }
    )


def make_job(job_id: str, *participants: str | Participant, **fields: Any) -> Job:
    """A drill's LAUNCH job; a participant that is given only by its id is PENDING."""
    servers = tuple(p if isinstance(p, Participant) else Participant(p, "PENDING") for p in participants)
    known: dict[str, Any] = {
        "type": "LAUNCH",
        "status": "STARTED",
        "initiated_by": "START_DRILL",
        "created": NOW,
        "ended": None,
    }
    return Job(job_id=job_id, participants=servers, **{**known, **fields})


def make_event(seconds: float, event: str, server_id: str | None = None, **fields: Any) -> LogEvent:
    """A job log event, that many seconds after ``NOW``."""
    return LogEvent(at=after(seconds), event=event, server_id=server_id, **fields)
