"""A run looks at its own instances while it is active: what somebody else ends is found and recorded."""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any
from unittest import mock

import boto3
import pytest
from botocore.exceptions import ClientError

from drs.errors import RecoveryInstanceLost
from drs.run.ownership import job_tags
from drs.run.records import Loss, Resolution, WaveResolution
from drs.tasks import standing
from drs.tasks.standing import find_losses, require_standing, require_standing_before_question
from tests.unit.drill import APPLICATION, DATABASE, make_plan, make_run
from tests.unit.simulated import REGION, SimulatedDrill, describe_ec2

LOG = logging.getLogger("drill")
A, B = DATABASE
Launched = Callable[..., SimulatedDrill]


@pytest.fixture
def launched(drill: Launched, monkeypatch: pytest.MonkeyPatch) -> Launched:
    """A run whose wave database has ended two minutes ago, and whose wave application is to come."""

    def launched(**parts: Any) -> SimulatedDrill:
        run = drill(make_plan(**{"launch": {"jobs": "per_wave"}, **parts}))
        run.end_wave("database")
        run.pass_time(120)
        monkeypatch.setattr(standing, "utc_now", run.clock.now)
        return run

    return launched


def look(run: SimulatedDrill, describe: Any = describe_ec2) -> tuple[tuple[Loss, ...], dt.datetime | None]:
    return find_losses(run.ledger, run.run, run.hook, describe, LOG)


def require(run: SimulatedDrill) -> None:
    require_standing(run.ledger, run.run, run.hook, describe_ec2, LOG)


def instance(run: SimulatedDrill, server: str) -> str:
    """The instance that DRS lists of the server."""
    (found,) = [each.id for each in run.drs.recovery_instances.values() if each.server_id == server]
    return found


def end(run: SimulatedDrill, server: str) -> str:
    """Somebody terminates the server's instance in DRS.

    :return: the id of their job
    """
    job = run.hook.terminate_recovery_instances([instance(run, server)])
    run.finish_jobs()
    return job.job_id


def ec2() -> Any:
    return boto3.client("ec2", region_name=REGION)


# --- what a look finds ------------------------------------------------------------------------------------


def test_instances_that_are_as_they_should_be_are_recorded_as_seen(launched: Launched) -> None:
    """The next look, and clean-up, know until when they stood."""
    run = launched()
    assert look(run) == ((), None)
    stood = run.ledger.stood()
    assert stood is not None
    assert (stood.at, set(stood.instances)) == (run.clock.now(), run.instances())
    assert run.ledger.losses() == ()


def test_a_run_that_has_launched_nothing_does_not_ask(drill: Launched) -> None:
    """Before its first launch there is nothing to look at."""
    run = drill()
    with mock.patch.object(run.hook, "recovery_instances", side_effect=AssertionError):
        assert look(run) == ((), None)


def test_an_instance_that_somebody_terminated_is_lost(
    launched: Launched, caplog: pytest.LogCaptureFixture
) -> None:
    """The loss names wave, server, instance and job, and when it was last seen. The other one stands."""
    run = launched()
    look(run)
    seen, gone = run.clock.now(), instance(run, A)
    run.pass_time(300)
    job = end(run, A)
    (loss,), again = look(run)
    assert again is None
    assert (loss.wave, loss.server_id, loss.instance_id, loss.optional) == ("database", A, gone, False)
    assert loss.what.startswith("is gone")
    assert (loss.last_seen, loss.found_at) == (seen, run.clock.now())
    assert job in loss.by
    assert run.ledger.losses() == (loss,)
    assert gone in caplog.text
    assert [record.levelname for record in caplog.records if gone in record.getMessage()][-1] == "ERROR"
    stood = run.ledger.stood()
    assert stood is not None
    assert stood.instances == (instance(run, B),)


def test_an_instance_that_another_drill_replaced_is_lost_to_that_run(launched: Launched) -> None:
    """Its job's tags name plan and run."""
    run = launched()
    other = make_run(make_plan(name="billing"), run_id="scheduled__2", token="theirs")
    theirs = run.hook.start_recovery([A], tags=job_tags(other, "database"))
    run.finish_jobs()
    (loss,), _ = look(run)
    assert loss.what == f"was replaced by {instance(run, A)}, which job {theirs.job_id} launched"
    assert loss.by.endswith("of run scheduled__2 of plan billing")


