"""The wheel: what `pip install drs-drills` brings, and what it does not."""

from __future__ import annotations

import email.message
import email.parser
import importlib
import importlib.metadata
import json
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from hatchling.builders.wheel import WheelBuilder
from packaging.requirements import Requirement

from drs.cli import shipped_files

ROOT = Path(__file__).parents[3]
REPOSITORY = "https://github.com/drs-drills/drs-drills/"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[zipfile.ZipFile]:
    """The wheel of these files."""
    folder = tmp_path_factory.mktemp("dist")
    (path,) = WheelBuilder(str(ROOT)).build(directory=str(folder), versions=["standard"])
    with zipfile.ZipFile(path) as opened:
        yield opened


@pytest.fixture(scope="module")
def metadata(wheel: zipfile.ZipFile) -> email.message.Message:
    (name,) = (name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
    return email.parser.Parser().parsestr(wheel.read(name).decode("utf-8"))


KNOW_AIRFLOW = ("compat", "dag_factory", "entry", "settings", "tasks")
"""The rooms of the package that run in Airflow only; import-linter keeps Airflow out of all others."""

IMPORT_ALL_BUT = """
import importlib, json, pkgutil, sys
before = set(sys.modules)
import drs
for found in pkgutil.walk_packages(drs.__path__, "drs.", onerror=lambda _: None):
    if found.name.split(".")[1] not in {*sys.argv[1:], "__main__", "shipped"}:
        importlib.import_module(found.name)
import drs.entry.provider_info
print(json.dumps(sorted({name.partition(".")[0] for name in set(sys.modules) - before})))
"""
USED_IF_THERE = {"click"}
"""httpx has a command line where it is installed."""


def requirements(metadata: email.message.Message, extra: str = "") -> dict[str, Requirement]:
    """What is installed with an extra, or without any."""
    listed = [Requirement(text) for text in metadata.get_all("Requires-Dist", [])]
    without = {each.name for each in listed if each.marker is None or each.marker.evaluate({"extra": ""})}
    return {
        each.name: each
        for each in listed
        if (each.name in without if not extra else each.marker and each.marker.evaluate({"extra": extra}))
        and (not extra or each.name not in without)
    }


def test_the_core_needs_no_airflow(metadata: email.message.Message) -> None:
    """The pre-commit hook and the commands do without; where drills run, the extra brings it."""
    assert not [name for name in requirements(metadata) if "airflow" in name]
    extra = {name: str(each.specifier) for name, each in requirements(metadata, "airflow").items()}
    assert extra == {
        "apache-airflow": "<4,>=3.2",
        "apache-airflow-providers-amazon": ">=9.25",
        "apache-airflow-providers-standard": ">=1.12",
    }


def test_everything_that_the_commands_import_is_a_dependency_of_the_core(
    metadata: email.message.Message,
) -> None:
    """In the environment of the tests Airflow brings many packages that are not there without it."""
    done = subprocess.run(
        [sys.executable, "-c", IMPORT_ALL_BUT, *KNOW_AIRFLOW], capture_output=True, text=True, check=True
    )
    imported = set(json.loads(done.stdout))
    of_module = importlib.metadata.packages_distributions()
    used = {normal(name) for module in imported for name in of_module.get(module, [])} - {"drs-drills"}
    assert {"boto3", "httpx", "pydantic", "rich"} <= used
    assert "apache-airflow" not in used
    assert used - USED_IF_THERE - closure(requirements(metadata).values()) == set()


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def closure(wanted: Iterable[Requirement]) -> set[str]:
    """The distributions that are installed for these requirements."""
    found: set[str] = set()
    todo = [(each.name, frozenset(each.extras)) for each in wanted]
    while todo:
        name, extras = todo.pop()
        if normal(name) in found:
            continue
        found.add(normal(name))
        try:
            lines = importlib.metadata.requires(name) or []
        except importlib.metadata.PackageNotFoundError:
            continue
        for each in map(Requirement, lines):
            if each.marker is None or any(each.marker.evaluate({"extra": extra}) for extra in extras | {""}):
                todo.append((each.name, frozenset(each.extras)))
    return found


def test_its_entry_points_exist(wheel: zipfile.ZipFile) -> None:
    """The command `drs`, the provider, and the plugin."""
    (name,) = (name for name in wheel.namelist() if name.endswith(".dist-info/entry_points.txt"))
    found = re.findall(r"^\w+ = (drs[\w.]+):(\w+)$", wheel.read(name).decode(), re.MULTILINE)
    assert [f"{module}:{attribute}" for module, attribute in found] == [
        "drs.cli.console:run",
        "drs.entry.installed_plugin:installed",
        "drs.entry.provider_info:get_provider_info",
    ]
    for module, attribute in found:
        assert hasattr(importlib.import_module(module), attribute)


def test_it_brings_dag_files_plans_policies_alarms_and_schemas(wheel: zipfile.ZipFile) -> None:
    """Byte for byte, and no file that was made by running the code."""
    prefix = "drs/shipped/"
    shipped = {name.removeprefix(prefix) for name in wheel.namelist() if name.startswith(prefix)}
    assert shipped == set(shipped_files.shipped(ROOT))
    assert {
        "dags/.airflowignore",
        "dags/recovery_plans.py",
        "include/airflow.env",
        "include/cloudwatch/alarms.yaml",
        "include/evidence.schema.json",
        "include/iam/drill.json",
        "include/plans/order-system.yaml",
        "include/plans/plan.schema.json",
    } <= shipped
    for name in shipped:
        assert wheel.read(prefix + name) == (ROOT / name).read_bytes()
    assert not [name for name in wheel.namelist() if name.endswith(".pyc")]
    assert {name.partition("/")[0] for name in wheel.namelist() if ".dist-info/" not in name} == {"drs"}


def test_every_link_of_its_description_is_absolute(metadata: email.message.Message) -> None:
    """PyPI shows the README without the files beside it. Each link leads to a file of this repository."""
    text = str(metadata.get_payload())
    links = re.findall(r"\]\(([^)]+)\)", text)
    relative = re.findall(r"\]\((?![a-z]+:|#)([^)]+)\)", (ROOT / "README.md").read_text(encoding="utf-8"))
    assert len(relative) > 20
    assert [link for link in links if not link.startswith(("https://", "#"))] == []
    for link in relative:
        assert f"{REPOSITORY}blob/main/{link}" in links
        assert (ROOT / link.partition("#")[0]).exists()


def test_pypi_shows_where_it_comes_from(metadata: email.message.Message) -> None:
    """Addresses, authors, and a description in Markdown."""
    assert metadata["Description-Content-Type"] == "text/markdown"
    assert metadata["Author"]
    urls = dict(text.split(", ") for text in metadata.get_all("Project-URL", []))
    assert {"Homepage", "Documentation", "Changelog", "Issues", "Source"} <= urls.keys()
    assert all(url.startswith(REPOSITORY.rstrip("/")) for url in urls.values())
