"""The plugins folder: what keeps Airflow out of the package in it, and what is said if something is wrong."""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path
from types import ModuleType

import pytest
from airflow._shared.module_loading import find_path_from_directory
from airflow.sdk.execution_time import task_runner

PLUGINS = Path(__file__).parents[3] / "plugins"
OUTER, INNER = ".airflowignore", "drs/.airflowignore"


def make(folder: Path, *hidden: str) -> Path:
    """A copy of the plugins folder with only these of its hidden files."""
    shutil.copytree(PLUGINS, folder, ignore=shutil.ignore_patterns(".*", "__pycache__"))
    for name in hidden:
        shutil.copy(PLUGINS / name, folder / name)
    return folder


def execute(folder: Path) -> ModuleType:
    """Execute the folder's plugin file as Airflow does."""
    spec = importlib.util.spec_from_file_location("drs_plugin", folder / "drs_plugin.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def component(monkeypatch: pytest.MonkeyPatch) -> None:
    """This process counts as a component of Airflow, and not as a task, whatever other tests imported."""
    monkeypatch.delattr(task_runner, "SUPERVISOR_COMMS", raising=False)


@pytest.mark.parametrize("syntax", ["glob", "regexp"])
@pytest.mark.parametrize("kept", [(OUTER, INNER), (OUTER,), (INNER,)])
def test_either_hidden_file_keeps_airflow_out_of_the_package(
    tmp_path: Path, kept: tuple[str, ...], syntax: str
) -> None:
    """`zip -r plugins.zip *` and `cp -r plugins/* TARGET` lose only the outer one. Airflow reads both in
    either syntax.
    """
    folder = make(tmp_path / "plugins", *kept)
    files = find_path_from_directory(folder, ".airflowignore", syntax)
    assert [Path(file).name for file in files if file.endswith(".py")] == ["drs_plugin.py"]


def test_without_hidden_files_airflow_executes_every_module(tmp_path: Path) -> None:
    """This is what the other tests of this folder, and the rules on names, are about."""
    folder = make(tmp_path / "plugins")
    assert len(list(find_path_from_directory(folder, ".airflowignore"))) > 150


@pytest.mark.usefixtures("component")
def test_lost_files_are_named_with_the_way_to_keep_them(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """As long as one of them is there, there is nothing to say."""
    execute(make(tmp_path / "kept", INNER))
    assert "hidden" not in caplog.text
    folder = make(tmp_path / "plugins")
    assert execute(folder).DrsPlugin.name == "drs"
    assert f"{folder / OUTER} and {folder / INNER} are missing" in caplog.text
    assert "zip -r plugins.zip ." in caplog.text


@pytest.mark.usefixtures("component")
def test_of_two_copies_the_one_that_counts_is_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Also how to get rid of either. One copy is nothing to talk about."""
    execute(PLUGINS)
    assert caplog.text == ""
    folder = make(tmp_path / "plugins", OUTER)
    execute(folder)
    assert f"Airflow uses {PLUGINS / 'drs'}, and ignores {folder / 'drs'}" in caplog.text
    assert "uninstall the package drs-drills" in caplog.text


def test_the_log_of_a_task_is_not_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Airflow loads plugins in each task, also of teams who know nothing of drs."""
    monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", object(), raising=False)
    execute(make(tmp_path / "plugins"))
    assert caplog.text == ""


def test_the_entry_point_offers_no_second_plugin_outside_its_package() -> None:
    """Where Airflow executes its file as one of the folder."""
    path = PLUGINS / "drs" / "entry" / "installed_plugin.py"
    spec = importlib.util.spec_from_file_location("installed_plugin", path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.installed is None
