"""A DAG file of three lines: plans beside it, in DAG bundles, in volumes of Kubernetes."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from airflow.dag_processing.bundles.local import LocalDagBundle
from airflow.dag_processing.dagbag import DagBag

import drs
from drs.tasks import plans_folder
from drs.tasks.operators.readiness import DrsListPlansOperator
from tests.dags.conftest import EXAMPLES, REPOSITORY
from tests.dags.test_integrity import DAG_IDS, FOR_ALL_PLANS

THREE_LINES = """\
from airflow.sdk import DAG  # Airflow reads only files that name both
from drs import recovery_plans
recovery_plans(globals(), "plans")
"""
Parse = Callable[[Path], DagBag]


@pytest.fixture(autouse=True)
def own_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test is a process of its own."""
    monkeypatch.setattr(plans_folder, "_OF_DAG", {})


@pytest.fixture
def parse(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Parse:
    """Parse a folder as the DAG bundle of an Airflow whose DAGs folder is elsewhere."""
    monkeypatch.setenv("AIRFLOW__CORE__DAGS_FOLDER", str(tmp_path / "airflow" / "dags"))

    def parse(folder: Path) -> DagBag:
        bundle = LocalDagBundle(name="drills", path=str(folder))
        return DagBag(
            dag_folder=bundle.path,
            bundle_path=bundle.path,
            bundle_name=bundle.name,
            safe_mode=True,
            load_op_links=False,
        )

    return parse


def bundle(folder: Path, *, plans: str = "plans") -> Path:
    """A folder with the DAG file of three lines, and the examples beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "drills.py").write_text(THREE_LINES)
    shutil.copytree(EXAMPLES, folder / plans)
    return folder


def test_three_lines_give_all_dags(parse: Parse, tmp_path: Path) -> None:
    """Those of the plans beside the file, readiness, and the watch."""
    bag = parse(bundle(tmp_path / "bundle"))
    assert bag.import_errors == {}
    assert set(bag.dags) == DAG_IDS


def test_the_page_shows_these_lines() -> None:
    """A reader copies them from docs/configuration.md."""
    page = (REPOSITORY / "docs" / "configuration.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    assert block.replace("\n\n", "\n") == THREE_LINES


def test_plans_are_found_in_include_beside_the_dags_of_a_bundle(parse: Parse, tmp_path: Path) -> None:
    """A Git repository with dags/ and include/plans/ is a bundle as it is."""
    bag = parse(bundle(tmp_path / "clone" / "dags", plans="../include/plans"))
    assert bag.import_errors == {}
    assert set(bag.dags) == DAG_IDS


def test_each_version_of_a_bundle_has_its_own_plans(parse: Parse, tmp_path: Path) -> None:
    """Airflow keeps each version of a bundle in a folder of its own. Readiness lists the plans of the version
    that the task runs.
    """
    old, new = bundle(tmp_path / "versions" / "a"), bundle(tmp_path / "versions" / "b")
    (new / "plans" / "fleet.yaml").unlink()
    for version, names in (
        (old, ["fleet", "order-system", "single-server"]),
        (new, ["order-system", "single-server"]),
    ):
        bag = parse(version)
        assert set(bag.dags) == FOR_ALL_PLANS | {f"drs_drill__{name}" for name in names}
        listed = bag.dags["drs_readiness"].get_task("plans")
        assert isinstance(listed, DrsListPlansOperator)
        assert listed.execute({}) == names


def test_plans_in_a_volume_of_kubernetes(parse: Parse, tmp_path: Path) -> None:
    """Each file is a link over ..data. Airflow would find every file of such a volume twice, and fail: the
    .airflowignore of the shipped DAGs keeps it out.
    """
    folder = bundle(tmp_path / "bundle")
    plans = folder / "plans"
    plans.rename(plans.with_name("..2026_11_28"))
    plans.mkdir()
    (folder / "..2026_11_28").rename(plans / "..2026_11_28")
    (plans / "..data").symlink_to("..2026_11_28")
    for file in (plans / "..data").iterdir():
        (plans / file.name).symlink_to(f"..data/{file.name}")
    with pytest.raises(RuntimeError, match="recursive loop"):
        parse(folder)
    shutil.copy(REPOSITORY / "dags" / ".airflowignore", folder)
    bag = parse(folder)
    assert bag.import_errors == {}
    assert set(bag.dags) == DAG_IDS


@pytest.mark.parametrize("left", ["an empty folder", "no folder"])
def test_a_file_without_plans_says_so(parse: Parse, tmp_path: Path, left: str) -> None:
    """Airflow shows an import error on its first page. Without it, the file would look as if it had not been
    read yet.
    """
    folder = bundle(tmp_path / "bundle")
    shutil.rmtree(folder / "plans")
    if left == "an empty folder":
        (folder / "plans").mkdir()
    bag = parse(folder)
    assert bag.dags == {}
    (error,) = bag.import_errors.values()
    assert str(folder / "plans") in error
    assert "AIRFLOW__DRS__PLANS_FOLDER" in error


def test_a_broken_plan_is_a_dag_that_refuses_and_the_others_stay(parse: Parse, tmp_path: Path) -> None:
    """This one file cannot have an import error too: Airflow would drop all of its DAGs."""
    folder = bundle(tmp_path / "bundle")
    (folder / "plans" / "torn.yaml").write_text("name: [")
    bag = parse(folder)
    assert bag.import_errors == {}
    assert set(bag.dags) == {*DAG_IDS, "drs_drill__torn"}
    assert "broken-plan" in bag.dags["drs_drill__torn"].tags


@pytest.mark.parametrize("only", sorted(DAG_IDS))
def test_a_worker_builds_only_its_dag(
    parse: Parse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, only: str
) -> None:
    """Of all that the three lines give."""
    monkeypatch.setenv("_AIRFLOW_PARSING_CONTEXT_DAG_ID", only)
    bag = parse(bundle(tmp_path / "bundle"))
    assert (bag.import_errors, set(bag.dags)) == ({}, {only})


def test_a_second_folder_of_plans_has_a_readiness_of_its_own(parse: Parse, tmp_path: Path) -> None:
    """Two DAGs of one id would displace each other."""
    folder = bundle(tmp_path / "bundle")
    lines = THREE_LINES.replace('recovery_plans(globals(), "plans")\n', "").replace(
        "recovery_plans", "plan_dags"
    )
    lines += "from drs import readiness_dag\nplan_dags(globals())\n"
    lines += 'readiness_dag(globals(), dag_id="drs_readiness_emea")\n'
    (folder / "drills.py").write_text(lines)
    assert set(parse(folder).dags) == DAG_IDS - FOR_ALL_PLANS | {"drs_readiness_emea"}


def test_the_shipped_files_find_plans_beside_the_dags_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    """The layout dags/, plugins/, include/plans/ needs no setting."""
    monkeypatch.setenv("AIRFLOW__CORE__DAGS_FOLDER", str(REPOSITORY / "dags"))
    bag = DagBag(dag_folder=REPOSITORY / "dags", safe_mode=True, load_op_links=False)
    assert (bag.import_errors, set(bag.dags)) == ({}, DAG_IDS)


def test_a_misspelt_function_is_an_error_that_names_it() -> None:
    """The package looks its functions up when they are used."""
    with pytest.raises(AttributeError, match="no attribute 'recovery_plan'"):
        drs.recovery_plan  # noqa: B018
