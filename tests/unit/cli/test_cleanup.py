"""``cleanup``: it terminates the drill instances of the plan's runs and no other instances."""

from __future__ import annotations

import datetime as dt
import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config

from drs.aws.calls import Drs
from drs.cleanup.clean_up import WaitForJobs
from drs.cleanup.prices import prices
from drs.cli import cleanup
from drs.run.records import CleanupRecord
from drs.text.times import utc_now
from tests.unit.cli.plan_in_airflow import PlanInAirflow, RunInAirflow, mid_wave
from tests.unit.cli.simulated_aws import REGION, WEB
from tests.unit.drill import APPLICATION, DATABASE, NOW, make_plan
from tests.unit.fake_airflow import fake_airflow


class Terminal(io.StringIO):
    """A terminal at which a person types this text."""

    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def looks_often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also, there is no Airflow, unless a test has one."""
    monkeypatch.setenv("DRS_AIRFLOW_URL", "http://127.0.0.1:9")
    monkeypatch.setattr(cleanup, "POLL", 0.05)
    monkeypatch.setattr("drs.cleanup.clean_up.LOOK_AGAIN", dt.timedelta(seconds=0))
    monkeypatch.setattr("drs.cleanup.situation.LISTING_DELAY", dt.timedelta(seconds=0))


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
    assert "Total: 0.00 USD so far, 0.19 USD an hour, 4.61 USD a day." in result.out
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


def test_a_run_without_instances_is_no_proof_for_the_others(aws: Any, orders: Any) -> None:
    """The id of the run may be mistyped: what other runs have left is named, and the exit code is 1."""
    instances = aws.launch(DATABASE, run="manual__1")
    result = orders("--yes", "--run", "manual__x")
    assert (result.code, aws.left(instances)) == (1, 2)
    assert result.out.splitlines() == [
        "Run manual__x of plan orders has no drill instance left.",
        "Other runs of the plan have 2 drill instances left (manual__1): "
        "`python -m drs cleanup orders` lists them.",
    ]


def test_without_waiting_it_ends_when_termination_has_begun(aws: Any, orders: Any) -> None:
    """The exit code is 0, and the message says how to look again."""
    aws.launch(DATABASE, run="manual__1")
    result = orders("--yes", "--no-wait")
    assert result.code == 0
    assert "Run it again to see which instances are left" in result.err
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


# --- active runs --------------------------------------------------------------------------------------------


@pytest.fixture
def airflow(monkeypatch: pytest.MonkeyPatch) -> Iterator[PlanInAirflow]:
    """An Airflow with the DAG of the plan orders, which has no runs."""
    with fake_airflow() as fake:
        monkeypatch.setenv("DRS_AIRFLOW_URL", fake.url)
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        yield PlanInAirflow(fake)


def add(airflow: PlanInAirflow, run_id: str, *, keep_for: str = "0s", **fields: Any) -> RunInAirflow:
    """Add a run whose jobs have the tags that :meth:`Aws.launch` writes."""
    plan = make_plan(cleanup={"keep_for": keep_for})
    record = airflow.record(run_id, of=plan, token=f"token-of-orders-{run_id}")
    return airflow.add(run_id, record, **fields)


ENDED = dict.fromkeys(mid_wave(), "success")
KEEPING = ENDED | {"terminate": "deferred", "evidence": None, "verdict": None}


def test_the_instances_of_an_active_run_are_left_alone(aws: Any, orders: Any, airflow: PlanInAirflow) -> None:
    """Those of a run that ended are terminated. The exit code is 1, for instances are left."""
    add(airflow, "manual__1", state="failed", tasks=ENDED)
    add(airflow, "manual__2")
    old, active = aws.launch(DATABASE, run="manual__1"), aws.launch(APPLICATION, run="manual__2")
    result = orders("--yes")
    assert result.code == 1
    assert (aws.left(old), aws.left(active)) == (0, 2)
    assert "2 instances (" in result.err
    assert ") are not touched. Run manual__2 is active, and fails without them" in result.err
    assert "python -m drs stop orders" in result.err
    assert "not known" not in result.err
    result = orders("--yes")
    assert (result.code, aws.left(active)) == (1, 2)


def test_force_terminates_what_an_active_run_needs(aws: Any, orders: Any, airflow: PlanInAirflow) -> None:
    add(airflow, "manual__1")
    job = aws.launch(DATABASE, run="manual__1")
    result = orders("--yes", "--force")
    assert (result.code, aws.left(job)) == (0, 0)
    assert "--force: 2 instances" in result.err
    assert "RECOVERY_INSTANCE_LOST" in result.err


def test_a_frozen_run_is_stopped_and_not_robbed(aws: Any, orders: Any, airflow: PlanInAirflow) -> None:
    """Its DAG is paused, or Airflow no longer has the plan's file. The message says which, and what to do."""
    add(airflow, "manual__1")
    job = aws.launch([DATABASE[0]], run="manual__1")
    airflow.paused = True
    result = orders("--yes")
    assert (result.code, aws.left(job)) == (1, 1)
    assert "does not go on, because its DAG is paused" in result.err
    assert "python -m drs stop orders" in result.err
    airflow.stale = True
    assert "the plan's file is gone" in orders("--yes").err