@pytest.mark.parametrize("how", ["stopped", "terminated"])
def test_an_instance_that_somebody_ends_in_ec2_is_lost(launched: Launched, how: str) -> None:
    """DRS still lists it. No DRS job shows who did it."""
    run = launched()
    ids = [instance(run, A)]
    if how == "stopped":
        ec2().stop_instances(InstanceIds=ids)
    else:
        ec2().terminate_instances(InstanceIds=ids)
    (loss,), _ = look(run)
    assert (loss.instance_id, loss.server_id) == (ids[0], A)
    assert loss.what.startswith(f"is {how} in EC2")
    assert loss.by.startswith("no DRS job that is listed")


def test_a_stopped_instance_is_as_it_should_be_if_it_is_launched_stopped(launched: Launched) -> None:
    """The launch disposition of the server is STOPPED."""
    run = launched()
    resolved = [server.model_copy(update={"starts": False}) for server in run.resolved("database")]
    waves = {name: WaveResolution(left_out="not in this test") for name in run.run.waves}
    waves["database"] = WaveResolution(servers=tuple(resolved))
    run.ledger.save_resolution(Resolution(waves=waves))
    ec2().stop_instances(InstanceIds=[instance(run, A)])
    assert look(run) == ((), None)


def test_an_instance_that_is_listed_late_is_looked_for_again(drill: Launched, monkeypatch: Any) -> None:
    """Within 90 s of its launch a missing one is no loss. The caller learns when to look once more."""
    run = drill(make_plan(launch={"jobs": "per_wave"}))
    run.end_wave("database")
    monkeypatch.setattr(standing, "utc_now", run.clock.now)
    outcome = run.ledger.outcome("database")
    assert outcome is not None
    now = run.clock.now()
    at = {A: now - dt.timedelta(seconds=60), B: now - dt.timedelta(seconds=30)}
    servers = tuple(each.model_copy(update={"launched_at": at[each.server_id]}) for each in outcome.servers)
    run.ledger.save_outcome("database", outcome.model_copy(update={"servers": servers}))
    with mock.patch.object(run.hook, "recovery_instances", return_value=[]):
        unseen = look(run, lambda filters: [])
        assert unseen == ((), at[B] + dt.timedelta(seconds=90))
        run.pass_time(45)
        (loss,), again = look(run, lambda filters: [])
        assert (loss.server_id, again) == (A, at[B] + dt.timedelta(seconds=90))
    assert look(run) == ((), None)


def test_a_loss_is_found_once(launched: Launched) -> None:
    """Later looks find other losses beside it. Somebody's instance in its place changes nothing."""
    run = launched()
    end(run, A)
    (first,), _ = look(run)
    assert look(run) == ((), None)
    end(run, B)
    (second,), _ = look(run)
    assert run.ledger.losses() == (first, second)


def test_what_the_run_s_own_clean_up_ends_is_no_loss(launched: Launched) -> None:
    """Somebody cleared a wave after clean-up."""
    run = launched()
    run.clean_up()
    run.pass_time(600)
    assert look(run) == ((), None)
    assert run.ledger.losses() == ()


def test_a_server_that_the_run_launched_again_is_no_loss(launched: Launched) -> None:
    """DRS replaced the instance of the first launch by the run's own second one. It is not judged yet."""
    run = launched()
    end(run, A)
    run.pass_time(300)
    run.launch("database", retry=True)
    run.finish_jobs()
    run.pass_time(120)
    assert look(run) == ((), None)
    assert run.ledger.losses() == ()


