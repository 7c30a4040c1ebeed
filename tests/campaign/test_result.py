"""What the drills of a campaign amount to."""

from __future__ import annotations

import pytest

from bench.campaign.result import DOUBLE, LEFT, Result, Sum, Violation, interval, tables


def result(seed: int, *kinds: str, passed: bool = True, recoverable: bool = True) -> Result:
    return Result(
        seed=seed,
        mix="plain",
        flow="drs-drills",
        recoverable=recoverable,
        passed=passed,
        violations=tuple(Violation(kind, "") for kind in kinds),
        cpu=0.025,
        trouble=(),
        plan="started",
        said="",
        ended="",
    )


def test_the_rule_of_three_bounds_what_never_happened() -> None:
    assert interval(0, 3000) == (0.0, 0.001)
    assert interval(3000, 3000) == (0.999, 1.0)


def test_wilsons_interval_bounds_what_did() -> None:
    assert interval(10, 100) == pytest.approx((0.0552, 0.1744), abs=0.0005)


def test_a_drill_that_leaves_three_instances_is_one_drill() -> None:
    drills = [result(1, LEFT, LEFT, LEFT), result(2, DOUBLE, passed=False), result(3, recoverable=False)]
    amount = Sum.of("all", drills)
    assert (amount.drills, amount.recoverable, amount.passed) == (3, 2, 1)
    assert (amount.broken[LEFT], amount.broken[DOUBLE]) == (1, 1)


def test_the_table_has_a_row_for_each_mix_and_one_for_all() -> None:
    rows = [line.split("|")[1].strip() for line in tables([result(1), result(2)]).splitlines() if "|" in line]
    assert rows == ["mix", "---", "plain", "all"]
