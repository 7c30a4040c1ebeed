"""Every command is documented, has its exit codes in its help, and does not import Airflow."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from drs.cli import GROUPS, main

ROOT = Path(__file__).parents[3]
COMMANDS_PAGE = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")


def commands() -> dict[str, argparse.ArgumentParser]:
    """Each command and its parser."""
    listed = argparse.ArgumentParser().add_subparsers()
    for group in GROUPS:
        group.add_commands(listed)
    return dict(listed.choices)


def test_the_commands_are_these() -> None:
    """Add a new command here; the tests below then require its documentation."""
    assert sorted(commands()) == [
        "accounts",
        "cleanup",
        "doctor",
        "drill",
        "evidence",
        "files",
        "groups",
        "job",
        "jobs",
        "logs",
        "quotas",
        "report",
        "runbook",
        "runs",
        "schema",
        "servers",
        "status",
        "stop",
        "validate",
        "watch",
    ]


@pytest.mark.parametrize("command", commands())
def test_each_command_has_its_section(command: str) -> None:
    """The section in docs/commands.md has the command's exit codes."""
    heading = f"\n### {command}\n"
    assert heading in COMMANDS_PAGE
    section = COMMANDS_PAGE.split(heading)[1].split("\n### ")[0].split("\n## ")[0]
    assert "Exit codes: " in section


@pytest.mark.parametrize("command", commands())
def test_each_option_is_in_the_section_of_its_command(command: str) -> None:
    """Options that many commands share are explained once on the page and need not be in the section."""
    shared = {
        "--help",
        "--json",
        "--plans",
        "--profile",
        "--plan",
        "--region",
        "--airflow-url",
        "--token",
        "--path",
    }
    section = COMMANDS_PAGE.split(f"\n### {command}\n")[1].split("\n### ")[0]
    options = {option for option in options_of(commands()[command]) if option.startswith("--")}
    assert not [option for option in sorted(options - shared) if option not in section]


def options_of(parser: argparse.ArgumentParser) -> set[str]:
    """The options of a command and of its actions."""
    options = {option for action in parser._actions for option in action.option_strings}
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            options = options.union(*(options_of(each) for each in action.choices.values()))
    return options


