"""The commands that speak to Airflow, each run as a process against a real Airflow."""

from __future__ import annotations

import datetime as dt
import json
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from demo.drill import failures
from demo.drill_run import DrillRun
from demo.stack import REPOSITORY, Stack
from drs.plan import load_plan
from tests.e2e.command_line import check_quoted, command, drs, environment
from tests.e2e.plans import DIRECTORY, WEB, write_plan

pytestmark = pytest.mark.e2e


@pytest.fixture
def plan(stack: Stack, plans: Path) -> Iterator[str]:
    """A plan of two servers in one wave, with its DAG unpaused. Its active runs are ended after the test."""
    name = "commanded"
    write_plan(plans, name, [("directory", DIRECTORY)])
    dag_id = f"drs_drill__{name}"
    stack.api.wait_for_dag(dag_id)
    stack.api.unpause(dag_id)
    yield name
    for run in stack.api.runs(dag_id=dag_id, limit=10):
        if run["state"] in {"queued", "running"}:
            stack.api.set_run_state(dag_id, run["dag_run_id"], "failed")
            stack.api.wait_for_run(dag_id, run["dag_run_id"], 120)


def test_a_drill_is_followed_to_its_good_end(stack: Stack, plans: Path) -> None:
    """A new plan's DAG is paused: the first try says how to unpause it. A misspelt plan gets a suggestion."""
    write_plan(plans, "new", [("directory", DIRECTORY)])
    stack.api.wait_for_dag("drs_drill__new")
    paused = drs(stack, "drill", "new")
    assert (paused.returncode, paused.stdout) == (2, "")
    assert "is paused" in paused.stderr
    assert "--unpause" in paused.stderr
    assert stack.api.runs(dag_id="drs_drill__new", limit=1) == []

    unknown = drs(stack, "drill", "singel-server")
    assert unknown.returncode == 2
    assert "[RECOVERY_PLAN_NOT_FOUND]" in unknown.stderr
    assert "Did you mean single-server?" in unknown.stderr

    done = drs(stack, "drill", "new", "--unpause", "--reason", "by command")
    assert done.returncode == 0, done.stdout + done.stderr
    (run,) = stack.api.runs(dag_id="drs_drill__new", limit=2)
    assert run["conf"] == {"reason": "by command"}
    assert stack.api.run_link("drs_drill__new", run["dag_run_id"]) in done.stdout
    told = [line.partition("] ")[2] for line in done.stdout.splitlines()]
    in_order = [
        "begin: success",
        "preflight: success",
        "wave directory: 2 of 2 servers started",
        "wave directory: 2 of 2 servers launched",
        "terminate: success",
        "verdict: success",
    ]
    assert [line for line in told if line in in_order] == in_order
    assert re.search(
        r"The run of new passed after (?:\d+ min )?[\d.]+ s\.\n.*\n.*\n +directory +2 +2\n", done.stdout
    )
    assert "2 instances launched, all gone" in done.stdout
    of_page = done.stdout.replace("directory", "database")
    check_quoted("a drill that passes", "drill", of_page, plan="new")


def test_a_red_drill_says_at_once_what_failed_and_what_to_do(stack: Stack, plans: Path) -> None:
    """A server FAILED to launch in a job that COMPLETED: the exit code is 1, and everything that launched is
    terminated. Afterwards `runs` names the code, and `logs` shows the task's log.
    """
    plan, task = "red", "wave_directory.wait_until_launched"
    path = write_plan(plans, plan, [("directory", DIRECTORY), ("web", WEB[:2])])
    stack.api.wait_for_dag(f"drs_drill__{plan}")
    raw_error = "InsufficientInstanceCapacity: none left"
    stack.simulator.arm(kind="launch_failed", servers=DIRECTORY[:1], raw_error=raw_error)
    started = dt.datetime.now(dt.UTC)
    red = drs(stack, "drill", plan, "--unpause", "--json")
    assert red.returncode == 1, red.stdout + red.stderr
    failed, ended = (
        red.stderr.index(f"{name}: failed") for name in ("wave directory: wait_until_launched", "verdict")
    )
    told = red.stderr[failed:ended]
    for part in ("[SERVER_LAUNCH_FAILED]", raw_error, DIRECTORY[0], "What to do:"):
        assert part in told, part
    result = json.loads(red.stdout)
    assert (result["state"], result["plan"]) == ("failed", plan)
    assert [(failure["task_id"], failure["code"]) for failure in result["failures"]] == [
        (task, "SERVER_LAUNCH_FAILED")
    ]
    assert result["evidence"]["cleanup"]["proven"] is True

    run = DrillRun(stack, load_plan(path), result["run_id"], started)
    shown = "\n".join(failures(run))  # as `make drill` shows them
    for part in (f"{task} failed:", "[SERVER_LAUNCH_FAILED]", raw_error):
        assert part in shown, part
    states = run.task_states()
    assert (states["terminate"], states["evidence"]) == ("success", "success")
    assert run.log(task).count("Task failed") == 1, "a launch that failed is not tried again by itself"
    assert raw_error in run.log("verdict")
    assert {instance.server_id for instance in run.instances()} >= {DIRECTORY[1], *WEB[:2]}
    assert {instance.state for instance in run.instances()} == {"terminated"}

    listed = drs(stack, "runs", plan, "--failed")
    assert listed.returncode == 0, listed.stderr
    assert f"SERVER_LAUNCH_FAILED ({task})" in listed.stdout
    of_all = json.loads(drs(stack, "runs", "--json").stdout)
    assert of_all[0]["run_id"] == result["run_id"]
    assert of_all[0]["failures"][0]["code"] == "SERVER_LAUNCH_FAILED"

    last = drs(stack, "logs", "last")
    assert last.returncode == 0, last.stderr
    assert f"--- {task}, try 1: failed" in last.stdout
    assert raw_error in last.stdout
    assert "--- verdict" in last.stdout
    assert "--- preflight," not in last.stdout
    named = drs(stack, "logs", result["run_id"], "--plan", plan, "--task", "preflight")
    assert re.findall(r"^--- (.+), try 1: (.+)$", named.stdout, re.MULTILINE) == [("preflight", "success")]
    assert DIRECTORY[0] in named.stdout
    assert drs(stack, "logs", "manual__never").returncode == 2


