"""What preflight says to do about an error, done: the same run then finds no error any more."""

from __future__ import annotations

import datetime as dt
import re
import shlex
from typing import Any

import pytest
from pydantic import ValidationError

from drs.errors import Code
from drs.plan import Plan
from drs.preflight import Finding, Report
from drs.run.ownership import job_tags
from tests.unit.drill import make_plan, make_run
from tests.unit.preflight.account import DATABASE, WEB, Account, Make, two_waves
from tests.unit.simulated import REGION

MANY = tuple(f"s-{number:017x}" for number in range(0xA0, 0xA0 + 30))
TAG = {"Tier": "any"}
HUNDRED_AND_ONE = tuple(f"s-{number:017x}" for number in range(0x1000, 0x1000 + 101))


def stopped(report: Report, code: Code) -> Finding:
    """The first error of the report, which has this code."""
    assert report.errors
    assert report.errors[0].code is code
    return report.errors[0]


def passes(report: Report) -> None:
    assert report.errors == ()
    assert report.resolution is not None


def one_group(**wave: Any) -> Plan:
    """A plan with one wave, whose group has every server with a tag: how many is known only in preflight."""
    return make_plan(
        protection_groups={"all": {"server_tags": TAG}},
        waves=[{"name": "all", "protection_groups": ["all"], **wave}],
    )


@pytest.mark.parametrize(
    ("code", "traits"),
    [
        (Code.UNHEALTHY_SERVER_REPLICATION, {"replication": {"state": "STALLED"}}),
        (Code.AGENT_NOT_REPORTING, {"replication": {"last_contact": "16m"}}),
        (Code.RECOVERY_INSTANCE_EXISTS, {"recovery_instance": {"is_drill": False, "age": "2h"}}),
    ],
    ids=str,
)
def test_a_server_is_left_out_with_exclude_servers(account: Make, code: Code, traits: dict[str, Any]) -> None:
    """The remedy names the run parameter. The other servers are drilled."""
    look = account({DATABASE[0]: traits})
    assert "exclude_servers" in stopped(look.look(), code).remedy
    passes(look.look(exclude_servers=(DATABASE[0],)))


def test_a_server_that_drs_does_not_know_is_corrected_in_the_plan(account: Make) -> None:
    """The ids of ``aws drs describe-source-servers`` are those that the plan must name."""
    look = account()
    wrong = two_waves(
        protection_groups={"database": {"source_servers": [MANY[0]]}, "web": {"source_servers": WEB}}
    )
    finding = stopped(look.look(wrong), Code.SOURCE_SERVER_NOT_FOUND)
    assert "aws drs describe-source-servers" in finding.remedy
    known = [item["sourceServerID"] for item in look.clients.drs.source_servers()]
    corrected = {"source_servers": [known[0]]}
    passes(look.look(two_waves(protection_groups={"database": corrected, "web": {"source_servers": WEB}})))


def test_source_servers_are_tagged_as_the_remedy_says(account: Make) -> None:
    """The command of the remedy is run with the ARN of a server that should be in the group."""
    look = account()
    tags = {"Application": "orders", "Tier": "database"}
    plan = two_waves(protection_groups={"database": {"server_tags": tags}, "web": {"source_servers": WEB}})
    remedy = stopped(look.look(plan), Code.TAG_RESOLUTION_EMPTY).remedy
    command = re.search(r"`(aws drs tag-resource [^`]+)`", remedy)
    assert command is not None
    words = shlex.split(command[1])
    assert words[:4] == ["aws", "drs", "tag-resource", "--resource-arn"]
    told = dict(pair.split("=") for pair in words[words.index("--tags") + 1].split(","))
    arns = {item["sourceServerID"]: item["arn"] for item in look.clients.drs.source_servers()}
    look.clients.drs.conn.tag_resource(resourceArn=arns[DATABASE[0]], tags=told)
    report = look.look(plan)
    passes(report)
    assert report.resolution is not None
    assert [each.server_id for each in report.resolution.waves["database"].servers] == [DATABASE[0]]


def thirty(account: Make) -> Account:
    look = account(servers=MANY)
    for server in look.drs.servers.values():
        server.tags.update(TAG)
    return look


