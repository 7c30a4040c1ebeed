"""Where the plans are: by the setting, beside the DAG file, or in include/plans."""

from __future__ import annotations

from pathlib import Path

import pytest

from drs.plan import PlanError
from drs.tasks import plans_folder
from drs.tasks.plans_folder import PlansFolder, folder_of, remember


@pytest.fixture
def dags(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Airflow's DAGs folder."""
    folder = tmp_path / "airflow" / "dags"
    folder.mkdir(parents=True)
    monkeypatch.setenv("AIRFLOW__CORE__DAGS_FOLDER", str(folder))
    monkeypatch.setattr(plans_folder, "_OF_DAG", {})
    return folder


def made(folder: Path) -> Path:
    folder.mkdir(parents=True)
    return folder


def test_the_folder_beside_the_dag_file_comes_first(dags: Path) -> None:
    """Then include/plans beside the DAGs folder, also for a file in a folder below it."""
    file = dags / "team" / "drills.py"
    shared = made(dags.parent / "include" / "plans")
    assert PlansFolder(file).find() == shared
    beside = made(dags / "team" / "plans")
    assert PlansFolder(file).find() == beside
    assert PlansFolder(dags / "drills.py").find() == shared
    other = made(dags / "team" / "emea")
    assert PlansFolder(file, "emea").find() == other


def test_a_setting_that_somebody_made_comes_before_all(dags: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is the word of who runs this Airflow. It does not fall back to another folder."""
    made(dags / "plans")
    chosen = made(dags.parent / "chosen")
    monkeypatch.setenv("AIRFLOW__DRS__PLANS_FOLDER", str(chosen))
    assert PlansFolder(dags / "drills.py").find() == chosen
    chosen.rmdir()
    with pytest.raises(PlanError, match="AIRFLOW__DRS__PLANS_FOLDER") as refused:
        PlansFolder(dags / "drills.py").find()
    assert str(chosen) in str(refused.value)


def test_each_bundle_has_plans_of_its_own(dags: Path, tmp_path: Path) -> None:
    """A file of a DAG bundle outside the DAGs folder is never given the plans of another bundle."""
    made(dags.parent / "include" / "plans")
    bundle = tmp_path / "dag_bundles" / "git" / "versions" / "1f0c"
    file = bundle / "dags" / "drills.py"
    with pytest.raises(PlanError):
        PlansFolder(file).find()
    own = made(bundle / "include" / "plans")
    assert PlansFolder(file).find() == own


def test_a_missing_folder_is_told_with_every_place_and_the_setting(dags: Path) -> None:
    """The reader sees where to put the plans."""
    with pytest.raises(PlanError) as refused:
        PlansFolder(dags / "drills.py").find()
    text = str(refused.value)
    assert f"{dags / 'plans'} and {dags.parent / 'include' / 'plans'}" in text
    assert "AIRFLOW__DRS__PLANS_FOLDER" in text
    assert "RECOVERY_PLAN_NOT_FOUND" in text


def test_the_tasks_of_a_dag_read_the_folder_of_its_file(dags: Path, tmp_path: Path) -> None:
    """A DAG that no file of this process has defined has the folder of the DAGs folder."""
    default = made(dags / "plans")
    own = made(tmp_path / "bundle" / "plans")
    remember("drs_readiness", PlansFolder(tmp_path / "bundle" / "drills.py"))
    assert (folder_of("drs_readiness"), folder_of("drs_watch")) == (own, default)


def test_no_link_is_followed(dags: Path, tmp_path: Path) -> None:
    """In a volume of Kubernetes the DAG file is a link into a folder that each update replaces, and the plans
    are in another volume beside it.
    """
    data = made(tmp_path / "volume" / "..2026_11_28")
    (data / "drills.py").write_text("")
    (dags / "drills.py").symlink_to(data / "drills.py")
    beside = made(dags / "plans")
    assert PlansFolder(dags / "drills.py").find() == beside
