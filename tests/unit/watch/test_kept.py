"""What an ended run keeps by rule, from its record of clean-up or from its evidence."""

from __future__ import annotations

from pathlib import Path

import pytest

from drs.evidence.storage import open_storage
from drs.evidence.store import EvidenceStore
from drs.run.ownership import tag_value
from drs.run.records import CleanupRecord
from drs.watch.kept import kept_by, kept_in_evidence
from drs.watch.view import RunKey
from tests.unit.drill import NOW, after, make_run
from tests.unit.evidence import runs

DAG = "drs_drill__orders"


@pytest.fixture
def store(tmp_path: Path) -> EvidenceStore:
    """The evidence of two runs: the first kept its instances, the second terminated them."""
    store = EvidenceStore(open_storage(str(tmp_path)))
    for number, kept in enumerate((True, False), 1):
        ledger = runs.passed_run(make_run(run_id=f"manual~{number}", began_at=after(3600 * number)))
        if kept:
            ledger.save_cleanup(runs.cleanup(kept=True, proven=False, why_kept="asked"))
        found = runs.found(ledger)
        store.keep(found.model_copy(update={"assembled_at": after(3600 * number + 1000)}))
    return store


def key(run_id: str, dag: str = DAG) -> RunKey:
    return RunKey(dag, tag_value(run_id), "token")


def test_a_run_s_own_record_of_clean_up_names_what_it_covers() -> None:
    """A clean-up that terminated, or that never ran, keeps nothing."""
    kept = kept_by(CleanupRecord(started_at=NOW, jobs=("drsjob-1",), kept=True, why_kept="asked"))
    assert kept is not None
    assert (kept.jobs, kept.why) == (frozenset({"drsjob-1"}), "asked")
    assert kept_by(CleanupRecord(started_at=NOW, jobs=("drsjob-1",), proven=True)) is None
    assert kept_by(None) is None


def test_the_evidence_of_a_deleted_run_names_them_too(store: EvidenceStore) -> None:
    """It is found by the run's id as the jobs' tags have it."""
    kept = kept_in_evidence(store, key("manual~1"), None)
    assert kept is not None
    assert kept.why == "asked"
    record = store.read("orders", "orders-000001")
    assert kept.jobs == {job for wave in record.waves for job in wave.jobs}
    assert kept.jobs


def test_a_run_that_kept_nothing_or_has_no_evidence_keeps_nothing(store: EvidenceStore) -> None:
    """Nor does a run of another plan with the same id."""
    assert kept_in_evidence(store, key("manual~2"), None) is None
    assert kept_in_evidence(store, key("manual~3"), None) is None
    assert kept_in_evidence(store, key("manual~1", "drs_drill__billing"), None) is None


def test_evidence_from_before_the_launch_is_not_read(store: EvidenceStore) -> None:
    """A plan may have hundreds of records. One that cannot be read is passed over."""
    assert kept_in_evidence(store, key("manual~1"), after(9 * 3600)) is None
    (Path(str(store)) / "orders" / "orders-000002.json").write_text("{")
    assert kept_in_evidence(store, key("manual~1"), after(3600)) is not None