def test_the_worker_s_clock_does_not_matter(launched: Launched, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is ten minutes behind AWS's. What was launched two minutes ago is judged."""
    run = launched()
    minutes = dt.timedelta(minutes=10)
    end(run, A)
    run.pass_time(120)
    monkeypatch.setattr(standing, "utc_now", lambda: run.clock.now() - minutes)
    monkeypatch.setattr(run.hook, "clock_ahead", -minutes, raising=False)
    with mock.patch.object(run.hook, "jobs_since", return_value=[]):
        (loss,), again = look(run)
    assert (loss.server_id, again) == (A, None)


# --- what follows -----------------------------------------------------------------------------------------


def test_a_later_launch_is_stopped_by_a_loss(launched: Launched) -> None:
    """The failure names every loss, also one that an earlier look has found."""
    run = launched()
    require(run)
    ids = [instance(run, A), instance(run, B)]
    end(run, A)
    with pytest.raises(RecoveryInstanceLost, match=r"1 instance\(s\) of this run were ended") as failed:
        require(run)
    assert ids[0] in failed.value.message
    assert "The run launches nothing more and cleans up." in failed.value.message
    end(run, B)
    for _ in range(2):
        with pytest.raises(RecoveryInstanceLost, match=r"2 instance\(s\)") as failed:
            require(run)
        assert all(each in failed.value.message for each in ids)
    run.still_standing = lambda: require(run)
    with pytest.raises(RecoveryInstanceLost):
        run.launch("application")
    assert run.drills(*APPLICATION) == []


def test_a_loss_of_an_optional_server_is_only_a_warning(
    launched: Launched, caplog: pytest.LogCaptureFixture
) -> None:
    """The drill goes on, and the loss is on record."""
    groups = {
        "spare": {"source_servers": [A], "optional": True},
        "main": {"source_servers": [B]},
        "application": {"source_servers": APPLICATION},
    }
    waves = [
        {"name": "database", "protection_groups": ["spare", "main"]},
        {"name": "application", "protection_groups": ["application"]},
    ]
    run = launched(protection_groups=groups, waves=waves)
    gone = instance(run, A)
    end(run, A)
    require(run)
    (loss,) = run.ledger.losses()
    assert (loss.instance_id, loss.optional) == (gone, True)
    (record,) = [each for each in caplog.records if gone in each.getMessage()]
    assert record.levelname == "WARNING"
    end(run, B)
    with pytest.raises(RecoveryInstanceLost, match=r"1 instance\(s\)"):
        require(run)


# --- before a question ------------------------------------------------------------------------------------


@pytest.fixture
def asks(launched: Launched, monkeypatch: pytest.MonkeyPatch) -> SimulatedDrill:
    run = launched()
    reached: list[Mapping[str, Any]] = []

    def hook(**reach: Any) -> Any:
        reached.append(reach)
        assert reach == {"aws_conn_id": run.plan.target.aws_conn_id, "region_name": REGION}
        return run.hook

    monkeypatch.setattr(standing, "DrsHook", hook)
    monkeypatch.setattr(standing, "Ec2Instances", lambda **_: run.describe_ec2)
    return run


def ask(run: SimulatedDrill) -> None:
    require_standing_before_question(run.ledger, run.run, LOG)


def test_nobody_is_asked_about_a_drill_that_has_lost_an_instance(asks: SimulatedDrill) -> None:
    """The answer could not save it."""
    ask(asks)
    end(asks, A)
    with pytest.raises(RecoveryInstanceLost):
        ask(asks)


@pytest.mark.parametrize(
    ("code", "raises"), [("RequestLimitExceeded", False), ("UnauthorizedOperation", True)]
)
def test_an_aws_that_does_not_answer_does_not_keep_a_question_back(
    asks: SimulatedDrill, caplog: pytest.LogCaptureFixture, code: str, raises: bool
) -> None:
    """Every launch looks again. A missing permission would stop that too, so the task fails now."""

    def refuse(filters: list[dict[str, Any]]) -> Iterable[Mapping[str, Any]]:
        error: Any = {"Error": {"Code": code, "Message": "no"}}
        raise ClientError(error, "DescribeInstances")

    asks.describe_ec2 = refuse
    if raises:
        with pytest.raises(ClientError, match=code):
            ask(asks)
    else:
        ask(asks)
        assert "AWS did not say whether the launched instances are still there" in caplog.text
