"""How a server replicates: as the fleet has it, and as faults make it while they are armed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from simulator.engine.faults import FAULT
from tests.simulator.api import Api
from tests.simulator.conftest import START, fleet, server_id, servers

pytestmark = pytest.mark.usefixtures("mocked")


def _change(drs: Api, *numbers: int, **members: Any) -> str:
    named = {"servers": [server_id(number) for number in numbers]} if numbers else {}
    return str(drs.simulation.arm(FAULT.validate_python({"kind": "replication", **named, **members})).id)


def _replication(drs: Api, number: int = 1) -> dict[str, Any]:
    """State, lag, error and last contact, as a client reads them."""
    (server,) = drs.describe_source_servers(filters={"sourceServerIDs": [server_id(number)]})["items"]
    info = server["dataReplicationInfo"]
    return {
        "state": info["dataReplicationState"],
        "lag": info["lagDuration"],
        "error": info.get("dataReplicationError", {}).get("error"),
        "seen": datetime.fromisoformat(server["lifeCycle"]["lastSeenByServiceDateTime"]),
    }


def test_a_fault_breaks_replication_and_its_end_heals_it(api: Callable[..., Api]) -> None:
    """Of its servers only; the agent stays silent meanwhile."""
    drs = api()
    healthy = {"state": "CONTINUOUS", "lag": "P0D", "error": None, "seen": START}
    fault_id = _change(drs, 1, state="STALLED", lag="2h", last_contact="30m")
    drs.clock.advance(600)
    now = drs.clock.now()
    assert _replication(drs, 1) == {
        "state": "STALLED",
        "lag": "PT2H",
        "error": "AGENT_NOT_SEEN",
        "seen": START - timedelta(minutes=30),
    }
    assert _replication(drs, 2) == healthy | {"seen": now}
    drs.simulation.disarm(fault_id)
    assert _replication(drs, 1) == healthy | {"seen": now}


def test_what_a_fault_leaves_out_stays_as_the_fleet_has_it(api: Callable[..., Api]) -> None:
    """And a later fault outweighs an earlier one; without servers it reaches them all."""
    drs = api(fleet(servers(2, replication={"state": "BACKLOG", "lag": "5m"})))
    _change(drs, lag="10m")
    assert [_replication(drs, number)["state"] for number in (1, 2)] == ["BACKLOG"] * 2
    _change(drs, 1, lag="1h")
    assert [_replication(drs, number)["lag"] for number in (1, 2)] == ["PT1H", "PT10M"]


@pytest.mark.parametrize(
    ("replication", "error"),
    [
        ({"state": "STALLED"}, "NOT_CONVERGING"),
        ({"state": "STALLED", "last_contact": "1h"}, "AGENT_NOT_SEEN"),
        ({"state": "DISCONNECTED"}, "AGENT_NOT_SEEN"),
        ({"state": "CONTINUOUS", "last_contact": "1h"}, None),
        ({"state": "PAUSED"}, None),
    ],
)
def test_the_error_says_why_replication_stands_still(
    api: Callable[..., Api], replication: dict[str, Any], error: str | None
) -> None:
    """A silent agent, or one that does not keep up."""
    assert _replication(api(fleet(servers(1, replication=replication))))["error"] == error


@pytest.mark.parametrize("state", ["INITIAL_SYNC", "BACKLOG", "RESCAN", "CONTINUOUS"])
def test_a_server_that_catches_up_says_when_it_will_have(api: Callable[..., Api], state: str) -> None:
    """As far ahead as it lags behind; one that has caught up says nothing."""
    drs = api(fleet(servers(1, replication={"state": state, "lag": "90s"})))
    info = drs.describe_source_servers()["items"][0]["dataReplicationInfo"]
    assert info.get("etaDateTime") == (None if state == "CONTINUOUS" else "2026-03-01T06:01:30.000000Z")
    (disk,) = info["replicatedDisks"]
    synchronised = disk["replicatedStorageBytes"] == disk["totalStorageBytes"]
    assert synchronised == (state != "INITIAL_SYNC")


def test_a_lag_that_a_fault_makes_ages_the_recovery_point(api: Callable[..., Api]) -> None:
    """Of a drill, and of the snapshots that can be chosen."""
    drs = api()
    _change(drs, 1, lag="1h")
    drs.drill(1, 2)
    drs.clock.advance(600)
    points = {
        each["sourceServerID"]: datetime.fromisoformat(each["pointInTimeSnapshotDateTime"])
        for each in drs.describe_recovery_instances()["items"]
    }
    assert timedelta(minutes=59) < points[server_id(2)] - points[server_id(1)] < timedelta(minutes=61)
    newest = drs.describe_recovery_snapshots(sourceServerID=server_id(1), order="DESC")["items"][0]
    assert datetime.fromisoformat(newest["timestamp"]) <= drs.clock.now() - timedelta(hours=1)


@pytest.mark.parametrize(
    "members", [{}, {"state": "BROKEN"}, {"lag": "soon"}, {"state": "STALLED", "count": 1}]
)
def test_a_change_that_makes_no_sense_is_refused(members: dict[str, Any]) -> None:
    """One that changes nothing included."""
    with pytest.raises(ValidationError):
        FAULT.validate_python({"kind": "replication", **members})
