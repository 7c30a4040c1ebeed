"""Servers whose data is incomplete or too old, and agents that do not report any more."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from drs.errors import Code
from tests.unit.preflight.account import DATABASE, WEB, Make, only, summary, two_waves


def test_healthy_servers_have_no_findings(account: Make) -> None:
    """All of them are launched from their latest state."""
    report = account().look(two_waves(objectives={"rpo": "15m"}))
    assert report.findings == ()
    assert report.notes == ()
    assert report.resolution is not None
    servers = [server for wave in report.resolution.waves.values() for server in wave.servers]
    assert [server.server_id for server in servers] == [*DATABASE, *WEB]
    assert {server.snapshot_id for server in servers} == {None}


def test_the_resolution_records_the_state_of_each_server(account: Make) -> None:
    """It records the lag, and whether the instance is to run. Later the launch is compared with this."""
    traits = {
        DATABASE[0]: {"replication": {"lag": "90s"}},
        DATABASE[1]: {"launch": {"disposition": "STOPPED"}},
    }
    report = account(traits).look()
    assert report.resolution is not None
    first, second = report.resolution.waves["database"].servers
    assert (first.lag_seconds, first.starts) == (90, True)
    assert (second.lag_seconds, second.starts) == (0, False)


@pytest.mark.parametrize(
    "state",
    ["STOPPED", "INITIATING", "INITIAL_SYNC", "BACKLOG", "PAUSED", "RESCAN", "STALLED", "DISCONNECTED"],
)
def test_any_state_but_continuous_is_an_error(account: Make, state: str) -> None:
    """Only CONTINUOUS promises a recent consistent point in time."""
    look = account({DATABASE[0]: {"replication": {"state": state}}})
    finding = only(look.look())
    assert (finding.code, finding.server_id) == (Code.UNHEALTHY_SERVER_REPLICATION, DATABASE[0])
    assert (finding.wave, finding.severity, finding.heals) == ("database", "error", False)
    assert f"{DATABASE[0]} (host-d1) is {state}, not CONTINUOUS" in finding.seen


def test_a_stalled_server_is_reported_with_its_error_and_the_age_of_its_data(account: Make) -> None:
    """The lag in DRS is the time since the server was last in continuous protection."""
    stalled = {"state": "STALLED", "lag": "2h5m", "last_contact": "2h5m"}
    look = account({DATABASE[0]: {"replication": stalled}})
    finding, agent = look.look().findings
    since = look.clock.now() - dt.timedelta(hours=2, minutes=5)
    assert f"its data is 2h5m old (from {since:%Y-%m-%d %H:%M} UTC)" in finding.seen
    assert "DRS's error: AGENT_NOT_SEEN." in finding.seen
    assert agent.code is Code.AGENT_NOT_REPORTING


@pytest.mark.parametrize(("lag", "codes"), [("15m", []), ("15m1s", [Code.UNHEALTHY_SERVER_REPLICATION])])
def test_a_lag_past_the_rpo_is_an_error(account: Make, lag: str, codes: list[Code]) -> None:
    """A drill from older data would prove a worse RPO than the plan promises."""
    look = account({WEB[1]: {"replication": {"lag": lag}}})
    report = look.look(two_waves(objectives={"rpo": "15m"}))
    assert [finding.code for finding in report.errors] == codes
    for finding in report.errors:
        assert "lags by 15m1s" in finding.seen
        assert "the plan's RPO of 15m" in finding.seen
        assert finding.server_id == WEB[1]


def test_without_an_rpo_no_lag_is_too_long(account: Make) -> None:
    """A plan without an RPO does not limit the lag."""
    assert account({WEB[1]: {"replication": {"lag": "3d"}}}).look().findings == ()


def test_a_lag_that_drs_does_not_give_fails_the_check(account: Make) -> None:
    """The check fails closed, because it is unknown whether the RPO is met."""
    look = account()
    del_lag = {"dataReplicationInfo": {"dataReplicationState": "CONTINUOUS"}}

    def without_lag(parsed: dict[str, Any], **_: Any) -> None:
        parsed["items"][0] |= del_lag

    look.on("after-call.drs.DescribeSourceServers", without_lag)
    plan = two_waves(objectives={"rpo": "15m"})
    finding = only(look.look(plan))
    assert (finding.code, finding.server_id) == (Code.CHECK_UNAVAILABLE, DATABASE[0])
    assert "no replication lag" in finding.seen
    assert "RPO of 15m" in finding.seen
    assert only(look.look(plan, execution_type="RECOVERY")).severity == "warning"


@pytest.mark.parametrize(("silence", "count"), [("14m", 0), ("16m", 1)])
def test_an_agent_that_is_silent_for_more_than_15_minutes_is_an_error(
    account: Make, silence: str, count: int
) -> None:
    """DRS may still call the replication CONTINUOUS."""
    report = account({DATABASE[0]: {"replication": {"last_contact": silence}}}).look()
    assert summary(report) == [(Code.AGENT_NOT_REPORTING, DATABASE[0], "error")] * count
    for finding in report.findings:
        assert f"{DATABASE[0]} (host-d1) last contacted DRS 16m ago, at " in finding.seen


def test_in_a_disaster_replication_and_agents_only_warn(account: Make) -> None:
    """A RECOVERY is for the day when the source is gone, so the source's state must not stop a launch."""
    gone = {"replication": {"state": "DISCONNECTED", "lag": "6h", "last_contact": "6h"}}
    late = {"replication": {"lag": "6h"}}
    look = account({DATABASE[0]: gone, WEB[0]: late})
    report = look.look(two_waves(objectives={"rpo": "15m"}, optional=["web"]), execution_type="RECOVERY")
    assert summary(report) == [
        (Code.UNHEALTHY_SERVER_REPLICATION, DATABASE[0], "warning"),
        (Code.UNHEALTHY_SERVER_REPLICATION, WEB[0], "warning"),
        (Code.AGENT_NOT_REPORTING, DATABASE[0], "warning"),
    ]
    assert report.resolution is not None
    assert len(report.resolution.waves["web"].servers) == 2
