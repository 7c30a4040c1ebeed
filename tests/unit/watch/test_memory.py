"""What the watch remembers: people are notified once of each finding, and again when it comes back."""

from __future__ import annotations

import datetime as dt

from drs.errors import Code, DrsUnavailable
from drs.watch import messages
from drs.watch.findings import WatchFinding
from drs.watch.memory import WatchMemory, notified, see_findings, see_tasks, seen_since, to_notify
from drs.watch.view import Unreadable
from tests.unit.drill import NOW, after
from tests.unit.watch.sights import PLACE


def finding(*keys: str) -> WatchFinding:
    return WatchFinding(
        code=Code.ORPHANED_DRILL_INSTANCE,
        keys=keys,
        title="left",
        message="Left.",
        remedy="End it.",
        place=PLACE,
    )


def look(
    memory: WatchMemory, *findings: WatchFinding, at: dt.datetime, blind: tuple[str, ...] = ()
) -> tuple[WatchMemory, list[WatchFinding]]:
    """One look: what is remembered after it, and of what people are notified."""
    memory = see_findings(WatchMemory.model_validate(memory.model_dump(mode="json")), findings, blind, at)
    due = to_notify(memory, findings, at)
    return notified(memory, due), due


def test_people_are_notified_once_as_long_as_it_is_there() -> None:
    """The time since which it is a finding stays the same."""
    memory, due = look(WatchMemory(), finding("i-1"), at=NOW)
    assert due == [finding("i-1")]
    memory, due = look(memory, finding("i-1"), at=after(600))
    assert due == []
    assert seen_since(memory, finding("i-1")) == NOW


def test_one_that_comes_back_is_a_new_one() -> None:
    """It was gone in between."""
    memory, _ = look(WatchMemory(), finding("i-1"), at=NOW)
    memory, _ = look(memory, at=after(600))
    assert memory == WatchMemory()
    memory, due = look(memory, finding("i-1"), at=after(1200))
    assert due == [finding("i-1")]
    assert seen_since(memory, finding("i-1")) == after(1200)


def test_another_of_the_same_kind_is_a_new_one() -> None:
    """A second instance of the same run: people are notified of both; the grace counts from the second."""
    memory, _ = look(WatchMemory(), finding("i-1"), at=NOW)
    memory, due = look(memory, finding("i-1", "i-2"), at=after(600))
    assert due == [finding("i-1", "i-2")]
    assert seen_since(memory, finding("i-1", "i-2")) == after(600)
    _, due = look(memory, finding("i-2"), at=after(1200))
    assert due == []


def test_nothing_is_forgotten_in_a_place_that_cannot_be_read() -> None:
    """Otherwise one throttled look would send every message again, and the grace would begin again."""
    memory, _ = look(WatchMemory(), finding("i-1"), at=NOW)
    memory, _ = look(memory, at=after(600), blind=(PLACE.name,))
    memory, due = look(memory, finding("i-1"), at=after(1200))
    assert due == []
    assert seen_since(memory, finding("i-1")) == NOW


def test_of_what_may_pass_people_are_notified_at_the_second_look() -> None:
    """AWS did not answer once. The watch is red at once, but nobody is woken for it."""
    blind = messages.unreadable(Unreadable(PLACE, DrsUnavailable("No answer."), passing=True))
    memory, due = look(WatchMemory(), blind, at=NOW)
    assert due == []
    memory, due = look(memory, blind, at=after(600))
    assert due == [blind]
    _, due = look(memory, blind, at=after(1200))
    assert due == []


def test_a_task_is_in_its_state_since_the_first_look_that_saw_it() -> None:
    """Ended and coming tasks are not remembered. A change of any task is a move of the run."""
    states = {"begin": "success", "preflight": "running", "terminate": None}
    first, tasks = see_tasks(None, states, NOW)
    assert [(task.task_id, task.since) for task in tasks] == [("preflight", NOW)]
    second, tasks = see_tasks(first, states, after(600))
    assert [task.since for task in tasks] == [NOW]
    assert second.since == NOW
    third, tasks = see_tasks(second, {**states, "preflight": "deferred"}, after(1200))
    assert [(task.state, task.since) for task in tasks] == [("deferred", after(1200))]
    assert third.since == after(1200)
    fourth, tasks = see_tasks(third, {**states, "preflight": "success"}, after(1800))
    assert (tasks, fourth.since) == ((), after(1800))
