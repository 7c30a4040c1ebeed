"""``cleanup``: it terminates the drill instances of the plan's runs and no other instances."""

from __future__ import annotations

import datetime as dt
import io
import json
import re
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config

from drs.aws.calls import Drs
from drs.cleanup.clean_up import WaitForJobs
from drs.cleanup.prices import prices
from drs.cli import cleanup
from drs.times import utc_now
from tests.unit.cli.simulated_aws import REGION, WEB
from tests.unit.drill import APPLICATION, DATABASE


class Terminal(io.StringIO):
    """A terminal at which a person types this text."""

    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def looks_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cleanup, "POLL", 0.05)
    monkeypatch.setattr("drs.cleanup.clean_up.LOOK_AGAIN", dt.timedelta(seconds=0))


@pytest.fixture
def orders(aws: Any, plans: Path) -> Any:
    """Run `cleanup orders` with additional options."""

    def run(*options: str) -> Any:
        return aws.run("cleanup", "orders", "--plans", str(plans), *options)

    return run


def test_nothing_left_is_exit_code_0(aws: Any, orders: Any) -> None:
    """Instances of other plans do not count."""
    aws.launch(WEB, run="manual__1", plan="billing")
    result = orders()
    assert (result.code, result.out) == (0, "No run of plan orders has a drill instance left.\n")
    assert aws.left() == 2


def test_without_a_terminal_it_only_lists(aws: Any, orders: Any) -> None:
    """The exit code is 1, because instances are left."""
    job = aws.launch(DATABASE, run="manual__1")
    result = orders()
    assert result.code == 1
    assert "2 drill instances of plan orders" in result.out
    rows = [line for line in result.out.splitlines() if job in line]
    assert len(rows) == 2
    for row in rows:
        assert re.search(rf"m5\.large  0 min  0\.00 USD     2\.30 USD      {job}  manual__1$", row), row
    assert "Together 0.00 USD so far, 0.19 USD an hour, 4.61 USD a day." in result.out
    assert f"Prices: on-demand, Linux, us-east-1, as of {prices().as_of}; EBS volumes" in result.out
    assert "use --yes" in result.err
    assert aws.left(job) == 2


def test_json_lists_and_asks_nobody(aws: Any, orders: Any) -> None:
    """With --json, the command lists the instances and asks no question."""
    job = aws.launch([DATABASE[0]], run="manual__1")
    result = orders("--json")
    assert result.code == 1
    printed = json.loads(result.out)
    assert [(item["server_id"], item["job_id"], item["run"]) for item in printed["left"]] == [
        (DATABASE[0], job, "manual__1")
    ]
    (item,) = printed["left"]
    assert (item["instance_type"], item["usd_per_hour"], item["usd_so_far"]) == ("m5.large", 0.096, 0.0)
    assert aws.left(job) == 1


@pytest.mark.parametrize("answer", ["\n", "n\n", "no\n", ""])
def test_a_person_must_agree(aws: Any, orders: Any, monkeypatch: pytest.MonkeyPatch, answer: str) -> None:
    """Every answer except yes means no."""
    job = aws.launch([DATABASE[0]], run="manual__1")
    monkeypatch.setattr("sys.stdin", Terminal(answer))
    result = orders()
    assert result.code == 1
    assert "An active run needs its instances" in result.out
    assert "drs_drill__orders" in result.out
    assert "Nothing was terminated." in result.out
    assert aws.left(job) == 1


