"""The pages' commands that need an Airflow, run against the stack; drills run side by side."""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from demo.stack import REPOSITORY, Stack
from drs.cli import main
from tests.e2e.command_line import command as drs_command
from tests.e2e.command_line import environment
from tests.e2e.plans import DATABASE, write_plan
from tests.unit.repository.documented_commands import STACK, Run, how
from tests.unit.repository.documented_pages import Command, documented
from tests.unit.repository.quoted_output import is_quoted_from

pytestmark = pytest.mark.e2e

PLAN = "order-system"
"""The plan of the pages. Each drill has one of its own here, with one server."""


def commands() -> Iterator[Command]:
    """Each command once; those that show what has run come last."""
    found, _ = documented()
    mine = {(each.plain, each.situation, each.quoted): each for each in found if how(each) == Run(STACK)}
    yield from sorted(mine.values(), key=lambda each: each.name != "drill")


def test_each_command_does_what_its_page_says(
    stack: Stack, plans: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It ends with the exit code of the page, and prints what the page quotes, times and ids apart."""
    drills = [each for each in commands() if each.name == "drill"]
    names = {each: f"documented-{number}" for number, each in enumerate(drills)}
    failing = next(each for each in drills if each.situation == "a drill that fails")
    for number, each in enumerate(drills):
        servers = [DATABASE[number]]
        write_plan(plans, names[each], [("database", servers)])
        if each == failing:
            raw_error = "InsufficientInstanceCapacity: none left"
            stack.simulator.arm(kind="launch_failed", servers=servers, raw_error=raw_error)
    for name in names.values():
        stack.api.wait_for_dag(f"drs_drill__{name}")
        stack.api.unpause(f"drs_drill__{name}")
    running = {each: start(stack, each, names[each]) for each in drills}
    for each, (first, process) in running.items():
        rest, _ = process.communicate(timeout=120)
        check(each, process.returncode, (first + rest).replace(names[each], PLAN))

    for name, value in environment(stack).items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(REPOSITORY)
    (red,) = stack.api.runs(dag_id=f"drs_drill__{names[failing]}", limit=2)
    words = {PLAN: names[failing], "PLAN": names[failing], "RUN": red["dag_run_id"]}
    for each in commands():
        if each.name != "drill":
            code = main([words.get(word, word) for word in shlex.split(each.plain)[3:]])
            out, err = capsys.readouterr()
            check(each, code, (out + err).replace(names[failing], PLAN))


def start(stack: Stack, drill: Command, plan: str) -> tuple[str, subprocess.Popen[str]]:
    """The command as a process, and its first line: the run is triggered, and SQLite is free for the next."""
    words = [plan if word in {"PLAN", PLAN} else word for word in shlex.split(drill.plain)[3:]]
    process = subprocess.Popen(
        drs_command(*words),
        env=environment(stack),
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout
    return process.stdout.readline(), process


def check(command: Command, code: int, printed: str) -> None:
    # Other tests of this Airflow may have run drills in a Region that is out of order: watch ends with 3.
    elsewhere = command.name == "watch" and "The watch cannot read account" in printed
    assert code == (3 if elsewhere else command.exit_code or 0), f"{command}\n{printed}"
    assert is_quoted_from(command.quoted, printed), f"{command}\n{printed}"
