"""The reference of the plan format agrees with the models."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from drs.plan import Plan, PlanError, load_plan
from drs.plan.durations import PATTERN, parse
from drs.plan.plan_schema import plan_schema

REFERENCE = Path("docs/plans.md").read_text(encoding="utf-8")
EXAMPLE = re.search(r"```yaml\n(name: billing\n.*?)```", REFERENCE, re.DOTALL)


def keys() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Every key of the format, with its heading in the reference."""
    headings = {"Target": "`target`", "ProtectionGroup": "`protection_groups`", "Launch": "`launch`"}
    headings |= {"Wave": "`waves`", "Approval": "`approval`", "Cleanup": "`cleanup`"}
    headings |= {"RecoveryObjectives": "`objectives`", "Network": "`network`"}
    headings |= {"Notifications": "`notifications`", "Notifier": "`notifications`"}
    yield from (("The plan", key, schema) for key, schema in plan_schema()["properties"].items())
    for model, heading in headings.items():
        properties = plan_schema()["$defs"][model]["properties"]
        yield from ((heading, key, schema) for key, schema in properties.items())


@pytest.mark.parametrize(
    ("heading", "key", "schema"), list(keys()), ids=lambda value: value if isinstance(value, str) else ""
)
def test_every_key_is_documented_with_its_default(heading: str, key: str, schema: dict[str, Any]) -> None:
    """The right table has a row for the key, with the default of the model."""
    section = REFERENCE.split(f"### {heading}\n")[1].split("\n### ")[0]
    row = re.search(rf"^\| `{key}` \| (.*?) \|", section, re.MULTILINE)
    assert row
    default = schema.get("default")
    if isinstance(default, str) and re.match(PATTERN, default):
        assert parse(row[1].strip("`")) == parse(default)
    elif isinstance(default, str) and default:
        assert row[1] == f"`{default}`"


def test_every_kind_of_check_is_documented_with_its_keys_and_defaults() -> None:
    """The table has each kind of check and all of its keys."""
    table = REFERENCE.split("### `validation`\n")[1].split("\n### ")[0]
    documented: dict[str, dict[str, str]] = {}
    kind = ""
    for row in re.findall(r"^\|(.*)\|$", table, re.MULTILINE)[3:]:
        first, key, default, _ = (cell.strip("` ") for cell in row.split("|"))
        kind = first or kind
        documented.setdefault(kind, {})[key] = default
    kinds = plan_schema()["$defs"]["Wave"]["properties"]["validation"]["items"]["discriminator"]["mapping"]
    for kind, keys_of_kind in documented.items():
        model = plan_schema()["$defs"][kinds[kind].rpartition("/")[2]]
        properties = {key: schema for key, schema in model["properties"].items() if key != "type"}
        keys_of_kind["timeout"] = keys_of_kind.pop("").removeprefix("timeout: ")
        assert keys_of_kind.keys() == properties.keys()
        for key, schema in properties.items():
            default = schema.get("default", "required" if key in model["required"] else "none")
            assert keys_of_kind[key] == str(default)
    assert documented.keys() == kinds.keys()


def test_the_example_of_the_reference_is_a_good_plan_with_every_key(tmp_path: Path) -> None:
    """The example can be copied and contains every key."""
    assert EXAMPLE
    (tmp_path / "billing.yaml").write_text(EXAMPLE[1])
    assert isinstance(load_plan(tmp_path / "billing.yaml"), Plan)
    data = yaml.safe_load(EXAMPLE[1])
    assert list(data) == list(plan_schema()["properties"])


def test_the_error_text_of_the_reference_is_the_real_one(tmp_path: Path) -> None:
    """The text in the reference is the text that the loader prints."""
    assert EXAMPLE
    broken = EXAMPLE[1].replace('"111122223333"', "111122223333").replace("groups: [web]", "groups: [wbe]")
    (tmp_path / "billing.yaml").write_text(broken)
    with pytest.raises(PlanError) as caught:
        load_plan(tmp_path / "billing.yaml")
    assert str(caught.value).replace(str(tmp_path), "include/plans") in REFERENCE