def test_once_agreed_they_are_terminated_and_proven_gone(
    aws: Any, orders: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The instances of two runs are terminated.

    Those of another plan, without tags, and of a real recovery stay.
    """
    first = aws.launch(DATABASE, run="manual__1")
    second = aws.launch([APPLICATION[0]], run="manual__2")
    foreign = aws.launch([WEB[0]], run="manual__1", plan="billing")
    untagged = aws.launch([WEB[1]])
    real = aws.drs.start_recovery(isDrill=False, sourceServers=[{"sourceServerID": APPLICATION[1]}])
    aws.wait_until_ended(real["job"]["jobID"])
    monkeypatch.setattr("sys.stdin", Terminal("yes\n"))
    result = orders()
    assert result.code == 0, result
    assert aws.left(first, second) == 0
    assert aws.left(foreign, untagged, real["job"]["jobID"]) == 3
    assert "1 drill instance of an unknown run" in result.out
    assert untagged in result.out
    assert foreign not in result.out
    assert result.err.count("Clean-up is proven") == 2
    assert orders().code == 0


def test_one_run_can_be_chosen(aws: Any, orders: Any) -> None:
    """The option --run takes the run's id in Airflow."""
    first = aws.launch(DATABASE, run="manual__1")
    second = aws.launch(APPLICATION, run="manual__2")
    assert orders("--yes", "--run", "manual__2").code == 0
    assert (aws.left(first), aws.left(second)) == (2, 0)


def test_without_waiting_it_ends_when_termination_has_begun(aws: Any, orders: Any) -> None:
    """The exit code is 0, and the message says how to look again."""
    aws.launch(DATABASE, run="manual__1")
    result = orders("--yes", "--no-wait")
    assert result.code == 0
    assert "run the command again" in result.err
    assert len(aws.journal(operation="TerminateRecoveryInstances")) == 1


def test_an_instance_that_cannot_be_terminated_yet_is_no_success(aws: Any, orders: Any) -> None:
    """A job of someone else holds its server, so with --no-wait its termination has not begun."""
    aws.launch(DATABASE, run="manual__1")
    aws.arm(kind="foreign_job", servers=[DATABASE[0]], seconds=600)
    result = orders("--yes", "--no-wait")
    assert result.code == 1
    assert "1 of them cannot be terminated yet" in result.err
    assert DATABASE[0] in result.err
    aws.disarm()


def test_a_drs_that_does_not_answer_for_a_moment_is_waited_for(aws: Any) -> None:
    """A failed call does not end the wait. At the end of the wait, the next step is due."""
    drs = Drs(boto3.client("drs", region_name=REGION, config=Config(retries={"total_max_attempts": 1})))
    step = WaitForJobs(("drsjob-0123456789abcdef0",), utc_now() + dt.timedelta(seconds=0.2))
    aws.arm(kind="internal_error", operations=["DescribeJobs"])
    assert cleanup._next_due(drs, {"run": step}) == ["run"]
    aws.disarm()


def test_a_live_job_of_the_plan_is_warned_of(aws: Any, orders: Any) -> None:
    """The run of a live job is most likely still active."""
    aws.launch(DATABASE, run="manual__1")
    aws.arm(kind="stuck_conversion", servers=[APPLICATION[0]])
    aws.start([APPLICATION[0]], run="manual__2")
    assert "DRS has live jobs of these runs, which are most likely still active: manual__2." in orders().err
    aws.disarm()


def test_an_instance_that_survives_is_exit_code_1(aws: Any, orders: Any) -> None:
    """The error CLEANUP_INCOMPLETE advises to repeat this command, and does not mention an Airflow task."""
    aws.arm(kind="termination_survivor", servers=[DATABASE[0]])
    job = aws.launch(DATABASE, run="manual__1")
    result = orders("--yes")
    assert result.code == 1
    assert "[CLEANUP_INCOMPLETE]" in result.err
    assert "run this command again" in result.err
    assert "the task" not in result.err
    assert aws.left(job) == 1


def test_a_termination_that_is_denied_names_the_statement(aws: Any, orders: Any) -> None:
    """The message also names the instances that still exist."""
    aws.launch(DATABASE, run="manual__1")
    aws.arm(kind="access_denied", operations=["TerminateRecoveryInstances"])
    result = orders("--yes")
    assert result.code == 1
    assert '"Action": ["drs:TerminateRecoveryInstances"]' in result.err
    assert "clear this task" not in result.err
    assert DATABASE[0] in result.err


def test_a_survivor_is_terminated_with_its_cost_named(aws: Any, orders: Any) -> None:
    """An instance that could not be terminated stays as long as the cause lasts, and is terminated after
    that.
    """
    job = aws.launch([DATABASE[0]], run="manual__1")
    aws.arm(kind="termination_survivor", servers=[DATABASE[0]])
    result = orders("--yes")
    assert result.code == 1
    assert "[CLEANUP_INCOMPLETE]" in result.err
    assert re.search(r"m5\.large +\d+ min +\d+\.\d\d USD +2\.30 USD", result.err)
    assert aws.left(job) == 1
    aws.disarm()
    assert orders("--yes").code == 0
    assert aws.left(job) == 0
