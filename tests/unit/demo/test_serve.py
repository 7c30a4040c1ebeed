"""`make airflow`: what it prints for a shell, and what it keeps from one start to the next."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import boto3
import pytest
import yaml
from moto import mock_aws

import simulator
from demo.serve import end_runs, exports
from demo.stack import REPOSITORY, Stack
from drs.plan import Plan, load_plan
from drs.run.resolution import resolve

FLEET = REPOSITORY / "include" / "fleets" / "default.yaml"


def test_the_printed_lines_lead_a_shell_to_the_demo(tmp_path: Path) -> None:
    """From any folder, and whatever leads elsewhere in the user's own environment."""
    home = tmp_path / "a home"
    stack = Stack(home, fleet=FLEET)
    mine = {
        "PATH": os.environ["PATH"],
        "AWS_PROFILE": "production",
        "AWS_SESSION_TOKEN": "real",
        "AWS_ENDPOINT_URL": "https://elsewhere",
        "DRS_AIRFLOW_TOKEN": "real",
        "DRS_AIRFLOW_URL": "https://airflow.example",
    }
    done = subprocess.run(
        ["bash", "-c", f"set -eu\n{exports(stack)}\nenv -0"],
        cwd=tmp_path,
        env=mine,
        capture_output=True,
        text=True,
        check=True,
    )
    seen = dict(line.split("=", 1) for line in done.stdout.split("\0") if line)
    assert not {"AWS_PROFILE", "AWS_SESSION_TOKEN", "DRS_AIRFLOW_TOKEN"} & seen.keys()
    assert seen["AWS_ENDPOINT_URL"] == stack.simulator.url
    assert seen["AWS_SHARED_CREDENTIALS_FILE"].startswith(str(home))
    assert seen["AIRFLOW_CONN_AWS_DEFAULT"] == "aws://"
    assert seen["DRS_AIRFLOW_URL"] == stack.api.url
    assert seen["AIRFLOW__DRS__PLANS_FOLDER"] == str(REPOSITORY / "include" / "plans")
    assert seen["AIRFLOW__DRS__EVIDENCE_PATH"] == str(home / "drs-evidence")
    assert seen["PATH"].split(":")[0] == str(Path(sys.executable).parent)


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """The tables of Airflow's that hold its runs, as far as they matter here."""
    path = tmp_path / "airflow.db"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.executescript(
            """
            CREATE TABLE dag_run (run_id, state, end_date);
            CREATE TABLE task_instance (run_id, task_id, state, end_date, trigger_id);
            CREATE TABLE "trigger" (id);
            INSERT INTO dag_run VALUES ('over', 'success', 'then'), ('active', 'running', NULL),
                ('next', 'queued', NULL);
            INSERT INTO task_instance VALUES ('over', 'begin', 'success', 'then', NULL),
                ('active', 'begin', 'success', 'then', NULL), ('active', 'wait', 'deferred', NULL, 1),
                ('active', 'terminate', NULL, NULL, NULL);
            INSERT INTO "trigger" VALUES (1);
            """
        )
    return path


def test_runs_that_were_active_when_the_demo_ended_are_ended(database: Path) -> None:
    """The simulated DRS has forgotten their jobs. Runs that were over stay as they were."""
    assert end_runs(database) == 2
    assert end_runs(database) == 0
    with closing(sqlite3.connect(database)) as connection:
        runs = dict(connection.execute("SELECT run_id, state FROM dag_run"))
        tasks = connection.execute("SELECT task_id, state, trigger_id FROM task_instance").fetchall()
        (triggers,) = connection.execute('SELECT count(*) FROM "trigger"').fetchone()
        (then,) = connection.execute("SELECT end_date FROM dag_run WHERE run_id = 'over'").fetchone()
    assert runs == {"over": "success", "active": "failed", "next": "failed"}
    assert ("wait", "failed", None) in tasks
    assert ("terminate", None, None) in tasks
    assert (triggers, then) == (0, "then")


def test_a_first_start_has_no_runs(tmp_path: Path) -> None:
    """And neither has one that was interrupted before it had its tables."""
    assert end_runs(tmp_path / "airflow.db") == 0
    assert not (tmp_path / "airflow.db").exists()
    sqlite3.connect(tmp_path / "airflow.db").close()
    assert end_runs(tmp_path / "airflow.db") == 0


def readme_plan(folder: Path) -> Plan:
    """The plan that README.md shows, written as it stands to the file that it names."""
    block = (REPOSITORY / "README.md").read_text().split("## Write a plan")[1].split("```yaml\n")[1]
    text = block.split("```")[0]
    path = folder / Path(text.splitlines()[0].split()[1].rstrip(";")).name
    path.write_text(text)
    return load_plan(path)


@mock_aws
def test_the_plan_in_the_readme_finds_its_servers_in_the_demo(tmp_path: Path) -> None:
    """Every group of it has servers in its account and Region of the default fleet."""
    simulator.register()
    simulator.seed(FLEET, speed=1e6)
    plan = readme_plan(tmp_path)
    account = yaml.safe_load(FLEET.read_text())["accounts"][plan.target.account_id]
    drs = boto3.client(
        "drs",
        region_name=plan.target.region,
        aws_access_key_id=account["access_key_id"],
        aws_secret_access_key="any",
    )
    waves = [wave.name for wave in plan.waves]
    resolution, problems = resolve(plan, waves, (), drs.describe_source_servers()["items"])
    assert problems == []
    assert {name: len(wave.servers) for name, wave in resolution.waves.items()} == {"database": 1, "web": 1}
