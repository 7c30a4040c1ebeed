"""The files in dags/, as they lie on the platforms on which people run Airflow: every DAG is there."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from airflow.dag_processing.dagbag import DagBag
from airflow.sdk import Variable

from tests.dags.conftest import EXAMPLES, REPOSITORY
from tests.dags.test_integrity import DAG_IDS


def copy_files(source: Path, folder: Path) -> None:
    """The files of the folder, hidden ones too, and no folders."""
    folder.mkdir(parents=True)
    for path in source.iterdir():
        if path.is_file():
            shutil.copy(path, folder)


def of_amazon_mwaa(home: Path) -> Path:
    """Only the folder of DAGs is synchronised, so plans are in it."""
    copy_files(REPOSITORY / "dags", home / "dags")
    copy_files(EXAMPLES, home / "dags" / "plans")
    (home / "plugins").mkdir()
    return home / "dags"


def of_an_astro_project(home: Path) -> Path:
    """The folder include is beside the folder of DAGs."""
    copy_files(REPOSITORY / "dags", home / "dags")
    copy_files(EXAMPLES, home / "include" / "plans")
    (home / "plugins").mkdir()
    return home / "dags"


def of_git_sync(home: Path) -> Path:
    """The sidecar of the chart puts each commit into a folder of its own, and moves a link."""
    commit = home / "dags" / ".worktrees" / "0123456789abcdef0123456789abcdef01234567"
    copy_files(REPOSITORY / "dags", commit / "dags")
    copy_files(EXAMPLES, commit / "dags" / "plans")
    (home / "dags" / "repo").symlink_to(commit.relative_to(home / "dags"))
    return home / "dags" / "repo" / "dags"


def of_a_configmap(home: Path) -> Path:
    """Kubernetes mounts each key as a link over the link ``..data``, which it moves when the map changes."""
    copy_files(REPOSITORY / "dags", home / "dags")
    plans = home / "dags" / "plans"
    copy_files(EXAMPLES, plans / "..2026_11_28_05_00_00.1")
    (plans / "..data").symlink_to("..2026_11_28_05_00_00.1")
    for path in (plans / "..data").iterdir():
        (plans / path.name).symlink_to(Path("..data") / path.name)
    return home / "dags"


@pytest.mark.parametrize(
    "lay_out", [of_amazon_mwaa, of_an_astro_project, of_git_sync, of_a_configmap], ids=lambda f: f.__name__
)
def test_every_dag_parses_where_the_platform_puts_it(
    lay_out: Callable[[Path], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is configured but the folder of DAGs."""
    dags = lay_out(tmp_path)
    monkeypatch.setenv("AIRFLOW__CORE__DAGS_FOLDER", str(dags))
    monkeypatch.delenv("AIRFLOW__DRS__PLANS_FOLDER", raising=False)
    bag = DagBag(dag_folder=dags, safe_mode=True, load_op_links=False)
    assert bag.import_errors == {}
    assert set(bag.dags) == DAG_IDS


def test_nothing_is_read_from_variables_or_an_unknown_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`astro dev parse` gives invented values for each variable that a DAG file asks for, of Airflow and of
    the environment: they must not become a setting.
    """
    dags = of_an_astro_project(tmp_path)
    monkeypatch.setenv("AIRFLOW__CORE__DAGS_FOLDER", str(dags))
    monkeypatch.delenv("AIRFLOW__DRS__PLANS_FOLDER", raising=False)
    asked: list[str] = []

    def invented(key: str, default: str | None = None) -> str:
        if key not in os.environ and default is None:
            asked.append(key)
        return os.environ.get(key) or default or f"MOCKED_{key.upper()}_VALUE"

    monkeypatch.setattr(os, "getenv", invented)
    monkeypatch.setattr(Variable, "get", lambda key, *_, **__: asked.append(key))
    bag = DagBag(dag_folder=dags, safe_mode=True, load_op_links=False)
    assert (bag.import_errors, set(bag.dags)) == ({}, DAG_IDS)
    assert [key for key in asked if "DRS" in key.upper() or "PLANS" in key.upper()] == []
