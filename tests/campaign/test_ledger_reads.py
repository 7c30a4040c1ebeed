"""How often the closing tasks of a large drill read the run's records: a bound by a count, not by a time."""

from __future__ import annotations

from multiprocessing.pool import Pool

import pytest

from bench.ledger_reads import Share, Size, measure

READS, BYTES = 60, 3_000_000
"""The most that one of these tasks may read, all of its processes together."""
CLOSING = ("terminate", "evidence", "verdict")


@pytest.fixture(scope="module")
def shares(drills: Pool) -> dict[str, Share]:
    """What each task of a green drill of 300 servers has read, with four checks for each server."""
    return drills.apply(measure, [Size(300, 3, 4)])


@pytest.mark.parametrize("task", CLOSING)
def test_a_closing_task_reads_each_record_about_once(shares: dict[str, Share], task: str) -> None:
    share = shares[task]
    assert 0 < share.reads <= READS
    assert 0 < share.read_bytes <= BYTES
