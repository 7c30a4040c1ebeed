"""What the watch remembers from one look to the next: since when it has seen each finding, whether people
were notified of it, and since when each task of an active run is in its state. Pure.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Collection, Iterable, Mapping

from pydantic import Field

from drs.run.records import Record
from drs.watch.airflow_view import ENDED, TaskSeen
from drs.watch.findings import WatchFinding


class SeenFinding(Record):
    """One thing that the watch found.

    :param place: where, so that it is not forgotten while that place cannot be read
    """

    since: dt.datetime
    notified: bool = False
    place: str = ""


class SeenTask(Record):
    """A task that has not ended, and since when it was seen in this state."""

    state: str
    since: dt.datetime


class SeenRun(Record):
    """An active run. ``states`` is a digest of the states of all of its tasks."""

    states: str
    since: dt.datetime
    tasks: dict[str, SeenTask] = Field(default_factory=dict)


class WatchMemory(Record):
    """Everything that the watch remembers."""

    found: dict[str, SeenFinding] = Field(default_factory=dict)
    runs: dict[str, SeenRun] = Field(default_factory=dict)


def see_tasks(
    before: SeenRun | None, states: Mapping[str, str | None], now: dt.datetime
) -> tuple[SeenRun, tuple[TaskSeen, ...]]:
    """Compare the states of a run's tasks with those of the last look.

    Airflow gives a task the states of other tasks without times, so a time here is that of the first look
    that saw the state: the task may be in it for longer, never for shorter.
    """
    digest = hashlib.sha256(json.dumps(sorted(states.items())).encode()).hexdigest()[:16]
    since = before.since if before and before.states == digest else now
    known = before.tasks if before else {}
    tasks = {}
    for task_id, state in states.items():
        if state is None or state in ENDED:
            continue
        last = known.get(task_id)
        tasks[task_id] = last if last and last.state == state else SeenTask(state=state, since=now)
    seen = SeenRun(states=digest, since=since, tasks=tasks)
    return seen, tuple(TaskSeen(task_id, task.state, task.since) for task_id, task in tasks.items())


def see_findings(
    memory: WatchMemory, findings: Iterable[WatchFinding], blind: Collection[str], now: dt.datetime
) -> WatchMemory:
    """Remember what was found now, and forget what is gone, so that it is new when it comes back.

    :param blind: the names of the places that could not be read: nothing there is forgotten
    """
    found = {
        key: memory.found.get(key, SeenFinding(since=now, place=finding.place.name if finding.place else ""))
        for finding in findings
        for key in finding.keys
    }
    hidden = {key: seen for key, seen in memory.found.items() if seen.place in blind and key not in found}
    return memory.model_copy(update={"found": {**hidden, **found}})


def to_notify(memory: WatchMemory, findings: Iterable[WatchFinding], now: dt.datetime) -> list[WatchFinding]:
    """The findings of which people are to be notified now.

    :param memory: with these findings
    """
    return [
        finding
        for finding in findings
        if any(
            not memory.found[key].notified and (not finding.passing or memory.found[key].since < now)
            for key in finding.keys
        )
    ]


def notified(memory: WatchMemory, findings: Iterable[WatchFinding]) -> WatchMemory:
    """Remember that people were notified of these findings."""
    keys = {key for finding in findings for key in finding.keys}
    found = {
        key: seen.model_copy(update={"notified": True}) if key in keys else seen
        for key, seen in memory.found.items()
    }
    return memory.model_copy(update={"found": found})


def seen_since(memory: WatchMemory, finding: WatchFinding) -> dt.datetime:
    """Since when everything that the finding is about has been a finding."""
    return max(memory.found[key].since for key in finding.keys)
