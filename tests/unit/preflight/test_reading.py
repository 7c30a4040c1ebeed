"""What AWS does not answer ends preflight or fails the check that needs it, and never lets a check pass."""

from __future__ import annotations

import dataclasses

import boto3
import pytest

from drs.aws.calls import SEES_RECOVERY_PLANS_SINCE, Drs
from drs.errors import Code, DrsUnavailable
from drs.preflight import PreflightInputs, inspect
from tests.unit.preflight.account import DATABASE, KEY, WEB, Make, only, summary, two_waves
from tests.unit.simulated import REGION
from tests.unit.versions import needs_recovery_plans, use_older_boto3

UNHEALTHY = {DATABASE[0]: {"replication": {"state": "STALLED"}}}


def test_another_account_ends_preflight(account: Make) -> None:
    """Another account may have servers with the same tags. DRS is not even called there."""
    look = account(UNHEALTHY)
    look.refuse("drs", "DescribeSourceServers", "NotToBeAsked")
    report = look.look(two_waves(target={"region": "us-east-1", "account_id": "999988887777"}))
    finding = only(report)
    assert finding.code is Code.ACCOUNT_MISMATCH
    assert "leads to account 111122223333, but plan orders is for account 999988887777" in finding.seen
    assert report.resolution is None


def test_a_drs_that_is_not_initialised_ends_preflight(account: Make) -> None:
    """Nothing else that DRS answers there would mean anything."""
    report = account(initialized=False, servers=()).look()
    assert only(report).code is Code.DRS_NOT_INITIALIZED
    assert report.resolution is None


@pytest.mark.parametrize(
    ("service", "operation"), [("sts", "GetCallerIdentity"), ("drs", "DescribeSourceServers")]
)
@pytest.mark.parametrize(
    ("refusal", "status", "code"),
    [
        ("AccessDenied", 403, Code.ACCESS_DENIED),
        ("InternalServerException", 500, Code.DRS_UNAVAILABLE),
        ("ValidationException", 400, Code.CHECK_UNAVAILABLE),
    ],
)
def test_without_an_account_or_servers_there_is_nothing_to_check(
    account: Make, service: str, operation: str, refusal: str, status: int, code: Code
) -> None:
    """The finding has the refusal's own code, so that Airflow retries the task if that can help."""
    look = account()
    look.refuse(service, operation, refusal, status)
    report = look.look()
    assert only(report).code is code
    assert report.resolution is None
    assert isinstance(report.as_error(), DrsUnavailable) == report.as_error().retryable


@pytest.mark.parametrize(
    ("service", "operation", "unknown"),
    [
        ("drs", "DescribeJobs", "whether a job holds a server"),
        pytest.param(
            "drs",
            "ListRecoveryPlanExecutions",
            "whether one of AWS's own recovery plans is being executed",
            marks=needs_recovery_plans,
        ),
        ("drs", "DescribeRecoveryInstances", "which recovery instances exist"),
        ("drs", "GetLaunchConfiguration", "what the launch settings of server(s)"),
        ("ec2", "DescribeLaunchTemplateVersions", "where the launch templates put a server"),
        ("ec2", "DescribeSubnets", "whether the subnets exist"),
        ("ec2", "DescribeSecurityGroups", "whether the security groups exist"),
        ("drs", "DescribeRecoverySnapshots", "what the recovery snapshots of server(s)"),
    ],
)
class TestOneReadThatFails:
    """The check that needs the answer fails. All other checks are made."""

    def test_denied(self, account: Make, service: str, operation: str, unknown: str) -> None:
        """The remedy contains a statement with the denied action."""
        look = account(UNHEALTHY)
        look.refuse(service, operation, "UnauthorizedOperation" if service == "ec2" else "AccessDenied")
        report = look.look(recovery_point=look.clock.now())
        assert [finding.code for finding in report.errors] == [
            Code.UNHEALTHY_SERVER_REPLICATION,
            Code.ACCESS_DENIED,
        ]
        denied = report.errors[-1]
        assert f'"Action": ["{service}:{operation}"]' in denied.remedy
        assert not denied.heals

    def test_unavailable(self, account: Make, service: str, operation: str, unknown: str) -> None:
        """AWS may answer later, so preflight waits and looks again."""
        look = account()
        look.refuse(service, operation, "InternalServerException", 500)
        report = look.look(recovery_point=look.clock.now())
        finding = only(report)
        assert finding.code is Code.CHECK_UNAVAILABLE
        assert f"It is unknown {unknown}" in finding.seen
        assert report.heals

    def test_not_there(self, account: Make, service: str, operation: str, unknown: str) -> None:
        """If a Region does not have the operation, waiting does not help."""
        look = account()
        look.refuse(service, operation, "NotSimulated", 501)
        report = look.look(recovery_point=look.clock.now())
        assert {finding.code for finding in report.errors} == {Code.CHECK_UNAVAILABLE}
        assert not report.heals


