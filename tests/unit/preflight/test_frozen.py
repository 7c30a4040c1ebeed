"""When preflight runs again for the same run, the run keeps the servers that it resolved at first."""

from __future__ import annotations

import datetime as dt
from typing import Any

from drs.errors import Code
from drs.run.records import Resolution
from tests.unit.preflight.account import DATABASE, WEB, Make, summary, two_waves

GROUPS = {"database": {"source_servers": DATABASE}, "web": {"server_tags": {"Tier": "web"}}}


def tagged(*servers: str) -> dict[str, Any]:
    return {server: {"tags": {"Tier": "web"}} for server in servers}


def first_look(make: Make, **inputs: Any) -> Resolution:
    report = make(tagged(*WEB)).look(two_waves(protection_groups=GROUPS), **inputs)
    assert not report.findings
    assert report.resolution is not None
    return report.resolution


def test_servers_that_left_or_joined_a_group_change_nothing(account: Make) -> None:
    """What the run launches was decided when it began. Notes say what has changed in the groups since."""
    before = first_look(account)
    moved = account({**tagged(WEB[1]), DATABASE[0]: {}}, servers=(*DATABASE, *WEB))
    report = moved.look(two_waves(protection_groups=GROUPS), resolved=before)
    assert report.findings == ()
    assert report.resolution == before
    kept, left = report.notes
    assert "keeps the servers" in kept
    assert f"do not contain {WEB[0]} (host-e1) any more" in left
    other = f"s-{0xF1:017x}"
    joined = account(tagged(*WEB, other), servers=(*DATABASE, *WEB, other))
    report = joined.look(two_waves(protection_groups=GROUPS), resolved=before)
    assert report.resolution == before
    _, new = report.notes
    assert f"now contain {other} (host-f1), too; only a new run" in new


def test_the_kept_servers_are_checked_again(account: Make) -> None:
    """A server that was healthy when the run began may have a problem by now."""
    before = first_look(account)
    look = account({WEB[0]: {"replication": {"state": "STALLED"}}}, servers=(*DATABASE, WEB[0]))
    report = look.look(two_waves(protection_groups=GROUPS), resolved=before)
    assert summary(report) == [
        (Code.SOURCE_SERVER_NOT_FOUND, WEB[1], "error"),
        (Code.UNHEALTHY_SERVER_REPLICATION, WEB[0], "error"),
    ]


def test_the_recovery_snapshots_of_the_first_look_stay(account: Make) -> None:
    """A retry one hour later launches the same point in time, and not one that is an hour newer."""
    asked = dt.datetime.now(dt.UTC) - dt.timedelta(hours=3)
    before = first_look(account, recovery_point=asked)
    report = account(tagged(*WEB)).look(
        two_waves(protection_groups=GROUPS), resolved=before, recovery_point=asked + dt.timedelta(hours=2)
    )
    assert report.resolution == before
