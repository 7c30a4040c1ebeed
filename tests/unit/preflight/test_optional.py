"""A finding about an optional server is a warning. If its launch could do harm, the run leaves it out."""

from __future__ import annotations

from typing import Any

import pytest

from drs.errors import Code
from tests.unit.preflight.account import DATABASE, WEB, Make, only, summary, two_waves


@pytest.mark.parametrize(
    ("traits", "code", "stays"),
    [
        ({"replication": {"state": "INITIAL_SYNC"}}, Code.UNHEALTHY_SERVER_REPLICATION, False),
        ({"replication": {"lag": "1h"}}, Code.UNHEALTHY_SERVER_REPLICATION, False),
        ({"replication": {"last_contact": "1h"}}, Code.AGENT_NOT_REPORTING, True),
        ({"recovery_instance": {"is_drill": False}}, Code.RECOVERY_INSTANCE_EXISTS, False),
        ({"recovery_instance": {"is_drill": True}}, Code.LEFTOVER_DRILL_INSTANCE, True),
        ({"launch": {"missing": ["template"]}}, Code.LAUNCH_CONFIGURATION_INVALID, False),
    ],
)
def test_each_code_warns_and_says_whether_the_server_stays(
    account: Make, traits: dict[str, Any], code: Code, stays: bool
) -> None:
    """The other servers of the run are launched as usual."""
    report = account({WEB[0]: traits}).look(two_waves(optional=["web"], objectives={"rpo": "15m"}))
    assert summary(report) == [(code, WEB[0], "warning")]
    assert ("left out of this run" in only(report).seen) is not stays
    assert report.resolution is not None
    assert [server.server_id for server in report.resolution.waves["web"].servers] == [
        *([WEB[0]] if stays else []),
        WEB[1],
    ]
    assert [server.server_id for server in report.resolution.waves["database"].servers] == [*DATABASE]


def test_a_held_optional_server_is_left_out_and_not_waited_for(account: Make) -> None:
    """Otherwise its wave would be held up for up to `conflict_timeout`."""
    look = account()
    look.arm(kind="foreign_job", servers=[WEB[0]], seconds=60)
    report = look.look(two_waves(optional=["web"]))
    assert summary(report) == [(Code.SERVER_CONFLICT, WEB[0], "warning")]
    assert not report.heals
    assert report.resolution is not None
    assert [server.server_id for server in report.resolution.waves["web"].servers] == [WEB[1]]


def test_a_wave_that_loses_every_server_is_left_out(account: Make) -> None:
    """Later waves still run. The tasks of the wave are skipped for this reason."""
    gone = {server: {"launch": {"missing": ["template"]}} for server in WEB}
    report = account(gone).look(two_waves(optional=["web"]))
    assert not report.errors
    assert report.resolution is not None
    assert report.resolution.waves["web"].left_out == "preflight left out every server of it"


def test_a_run_that_loses_every_server_is_refused(account: Make) -> None:
    """A green run that launched nothing would look like a success."""
    gone = {server: {"launch": {"missing": ["template"]}} for server in WEB}
    report = account(gone).look(two_waves(optional=["web"]), waves=("web",))
    assert [finding.code for finding in report.errors] == [Code.PLAN_HAS_NO_WAVES]


def test_an_optional_group_without_servers_warns(account: Make) -> None:
    """No server has the tags of the group."""
    groups = {
        "database": {"source_servers": DATABASE},
        "web": {"server_tags": {"Tier": "web"}, "optional": True},
    }
    report = account().look(two_waves(protection_groups=groups))
    finding = only(report)
    assert (finding.code, finding.severity, finding.wave) == (Code.TAG_RESOLUTION_EMPTY, "warning", "web")


def test_a_required_server_is_an_error_beside_an_optional_one(account: Make) -> None:
    """The same finding is an error in a required group and a warning in an optional one."""
    stalled = {server: {"replication": {"state": "STALLED"}} for server in (DATABASE[0], WEB[0])}
    report = account(stalled).look(two_waves(optional=["web"]))
    assert [(finding.server_id, finding.severity) for finding in report.findings] == [
        (DATABASE[0], "error"),
        (WEB[0], "warning"),
    ]