def test_a_wave_of_30_servers_is_launched_in_one_job(account: Make) -> None:
    """With a job for each server it never fits, however long one waits; the remedy says so."""
    look = thirty(account)
    finding = stopped(look.look(one_group()), Code.CONCURRENT_JOBS_LIMIT_EXCEEDED)
    assert "Waiting does not help" in finding.remedy
    assert "launch: {jobs: per_wave}" in finding.remedy
    passes(look.look(one_group(launch={"jobs": "per_wave"})))


def test_a_listed_wave_of_30_servers_is_launched_in_one_job(account: Make) -> None:
    """The plan itself is refused, and accepted with what its remedy says."""
    parts: dict[str, Any] = {"protection_groups": {"all": {"source_servers": MANY}}}
    wave = {"name": "all", "protection_groups": ["all"]}
    with pytest.raises(ValidationError, match="CONCURRENT_JOBS_LIMIT_EXCEEDED"):
        make_plan(**parts, waves=[wave])
    passes(account(servers=MANY).look(make_plan(**parts, waves=[{**wave, "launch": {"jobs": "per_wave"}}])))


def test_a_wave_of_30_servers_is_split(account: Make) -> None:
    """Into waves of at most 20 servers that wait for each other."""
    look = thirty(account)
    assert "waves of at most 20 servers" in look.look(one_group()).errors[0].remedy
    passes(
        look.look(
            make_plan(
                protection_groups={"a": {"source_servers": MANY[:20]}, "b": {"source_servers": MANY[20:]}},
                waves=[
                    {"name": "a", "protection_groups": ["a"], "next_wave_when": "launched"},
                    {"name": "b", "protection_groups": ["b"]},
                ],
            )
        )
    )


def test_waves_that_do_not_fit_together_wait_for_each_other(account: Make) -> None:
    """``next_wave_when: launched`` keeps them apart."""
    look = account(servers=MANY)

    def plan(gate: str) -> Plan:
        return make_plan(
            protection_groups={"a": {"source_servers": MANY[:15]}, "b": {"source_servers": MANY[15:]}},
            waves=[
                {"name": "a", "protection_groups": ["a"], "next_wave_when": gate},
                {"name": "b", "protection_groups": ["b"]},
            ],
        )

    finding = stopped(look.look(plan("started")), Code.CONCURRENT_JOBS_LIMIT_EXCEEDED)
    assert "`next_wave_when: launched`" in finding.remedy
    passes(look.look(plan("launched")))


def test_a_wave_of_more_than_100_servers_is_split(account: Make) -> None:
    """One job takes at most 100."""
    look = account(servers=HUNDRED_AND_ONE)
    tags = {"Tier": "any"}
    for server in look.drs.servers.values():
        server.tags.update(tags)
    by_tags = make_plan(
        protection_groups={"all": {"server_tags": tags}},
        waves=[{"name": "all", "protection_groups": ["all"], "launch": {"jobs": "per_wave"}}],
    )
    finding = stopped(look.look(by_tags), Code.WAVE_SIZE_LIMIT_EXCEEDED)
    assert finding.remedy.startswith("Split the wave")
    passes(
        look.look(
            make_plan(
                protection_groups={
                    "a": {"source_servers": HUNDRED_AND_ONE[:100]},
                    "b": {"source_servers": HUNDRED_AND_ONE[100:]},
                },
                waves=[
                    {"name": name, "protection_groups": [name], "launch": {"jobs": "per_wave"}}
                    for name in "ab"
                ],
            )
        )
    )


def test_a_run_without_any_server_chooses_one(account: Make) -> None:
    """With fewer servers excluded it has something to launch."""
    look = account()
    finding = stopped(look.look(exclude_servers=(*DATABASE, *WEB)), Code.PLAN_HAS_NO_WAVES)
    assert finding.remedy.startswith("Choose at least one wave")
    passes(look.look(exclude_servers=DATABASE))


def test_a_connection_to_the_wrong_account_is_corrected(account: Make) -> None:
    """The plan's account becomes that of the connection."""
    look = account()
    elsewhere = two_waves(target={"region": REGION, "account_id": "444455556666"})
    finding = stopped(look.look(elsewhere), Code.ACCOUNT_MISMATCH)
    assert "target.account_id" in finding.remedy
    passes(look.look())


