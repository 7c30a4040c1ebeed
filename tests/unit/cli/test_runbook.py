"""``runbook``: bash and the AWS CLI run the script against the simulated DRS."""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.unit.cli.simulated_aws import OTHER_ACCOUNT, WEB, plan_text
from tests.unit.drill import APPLICATION, DATABASE

AWS_CLI = "1.45.11"
WARM_AWS = Path(__file__).with_name("warm_aws.py")
WARM_CLIENT = """\
#!/usr/bin/env bash
exec 3<> "/dev/tcp/127.0.0.1/{port}" || exit 255
read -r folder <&3
printf '%s\\0' "$@" > "$folder/arguments"
env -0 > "$folder/environment"
echo >&3
read -r code <&3
[ ! -s "$folder/out" ] || cat "$folder/out"
[ ! -s "$folder/err" ] || cat "$folder/err" >&2
exit "${{code:-255}}"
"""
"""A command ``aws`` that lets the server of :mod:`tests.unit.cli.warm_aws` run it."""


@pytest.fixture(scope="session")
def aws_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python that has the AWS CLI: the machine's own, or else a new environment for these tests."""
    if (found := shutil.which("python3")) and _runs(found, "-c", "import awscli.clidriver"):
        return Path(found)
    # In an environment of its own: it pins another botocore.
    folder = tmp_path_factory.mktemp("aws-cli")
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    subprocess.run([folder / "bin" / "pip", "install", "--quiet", f"awscli=={AWS_CLI}"], check=True)
    return folder / "bin" / "python"


def _runs(*command: str) -> bool:
    return subprocess.run(command, stderr=subprocess.DEVNULL, check=False).returncode == 0


