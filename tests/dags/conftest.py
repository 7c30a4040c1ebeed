"""Airflow's own way to a DAG: a folder of plans, the files in dags/, a DagBag."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from airflow.dag_processing.dagbag import DagBag

REPOSITORY = Path(__file__).parents[2]
EXAMPLES = REPOSITORY / "include" / "plans"


@pytest.fixture
def plans(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The configured folder of plans: a copy of the examples that a test may change."""
    folder = tmp_path / "plans"
    shutil.copytree(EXAMPLES, folder)
    monkeypatch.setenv("AIRFLOW__DRS__PLANS_FOLDER", str(folder))
    return folder


@pytest.fixture
def dag_bag(plans: Path) -> Callable[[], DagBag]:
    """Parse dags/ as the DAG processor does, in safe mode."""
    return lambda: DagBag(dag_folder=REPOSITORY / "dags", safe_mode=True, load_op_links=False)