def test_drs_is_initialised_with_the_command_of_the_remedy(account: Make) -> None:
    """After `aws drs initialize-service` the same run finds no error."""
    look = account(initialized=False)
    finding = stopped(look.look(), Code.DRS_NOT_INITIALIZED)
    assert "`aws drs initialize-service`" in finding.remedy
    look.clients.drs.conn.initialize_service()
    passes(look.look())


def test_a_run_names_the_recovery_point_that_the_remedy_names(account: Make) -> None:
    """The time can be copied into the run parameter."""
    look = account()
    finding = stopped(
        look.look(recovery_point=look.clock.now() - dt.timedelta(days=30)), Code.RECOVERY_POINT_NOT_FOUND
    )
    named = [
        dt.datetime.fromisoformat(found[1])
        for error in look.look(recovery_point=look.clock.now() - dt.timedelta(days=30)).errors
        if (found := re.search(r"recovery_point (\S+) or later", error.remedy))
    ]
    assert "Trigger a new run with recovery_point" in finding.remedy
    passes(look.look(recovery_point=max(named)))


def test_a_new_run_after_the_holding_job_has_ended(account: Make) -> None:
    """The job that held the server is waited for, as the remedy says."""
    look = account()
    job = look.start(DATABASE[0])
    finding = stopped(look.look(), Code.SERVER_CONFLICT)
    assert f"Wait for job {job} to end" in finding.remedy
    assert finding.heals
    look.finish_jobs()
    look.clock.advance(dt.timedelta(days=2).total_seconds())
    passes(look.look())


@pytest.mark.parametrize(
    ("service", "operation", "code", "status", "found"),
    [
        ("drs", "DescribeJobs", "AccessDeniedException", 403, Code.ACCESS_DENIED),
        ("ec2", "DescribeSubnets", "UnauthorizedOperation", 403, Code.ACCESS_DENIED),
        ("ec2", "DescribeSubnets", "InternalError", 500, Code.CHECK_UNAVAILABLE),
    ],
)
def test_a_new_run_after_what_was_refused_is_allowed(
    account: Make, service: str, operation: str, code: str, status: int, found: Code
) -> None:
    """The remedy has the statement to add where one is missing, and says to start a new run."""
    look = account()
    look.refuse(service, operation, code, status)
    finding = stopped(look.look(), found)
    assert re.search(r"(start|trigger) a new run", finding.remedy)
    assert ("Add this statement" in finding.remedy) is (found is Code.ACCESS_DENIED)
    assert "clear" not in finding.remedy
    again: Account = account()
    passes(again.look())


def test_a_leftover_of_a_run_names_the_command_that_removes_it(account: Make) -> None:
    """``test_one_run_can_be_chosen`` of ``tests.unit.cli.test_cleanup`` runs that command."""
    look = account()
    run = make_run(make_plan(name="billing"), run_id="manual__1", token="theirs")
    look.start(WEB[0], tags=job_tags(run, "web"))
    look.finish_jobs()
    look.clock.advance(dt.timedelta(days=2).total_seconds())
    (finding,) = look.look().findings
    assert finding.code is Code.LEFTOVER_DRILL_INSTANCE
    assert "`python -m drs cleanup billing --run manual__1`" in finding.remedy


def test_a_leftover_of_nobody_s_run_is_removed_in_drs(account: Make) -> None:
    """``python -m drs cleanup`` would not touch it. The command of the remedy is run."""
    look = account({WEB[0]: {"recovery_instance": {"is_drill": True, "age": "2h"}}})
    (finding,) = look.look().findings
    assert finding.code is Code.LEFTOVER_DRILL_INSTANCE
    command = re.search(r"`(aws drs terminate-recovery-instances [^`]+)`", finding.remedy)
    assert command is not None
    words = shlex.split(command[1])
    assert words[words.index("--region") + 1] == REGION
    look.clients.drs.terminate_recovery_instances([words[-1]])
    look.finish_jobs()
    assert look.look().findings == ()