@pytest.mark.parametrize("command", commands())
def test_help_ends_with_the_exit_codes(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The author of a script finds the exit codes in the help."""
    with pytest.raises(SystemExit) as caught:
        main([command, "--help"])
    assert caught.value.code == 0
    assert "exit codes:\n  0  " in capsys.readouterr().out


@pytest.mark.parametrize(
    ("started", "name"),
    [("/usr/local/bin/drs", "drs"), ("/site-packages/drs/__main__.py", "python -m drs")],
)
def test_help_names_the_command_that_was_started(
    started: str, name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An installed package has the command `drs`; a copied folder has not."""
    monkeypatch.setattr(sys, "argv", [started, "validate", "--help"])
    with pytest.raises(SystemExit):
        main(["validate", "--help"])
    assert capsys.readouterr().out.startswith(f"usage: {name} validate ")


COMMANDS_WITHOUT_ACCESS = {
    "accounts": 3,
    "cleanup single-server --yes": 3,
    "doctor single-server": 3,
    "groups single-server": 3,
    "job drsjob-00000000000000000 --plan single-server": 3,
    "jobs --plan single-server": 3,
    "quotas --plan single-server": 3,
    "runbook single-server": 3,
    "servers --plan single-server": 3,
    "status": 1,
    "watch": 3,
    "runs": 3,
    "logs last": 3,
    "drill single-server": 3,
    "stop single-server": 3,
    "evidence list": 3,
    "evidence verify single-server": 3,
    "report": 3,
}
"""The exit code of each command when AWS has no credentials, Airflow no server and the records no folder."""

RUN_EACH_COMMAND = """\
import contextlib, io, json, sys
from drs.cli import airflow_api, main

airflow_api.PAUSES = tuple(0 for _ in airflow_api.PAUSES)
for command in json.loads(sys.argv[1]):
    errors = io.StringIO()
    with contextlib.redirect_stdout(errors), contextlib.redirect_stderr(errors):
        try:
            code = main(command.split())
        except SystemExit as end:
            code = end.code
    airflow = sorted(name for name in sys.modules if name.split(".")[0] == "airflow")
    print(json.dumps([command, code, airflow, errors.getvalue()]))
"""


@pytest.fixture(scope="module")
def without_access(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[int, list[str], str]]:
    """The exit code of each command, the Airflow modules in its process, and what it printed.

    One process runs all commands, since starting Python and importing boto3 takes longer than any of them.
    """
    environment = {
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "DRS_AIRFLOW_URL": "http://127.0.0.1:9",
        "AIRFLOW_HOME": str(tmp_path_factory.mktemp("airflow") / "home"),
        "PYTHONPATH": str(ROOT / "plugins"),  # where the package is not installed
    }
    done = subprocess.run(
        [sys.executable, "-c", RUN_EACH_COMMAND, json.dumps(list(COMMANDS_WITHOUT_ACCESS))],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    results = [json.loads(line) for line in done.stdout.splitlines()]
    return {command: (code, airflow, printed) for command, code, airflow, printed in results}


@pytest.mark.parametrize("command", COMMANDS_WITHOUT_ACCESS)
def test_no_command_has_airflow_in_its_process(
    command: str, without_access: dict[str, tuple[int, list[str], str]]
) -> None:
    """Without access to AWS and Airflow, each command ends with its exit code and without a traceback."""
    code, airflow, printed = without_access[command]
    assert (code, airflow) == (COMMANDS_WITHOUT_ACCESS[command], []), printed
    assert "Traceback" not in printed


@pytest.mark.parametrize(
    ("command", "closed", "unbuffered"),
    [
        ("schema", "stdout", ""),
        ("--help", "stdout", ""),
        ("report --path include/plans", "stdout", "yes"),
        ("jobs", "stderr", ""),
    ],
)
def test_a_reader_that_goes_away_is_no_error(command: str, closed: str, unbuffered: str) -> None:
    """The reader may close the pipe before the end, as `head` does. The exit code is that of a program which
    the signal for this has ended. It makes no difference which of the two streams was closed, and whether
    Python notices it while the command writes or at its end.
    """
    environment = {**os.environ, "AWS_EC2_METADATA_DISABLED": "true", "AWS_DEFAULT_REGION": "us-east-1"}
    environment |= {"AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull}
    environment["PYTHONUNBUFFERED"] = unbuffered
    process = subprocess.Popen(
        [sys.executable, "-m", "drs", *command.split()],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    streams = {"stdout": process.stdout, "stderr": process.stderr}
    gone = streams.pop(closed)
    (other,) = streams.values()
    assert gone
    assert other
    gone.close()
    assert "Traceback" not in other.read()
    assert process.wait() == 141
    other.close()


@pytest.mark.parametrize("command", ["validate", "groups", "doctor", "runbook"])
def test_the_folder_of_plans_is_the_environments(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The commands read the same variable as Airflow."""
    monkeypatch.setenv("AIRFLOW__DRS__PLANS_FOLDER", str(tmp_path))
    (tmp_path / "broken.yaml").write_text("name: broken\n")
    assert main([command, *(["broken"] if command != "validate" else [])]) == 1
    out, err = capsys.readouterr()
    assert str(tmp_path / "broken.yaml") in out + err


def test_every_command_with_plans_has_that_default(monkeypatch: pytest.MonkeyPatch) -> None:
    """No command keeps a default of its own."""
    monkeypatch.setenv("AIRFLOW__DRS__PLANS_FOLDER", "/srv/plans")
    defaults = {
        name: action.default
        for name, parser in commands().items()
        for action in parser._actions
        if "--plans" in action.option_strings
    }
    assert set(defaults.values()) == {Path("/srv/plans")}
    assert {"accounts", "cleanup", "doctor", "groups", "jobs", "report", "servers", "status", "watch"} <= set(
        defaults
    )
