"""Which recovery snapshot each server is launched from, if the run has a recovery point."""

from __future__ import annotations

import datetime as dt

from drs.errors import Code
from drs.preflight import Report
from drs.run.records import ResolvedServer
from tests.unit.preflight.account import DATABASE, WEB, Make, summary, two_waves


def servers(report: Report) -> dict[str, ResolvedServer]:
    assert report.resolution is not None
    return {each.server_id: each for wave in report.resolution.waves.values() for each in wave.servers}


def test_each_server_is_launched_from_its_newest_snapshot_before_the_time(account: Make) -> None:
    """The resolution records the chosen snapshot, so that a retry launches from the same one."""
    look = account()
    asked = look.clock.now() - dt.timedelta(minutes=25)
    report = look.look(recovery_point=asked)
    assert report.findings == ()
    for server_id, server in servers(report).items():
        points = {
            item["snapshotID"]: dt.datetime.fromisoformat(item["timestamp"])
            for item in look.clients.drs.recovery_snapshots(server_id)
        }
        assert server.snapshot_id is not None
        assert points[server.snapshot_id] == max(at for at in points.values() if at <= asked)


def test_a_server_without_a_snapshot_that_old_is_an_error(account: Make) -> None:
    """The finding names the oldest snapshot. The remedy gives its time in the format that a run accepts."""
    look = account()
    oldest = min(
        dt.datetime.fromisoformat(item["timestamp"])
        for item in look.clients.drs.recovery_snapshots(DATABASE[0])
    )
    report = look.look(recovery_point=oldest - dt.timedelta(seconds=1))
    assert summary(report) == [
        (Code.RECOVERY_POINT_NOT_FOUND, server, "error") for server in (*DATABASE, *WEB)
    ]
    finding = report.findings[0]
    assert f"its oldest is from {oldest:%Y-%m-%d %H:%M} UTC (pit-" in finding.seen
    assert f"recovery_point {oldest.isoformat()} or later" in finding.remedy


def test_an_optional_server_without_one_is_left_out(account: Make) -> None:
    """Launched from its latest state, it would have another point in time than the other servers."""
    look = account()
    report = look.look(
        two_waves(optional=["database", "web"]), recovery_point=look.clock.now() - dt.timedelta(days=30)
    )
    assert servers(report) == {}
    assert [finding.severity for finding in report.findings] == ["warning"] * 4 + ["error"]
    assert report.findings[-1].code is Code.PLAN_HAS_NO_WAVES
