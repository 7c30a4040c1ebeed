"""``cleanup``: it terminates the drill instances of the plan's runs, and no other."""

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
    """Somebody types this."""

    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def looks_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cleanup, "POLL", 0.05)
    monkeypatch.setattr("drs.cleanup.clean_up.LOOK_AGAIN", dt.timedelta(seconds=0))


@pytest.fixture
def orders(aws: Any, plans: Path) -> Any:
    """Run `cleanup orders` with further options."""

    def run(*options: str) -> Any:
        return aws.run("cleanup", "orders", "--plans", str(plans), *options)

    return run


def test_nothing_left_is_exit_code_0(aws: Any, orders: Any) -> None:
    """Also when others have instances."""
    aws.launch(WEB, run="manual__1", plan="billing")
    result = orders()
    assert (result.code, result.out) == (0, "No run of plan orders has a drill instance left.\n")
    assert aws.left() == 2


def test_without_a_terminal_it_only_lists(aws: Any, orders: Any) -> None:
    """Exit code 1: instances are left."""
    job = aws.launch(DATABASE, run="manual__1")
    result = orders()
    assert result.code == 1
    assert "2 drill instance(s) of plan orders" in result.out
    rows = [line for line in result.out.splitlines() if job in line]
    assert len(rows) == 2
    for row in rows:
        assert re.search(rf"m5\.large  0 min  0\.00 USD     2\.30 USD      {job}  manual__1$", row), row
    assert "Together 0.00 USD so far, 0.19 USD an hour, 4.61 USD a day." in result.out
    assert f"Prices: on-demand, Linux, us-east-1, as of {prices().as_of}; EBS volumes" in result.out
    assert "say --yes" in result.err
    assert aws.left(job) == 2


def test_json_lists_and_asks_nobody(aws: Any, orders: Any) -> None:
    """For programs."""
    job = aws.launch([DATABASE[0]], run="manual__1")
    result = orders("--json")
    assert result.code == 1
    told = json.loads(result.out)
    assert [(item["server_id"], item["job_id"], item["run"]) for item in told["left"]] == [
        (DATABASE[0], job, "manual__1")
    ]
    (item,) = told["left"]
    assert (item["instance_type"], item["usd_per_hour"], item["usd_so_far"]) == ("m5.large", 0.096, 0.0)
    assert aws.left(job) == 1


@pytest.mark.parametrize("answer", ["\n", "n\n", "no\n", ""])
def test_a_person_must_agree(aws: Any, orders: Any, monkeypatch: pytest.MonkeyPatch, answer: str) -> None:
    """Whatever is not yes is no."""
    job = aws.launch([DATABASE[0]], run="manual__1")
    monkeypatch.setattr("sys.stdin", Terminal(answer))
    result = orders()
    assert result.code == 1
    assert "A run that is still going on owns its instances" in result.out
    assert "drs_drill__orders" in result.out
    assert "Nothing was terminated." in result.out
    assert aws.left(job) == 1


def test_once_agreed_they_are_terminated_and_proven_gone(
    aws: Any, orders: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Instances of two runs; those of other plans, of nobody and of a real recovery stay."""
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
    assert "1 drill instance(s) of which it cannot be told whose they are" in result.out
    assert untagged in result.out
    assert foreign not in result.out
    assert result.err.count("Clean-up is proven") == 2
    assert orders().code == 0


def test_one_run_can_be_chosen(aws: Any, orders: Any) -> None:
    """By its Airflow run id."""
    first = aws.launch(DATABASE, run="manual__1")
    second = aws.launch(APPLICATION, run="manual__2")
    assert orders("--yes", "--run", "manual__2").code == 0
    assert (aws.left(first), aws.left(second)) == (2, 0)


def test_without_waiting_it_ends_when_termination_has_begun(aws: Any, orders: Any) -> None:
    """Exit code 0, and how to look again."""
    aws.launch(DATABASE, run="manual__1")
    result = orders("--yes", "--no-wait")
    assert result.code == 0
    assert "run the command again" in result.err
    assert len(aws.journal(operation="TerminateRecoveryInstances")) == 1


def test_an_instance_that_cannot_be_terminated_yet_is_no_success(aws: Any, orders: Any) -> None:
    """Somebody else's job holds its server: without waiting, nothing has begun for it."""
    aws.launch(DATABASE, run="manual__1")
    aws.arm(kind="foreign_job", servers=[DATABASE[0]], seconds=600)
    result = orders("--yes", "--no-wait")
    assert result.code == 1
    assert "1 of them cannot be terminated yet" in result.err
    assert DATABASE[0] in result.err
    aws.disarm()


def test_a_drs_that_does_not_answer_for_a_moment_is_waited_for(aws: Any) -> None:
    """What was begun goes on; when the time of the wait has come, the next look is made."""
    drs = Drs(boto3.client("drs", region_name=REGION, config=Config(retries={"total_max_attempts": 1})))
    step = WaitForJobs(("drsjob-0123456789abcdef0",), utc_now() + dt.timedelta(seconds=0.2))
    aws.arm(kind="internal_error", operations=["DescribeJobs"])
    assert cleanup._next_due(drs, {"run": step}) == ["run"]
    aws.disarm()


def test_a_live_job_of_the_plan_is_warned_of(aws: Any, orders: Any) -> None:
    """Its run is most likely still going on."""
    aws.launch(DATABASE, run="manual__1")
    aws.arm(kind="stuck_conversion", servers=[APPLICATION[0]])
    aws.start([APPLICATION[0]], run="manual__2")
    assert "DRS has live jobs of manual__2: most likely still going on." in orders().err
    aws.disarm()


def test_an_instance_that_survives_is_exit_code_1(aws: Any, orders: Any) -> None:
    """CLEANUP_INCOMPLETE names it, and speaks of this command and of no task."""
    aws.arm(kind="termination_survivor", servers=[DATABASE[0]])
    job = aws.launch(DATABASE, run="manual__1")
    result = orders("--yes")
    assert result.code == 1
    assert "[CLEANUP_INCOMPLETE]" in result.err
    assert "run this command again" in result.err
    assert "the task" not in result.err
    assert aws.left(job) == 1


def test_a_termination_that_is_denied_names_the_statement(aws: Any, orders: Any) -> None:
    """And what is still there."""
    aws.launch(DATABASE, run="manual__1")
    aws.arm(kind="access_denied", operations=["TerminateRecoveryInstances"])
    result = orders("--yes")
    assert result.code == 1
    assert '"Action": ["drs:TerminateRecoveryInstances"]' in result.err
    assert "clear this task" not in result.err
    assert DATABASE[0] in result.err


def test_a_survivor_is_terminated_with_its_cost_named(aws: Any, orders: Any) -> None:
    """A run's clean-up left it: it stays while its cause lasts, and goes when that is gone."""
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
