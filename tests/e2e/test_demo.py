"""`make drill` and `make airflow` as a newcomer meets them: what they print, how they end, what is left."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
import yaml

from demo import reaper
from demo.stack import REPOSITORY, free_ports
from tests.e2e.plans import DIRECTORY, write_plan

pytestmark = pytest.mark.e2e


@pytest.fixture
def plan(tmp_path: Path) -> Path:
    return write_plan(tmp_path, "quick", [("directory", DIRECTORY)])


def test_a_drill_that_succeeds_leaves_nothing_behind(plan: Path) -> None:
    """It exits with 0, prints a summary, and leaves no folder under .drill/."""
    command = [sys.executable, "-m", "demo", "drill", "--plan", str(plan)]
    homes = set((REPOSITORY / ".drill").glob("drill-*"))
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert re.search(r"Drill of quick: success after .*\n.*\n +directory +2/2 +2 +0\n$", ended.stdout)
    assert set((REPOSITORY / ".drill").glob("drill-*")) <= homes


def test_a_drill_that_fails_says_why_and_keeps_its_logs(plan: Path, tmp_path: Path) -> None:
    """It exits with 1, prints DRS's own error, and keeps the logs in the folder that the last line names."""
    fleet = yaml.safe_load((REPOSITORY / "include" / "fleets" / "default.yaml").read_text())
    fleet["faults"] = [
        {"kind": "launch_failed", "servers": DIRECTORY[:1], "raw_error": "InsufficientCapacity"}
    ]
    (tmp_path / "fleet.yaml").write_text(yaml.safe_dump(fleet))
    command = [sys.executable, "-m", "demo", "drill", "--plan", str(plan)]
    command += ["--fleet", str(tmp_path / "fleet.yaml")]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 1, ended.stdout + ended.stderr
    told = ended.stdout[ended.stdout.index("wave_directory.wait_until_launched failed:") :]
    assert "[SERVER_LAUNCH_FAILED]" in told
    assert "InsufficientCapacity" in told
    assert re.search(r"\n +directory +1/2 +1 +0\n", told)
    home = Path(told.split()[-1])
    assert (home / "components" / "scheduler.log").is_file()
    shutil.rmtree(home)


def test_ctrl_c_ends_every_process_of_airflow() -> None:
    """It exits with 130, and no component and no child process of one is left."""
    command = [sys.executable, "-m", "demo", "airflow", "--port", str(free_ports(1)[0])]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, process_group=0
    ) as demo:
        assert demo.stdout is not None
        shown = ""
        while "Ctrl-C ends everything" not in shown:
            line = demo.stdout.readline()
            assert line, f"it did not start: {shown}"
            shown += line
        family = psutil.Process(demo.pid).children(recursive=True)
        sessions = {os.getsid(child.pid) for child in family}
        os.killpg(demo.pid, signal.SIGINT)  # as the terminal does
        assert demo.wait(30) == 130
    assert len(sessions) == 7, "six components and the reaper"
    assert [pid for session in sessions for pid in reaper.members(session)] == []