@pytest.fixture(scope="session")
def cold_aws_cli(aws_python: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a command ``aws`` that starts the installed AWS CLI."""
    return _command(tmp_path_factory.mktemp("aws"), f'#!/bin/sh\nexec "{aws_python}" -m awscli "$@"\n')


@pytest.fixture(scope="session")
def warm_aws_cli(aws_python: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of a command ``aws`` that runs the same AWS CLI without its start-up time."""
    with subprocess.Popen([aws_python, WARM_AWS], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        port = int(process.stdout.readline())
        yield _command(tmp_path_factory.mktemp("warm-aws"), WARM_CLIENT.format(port=port))
        process.terminate()


def _command(folder: Path, text: str) -> Path:
    command = folder / "aws"
    command.write_text(text)
    command.chmod(0o755)
    return folder


class Script:
    """A runbook in a file."""

    def __init__(self, text: str, folder: Path, aws_cli: Path) -> None:
        self.text = text
        self._file = folder / "runbook.sh"
        self._file.write_text(text)
        self._path = f"{aws_cli}{os.pathsep}{os.environ['PATH']}"

    def edit(self, old: str, new: str) -> None:
        """Replace a text in the script, as a person would in an editor."""
        assert self.text.count(old) == 1
        self._file.write_text(self.text.replace(old, new))

    def start(self) -> subprocess.Popen[str]:
        environment = {**os.environ, "PATH": self._path, "POLL": "0.2"}
        command = ["bash", str(self._file)]
        return subprocess.Popen(
            command,
            env=environment,
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            # bash cannot trap a signal that its parent ignores, as under `nohup`.
            preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL),
        )

    def run(self, typed: str = "") -> tuple[int, str]:
        """Run the script with this input.

        :return: its exit code and its output
        """
        process = self.start()
        said, _ = process.communicate(typed, timeout=240)
        return process.returncode, said


@pytest.fixture
def written(aws: Any, plans: Path, tmp_path: Path, warm_aws_cli: Path) -> Any:
    """A function that writes the runbook of the plan orders."""

    def write(*options: str, cli: Path = warm_aws_cli) -> Script:
        result = aws.run("runbook", "orders", "--plans", str(plans), *options)
        assert (result.code, result.err) == (0, "")
        aws.clear_journal()
        return Script(result.out, tmp_path, cli)

    return write


@pytest.fixture
def short(plans: Path) -> Path:
    """The plan orders with only its first wave and short pauses, because every command of a script takes
    time.
    """
    path = plans / "orders.yaml"
    text = path.read_text().replace("server_delay: 1s", "server_delay: 0s, conflict_backoff: [0.5s, 0.2s]")
    path.write_text("".join(line for line in text.splitlines(keepends=True) if "application" not in line))
    return path


def launched(aws: Any) -> list[list[str]]:
    """The servers of each accepted StartRecovery, in order. All calls must be for drills."""
    calls = [call for call in aws.journal(operation="StartRecovery") if call["error"] is None]
    assert all(call["parameters"]["isDrill"] is True for call in calls)
    return [[server["sourceServerID"] for server in call["parameters"]["sourceServers"]] for call in calls]


def test_the_script_drills_the_plan_and_cleans_up(aws: Any, written: Any) -> None:
    """The script launches the waves with the plan's delays, and nothing is left at the end."""
    code, said = written().run()
    assert code == 0, said
    assert launched(aws) == [[server] for server in (*DATABASE, *APPLICATION)]
    times = [call["time"] for call in aws.journal(operation="StartRecovery")]
    assert all(later - earlier >= 1 for earlier, later in itertools.pairwise(times))
    assert aws.left() == 0
    assert "Wave database: every server is launched." in said
    assert "Wave application: every server is launched." in said
    assert "Clean-up is complete: DRS and EC2 show no instance" in said
    assert said.endswith("The drill of orders passed.\n")


def test_the_aws_cli_runs_the_script_as_it_is_installed(
    aws: Any, short: Path, written: Any, cold_aws_cli: Path
) -> None:
    """The other tests save the CLI's start-up time, which a plan with one server pays here."""
    short.write_text(short.read_text().replace(f", {DATABASE[1]}]", "]"))
    code, said = written(cli=cold_aws_cli).run()
    assert code == 0, said
    assert launched(aws) == [[DATABASE[0]]]
    assert len(aws.journal(operation="TerminateRecoveryInstances")) == 1
    assert aws.left() == 0


def test_offline_it_looks_tagged_servers_up_itself(aws: Any, plans: Path, written: Any) -> None:
    """Tags with special characters work, and so does one job for a wave.

    AWS is not called to write the script.
    """
    path = plans / "orders.yaml"
    odd = 'Tier: app, "K`e\'y $(x)": "`v`\\"$HOME\' \\\\ é"'
    text = path.read_text().replace("Tier: app", odd).replace("1s}", "1s, jobs: per_wave}", 1)
    path.write_text(text)
    arns = {
        item["sourceServerID"]: item["arn"] for item in aws.drs.describe_source_servers(filters={})["items"]
    }
    for server in APPLICATION:
        aws.drs.tag_resource(resourceArn=arns[server], tags={"K`e'y $(x)": "`v`\"$HOME' \\ é"})
    aws.clear_journal()
    script = written("--offline")
    assert aws.journal() == []
    code, said = script.run()
    assert code == 0, said
    assert launched(aws) == [list(DATABASE), list(APPLICATION)]
    assert aws.left() == 0


def test_a_server_that_fails_makes_the_drill_fail_and_clean_up(aws: Any, short: Path, written: Any) -> None:
    """The drill fails although the job is COMPLETED. The output has DRS's own error."""
    aws.arm(kind="launch_failed", servers=[DATABASE[1]], raw_error="InsufficientInstanceCapacity")
    code, said = written().run()
    assert code == 1
    assert f"SERVER_LAUNCH_FAILED: wave database: {DATABASE[1]}" in said
    assert "InsufficientInstanceCapacity" in said
    assert "The drill of orders FAILED." in said
    assert aws.left() == 0


def test_a_held_server_is_tried_again_after_the_plans_pauses(aws: Any, short: Path, written: Any) -> None:
    """The script repeats the call until the other job ends.

    If the account refuses tags, it continues without them.
    """
    script = written()
    aws.arm(kind="tags_refused")
    aws.arm(kind="foreign_job", servers=[DATABASE[0]], seconds=1, **{"from": "first_refused_call"})
    code, said = script.run()
    assert code == 0, said
    assert "The account refuses tags on jobs" in said
    assert "DRS refused the call; the next attempt is in 0.5 s" in said
    assert launched(aws) == [[server] for server in DATABASE]
    assert aws.left() == 0


def test_a_server_that_stays_held_ends_the_drill(aws: Any, short: Path, written: Any) -> None:
    """The drill ends after conflict_timeout, and what was launched before is terminated."""
    short.write_text(short.read_text().replace("server_delay: 0s", "server_delay: 0s, conflict_timeout: 0s"))
    script = written()
    aws.arm(kind="foreign_job", servers=[DATABASE[1]], seconds=600)
    code, said = script.run()
    assert code == 1
    assert "NOT STARTED" in said
    assert "ConflictException" in said
    assert launched(aws) == [[DATABASE[0]]]
    assert aws.left() == 0
    aws.disarm()


def test_a_lost_reply_does_not_lose_the_job(aws: Any, short: Path, written: Any) -> None:
    """The script finds the job by its tag, and terminates its instance with the others."""
    script = written()
    aws.arm(kind="internal_error", operations=["StartRecovery"], servers=[DATABASE[0]], when="after", count=1)
    aws.arm(kind="stuck_conversion", servers=[DATABASE[0]])  # the job must still hold it when the CLI retries
    process = script.start()
    assert process.stdout
    for line in process.stdout:
        if "The reply to the call was lost, but its job exists." in line:
            aws.disarm()
            break
    said, _ = process.communicate(timeout=120)
    assert process.returncode == 0, said
    assert launched(aws) == [[DATABASE[1]]]
    assert aws.left() == 0


def test_an_instance_that_survives_is_named(aws: Any, short: Path, written: Any) -> None:
    """After three TERMINATE jobs the script reports the instance, instead of waiting for ever."""
    aws.arm(kind="termination_survivor", servers=[DATABASE[0]])
    code, said = written().run()
    assert code == 1
    survivor = next(item for item in aws.instances() if item["ec2State"] == "running")
    assert survivor["sourceServerID"] == DATABASE[0]
    assert f"CLEANUP_INCOMPLETE: these instances still exist and cost money: {survivor['instanceID']}" in said
    assert len(aws.journal(operation="TerminateRecoveryInstances")) == 3


def test_a_no_ends_the_drill_in_clean_up(aws: Any, plans: Path, written: Any) -> None:
    """The script asks before a wave with an approval. After a no, it terminates the waves before."""
    path = plans / "orders.yaml"
    path.write_text(path.read_text().replace("delay_before: 1s", "delay_before: 1s, approval: {}"))
    code, said = written().run("n\n")
    assert code == 1
    assert "You did not agree." in said
    assert launched(aws) == [[server] for server in DATABASE]
    assert aws.left() == 0


def test_interrupted_it_goes_to_clean_up(aws: Any, plans: Path, written: Any) -> None:
    """After Ctrl-C the script terminates its instances, because they would cost money."""
    path = plans / "orders.yaml"
    path.write_text(path.read_text().replace("delay_before: 1s", "delay_before: 5s"))
    process = written().start()
    assert process.stdout
    for line in process.stdout:
        if "Before wave application" in line:
            process.terminate()
            break
    said, _ = process.communicate(timeout=120)
    assert process.returncode == 130
    assert "Interrupted." in said
    assert launched(aws) == [[server] for server in DATABASE]
    assert aws.left() == 0


def test_a_terminal_that_is_lost_is_like_ctrl_c(aws: Any, plans: Path, written: Any) -> None:
    """When the terminal is closed and nothing reads the output, the script still cleans up."""
    path = plans / "orders.yaml"
    path.write_text(path.read_text().replace("delay_before: 1s", "delay_before: 5s"))
    process = written().start()
    assert process.stdout
    for line in process.stdout:
        if "Before wave application" in line:
            process.send_signal(signal.SIGHUP)
            break
    process.stdout.close()
    assert process.wait(timeout=120) == 130
    assert launched(aws) == [[server] for server in DATABASE]
    assert aws.left() == 0


def test_a_server_that_runs_in_recovery_is_not_launched(aws: Any, short: Path, written: Any) -> None:
    """A launch would terminate the real recovery instance, so the script does not launch the server."""
    script = written()
    real = aws.drs.start_recovery(isDrill=False, sourceServers=[{"sourceServerID": DATABASE[1]}])
    code, said = script.run()
    assert code == 1
    assert "RECOVERY_INSTANCE_EXISTS: a launch would terminate" in said
    assert f"real recovery instances of these servers: {DATABASE[1]}" in said
    calls = aws.journal(operation="StartRecovery")
    granted = [call["parameters"]["isDrill"] for call in calls if call["error"] is None]
    assert granted == [False, True]
    assert aws.left(real["job"]["jobID"]) == aws.left() == 1


def test_a_server_that_is_being_recovered_is_not_called_for(aws: Any, short: Path, written: Any) -> None:
    """At the end of that job DRS would accept a call, so the script waits.

    The job fails, and the drill goes on.
    """
    script = written()
    aws.arm(kind="foreign_job", servers=[DATABASE[0]], seconds=600, initiated_by="START_RECOVERY")
    process = script.start()
    assert process.stdout
    for line in process.stdout:
        if f"ConflictException: a live job of a real recovery holds: {DATABASE[0]}" in line:
            aws.disarm()
            break
    said, _ = process.communicate(timeout=120)
    assert process.returncode == 0, said
    assert [call["error"] for call in aws.journal(operation="StartRecovery")] == [None, None]
    assert launched(aws) == [[server] for server in DATABASE]
    assert aws.left() == 0


def test_the_wrong_account_stops_it_at_once(aws: Any, plans: Path, written: Any) -> None:
    """The credentials may have changed since the script was written."""
    path = plans / "orders.yaml"
    path.write_text(plan_text(account=OTHER_ACCOUNT))
    code, said = written("--offline").run()
    assert code == 3
    assert f"are for account 111122223333, but the plan is for account {OTHER_ACCOUNT}" in said
    assert {call["service"] for call in aws.journal()} == {"sts"}


def test_its_instances_are_the_cleanup_commands_to_find(aws: Any, plans: Path, written: Any) -> None:
    """The jobs have the tags of a run of the plan, so `cleanup` finds the instances of a killed runbook."""
    process = written().start()
    assert process.stdout
    for line in process.stdout:
        if "Wave 2 of 2" in line:
            process.kill()
            break
    process.communicate(timeout=60)
    for call in aws.journal(operation="StartRecovery"):
        aws.wait_until_ended(call["result"]["jobID"])
    result = aws.run("cleanup", "orders", "--plans", str(plans), "--yes")
    assert result.code == 0
    assert "runbook-2" in result.out
    assert aws.left() == 0


def test_a_drill_is_a_drill_unless_plan_and_person_say_otherwise(
    plans: Path, short: Path, written: Any
) -> None:
    """Only if the plan allows a real recovery, the script has a line for it, as a comment."""
    assert "--no-is-drill" not in written().text
    short.write_text(short.read_text().replace("name: orders", "name: orders\nallow_recovery: true", 1))
    lines = written().text.splitlines()
    assert [line for line in lines if "--no-is-drill" in line] == ["# kind=--no-is-drill"]
    assert "kind=--is-drill" in lines


def test_a_real_recovery_is_confirmed_and_terminates_nothing(aws: Any, short: Path, written: Any) -> None:
    """This holds after a person has removed the comment sign from that line."""
    short.write_text(short.read_text().replace("name: orders", "name: orders\nallow_recovery: true", 1))
    script = written()
    script.edit("# kind=--no-is-drill", "kind=--no-is-drill")
    code, said = script.run("n\n")
    assert (code, aws.journal(operation="StartRecovery")) == (1, [])
    code, said = script.run("y\n")
    assert code == 0, said
    calls = aws.journal(operation="StartRecovery")
    assert [call["parameters"]["isDrill"] for call in calls] == [False, False]
    assert "This was a real recovery: nothing is terminated." in said
    assert aws.journal(operation="TerminateRecoveryInstances") == []
    assert aws.left() == 2


def test_what_others_wrote_stays_in_its_comment(aws: Any, plans: Path, written: Any) -> None:
    """The name of a server or a description must not become a command."""
    path = plans / "orders.yaml"
    path.write_text(path.read_text().replace("name: orders", 'name: orders\ndescription: "a\\nrm -rf x"'))
    arns = {
        item["sourceServerID"]: item["arn"] for item in aws.drs.describe_source_servers(filters={})["items"]
    }
    aws.drs.tag_resource(resourceArn=arns[DATABASE[0]], tags={"Name": "db\nrm -rf y"})
    lines = [line.strip() for line in written().text.splitlines() if "rm -rf" in line]
    assert lines == ["# a\\nrm -rf x", "# db\\nrm -rf y"]


def test_waves_come_after_those_they_depend_on(aws: Any, plans: Path, written: Any) -> None:
    """The order in the file does not matter. Each gate is that of the wave before."""
    (plans / "orders.yaml").write_text(
        f"""\
name: orders
target: {{region: us-east-1, account_id: "111122223333"}}
protection_groups:
  database: {{source_servers: [{DATABASE[0]}]}}
  application: {{source_servers: [{APPLICATION[0]}]}}
  web: {{source_servers: [{WEB[0]}], optional: true}}
waves:
  - {{name: web, protection_groups: [web], depends_on: [application, database], delay_before: 0s}}
  - {{name: database, protection_groups: [database], depends_on: [], next_wave_when: launched}}
  - {{name: application, protection_groups: [application], depends_on: [database], delay_before: 0s}}
"""
    )
    script = written()
    third = script.text.split("wave_3() {")[1]
    assert "wait_started application 300 $jobs_2 || return 1" in third
    assert 'wait_launched database 3600 "$jobs_1"' in third
    aws.arm(kind="launch_failed", servers=[WEB[0]], raw_error="no capacity")
    code, said = script.run()
    assert code == 0, said
    assert launched(aws) == [[DATABASE[0]], [APPLICATION[0]], [WEB[0]]]
    assert f"Optional server {WEB[0]} was not launched." in said


def test_groups_that_do_not_resolve_make_no_runbook(aws: Any, plans: Path) -> None:
    """A script that cannot work is worse than no script."""
    path = plans / "orders.yaml"
    path.write_text(path.read_text().replace("Tier: app", "Tier: ap"))
    result = aws.run("runbook", "orders", "--plans", str(plans))
    assert (result.code, result.out) == (1, "")
    assert "[TAG_RESOLUTION_EMPTY]" in result.err
    assert "--offline" in result.err
