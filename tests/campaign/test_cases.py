"""Each trouble that once broke a promise, at its certain point: how the drill ends now."""

from __future__ import annotations

from multiprocessing.pool import Pool

import pytest

from bench.campaign.cases import CASES, Case
from bench.campaign.runner import Task, run_one


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_no_promise_is_broken(case: Case, drills: Pool) -> None:
    result = drills.apply(run_one, [Task(case=case.name)])
    assert not result.broke
    assert [f"{each.kind}: {each.what}" for each in result.violations] == [], result.replay
    assert result.passed == case.passes, f"{result.ended}\n{result.said}\n{result.replay}"
    assert bool(result.left) == case.leaves, f"{result.ended}\n{result.said}\n{result.replay}"
    for code in case.codes:
        assert f"[{code}]" in result.said, f"{result.said}\n{result.replay}"
