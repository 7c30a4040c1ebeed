"""A run's records are written as JSON and read back unchanged."""

from __future__ import annotations

from typing import Any

import pytest

from drs.errors import DrillFailed
from drs.run.ledger import Ledger, ReadOnce
from drs.run.records import (
    Call,
    CleanupRecord,
    FailureRecord,
    InstanceRecord,
    LaunchRecord,
    Resolution,
    ResolvedServer,
    ServerRecord,
    Stop,
    TerminateCall,
    WaveOutcome,
    WaveResolution,
)
from drs.run.timeline import ServerSlot, Timeline
from tests.unit.drill import NOW, MemoryStore, after, make_plan, make_run

A, B = ("s-" + "a" * 17, "s-" + "b" * 17)


def make_launch(*slots: tuple[str, str | None], calls: tuple[Call, ...] = ()) -> LaunchRecord:
    timeline = Timeline(
        jobs="per_server",
        server_delay=15,
        conflict_backoff=(30, 60.5),
        conflict_timeout=1800,
        servers=tuple(ServerSlot(server_id=s, job_id=job, not_before=after(0.25)) for s, job in slots),
        last_call=NOW,
    )
    return LaunchRecord(timeline=timeline, calls=calls)


RECORDS: dict[str, tuple[tuple[str, ...], Any]] = {
    "run": ((), make_run(reason="audit", exclude_servers=(A,), keep_instances=True)),
    "resolution": (
        (),
        Resolution(
            waves={
                "database": WaveResolution(
                    servers=(ResolvedServer(server_id=A, name="db-1", group="database", optional=True),),
                    excluded=(B,),
                ),
                "web": WaveResolution(left_out="its groups contain no server"),
            },
        ),
    ),
    "launch": (
        ("database",),
        make_launch(
            (A, "drsjob-1"),
            (B, None),
            calls=(Call(at=NOW, servers=(A,), job_id="drsjob-1"), Call(at=after(9), servers=(B,))),
        ),
    ),
    "outcome": (
        ("database",),
        WaveOutcome(
            servers=(
                ServerRecord(
                    server_id=A, name="db-1", job_id="drsjob-1", launched=False, optional=False, error="x"
                ),
            )
        ),
    ),
    "stop": ((), Stop(by="ada", at=NOW, reason="the wrong fleet")),
    "cleanup": (
        (),
        CleanupRecord(
            started_at=NOW,
            instances=(
                InstanceRecord(
                    recovery_instance_id="i-1", ec2_instance_id="i-1", server_id=A, job_id="drsjob-1"
                ),
            ),
            terminate_calls=(TerminateCall(job_id="drsjob-2", instances=("i-1",)),),
            proven=True,
        ),
    ),
    "failure": (("preflight",), FailureRecord(code="ACCESS_DENIED", message="no", remedy="ask")),
}


@pytest.mark.parametrize("kind", RECORDS)
def test_a_record_comes_back_as_it_was_written(kind: str) -> None:
    """Another task reads it as JSON from the same store."""
    key, record = RECORDS[kind]
    store = MemoryStore()
    getattr(Ledger(store), f"save_{kind}")(*key, record)
    assert getattr(Ledger(store), kind)(*key) == record


def test_a_gate_comes_back_as_the_moment_it_was_reached() -> None:
    """Each gate of each wave has its own moment."""
    ledger = Ledger(MemoryStore())
    ledger.save_reached("database", "started", NOW)
    ledger.save_reached("database", "launched", after(60))
    assert ledger.reached("database", "started") == NOW
    assert ledger.reached("database", "launched") == after(60)
    assert ledger.reached("web", "started") is None


def test_what_was_never_written_is_none() -> None:
    """One wave's record is not another's, and one task's failure is not another's."""
    ledger = Ledger(MemoryStore())
    ledger.save_launch("database", make_launch((A, None)))
    ledger.save_failure("begin", FailureRecord(code="X", message="x"))
    assert ledger.launch("web") is None
    assert ledger.failure("preflight") is None
    assert (ledger.resolution(), ledger.outcome("database"), ledger.cleanup()) == (None, None, None)


def test_a_run_that_did_not_begin_says_so() -> None:
    """Every task needs the record of the run."""
    with pytest.raises(DrillFailed, match="no record of its beginning"):
        Ledger(MemoryStore()).run()


def test_the_plan_of_a_run_is_the_plan_it_began_with() -> None:
    """The plan and its digest come back unchanged, durations included."""
    plan = make_plan(
        launch={"conflict_backoff": ["1m30s", "PT2M"], "server_delay": "0.5s"},
        cleanup={"timeout": "1h"},
    )
    ledger = Ledger(MemoryStore())
    ledger.save_run(make_run(plan))
    assert ledger.run().read_plan() == plan
    assert ledger.run().read_plan().digest == plan.digest


def test_jobs_are_told_with_the_servers_started_in_them() -> None:
    """One job may have several servers. A server without a job is in none."""
    third = "s-" + "c" * 17
    launch = make_launch((A, "drsjob-1"), (B, None), (third, "drsjob-1"))
    assert launch.jobs == {"drsjob-1": (A, third)}


def test_jobs_of_earlier_tries_are_the_run_s_too() -> None:
    """A server was launched again, so that only the calls name its first job."""
    calls = tuple(
        Call(at=NOW, servers=(A,), **ended)
        for ended in (
            {"job_id": "drsjob-1"},
            {"error": "ConflictException"},
            {"not_made": True},
            {"job_id": "drsjob-2"},
            {},
        )
    )
    launch = make_launch((A, "drsjob-2"), calls=calls)
    assert launch.all_job_ids == {"drsjob-1", "drsjob-2"}
    assert launch.unanswered == calls[-1:]


def test_records_that_are_read_at_once_stay_as_they_were_and_take_what_is_written_through_them() -> None:
    """Another process may write meanwhile. The next decision reads the records again."""
    ledger = Ledger(MemoryStore())
    ledger.save_run(make_run())
    recorded = ledger.at_once()
    assert recorded.launch("database") is None
    ledger.save_launch("database", make_launch((A, "drsjob-1")))
    assert recorded.launch("database") is None
    assert ledger.at_once().launch("database") == make_launch((A, "drsjob-1"))
    recorded.save_launch("database", make_launch((A, "drsjob-2")))
    assert recorded.launch("database") == ledger.launch("database") == make_launch((A, "drsjob-2"))


def test_a_store_that_reads_once_fetches_each_key_once_and_gives_back_what_is_written() -> None:
    """A key that nobody has written counts as read too."""
    fetched: list[str] = []

    class Counted(MemoryStore):
        def get(self, key: str) -> Any:
            fetched.append(key)
            return super().get(key)

    store = Counted()
    store.set("run", {"plan": "orders"})
    once = ReadOnce(store)
    assert [once.get("run"), once.get("run")] == [{"plan": "orders"}] * 2
    assert [once.get("cleanup"), once.get("cleanup")] == [None, None]
    once.set("cleanup", {"proven": True})
    assert once.get("cleanup") == store.get("cleanup") == {"proven": True}
    assert fetched == ["run", "cleanup", "cleanup"]
