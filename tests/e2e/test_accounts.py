"""Plans in other accounts and Regions: through a role with an external id, and never in a wrong account."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from demo.drill_run import DrillRun
from demo.simulator_client import OBSERVER
from demo.stack import Stack
from tests.e2e.conftest import BILLING_ROLE
from tests.e2e.plans import BILLING_EU, DATABASE, write_plan

pytestmark = pytest.mark.e2e

HOME, BILLING = ("111122223333", "us-east-1"), ("444455556666", "eu-central-1")
ROLE_SESSION = "arn:aws:sts::444455556666:assumed-role/drs-drills/"


def billing(aws_conn_id: str) -> str:
    """The target section of a plan in the other account, by this connection."""
    return f'{{region: {BILLING[1]}, account_id: "{BILLING[0]}", aws_conn_id: {aws_conn_id}}}'


def calls(stack: Stack) -> list[dict[str, Any]]:
    """The AWS calls of all drills of the test."""
    return [call for call in stack.simulator.journal() if OBSERVER not in call["user_agent"]]


def of_triggers(calls: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [call for call in calls if "aiobotocore" in call["user_agent"]]


def servers_named(calls: list[dict[str, Any]]) -> set[str]:
    """The source servers of StartRecovery calls."""
    started = [call["parameters"] for call in calls if call["operation"] == "StartRecovery"]
    return {server["sourceServerID"] for each in started for server in each["sourceServers"]}


def test_two_accounts_at_once_do_not_mix(
    stack: Stack, plans: Path, start_drill: Callable[..., DrillRun]
) -> None:
    """One plan by the default credentials, one by a role with an external id in another account and Region:
    each account sees its own plan's servers, its own caller, and nothing else, from workers and triggerer
    alike; nothing is left in either.
    """
    write_plan(plans, "home", [("database", DATABASE[:1])])
    waves = [("database", BILLING_EU[:1]), ("web", BILLING_EU[1:])]
    write_plan(plans, "billing", waves, target=billing("aws_billing"))
    # Long enough for several looks of the trigger.
    stack.simulator.arm(kind="stuck_conversion", servers=[DATABASE[0], *BILLING_EU], seconds=8)
    drills = [start_drill("home"), start_drill("billing")]
    for drill in drills:
        assert drill.wait() == "success", drill.describe()

    made = calls(stack)
    assumed = [call for call in made if call["operation"] == "AssumeRole"]
    assert {(call["account"], call["error"]) for call in assumed} == {(HOME[0], None)}
    made = [call for call in made if call["operation"] != "AssumeRole"]
    assert {(call["account"], call["region"]) for call in made} == {HOME, BILLING}
    there = [call for call in made if call["account"] == BILLING[0]]
    here = [call for call in made if call["account"] == HOME[0]]
    assert servers_named(there) == set(BILLING_EU)
    assert servers_named(here) == {DATABASE[0]}

    assert {call["caller"]["arn"].startswith(ROLE_SESSION) for call in there} == {True}
    assert {call["service"] for call in there} >= {"drs", "ec2", "sts"}
    # A wait outlives its first session of the role.
    assert len({call["caller"]["access_key_id"] for call in of_triggers(there)}) > 2
    assert of_triggers(here)

    launched = [each for each in stack.simulator.instances() if each["sourceServerID"] in servers_named(made)]
    assert {(each["account"], each["region"]) for each in launched} == {HOME, BILLING}
    assert {each["ec2State"] for each in launched} == {"terminated"}


def test_a_refused_role_ends_the_drill_before_anything_is_launched(
    stack: Stack, plans: Path, run_drill: Callable[..., DrillRun]
) -> None:
    """A wrong external id: the log names the connection and what to compare."""
    write_plan(plans, "stranger", [("database", BILLING_EU[:1])], target=billing("aws_stranger"))
    run = run_drill("stranger")
    assert run.state() == "failed"
    assert run.task_states()["preflight"] == "failed"
    log = run.log("preflight")
    failure = log[log.index("[ACCESS_DENIED]") :]
    assert f"not authorized to perform: sts:AssumeRole on resource: {BILLING_ROLE}" in failure
    assert "What to do: Check the AWS connection aws_stranger: compare role_arn" in failure
    assert "ExternalId" in failure
    assert {call["operation"] for call in calls(stack)} == {"AssumeRole"}


def test_a_connection_to_another_account_ends_the_drill_before_anything_is_launched(
    stack: Stack, plans: Path, run_drill: Callable[..., DrillRun]
) -> None:
    """Both accounts are named; DRS is not asked about servers where they are none of the plan's."""
    write_plan(plans, "misled", [("database", BILLING_EU[:1])], target=billing("aws_default"))
    run = run_drill("misled")
    assert run.state() == "failed"
    log = run.log("preflight")
    failure = log[log.index("[ACCOUNT_MISMATCH]") :]
    for said in ("The connection aws_default leads to account 111122223333", "for account 444455556666"):
        assert said in failure
    assert run.journal(operation="StartRecovery") == []
    assert run.journal(operation="DescribeSourceServers") == []


def test_a_role_that_is_refused_for_a_while_only_delays_clean_up(
    stack: Stack, plans: Path, start_drill: Callable[..., DrillRun]
) -> None:
    """The wave fails, because nobody can look at its job. Clean-up waits for the role, and then terminates
    what DRS has launched meanwhile.
    """
    before = {each["instanceID"] for each in stack.simulator.instances()}
    write_plan(plans, "locked-out", [("database", BILLING_EU[:1])], target=billing("aws_billing"))
    run = start_drill("locked-out")
    run.wait_for_task("wave_database.start_recovery", "success", timeout=120)
    stack.simulator.arm(kind="access_denied", operations=["sts:AssumeRole"])
    waits = "Clean-up looks again every 30 s until"
    run.wait_until(lambda: waits in run.log("terminate"), 180, "clean-up to wait for the role")
    (launched,) = [each for each in stack.simulator.instances() if each["instanceID"] not in before]
    assert launched["ec2State"] == "running"
    stack.simulator.disarm()
    assert run.wait() == "failed", run.describe()
    assert run.task_states()["terminate"] == "success"
    assert "Check the AWS connection aws_billing" in run.log("terminate")
    (ended,) = [each for each in stack.simulator.instances() if each["instanceID"] not in before]
    assert ended["ec2State"] == "terminated"
