"""Records that an earlier version of this package wrote, before a record said its scope: ``data/orders``.

They are a full drill, a drill of one wave of two, a dry run, and a drill without one server.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import jsonschema
import pytest

from drs.evidence.page import render_page
from drs.evidence.record import Evidence
from drs.evidence.record_schema import evidence_schema_text
from drs.evidence.signatures import load_public_key
from drs.evidence.since import changed_keys, last_full_pass
from drs.evidence.storage import LocalStorage
from drs.evidence.store import EvidenceStore
from drs.evidence.summary import kind
from tests.unit.drill import make_plan, make_run
from tests.unit.evidence.keys import private_key, public_file, signing
from tests.unit.evidence.runs import found, passed_run

DATA = Path(__file__).parent / "data"
IDS = [f"orders-{number:06d}" for number in (1, 2, 3, 4)]


@pytest.fixture
def store(tmp_path: Path) -> EvidenceStore:
    shutil.copytree(DATA, tmp_path, dirs_exist_ok=True)
    return EvidenceStore(LocalStorage(tmp_path))


def test_they_have_none_of_the_new_members() -> None:
    """Otherwise these tests would prove nothing."""
    for name in IDS:
        content = json.loads((DATA / "orders" / f"{name}.json").read_bytes())
        assert not {"scope", "losses"} & set(content)
        assert "enforce" not in content["plan"]["content"]["objectives"]


def test_their_chain_is_still_whole(store: EvidenceStore) -> None:
    """Also after a new record follows them."""
    assert store.verify("orders") == []
    kept = store.keep(found(passed_run(make_run(run_id="run-5"))))
    assert (kept.record.sequence, kept.record.scope) == (5, "full")
    assert store.verify("orders") == []
    for name in IDS:
        assert store.read_file("orders", name) == (DATA / "orders" / f"{name}.json").read_bytes()


def test_their_scope_follows_from_their_parameters(store: EvidenceStore) -> None:
    """So a partial pass of last year is no pass of the plan either."""
    records = [store.read("orders", name) for name in IDS]
    assert [record.scope for record in records] == ["full", "partial", "dry_run", "partial"]
    assert [kind(record) for record in records] == [
        "DRILL",
        "DRILL (partial)",
        "DRILL (dry run)",
        "DRILL (partial)",
    ]
    newest = last_full_pass(store, "orders")
    assert newest is not None
    assert newest.id == "orders-000001"


def test_they_conform_to_the_published_schema_and_have_a_page(store: EvidenceStore) -> None:
    """A program that reads records need not know which version wrote them."""
    validator = jsonschema.Draft202012Validator(json.loads(evidence_schema_text()))
    for name in IDS:
        content = json.loads(store.read_file("orders", name) or b"")
        assert list(validator.iter_errors(content)) == []
        page = render_page(Evidence.model_validate(content))
        assert "lost" not in page
    assert "gone" in render_page(store.read("orders", "orders-000001"))


def test_a_key_that_a_new_version_adds_is_no_change_of_the_plan(store: EvidenceStore) -> None:
    """The digest of the same file has changed, because it covers the defaults."""
    record, plan = store.read("orders", "orders-000001"), make_plan(objectives={"rto": "15m", "rpo": "1m"})
    assert record.plan.digest != plan.digest
    assert changed_keys(record, plan) == []
    assert changed_keys(record, make_plan(objectives={"rto": "10m", "rpo": "1m"})) == ["objectives.rto"]


def test_what_they_do_not_cover_is_said(store: EvidenceStore) -> None:
    """They name no page, and they are not signed. That is no problem."""
    examined = store.examine("orders")
    assert examined.problems == []
    pages, signatures = examined.notes
    assert pages.startswith(f"Not covered: the HTML pages of {len(IDS)} records, {IDS[0]} to {IDS[-1]}")
    assert signatures.startswith("Not covered: who wrote the records. None is signed")


def test_a_new_record_may_follow_them(store: EvidenceStore) -> None:
    """It is signed, and so covers them as they are now."""
    signed = EvidenceStore(store._place, render_page, signing(private_key()))
    record = signed.keep(found(passed_run(make_run(run_id="run-5")))).record
    assert record.sequence == len(IDS) + 1
    examined = store.examine("orders", keys=[load_public_key(public_file(private_key()))])
    assert examined.problems == []
    assert f"Not signed: {len(IDS)} records" in examined.notes[1]
