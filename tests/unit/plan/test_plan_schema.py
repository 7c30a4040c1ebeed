"""The JSON Schema for editors, and Airflow's reading of every allowed schedule."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from airflow.sdk import CronTriggerTimetable
from airflow.timetables.trigger import CronTriggerTimetable as SchedulersTimetable

from drs.plan.plan_schedule import PRESETS, checked_schedule
from drs.plan.plan_schema import plan_schema, schema_text

PLANS = Path("include/plans")
EXAMPLES = sorted(PLANS.glob("*.yaml"))


def test_the_schema_file_is_the_models_own() -> None:
    """To update the file, run: python -m drs schema --output include/plans/plan.schema.json."""
    assert schema_text() == (PLANS / "plan.schema.json").read_text(encoding="utf-8")


def test_the_schema_is_a_schema() -> None:
    """The schema conforms to the draft that it names."""
    jsonschema.Draft202012Validator.check_schema(plan_schema())


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.stem)
def test_the_examples_conform_to_the_schema(file: Path) -> None:
    """An editor does not mark plans that the loader accepts."""
    jsonschema.Draft202012Validator(plan_schema()).validate(yaml.safe_load(file.read_text()))


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.stem)
def test_the_examples_point_editors_to_the_schema(file: Path) -> None:
    """In a copied example, the editor's completion and checks still work."""
    assert file.read_text().startswith("# yaml-language-server: $schema=./plan.schema.json\n")


@pytest.mark.parametrize(
    "change",
    [
        {"colour": "red"},
        {"schedule": None},
        {"waves": []},
        {"name": "Billing"},
        {"launch": {"server_delay": 15}},
        {"launch": {"server_delay": "soon"}},
        {"cleanup": {"when": "perhaps"}},
        {"waves": [{"name": "a", "protection_groups": ["server"], "validation": [{"port": 80}]}]},
        {"waves": [{"name": "a", "protection_groups": ["server"], "validation": [{"type": "ping"}]}]},
        {"waves": [{"name": "a", "protection_groups": ["server"], "validation": [{"type": "tcp"}]}]},
        {"protection_groups": {"a": {}}},
        {"protection_groups": {"bad name": {"server_tags": {"a": "b"}}}},
        {"protection_groups": {"a": {"server_tags": {"a": "b"}, "source_servers": ["s-3c1730a9e0771ea14"]}}},
    ],
)
def test_an_editor_marks_what_the_loader_refuses(change: dict[str, Any]) -> None:
    """An editor shows most mistakes while they are typed."""
    data = yaml.safe_load((PLANS / "single-server.yaml").read_text()) | change
    assert not jsonschema.Draft202012Validator(plan_schema()).is_valid(data)


def places(node: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every key that a person may write, with its schema and the schema that it refers to."""
    if "$ref" in node:
        node = plan_schema()["$defs"][node["$ref"].rpartition("/")[2]] | node
    if path and not path.endswith(">"):
        yield path, node
    for key, child in node.get("properties", {}).items():
        yield from places(child, f"{path}.{key}")
    for choice in node.get("oneOf", []):
        if "$ref" in choice:
            yield from places(choice, f"{path}<{choice['$ref'].rpartition('/')[2]}>")
    for word in ("items", "additionalProperties"):
        if isinstance(node.get(word), dict):
            yield from places(node[word], f"{path}[]")
    for child in node.get("patternProperties", {}).values():
        yield from places(child, f"{path}[]")


def test_every_place_of_a_plan_has_a_default_or_an_example() -> None:
    """An editor offers it. Messages about a plan do not use it."""
    bare = [path for path, node in places(plan_schema()) if not (node.get("default") or node.get("examples"))]
    fixed = [path for path, node in places(plan_schema()) if "enum" in node or "const" in node]
    assert [path for path in bare if path not in fixed] == []


def test_every_key_of_a_plan_is_described() -> None:
    """An editor can show a description of every key."""
    keys = [(path, node) for path, node in places(plan_schema()) if not path.endswith("[]")]
    assert [path for path, node in keys if not node.get("description")] == []


@pytest.mark.parametrize(
    "schedule", [*PRESETS, "0 6 1 * *", "30 5 * * mon", "0 6 1 jan-mar *", "0 6 L * *", "*/5 * * * 1#1"]
)
def test_airflow_runs_by_every_schedule_that_a_plan_may_have(schedule: str) -> None:
    """A schedule that is accepted here never fails in Airflow's DAG processor."""
    assert checked_schedule(schedule) == schedule
    CronTriggerTimetable(schedule, timezone="Europe/Berlin")
    SchedulersTimetable(schedule, timezone="Europe/Berlin").validate()
