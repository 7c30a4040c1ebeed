"""The engine against a drill that AWS recorded."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from simulator.drs import views
from tests.simulator.conftest import ACCOUNT, REGION, Engine, fleet

RECORD: list[dict[str, Any]] = json.loads(
    (Path(__file__).parent / "data" / "recorded-drill.json").read_text(encoding="utf-8")
)["jobs"]

# The engine's timings are those of the first recorded job. The second one ended 6 s later after its creation,
# and, conversion and launch aside, its waits differ by 1.6 s in all.
END_TOLERANCE, EVENT_TOLERANCE = 7.0, 2.0


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _seconds(job: dict[str, Any], server: str, first: str, last: str) -> float:
    times = {
        item["event"]: _time(item["logDateTime"])
        for item in job["jobLogItems"]
        if item["eventData"].get("sourceServerID") == server
    }
    return (times[last] - times[first]).total_seconds()


def _replayed(recorded: dict[str, Any], timings: dict[str, dict[str, float]]) -> tuple[Any, list[Any]]:
    """The job and its log as the simulated DRS tells them, made at the recorded time."""
    ids = [server["sourceServerID"] for server in recorded["participatingServers"]]
    entries = [{"id": each, "hostname": each, "timings": timings.get(each, {})} for each in ids]
    # The recorded jobs do not name their recovery instances.
    engine = Engine(fleet(entries, faults=[{"kind": "no_recovery_instance_id"}]), speed=1)
    engine.clock.set(_time(recorded["creationDateTime"]))
    job = engine.drs.start_recovery([(each, None) for each in ids], is_drill=True, tags={})
    engine.pass_time(3600)
    return views.job(job, engine.drs), [views.job_log_item(item) for item in job.log]


@pytest.mark.parametrize("recorded", RECORD, ids=lambda job: job["jobID"])
def test_a_recorded_job_is_told_again_field_by_field(recorded: dict[str, Any]) -> None:
    """Status, initiator, type, servers and creation are the recorded ones; the end within a few seconds."""
    job, _ = _replayed(recorded, {})
    same = ("creationDateTime", "initiatedBy", "participatingServers", "status", "tags", "type")
    assert {name: recorded[name] for name in same} == {name: job[name] for name in same}
    assert set(recorded) - {"jobLogItems"} == set(job)
    assert abs((_time(recorded["endDateTime"]) - _time(job["endDateTime"])).total_seconds()) < END_TOLERANCE
    assert job["arn"] == f"arn:aws:drs:{REGION}:{ACCOUNT}:job/{job['jobID']}"


@pytest.mark.parametrize("recorded", RECORD, ids=lambda job: job["jobID"])
def test_a_recorded_log_is_told_again_event_by_event(recorded: dict[str, Any]) -> None:
    """With each server's own conversion and launch, every event comes in its place and time."""
    servers = [server["sourceServerID"] for server in recorded["participatingServers"]]
    timings = {
        server: {
            "conversion": _seconds(recorded, server, "CONVERSION_START", "CONVERSION_END"),
            "launch": _seconds(recorded, server, "LAUNCH_START", "LAUNCH_END"),
        }
        for server in servers
    }
    _, log = _replayed(recorded, timings)
    expected = recorded["jobLogItems"]
    assert [_what(item) for item in expected] == [_what(item) for item in log]
    for item, told in zip(expected, log, strict=True):
        drift = _time(item["logDateTime"]) - _time(told["logDateTime"])
        assert abs(drift.total_seconds()) < EVENT_TOLERANCE


def _what(item: dict[str, Any]) -> tuple[Any, ...]:
    data = item["eventData"]
    return item["event"], data.get("sourceServerID"), sorted(data)


def test_a_linux_drill_takes_533_seconds(engine: Any) -> None:
    """The default timings are those of the first recorded job."""
    world = engine(1)
    job = world.drilled(1)
    assert (job.ended - job.created).total_seconds() == pytest.approx(533.3, abs=0.1)


def test_a_windows_drill_takes_1436_seconds() -> None:
    """The default timings of Windows are those of the recorded Windows drill."""
    world = Engine(fleet([{"id": "s-" + "1" * 17, "hostname": "w", "os": "windows"}]), speed=1)
    job = world.drs.start_recovery([("s-" + "1" * 17, None)], is_drill=True, tags={})
    world.pass_time(1500)
    assert job.ended
    assert (job.ended - job.created).total_seconds() == pytest.approx(1436, abs=0.1)
