"""The text of a valid plan, and fixtures that load changed versions of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from drs.plan import Plan, PlanError, PlanProblem, load_plan

GOOD = """\
name: billing
target:
  region: us-east-1
  account_id: "111122223333"
protection_groups:
  database: {source_servers: [s-3c1730a9e0771ea14, s-3c1730a9e0771ea15]}
  web: {server_tags: {Tier: web}}
waves:
  - name: database
    protection_groups: [database]
  - name: web
    protection_groups: [web]
"""


@pytest.fixture
def good() -> str:
    """The text of a valid plan."""
    return GOOD


@pytest.fixture
def load(tmp_path: Path) -> Callable[..., Plan]:
    """Load the valid plan after replacing texts and adding lines at the end."""

    def load(*edits: tuple[str, str], more: str = "", text: str = GOOD, name: str = "billing.yaml") -> Plan:
        for old, new in edits:
            assert text.count(old) == 1, f"{old!r} is not in the plan exactly once"
            text = text.replace(old, new)
        file = tmp_path / name
        file.write_text(text + more, encoding="utf-8")
        return load_plan(file)

    return load


@pytest.fixture
def problems(load: Callable[..., Plan]) -> Callable[..., tuple[PlanProblem, ...]]:
    """The problems of the valid plan after the same edits."""

    def problems(*edits: tuple[str, str], **change: str) -> tuple[PlanProblem, ...]:
        with pytest.raises(PlanError) as caught:
            load(*edits, **change)
        return caught.value.broken.problems

    return problems
