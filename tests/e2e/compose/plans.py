"""The plans of the tests of docker-compose.yaml, each with servers of its own."""

from __future__ import annotations

from pathlib import Path

from tests.e2e.plans import APPLICATION, DATABASE, WEB, write_plan

BEREFT = "bereft"
"""Loses a worker in its first wave and the triggerer in its second."""
BEREFT_WAVES = [("first", DATABASE[:2]), ("second", DATABASE[2:3])]

TEN = [f"at-once-{n}" for n in range(10)]


def write_plans(folder: Path) -> None:
    """Write all of them."""
    write_plan(folder, BEREFT, BEREFT_WAVES)
    for plan, *servers in zip(TEN, APPLICATION, WEB, strict=False):
        write_plan(folder, plan, [("both", servers)])