def test_a_dry_run_launches_nothing_and_asks_nobody(stack: Stack, plans: Path) -> None:
    """It does not ask about a wave that needs an approval; the run passes as a dry run."""
    write_plan(plans, "dry", [("directory", DIRECTORY)], first_wave_extra="approval: {}")
    stack.api.wait_for_dag("drs_drill__dry")
    dry = drs(stack, "drill", "dry", "--unpause", "--dry-run")
    assert dry.returncode == 0, dry.stdout + dry.stderr
    for task in ("approve", "start_recovery"):
        assert f"wave directory: {task}: skipped" in dry.stdout
    assert stack.simulator.journal(operation="StartRecovery") == []
    (run,) = stack.api.runs(dag_id="drs_drill__dry", limit=2)
    evidence = stack.api.xcom("drs_drill__dry", run["dag_run_id"], "evidence", "return_value")
    assert evidence["dry_run"] is True
    verdict = stack.api.task_log("drs_drill__dry", run["dag_run_id"], "verdict", 1)
    assert "preflight passed, nothing was launched" in verdict


def test_what_airflow_refuses_is_told_in_its_words(stack: Stack, plan: str) -> None:
    """When the command names a wave that the plan does not have, no run begins."""
    refused = drs(stack, "drill", plan, "--waves", "nope")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "nope" in refused.stderr


def test_to_stop_following_a_drill_does_not_stop_it(stack: Stack, plan: str) -> None:
    """Ctrl-C and --timeout leave the run alone and say how to stop it; a second run is refused."""
    stack.simulator.arm(kind="stuck_pending", servers=DIRECTORY)
    with subprocess.Popen(
        command("drill", plan),
        env=environment(stack),
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as following:
        assert following.stdout is not None
        assert following.stderr is not None
        while "2 of 2 servers started" not in (line := following.stdout.readline()):
            assert line, f"it ended: {following.stderr.read()}"
        following.send_signal(signal.SIGINT)
        _, told = following.communicate(timeout=30)
    assert following.returncode == 130
    assert "goes on in Airflow" in told
    assert f"python -m drs stop {plan} (or mark the run as failed in Airflow)" in told

    second = drs(stack, "drill", plan)
    assert second.returncode == 1, second.stdout + second.stderr
    assert "[PLAN_ALREADY_EXECUTING]" in second.stdout
    third = drs(stack, "drill", plan, "--timeout", "1s")
    assert third.returncode == 4
    assert "The --timeout has passed." in third.stderr
    stack.simulator.disarm()
    _, _, first, *_ = stack.api.runs(dag_id=f"drs_drill__{plan}", limit=10)
    assert first["state"] == "running"


def test_status_names_the_part_that_is_down(stack: Stack, plan: str, tmp_path: Path) -> None:
    """Without a triggerer a drill would not move: the exit code is 1, and the output says what to start."""
    write_plan(tmp_path, "here", [("directory", DIRECTORY)])
    whole = drs(stack, "status", "--plans", str(tmp_path))
    assert whole.returncode == 0, whole.stdout + whole.stderr
    assert re.search(r"^Airflow +ok +3\.\d+\.\d+ at ", whole.stdout, re.MULTILINE)
    assert re.search(r"^DRS in us-east-1, account 111122223333 +ok ", whole.stdout, re.MULTILINE)

    (tmp_path / "here.yaml").write_text(
        (tmp_path / "here.yaml").read_text().replace("111122223333", "999999999999")
    )
    elsewhere = drs(stack, "status", "--plans", str(tmp_path))
    assert elsewhere.returncode == 1
    assert "[ACCOUNT_MISMATCH]" in elsewhere.stdout

    stack.kill("triggerer")
    stack.processes.wait(
        "scheduler",
        lambda: stack.api.health()["triggerer"]["status"] == "unhealthy",
        60,
        "miss the triggerer",
    )
    limping = drs(stack, "status", "--no-aws")
    assert limping.returncode == 1
    assert re.search(
        r"^Airflow's triggerer +NOT OK +.*Start `airflow triggerer`", limping.stdout, re.MULTILINE
    )
    assert limping.stdout.count("NOT OK") == 1
    check_quoted("no triggerer", "status", limping.stdout)
    stack.start_component("triggerer")


def test_an_airflow_that_is_not_there_is_exit_code_3(stack: Stack) -> None:
    """`drill` exits with 3; `status` lists Airflow as one more part that is down."""
    gone = ("--airflow-url", "http://127.0.0.1:9")
    assert drs(stack, "drill", "order-system", *gone).returncode == 3
    down = drs(stack, "status", "--no-aws", *gone)
    assert down.returncode == 1
    assert "http://127.0.0.1:9" in down.stdout
