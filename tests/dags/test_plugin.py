"""What Airflow loads as a plugin: from the plugins folder, from the installed package, or from both."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.dags.conftest import REPOSITORY

CODE = """
import json, sys
if sys.version_info >= (3, 12):  # as Airflow
    from importlib import metadata
else:
    import importlib_metadata as metadata

every = metadata.distributions
others = [each for each in every() if each.metadata["Name"] != "drs-drills"]
metadata.distributions = lambda: [*others, *every(path=sys.argv[2:])]

from airflow import plugins_manager as core
from airflow.sdk import plugins_manager as sdk

found = [manager._get_plugins() for manager in (core, sdk)]
files = [getattr(module, "__file__", None) or "" for module in list(sys.modules.values())]
print(json.dumps({
    "plugins": [[plugin.name for plugin in plugins] for plugins, _ in found],
    "listeners": [len(plugin.listeners) for plugin in found[0][0]],
    "errors": [errors for _, errors in found],
    "ours": sorted(file for file in files if "/drs" in file and file.startswith(sys.argv[1])),
}))
"""


@pytest.mark.parametrize("place", ["plugins folder", "installed", "both"])
def test_airflow_loads_one_plugin_and_little_else(place: str, tmp_path: Path) -> None:
    """The plugins folder and the entry point of the package name the same plugin. It is loaded in each
    process of Airflow, so it imports nothing of the package but itself before it is called. It does not
    matter whether the package is installed where the tests run.
    """
    plugins = REPOSITORY / "plugins"
    empty = tmp_path / "plugins"
    empty.mkdir()
    metadata = tmp_path / "site" / "drs_drills-0.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: drs-drills\nVersion: 0\n")
    entry_point = "[airflow.plugins]\ndrs = drs.entry.installed_plugin:installed\n"
    (metadata / "entry_points.txt").write_text("" if place == "plugins folder" else entry_point)
    done = subprocess.run(
        [sys.executable, "-c", CODE, str(plugins), str(metadata.parent)],
        capture_output=True,
        text=True,
        check=True,
        env={
            **os.environ,
            "AIRFLOW__CORE__PLUGINS_FOLDER": str(empty if place == "installed" else plugins),
            "PYTHONPATH": str(plugins),
        },
    )
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["plugins"] == [["drs"], ["drs"]]
    assert found["listeners"] == [1]
    assert found["errors"] == [{}, {}]
    package = ["drs/__init__.py", "drs/entry/__init__.py", "drs/entry/airflow_plugin.py"]
    if place != "plugins folder":
        package.append("drs/entry/installed_plugin.py")
    if place != "installed":
        package.append("drs_plugin.py")
    assert found["ours"] == [str(plugins / name) for name in package]
