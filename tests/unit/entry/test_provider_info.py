"""What Airflow shows of this package: the provider, its modules, and the options of section [drs]."""

from __future__ import annotations

import ast
import importlib.resources
import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from drs.entry.provider_info import get_provider_info
from drs.run.own_code import NOTIFIERS, AllowedCode
from drs.setting_options import OPTIONS

ROOT = Path(__file__).parents[3]
TASKS = ROOT / "plugins" / "drs" / "tasks"


def test_it_has_the_form_that_airflow_wants() -> None:
    """Airflow leaves out a provider that has not."""
    schema = json.loads((importlib.resources.files("airflow") / "provider_info.schema.json").read_text())
    jsonschema.validate(get_provider_info(), schema)


def defining(ending: str) -> set[str]:
    """The modules of drs/tasks that define a public class whose name ends so."""
    return {
        f"drs.tasks.{'.'.join(path.relative_to(TASKS).with_suffix('').parts)}"
        for path in TASKS.rglob("*.py")
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.ClassDef) and re.fullmatch(rf"Drs\w+{ending}", node.name)
    }


@pytest.mark.parametrize(
    ("kind", "ending"),
    [("hooks", "Hook"), ("operators", "Operator"), ("sensors", "Sensor"), ("triggers", "Trigger")],
)
def test_it_names_every_module_of_a_kind(kind: str, ending: str) -> None:
    """A new operator is listed, and no module that is gone. The hook's name is the service's."""
    (entry,) = get_provider_info()[kind]
    found = {"drs.tasks.hook"} if kind == "hooks" else defining(ending)
    assert set(entry["python-modules"]) == found - {"drs.tasks.operators.question"}


def read_in_settings() -> set[str]:
    """The options that settings.py reads."""
    tree = ast.parse((ROOT / "plugins" / "drs" / "settings.py").read_text(encoding="utf-8"))
    return {
        node.args[0].value
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id in {"_text", "_is_on", "_number"}
        and isinstance(node.args[0], ast.Constant)
        and isinstance(node.args[0].value, str)
    }


def documented() -> dict[str, str]:
    """The table of docs/configuration.md: the default of each option, as it is written there."""
    page = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
    table = page.partition("\n## ")[0]
    rows = [line.split(" | ") for line in table.splitlines() if line.startswith("| `")]
    return {row[0].strip("|` "): row[1].strip() for row in rows}


def test_the_options_are_those_that_are_read_and_documented() -> None:
    """In the same order in Airflow and on the page."""
    assert read_in_settings() == OPTIONS.keys()
    assert list(documented()) == list(OPTIONS)
    assert list(get_provider_info()["config"]["drs"]["options"]) == list(OPTIONS)


@pytest.mark.parametrize("name", OPTIONS)
def test_each_default_is_the_documented_one(name: str) -> None:
    """Without a default, the page says in words what holds then."""
    text, default = documented()[name], OPTIONS[name].default
    assert text == f"`{default}`" if default is not None else text != "" and not re.fullmatch(r"`\S+`", text)


def test_no_file_sets_an_option_that_does_not_exist() -> None:
    """A setting whose name is wrong would be ignored in silence."""
    files = ["docker-compose.yaml", ".env.example", "include/airflow.env", "README.md"]
    files += [str(path.relative_to(ROOT)) for path in ROOT.glob("docs/*.md")]
    named = {
        name.lower()
        for file in files
        for name in re.findall(r"AIRFLOW__DRS__([A-Z_]+[A-Z])", (ROOT / file).read_text(encoding="utf-8"))
    }
    assert len(named) > 10
    assert named <= OPTIONS.keys()


def test_the_default_of_the_notifiers_is_that_of_the_commands() -> None:
    """`validate` knows it without Airflow's configuration."""
    default: Any = OPTIONS["allowed_notifiers"].default
    assert AllowedCode.of(default, None).notifiers == NOTIFIERS