def test_an_older_boto3_gives_one_warning_and_stops_no_run(
    account: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a platform pins boto3, no drill could begin otherwise. The warning says what cannot be seen, and
    how to get it. A live job is seen all the same.
    """
    look = account()
    use_older_boto3(monkeypatch)
    session = boto3.Session(region_name=REGION, aws_access_key_id=KEY, aws_secret_access_key="any")
    older = dataclasses.replace(look.clients, drs=Drs(session.client("drs")))
    with pytest.raises(KeyError):
        older.drs.conn.get_paginator("list_recovery_plan_executions")
    report = inspect(PreflightInputs.whole(two_waves()), older, now=look.clock.now)
    finding = only(report)
    assert (finding.code, finding.severity) == (Code.CHECK_UNAVAILABLE, "warning")
    assert f"boto3 {boto3.__version__} cannot list them" in finding.seen
    assert f"boto3 {SEES_RECOVERY_PLANS_SINCE} or newer" in finding.remedy
    look.arm(kind="foreign_job", servers=[WEB[1]], seconds=60)
    held = inspect(PreflightInputs.whole(two_waves()), older, now=look.clock.now)
    assert [error.code for error in held.errors] == [Code.SERVER_CONFLICT]


def test_a_read_that_fails_for_one_server_is_reported_for_that_server(account: Make) -> None:
    """If the server is optional, it leaves the run. The settings of the other servers are known."""
    look = account()
    look.refuse("drs", "GetLaunchConfiguration", "ValidationException", 400, naming=WEB[0])
    report = look.look()
    assert summary(report) == [(Code.CHECK_UNAVAILABLE, WEB[0], "error")]
    assert f"the launch settings of server {WEB[0]} (host-e1)" in only(report).seen
    report = look.look(two_waves(optional=["web"]))
    assert summary(report) == [(Code.CHECK_UNAVAILABLE, WEB[0], "warning")]
    assert report.resolution is not None
    assert [server.server_id for server in report.resolution.waves["web"].servers] == [WEB[1]]


def test_permissions_are_rehearsed_with_everything_else(account: Make) -> None:
    """Missing permissions are reported first, even if the caller may not read the servers."""
    policy = {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "iam:*", "Resource": "*"}}
    look = account(UNHEALTHY, policies=[policy])
    *lacking, unhealthy = look.look().errors
    assert {finding.code for finding in lacking} == {Code.ACCESS_DENIED}
    assert unhealthy.code is Code.UNHEALTHY_SERVER_REPLICATION
    look.refuse("drs", "DescribeSourceServers", "AccessDeniedException")
    *lacking, refused = look.look().errors
    assert any("drs:StartRecovery" in finding.remedy for finding in lacking)
    assert '"drs:DescribeSourceServers"' in refused.remedy


def test_all_findings_are_reported_at_once(account: Make) -> None:
    """One report contains the findings of all servers, so that a person can fix everything at once."""
    look = account(
        {
            DATABASE[0]: {"replication": {"state": "STALLED"}},
            DATABASE[1]: {"replication": {"last_contact": "3h"}},
            WEB[0]: {"recovery_instance": {"is_drill": False}},
            WEB[1]: {"launch": {"missing": ["template"]}},
        }
    )
    look.arm(kind="foreign_job", servers=[WEB[1]], seconds=60)
    unknown = f"s-{0xFF:017x}"
    groups = {
        "database": {"source_servers": [*DATABASE, unknown]},
        "web": {"source_servers": WEB},
        "none": {"server_tags": {"Tier": "none"}},
    }
    waves = [{"name": name, "protection_groups": [name]} for name in groups]
    report = look.look(two_waves(protection_groups=groups, waves=waves))
    assert [finding.code for finding in report.errors] == [
        Code.SOURCE_SERVER_NOT_FOUND,
        Code.TAG_RESOLUTION_EMPTY,
        Code.UNHEALTHY_SERVER_REPLICATION,
        Code.AGENT_NOT_REPORTING,
        Code.SERVER_CONFLICT,
        Code.RECOVERY_INSTANCE_EXISTS,
        Code.LAUNCH_CONFIGURATION_INVALID,
    ]
