"""Decides whether a run that no person started may launch, and keeps what became of its tick. Pure.

A tick is a moment that a plan's schedule names. Airflow makes a run for the last tick, however old it is,
when a DAG is unpaused, when its schedule is edited, and when the scheduler comes back.
"""

from __future__ import annotations

import datetime as dt
import hashlib

from drs.plan import Plan
from drs.plan.plan_schedule import next_time
from drs.run.records import Record
from drs.text.times import as_utc, duration, instant, minute

MISSED = "Missed. "
"""How the reason in the record of a missed run begins."""
SCHEDULED = "scheduled"
"""Airflow's word for a run that the scheduler made for a tick of its DAG's schedule."""
MOST_COUNTED = 1000
"""Ticks without a run are counted up to this number."""
UNPAUSED_AT = "drs_unpaused_at"
"""The key in a scheduled run's ``conf`` under which the scheduler's listener notes that the DAG was unpaused
after the run's tick, and when.
"""


class KnownSchedule(Record):
    """The schedule of a plan as the DAG processor last read it."""

    schedule: str
    timezone: str
    since: dt.datetime
    """When the DAG processor first read it."""
    folder: str = ""
    """The folder of the plan's file."""

    @property
    def name(self) -> str:
        return f'"{self.schedule}" ({self.timezone})'

    def same(self, other: KnownSchedule | None) -> bool:
        """Whether both name the same times."""
        return other is not None and (self.schedule, self.timezone) == (other.schedule, other.timezone)


def schedule_of(plan: Plan, since: dt.datetime) -> KnownSchedule | None:
    """The plan's schedule, as read at that time; ``None`` if the plan runs only by hand."""
    if not plan.schedule:
        return None
    return KnownSchedule(schedule=plan.schedule, timezone=plan.timezone, since=since)


class MissedTick(Record):
    """A tick, or another run that no person started, that launched nothing: it was missed, or refused."""

    run_id: str
    run_type: str
    due: dt.datetime
    at: dt.datetime
    """When it was found to be missed or refused."""
    code: str = ""
    """The error code of a refusal; empty for a missed run."""
    why: str

    @property
    def fate(self) -> str:
        return f"refused, {self.code}" if self.code else "missed"

    @property
    def file_name(self) -> str:
        """Sorted by name, ticks are in the order of their times."""
        mark = hashlib.sha256(self.run_id.encode()).hexdigest()[:8]
        return f"{as_utc(self.due):%Y%m%dT%H%M%SZ}-{mark}.json"


def why_missed(
    plan: Plan,
    *,
    run_type: str,
    due: dt.datetime,
    began_at: dt.datetime,
    late_start: dt.timedelta,
    unpaused_at: dt.datetime | None = None,
    known: KnownSchedule | None = None,
) -> str | None:
    """Why a run that no person started may launch nothing, in two sentences; ``None`` if it may launch.

    :param due: the run's tick
    :param late_start: a run that begins later than this after its tick is missed
    :param unpaused_at: when the run's DAG was unpaused after the tick; ``None`` if it was not, as far as seen
    :param known: the plan's schedule as the DAG processor last read it; ``None`` if that is not known
    """
    found = None
    if run_type == SCHEDULED:
        found = _paused(due, unpaused_at) or _other_schedule(plan, due, known)
    found = found or _late(due, began_at, late_start)
    if found is None:
        return None
    return f"This {run_type} run was due at {_moment(due)}, {found}. It launches nothing."


def without_run(known: KnownSchedule | None, previous: dt.datetime | None, due: dt.datetime) -> str:
    """The ticks before this one for which Airflow made no run, in a sentence; empty if there are none.

    Airflow makes a run only for the last tick of a pause.

    :param previous: the time of the run before this one; ``None`` if there was none
    """
    if known is None:
        return ""
    since = max(known.since, previous or known.since)
    count, tick = 0, next_time(known.schedule, known.timezone, since)
    while tick < due and count < MOST_COUNTED:
        count, tick = count + 1, next_time(known.schedule, known.timezone, tick)
    more = "more than " if tick < due else ""
    ticks = "tick" if count == 1 else "ticks"
    return f"Airflow made no run for {more}{count} earlier {ticks} after {_moment(since)}." if count else ""


def make_up(plan_name: str, due: dt.datetime) -> str:
    """How to run the drill that a tick did not."""
    command = f'python -m drs drill {plan_name} --reason "makes up for {minute(due)}"'
    return f"To make up for it, trigger a run by hand: `{command}`."


def _late(due: dt.datetime, began_at: dt.datetime, late_start: dt.timedelta) -> str | None:
    late = began_at - due
    if late <= late_start:
        return None
    took, most = duration(late.total_seconds()), duration(late_start.total_seconds())
    return (
        f"and began {took} later; the most is {most} ([drs] late_start). Its DAG was paused, or Airflow was "
        "down or had no free worker"
    )


def _paused(due: dt.datetime, unpaused_at: dt.datetime | None) -> str | None:
    if unpaused_at is None or unpaused_at <= due:
        return None
    return f"but its DAG was unpaused only after that, at {_moment(unpaused_at)}"


def _other_schedule(plan: Plan, due: dt.datetime, known: KnownSchedule | None) -> str | None:
    if known is None:
        return None
    now = schedule_of(plan, known.since)
    if now is None:
        return "but the plan's file was edited since, and no longer has a schedule"
    if not now.same(known):
        return f"but the plan's file was edited since: its schedule is now {now.name}"
    if known.since <= due:
        return None
    return (
        f"but Airflow has known the plan's schedule {known.name} only since {_moment(known.since)}, when it "
        "read the new or edited plan"
    )


def _moment(at: dt.datetime) -> str:
    return f"{instant(at)} UTC"
