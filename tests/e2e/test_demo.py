"""`make drill` and `make airflow` as a newcomer meets them: what they print, how they end, what is left."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

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
