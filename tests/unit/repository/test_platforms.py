"""What deploy/ has for Amazon MWAA, Airflow's Helm chart and Astro, and what docs/platforms.md says."""

from __future__ import annotations

import fnmatch
import importlib
import json
import re
import shlex
import shutil
import subprocess
import zipfile
from pathlib import Path
from typing import Any

import pytest
import yaml
from airflow.dag_processing.dagbag import DagBag

from demo.env_file import read_env_file
from demo.settings import OF_EVERY_DRILL
from tests.unit.repository.documented_pages import Command, documented

REPOSITORY = Path(__file__).resolve().parents[3]
HELM = REPOSITORY / "deploy" / "helm"


# --- Amazon MWAA ------------------------------------------------------------------------------------------


def build(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [str(REPOSITORY / "deploy" / "mwaa" / "build"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A stand-in: `make mwaa` builds the wheel and installs it, which needs the network."""
    path = tmp_path_factory.mktemp("wheel") / "drs_drills-1.2.3-py3-none-any.whl"
    path.write_bytes(b"")
    return path


@pytest.fixture(scope="module")
def mwaa(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What MWAA gets, with the example plans."""
    folder = tmp_path_factory.mktemp("mwaa") / "out"
    made = build("--evidence", "s3://records/drs", "--wheel", wheel, "--out", folder, "--unchecked")
    assert made.returncode == 0, made.stderr
    return folder


def test_mwaa_gets_these_files_and_no_others(mwaa: Path) -> None:
    """DAG files with their plans beside them, since MWAA synchronises no other folder; the wheel in the
    archive of plugins, which holds no plugin.
    """
    assert {path.name for path in mwaa.iterdir()} == {"dags", "plugins.zip", "requirements.txt", "startup.sh"}
    own = {path.name for path in (REPOSITORY / "dags").iterdir() if path.is_file()}
    assert {path.name for path in (mwaa / "dags").iterdir()} == {*own, "plans"}
    plans = {path.name for path in (REPOSITORY / "include" / "plans").glob("*.yaml")}
    assert {path.name for path in (mwaa / "dags" / "plans").iterdir()} == plans
    assert zipfile.ZipFile(mwaa / "plugins.zip").namelist() == ["drs_drills-1.2.3-py3-none-any.whl"]


def test_mwaa_adds_its_own_constraints_to_our_requirements(mwaa: Path) -> None:
    """It does so only where no line looks as if it named a file of constraints, comments included."""
    text = (mwaa / "requirements.txt").read_text()
    assert not re.search(r"-c |--constraint ", text)
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    assert lines == ["--find-links /usr/local/airflow/plugins", "drs-drills[airflow]==1.2.3"]


def test_the_startup_script_sets_what_every_drill_needs(mwaa: Path) -> None:
    """The same values as docker compose, and the place of the records."""
    printed = subprocess.run(
        ["bash", "-c", f". {mwaa / 'startup.sh'} && env -0"],
        env={"PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    environment = dict(line.split("=", 1) for line in printed.split("\0") if line)
    wanted = read_env_file(OF_EVERY_DRILL) | {"AIRFLOW__DRS__EVIDENCE_PATH": "s3://records/drs"}
    assert {name: environment.get(name) for name in wanted} == wanted


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--evidence", "/usr/local/airflow/evidence"], "must be in S3"),
        (["--evidence"], "needs a value"),
        (["--plan", "x"], "What is --plan?"),
        (["--out", REPOSITORY / "docs"], "exists"),
    ],
)
def test_what_would_not_work_on_mwaa_is_refused(arguments: list[object], said: str, wheel: Path) -> None:
    refused = build("--wheel", wheel, "--unchecked", *arguments)
    assert refused.returncode == 2
    assert said in refused.stderr


def test_a_plan_with_errors_does_not_reach_mwaa(wheel: Path, tmp_path: Path) -> None:
    (tmp_path / "broken.yaml").write_text("name: broken\n")
    refused = build("--plans", tmp_path, "--wheel", wheel, "--out", tmp_path / "out", "--unchecked")
    assert refused.returncode != 0
    assert "MISSING_FIELD" in refused.stdout + refused.stderr
    assert not (tmp_path / "out").exists()


def test_the_versions_of_mwaa_are_whole() -> None:
    """`make mwaa` checks one environment for each of these files."""
    pinned = {
        path.stem.removeprefix("constraints-"): dict(
            line.split("==") for line in path.read_text().splitlines() if line and not line.startswith("#")
        )
        for path in (REPOSITORY / "deploy" / "mwaa").glob("constraints-*.txt")
    }
    amazon = {version: pins["apache-airflow-providers-amazon"] for version, pins in pinned.items()}
    assert amazon == {"3.2.1": "9.25.0", "3.3.1": "9.34.0"}


# --- the Helm chart ---------------------------------------------------------------------------------------


def values(*files: str) -> dict[str, Any]:
    """The values as helm merges them: these files have no key of the first level in common."""
    merged: dict[str, Any] = {}
    for file in files:
        found = yaml.safe_load((HELM / file).read_text())
        assert not merged.keys() & found.keys()
        merged |= found
    return merged


@pytest.mark.parametrize("plans", ["plans-in-git.yaml", "plans-in-configmap.yaml"])
def test_the_values_set_what_every_drill_needs(plans: str) -> None:
    """Records and logs are in S3, because the files of a task's pod are lost with it."""
    found = values("values.yaml", plans)
    environment = {each["name"]: each["value"] for each in found["env"]}
    wanted = read_env_file(OF_EVERY_DRILL)
    assert {name: environment.get(name) for name in wanted} == wanted
    assert environment["AIRFLOW__DRS__EVIDENCE_PATH"].startswith("s3://")
    assert environment["AIRFLOW__LOGGING__REMOTE_LOGGING"] == "True"
    assert (found["executor"], found["triggerer"]["enabled"]) == ("KubernetesExecutor", True)
    assert all(isinstance(each["value"], str) for each in found["env"])


def test_what_the_image_copies_is_in_the_build_context() -> None:
    """.dockerignore hides all but what it names."""
    dockerfile = (HELM / "Dockerfile").read_text()
    assert "source=dist" in dockerfile
    copied = ["dist/drs_drills-1.2.3-py3-none-any.whl"]
    for source in re.findall(r"^COPY (\S+) ", dockerfile, re.MULTILINE):
        copied += [str(path.relative_to(REPOSITORY)) for path in (REPOSITORY / source).glob("*.py")]
    assert "dags/recovery_plans.py" in copied
    shown = [
        line[1:] for line in (REPOSITORY / ".dockerignore").read_text().splitlines() if line.startswith("!")
    ]
    hidden = [
        path
        for path in copied
        if not any(fnmatch.fnmatch(path, name) or path.startswith(f"{name}/") for name in shown)
    ]
    assert hidden == []


def test_chart_and_image_are_about_one_airflow() -> None:
    """The chart decides by its version what to render."""
    version = re.search(r"^ARG AIRFLOW_VERSION=(\S+)", (HELM / "Dockerfile").read_text(), re.MULTILINE)
    assert version
    assert values("values.yaml")["airflowVersion"] == version[1]


def test_a_configmap_s_plans_are_beside_the_image_s_dag_files() -> None:
    """There recovery_plans() looks for them first."""
    (mount,) = values("plans-in-configmap.yaml")["volumeMounts"]
    (volume,) = values("plans-in-configmap.yaml")["volumes"]
    assert mount["name"] == volume["name"]
    assert f"COPY dags/ {Path(mount['mountPath']).parent}/\n" in (HELM / "Dockerfile").read_text()
    assert Path(mount["mountPath"]).name == "plans"


# --- Astro ------------------------------------------------------------------------------------------------


def test_astro_s_requirements_leave_the_runtime_s_airflow_alone() -> None:
    """Astro Runtime has Airflow; another version in requirements.txt would replace it."""
    lines = (REPOSITORY / "deploy" / "astro" / "requirements.txt").read_text().splitlines()
    assert [line for line in lines if not line.startswith("#")] == ["drs-drills[airflow]"]


# --- docs/platforms.md ------------------------------------------------------------------------------------

COMMANDS, BLOCKS = documented()
BUNDLES = [each for each in COMMANDS if "DAG_BUNDLE_CONFIG_LIST=" in each.text]
DAG_FILES = [each for each in BLOCKS if each.text.startswith("# dags/recovery_plans.py")]


@pytest.mark.parametrize("command", BUNDLES, ids=lambda command: command.place)
def test_each_bundle_of_the_page_can_be_made(command: Command) -> None:
    """The class has these parameters; that of git is in a provider that is not installed here."""
    _, _, value = shlex.split(command.text)[1].partition("=")
    (bundle,) = json.loads(value)
    assert bundle.keys() == {"name", "classpath", "kwargs"}
    if not bundle["classpath"].startswith("airflow.providers.git."):
        module, _, name = bundle["classpath"].rpartition(".")
        made = getattr(importlib.import_module(module), name)(name=bundle["name"], **bundle["kwargs"])
        assert made.name == "recovery"


def test_the_page_has_three_kinds_of_bundles() -> None:
    assert len(BUNDLES) == 3


@pytest.mark.parametrize("block", DAG_FILES, ids=lambda block: block.page)
def test_the_dag_file_of_the_pages_gives_every_dag(
    block: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "recovery_plans.py").write_text(block.text)
    (tmp_path / "plans").mkdir()
    shutil.copy(REPOSITORY / "include" / "plans" / "single-server.yaml", tmp_path / "plans")
    monkeypatch.setenv("AIRFLOW__CORE__DAGS_FOLDER", str(tmp_path))
    monkeypatch.delenv("AIRFLOW__DRS__PLANS_FOLDER", raising=False)
    bag = DagBag(dag_folder=tmp_path, safe_mode=True, load_op_links=False)
    assert bag.import_errors == {}
    assert set(bag.dags) == {"drs_drill__single-server", "drs_readiness", "drs_watch"}
