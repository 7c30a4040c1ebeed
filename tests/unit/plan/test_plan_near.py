"""The nearest known name: what a misspelt name means, and never its opposite."""

from __future__ import annotations

import pytest

from drs.plan.near import MOST_SHOWN, Names, nearest, shown


@pytest.mark.parametrize(
    ("written", "known", "meant"),
    [
        ("Web", ["db", "web"], "web"),
        ("order system", ["order-system"], "order-system"),
        ("accountId", ["account_id", "region"], "account_id"),
        ("ntifications", ["notifications", "network"], "notifications"),
        ("dependson", ["depends_on", "description"], "depends_on"),
        ("dscription", ["description"], "description"),
        ("lunched", ["started", "launched", "validated"], "launched"),
        ("unlaunched", ["started", "launched", "validated"], None),
        ("invalidated", ["started", "launched", "validated"], None),
        ("disapprove", ["reject", "approve"], None),
        ("not_approve", ["reject", "approve"], None),
        ("disallow_recovery", ["allow_recovery"], None),
        ("deny_recovery", ["allow_recovery"], None),
        ("prod", ["nonprod"], None),
        ("non-prod", ["prod"], None),
        ("xyz", ["reject", "approve"], None),
    ],
)
def test_a_misspelt_name_leads_to_the_nearest_that_is_no_opposite(
    written: str, known: list[str], meant: str | None
) -> None:
    """Capitals and the sign between words do not count; a negation does."""
    assert nearest(written, known) == meant


def test_the_search_is_bounded() -> None:
    """After 50 misspelt names, no more are looked for: no more problems are reported."""
    names = Names(["web"])
    assert [names.nearest("wbe") for _ in range(51)] == ["web"] * 50 + [None]
    assert nearest("w" * 101, ["w" * 100]) is None


def test_text_of_a_file_is_shown_short_and_without_control_characters() -> None:
    """A terminal or a log would obey them."""
    assert shown("a\x1b[31m\nb\u202ec") == r"a\x1b[31m\nb\u202ec"
    assert len(shown("x" * 1_000_000)) == MOST_SHOWN + 1
    assert shown("Zürich") == "Zürich"
