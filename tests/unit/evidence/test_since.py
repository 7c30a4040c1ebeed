"""What has changed in a plan and in its servers since its last full pass."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from drs.evidence.record import Evidence, FindingEvidence
from drs.evidence.since import changed_servers, last_full_pass
from drs.evidence.storage import LocalStorage
from drs.evidence.store import EvidenceStore
from drs.plan import Plan
from drs.run.records import Resolution, ResolvedServer, WaveResolution
from tests.unit.drill import APPLICATION, DATABASE, after, make_plan, make_run
from tests.unit.evidence.runs import SERVERS, found, passed_run, told

NEW = "s-9999999999999999a"
BY_TAG = make_plan(
    protection_groups={
        "database": {"server_tags": {"Tier": "db"}},
        "application": {"server_tags": {"Tier": "app"}},
    }
)


def passed(plan: Plan = BY_TAG, *, findings: tuple[FindingEvidence, ...] = ()) -> Evidence:
    """The record of a full drill of the plan's four servers."""
    record = found(passed_run(make_run(plan))).model_copy(update={"findings": findings})
    return Evidence(**{**dict(record), "id": "orders-000001", "sequence": 1, "previous": None, "hash": ""})


def now(**servers: tuple[str, ...]) -> Resolution:
    """The servers of each wave now; by default those of the drill."""
    return Resolution(
        waves={
            wave: WaveResolution(
                servers=tuple(ResolvedServer(server_id=each, name=each, group=wave) for each in ids)
            )
            for wave, ids in {**SERVERS, **servers}.items()
        }
    )


def changed(record: Evidence, plan: Plan, resolution: Resolution, *troubled: str) -> list[str]:
    return changed_servers(record, plan, resolution, troubled)


def test_servers_that_came_or_went_by_their_tags_are_named() -> None:
    """By wave."""
    assert changed(passed(), BY_TAG, now()) == []
    assert changed(passed(), BY_TAG, now(database=(DATABASE[0], NEW))) == [
        f"wave database: added {NEW}",
        f"wave database: removed {DATABASE[1]}",
    ]
    moved = now(database=DATABASE[:1], application=(*APPLICATION, DATABASE[1]))
    assert changed(passed(), BY_TAG, moved) == [
        f"wave database: removed {DATABASE[1]}",
        f"wave application: added {DATABASE[1]}",
    ]


def test_a_server_that_the_plan_lists_is_a_key_of_the_plan() -> None:
    """Its coming and going is told as a change of the file."""
    plan = make_plan()
    record = passed(plan)
    assert changed(record, plan, now(database=DATABASE[:1])) == []


def test_an_optional_server_that_preflight_left_out_has_not_gone() -> None:
    """Neither one that it left out now, nor one that it left out in that drill."""
    assert changed(passed(), BY_TAG, now(database=DATABASE[:1]), DATABASE[1]) == []
    finding = FindingEvidence(
        severity="warning",
        code="UNHEALTHY_SERVER_REPLICATION",
        wave="database",
        server_id=NEW,
        seen="stalled",
        remedy="",
    )
    assert changed(passed(findings=(finding,)), BY_TAG, now(database=(*DATABASE, NEW))) == []


def test_only_a_full_drill_that_passed_is_the_last_pass(tmp_path: Path) -> None:
    """Later runs were partial, dry, or failed. Only so many records are read."""
    store = EvidenceStore(LocalStorage(tmp_path))
    asked: list[dict[str, Any]] = [{}, {"waves": ["application"]}, {"dry_run": True}, {}]
    for number, fields in enumerate(asked):
        run = make_run(run_id=f"run-{number}", began_at=after(number), **fields)
        account = told({"terminate": "failed"}) if number == 3 else told()
        store.keep(found(passed_run(run), account))
    newest = last_full_pass(store, "orders")
    assert newest is not None
    assert newest.id == "orders-000001"
    assert last_full_pass(store, "orders", limit=3) is None
    assert last_full_pass(store, "billing") is None