def test_a_run_that_keeps_its_instances_is_ended_by_name(
    aws: Any, orders: Any, airflow: PlanInAirflow
) -> None:
    """Its waves have passed, so it needs them no more. The log of its task terminate says this command."""
    add(airflow, "manual__1", keep_for="10m", tasks=KEEPING)
    job = aws.launch([DATABASE[0]], run="manual__1")
    result = orders("--yes")
    assert (result.code, aws.left(job)) == (1, 1)
    assert "keeps them until its cleanup.keep_for has passed" in result.err
    assert "python -m drs cleanup orders --run manual__1" in result.err
    assert orders("--yes", "--run", "manual__1").code == 0
    assert aws.left(job) == 0


def test_a_run_that_is_cleaning_up_does_it_itself(aws: Any, orders: Any, airflow: PlanInAirflow) -> None:
    """Its ``keep_for`` is over, or it has none: two clean-ups would get in each other's way."""
    run = add(airflow, "manual__1", keep_for="10m", tasks=KEEPING)
    run.ledger.save_cleanup(CleanupRecord(started_at=NOW))
    aws.launch([DATABASE[0]], run="manual__1")
    result = orders("--yes", "--run", "manual__1")
    assert result.code == 1
    assert "is cleaning up: it terminates them itself" in result.err


def test_json_says_which_run_is_active(aws: Any, orders: Any, airflow: PlanInAirflow) -> None:
    add(airflow, "manual__1", state="success", tasks=ENDED)
    add(airflow, "manual__2")
    for run_id, server in (("manual__1", DATABASE[0]), ("manual__2", DATABASE[1]), ("manual__3", WEB[0])):
        aws.launch([server], run=run_id)
    left = json.loads(orders("--json").out)["left"]
    found = {item["run"]: (item["run_active"], item["refused"] is None) for item in left}
    assert found == {"manual__1": (False, True), "manual__2": (True, False), "manual__3": (None, True)}


def not_known(result: Any) -> str:
    """What the command says about a run that Airflow does not know, after it terminated the instances."""
    assert result.code == 0, result.err
    line = next(
        line for line in result.err.splitlines() if line.startswith("It is not known whether the run")
    )
    return str(line)


def test_what_airflow_does_not_know_is_said(aws: Any, orders: Any, airflow: PlanInAirflow) -> None:
    """It may be a run of another Airflow, or one that was deleted. With --yes the command goes on."""
    aws.launch([DATABASE[0]], run="manual__1")
    assert "does not know run manual__1" in not_known(orders("--yes"))
    airflow.add(
        "manual__1", airflow.record("manual__1", token="of another Airflow"), tasks=ENDED, state="failed"
    )
    aws.launch([DATABASE[0]], run="manual__1")
    assert "is another run of that name" in not_known(orders("--yes"))
    airflow.fake.answers[f"GET {airflow.path}"] = lambda _: (404, {"detail": "not found"})
    aws.launch([DATABASE[0]], run="manual__1")
    assert "has no DAG drs_drill__orders" in not_known(orders("--yes"))
    airflow.fake.answers[f"GET {airflow.path}"] = lambda _: (403, {"detail": "Forbidden"})
    aws.launch([DATABASE[0]], run="manual__1")
    assert "does not let this user do that" in not_known(orders("--yes"))


def test_an_airflow_that_is_down_does_not_hinder_clean_up(aws: Any, orders: Any) -> None:
    aws.launch([DATABASE[0]], run="manual__1")
    assert "Airflow at http://127.0.0.1:9 cannot be reached" in not_known(orders("--yes"))


def test_nobody_is_asked_to_look_in_airflow_if_that_was_done(
    aws: Any, orders: Any, airflow: PlanInAirflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(airflow, "manual__1", state="failed", tasks=ENDED)
    aws.launch([DATABASE[0]], run="manual__1")
    monkeypatch.setattr("sys.stdin", Terminal("yes\n"))
    result = orders()
    assert result.code == 0
    assert "Terminate 1 drill instance?" in result.out
    assert "Look at the DAG" not in result.out


def test_records_of_another_version_do_not_hinder(aws: Any, orders: Any, airflow: PlanInAirflow) -> None:
    """The run is known by its id, and its instances are left alone."""
    run = add(airflow, "manual__1", keep_for="10m", tasks=KEEPING)
    run.store.set("run", {**run.store.get("run"), "new": 1})
    aws.launch([DATABASE[0]], run="manual__1")
    result = orders("--yes", "--run", "manual__1")
    assert result.code == 1
    assert "is not touched. Run manual__1 is cleaning up" in result.err
