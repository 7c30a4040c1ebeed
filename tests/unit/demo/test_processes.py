"""Processes of the stack: they tell why they failed, and never outlive their owner."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from demo import reaper
from demo.processes import Processes, StackError

PYTHON = sys.executable
SLEEP = [PYTHON, "-c", "import time; time.sleep(600)"]

STUBBORN_FAMILY = """
import os, signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
# As Airflow does for a task: a child in a process group of its own.
subprocess.Popen([sys.executable, "-c", "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
                  "print('child', flush=True); time.sleep(600)"], process_group=0)
time.sleep(600)
"""

OWNER = """
import os, sys
from pathlib import Path
from demo.processes import Processes
processes = Processes(Path(sys.argv[1]), os.environ, grace=0.3)
processes.start("family", [sys.executable, "-c", sys.argv[2]])
processes.wait("family", lambda: "child" in processes.log("family").read_text(), 20, "have a child")
print(processes.session("family"), flush=True)
sys.stdin.read()
"""


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Processes]:
    processes = Processes(tmp_path / "logs", os.environ, grace=0.3)
    yield processes
    processes.stop()


def until(condition: Callable[[], bool], seconds: float = 20) -> bool:
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.02)
    return condition()


@pytest.mark.parametrize("signum", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_nothing_outlives_an_owner_that_dies(tmp_path: Path, signum: int) -> None:
    """However the owner ends, its processes and their children end, even those that ignore SIGTERM."""
    command = [PYTHON, "-c", OWNER, str(tmp_path / "logs"), STUBBORN_FAMILY]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        session = int(owner.stdout.readline())
        assert len(reaper.members(session)) == 2
        owner.send_signal(signum)
        owner.wait(10)
    assert until(lambda: not reaper.members(session))


def test_stop_ends_children_with_their_parent(processes: Processes) -> None:
    """Stop returns only when the whole family is gone."""
    processes.start("family", [PYTHON, "-c", STUBBORN_FAMILY])
    processes.wait("family", lambda: "child" in processes.log("family").read_text(), 20, "have a child")
    session = processes.session("family")
    processes.stop()
    assert reaper.members(session) == []


def test_a_killed_process_can_be_started_again(processes: Processes) -> None:
    """Kill takes the process and its children, and leaves the name free."""
    processes.start("sleeper", SLEEP)
    processes.kill("sleeper")
    assert not processes.is_running("sleeper")
    processes.start("sleeper", SLEEP)
    assert processes.is_running("sleeper")


def test_a_process_is_not_started_twice(processes: Processes) -> None:
    """A second process under one name would hide the first."""
    processes.start("sleeper", SLEEP)
    with pytest.raises(StackError, match="sleeper is already running"):
        processes.start("sleeper", SLEEP)


def test_a_failed_command_is_told_with_the_end_of_its_log(processes: Processes) -> None:
    """The reason why a command failed is in the message, not only in a file."""
    with pytest.raises(StackError, match=r"(?s)migration failed.*migration\.log:.*no such table"):
        processes.run("migration", [PYTHON, "-c", "import sys; sys.exit('no such table')"], 20)


def test_waiting_for_a_process_ends_when_the_process_does(processes: Processes) -> None:
    """Nobody waits a whole timeout for what cannot come any more."""
    processes.start("server", [PYTHON, "-c", "import sys; sys.exit('port in use')"])
    with pytest.raises(
        StackError, match=r"(?s)server ended \(exit code 1\) before it could serve.*port in use"
    ):
        processes.wait("server", lambda: False, 60, "serve")


def test_waiting_for_a_condition_has_a_bound(processes: Processes) -> None:
    """A process that hangs is told with the bound and its log."""
    processes.start("server", [PYTHON, "-c", "import time; print('hm', flush=True); time.sleep(600)"])
    processes.wait("server", lambda: "hm" in processes.log("server").read_text(), 20, "say hm")
    with pytest.raises(StackError, match=r"(?s)server did not serve within 0\.1 s.*hm"):
        processes.wait("server", lambda: False, 0.1, "serve")


def test_the_environment_is_the_one_that_was_given(tmp_path: Path) -> None:
    """Nothing of this machine's own environment reaches a process beside what was handed over."""
    processes = Processes(tmp_path / "logs", {"ONLY": "this"})
    processes.run("printer", [PYTHON, "-c", "import os; print(dict(os.environ))"], 20)
    processes.stop()
    assert "'ONLY': 'this'" in processes.log("printer").read_text()
    assert "'HOME'" not in processes.log("printer").read_text()
