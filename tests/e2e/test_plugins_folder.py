"""A plugins folder that was copied without its hidden files: Airflow then executes every module of drs as a
plugin, in each of its processes, under the bare name of its file.
"""

from __future__ import annotations

import functools
import shutil
import sysconfig
import venv
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hatchling.builders.wheel import WheelBuilder

from demo.airflow_api import AirflowApi
from demo.processes import Processes
from demo.settings import HOST, Ports, airflow_settings, clean_environment
from demo.stack import REPOSITORY, free_ports
from drs.cli.airflow_api import AirflowError
from drs.plan.naming import dag_id

pytestmark = pytest.mark.e2e

COMPONENTS = ("api-server", "scheduler", "dag-processor", "triggerer")
LAUNCHER = Path(__file__).with_name("forked_airflow.py")
START_TIMEOUT = 120.0
PLUGIN_OF_OTHERS = """
from airflow.plugins_manager import AirflowPlugin


class OfOthers(AirflowPlugin):
    name = "of_others"
"""
OWN_DAG = """
from airflow.sdk import DAG, task

with DAG("own", schedule=None):

    @task
    def plugins():
        from airflow.sdk.plugins_manager import _get_plugins

        found, errors = _get_plugins()
        return {"names": sorted(str(plugin.name) for plugin in found), "errors": errors}

    plugins()
"""


def is_ours(entry: Path) -> bool:
    """Whether an entry of site-packages belongs to this package, which the tests install as editable."""
    return "drs_drills" in entry.name


@pytest.fixture
def python(tmp_path: Path) -> Path:
    """A Python with everything that is installed for the tests, but for this package."""
    folder = tmp_path / "python"
    venv.EnvBuilder(symlinks=True).create(folder)
    (packages,) = folder.glob("lib/python*/site-packages")
    for entry in Path(sysconfig.get_path("purelib")).iterdir():
        if not is_ours(entry):
            (packages / entry.name).symlink_to(entry)
    return folder / "bin" / "python"


def install_wheel(python: Path, folder: Path) -> Path:
    """Build the wheel and install it, and give the folder of its package."""
    (packages,) = python.parents[1].glob("lib/python*/site-packages")
    (wheel,) = WheelBuilder(str(REPOSITORY)).build(directory=str(folder), versions=["standard"])
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(packages)
    return packages / "drs"


class Airflow:
    """The four components, with a plugins folder without hidden files.

    :param home: a folder of its own
    :param python: the Python that runs them
    """

    def __init__(self, home: Path, python: Path) -> None:
        self.plugins, self.dags = home / "plugins", home / "dags"
        hidden = shutil.ignore_patterns(".*", "__pycache__")
        shutil.copytree(REPOSITORY / "plugins", self.plugins, ignore=hidden)
        (self.plugins / "of_others.py").write_text(PLUGIN_OF_OTHERS)
        shutil.copytree(REPOSITORY / "dags", self.dags)
        (self.dags / "own.py").write_text(OWN_DAG)
        api_server, *others = free_ports(4)
        folders = {"dags": self.dags, "plugins": self.plugins, "plans": REPOSITORY / "include" / "plans"}
        ports = Ports(api_server, api_server, *others)
        environment = {
            **clean_environment(),
            **airflow_settings(home, ports, **folders, speed=1),
            "AIRFLOW_HOME": str(home),
            "AIRFLOW__CORE__PARALLELISM": "1",
        }
        environment.pop("PYTHONPATH", None)  # as installed, and not as the tests find drs
        self.python = str(python)
        self.processes = Processes(home / "components", environment, grace=1.0)
        self.api = AirflowApi(f"http://{HOST}:{api_server}")

    def start(self) -> None:
        """Start them, and wait until all of them are at work."""
        self.processes.start("all", [self.python, "-P", str(LAUNCHER), str(self.processes.logs), *COMPONENTS])
        for component in COMPONENTS:
            works = functools.partial(self._works, component)
            self.processes.wait("all", works, START_TIMEOUT, f"have a healthy {component}")

    def _works(self, component: str) -> bool:
        try:
            health = self.api.health()
        except AirflowError:
            return False
        reported = component.replace("-", "_")
        return reported not in health or health[reported]["status"] == "healthy"

    def log(self, component: str) -> str:
        return self.processes.log(component).read_text()

    def plugins_of_the_task(self) -> dict[str, Any]:
        """What a task sees of the plugins, which it loads in another way."""
        self.api.wait_for_dag("own")
        self.api.unpause("own")
        run_id = self.api.trigger("own")
        assert self.api.wait_for_run("own", run_id, 120) == "success"
        return dict(self.api.xcom("own", run_id, "plugins", "return_value"))


@pytest.fixture
def airflow(tmp_path: Path, python: Path) -> Iterator[Airflow]:
    (tmp_path / "airflow").mkdir()
    made = Airflow(tmp_path / "airflow", python)
    yield made
    made.processes.stop()


@pytest.mark.parametrize("installed", [False, True], ids=["folder", "folder and wheel"])
def test_every_component_starts_without_the_hidden_files(
    airflow: Airflow, python: Path, tmp_path: Path, installed: bool
) -> None:
    """All work, and the DAGs of the plans are built. The plugin is there once, with one listener, beside
    those of others, with the wheel also in a task. Each component says what is wrong, and which drs counts.
    """
    package = install_wheel(python, tmp_path / "dist") if installed else None
    airflow.start()
    airflow.api.wait_for_dag(dag_id("order-system"))
    assert airflow.api.import_errors() == []
    found = airflow.api.plugins()
    assert sorted(plugin["name"] for plugin in found if plugin["name"] in ("drs", "of_others")) == [
        "drs",
        "of_others",
    ]
    (ours,) = [plugin for plugin in found if plugin["name"] == "drs"]
    assert ours["listeners"] == ["drs.entry.airflow_plugin.RunListener"]
    assert airflow.api.plugin_import_errors() == []
    if installed:
        seen = airflow.plugins_of_the_task()
        assert seen["errors"] == {}
        assert seen["names"].count("drs") == seen["names"].count("of_others") == 1
    for component in COMPONENTS:
        log = airflow.log(component)
        assert f"{airflow.plugins}/.airflowignore" in log, component
        assert "Failed to import plugin" not in log, log
        assert (f"Airflow uses {package}, and ignores {airflow.plugins}/drs" in log) == installed, component
