"""A short campaign: drills by the thousand, with seeded faults, of which none breaks a promise."""

from __future__ import annotations

from multiprocessing.pool import Pool

import pytest

from bench.campaign.result import Result
from bench.campaign.runner import CHUNK, Task, run_one

DRILLS = 2000
RECOVERED = 0.99
"""The share of the drills with recoverable faults that must pass."""
SEEDS: tuple[tuple[str, int], ...] = ()
"""Mixes and seeds that once broke a promise. If the mixes change, a seed is another drill: what must stay for
good is a case in ``bench/campaign/cases.py``."""


def _broken(result: Result) -> list[str]:
    said = [f"{each.kind}: {each.what}\n  {result.replay}" for each in result.violations]
    return [*said, f"{result.broke}\n  {result.replay}"] if result.broke else said


def test_no_drill_breaks_a_promise_and_recoverable_faults_are_recovered_from(drills: Pool) -> None:
    tasks = [Task(seed) for seed in range(1, DRILLS + 1)]
    results = list(drills.imap_unordered(run_one, tasks, chunksize=CHUNK))
    assert [text for result in results for text in _broken(result)] == []
    had_to_pass = [result for result in results if result.recoverable]
    failed = [f"{result.ended}\n  {result.replay}" for result in had_to_pass if not result.passed]
    assert len(failed) <= (1 - RECOVERED) * len(had_to_pass), "\n".join(failed)


@pytest.mark.parametrize(("mix", "seed"), SEEDS)
def test_a_seed_that_once_broke_a_promise_keeps_it(mix: str, seed: int, drills: Pool) -> None:
    assert _broken(drills.apply(run_one, [Task(seed, mix=mix)])) == []
