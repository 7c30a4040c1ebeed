"""What changed between two versions of a plan, by key."""

from __future__ import annotations

from typing import Any

import pytest

from drs.plan.changes import changes
from tests.unit.drill import APPLICATION, DATABASE, make_plan

NEW = "s-9999999999999999a"
WAVES: list[dict[str, Any]] = [
    {"name": "database", "protection_groups": ["database"]},
    {"name": "application", "protection_groups": ["application"]},
]
GROUPS = {
    "database": {"source_servers": list(DATABASE)},
    "application": {"source_servers": list(APPLICATION)},
}


def told(*, then: dict[str, Any] | None = None, **now: Any) -> list[str]:
    """The changes from one plan to another; both are given by what they change of the same plan."""
    parts = {"waves": WAVES, "protection_groups": GROUPS}
    before, after = (make_plan(**{**parts, **each}).model_dump(mode="json") for each in (then or {}, now))
    return changes(before, after)


def test_the_same_plan_has_not_changed() -> None:
    """Whatever its file looks like."""
    assert told() == []


@pytest.mark.parametrize(
    ("now", "says"),
    [
        ({"launch": {"job_timeout": "90m"}}, ["launch.job_timeout"]),
        ({"objectives": {"rto": "1h", "enforce": True}}, ["objectives.rto", "objectives.enforce"]),
        ({"dag_tags": ["tier-1"]}, ["dag_tags (added tier-1)"]),
        ({"waves": [{**WAVES[0], "approval": {}}, WAVES[1]]}, ["waves.database.approval"]),
        (
            {"protection_groups": {**GROUPS, "database": {"source_servers": [DATABASE[0], NEW]}}},
            [f"protection_groups.database.source_servers (added {NEW}; removed {DATABASE[1]})"],
        ),
        (
            {"protection_groups": {**GROUPS, "database": {"source_servers": list(reversed(DATABASE))}}},
            ["protection_groups.database.source_servers (another order)"],
        ),
        (
            {"waves": WAVES[:1], "protection_groups": {"database": GROUPS["database"]}},
            ["protection_groups.application (removed)", "waves.application (removed)"],
        ),
        (
            {"waves": [{**WAVES[1], "depends_on": []}, WAVES[0]]},
            ["waves.application.depends_on", "waves (another order)"],
        ),
    ],
)
def test_each_change_is_told_by_its_key(now: dict[str, Any], says: list[str]) -> None:
    """With the servers, waves and groups that came or went."""
    assert told(**now) == says


def test_what_was_added_is_told_as_added() -> None:
    """The change is read from the earlier version to the later one."""
    before = {"waves": WAVES[:1], "protection_groups": {"database": GROUPS["database"]}}
    assert told(then=before) == ["protection_groups.application (added)", "waves.application (added)"]
