"""How much of its plan a run covers."""

from __future__ import annotations

import pytest

from drs.run.scope import Scope, part_of, part_of_run, scope_of, scope_of_run
from tests.unit.drill import DATABASE, make_run


@pytest.mark.parametrize(
    ("waves", "excluded", "dry_run", "scope"),
    [
        (3, 0, False, "full"),
        (2, 0, False, "partial"),
        (3, 1, False, "partial"),
        (3, 0, True, "dry_run"),
        (2, 1, True, "dry_run"),
    ],
)
def test_what_a_person_left_out_makes_a_run_partial(
    waves: int, excluded: int, *, dry_run: bool, scope: Scope
) -> None:
    """A wave or a server. A dry run launches nothing, whatever was chosen for it."""
    assert scope_of(plan_waves=3, waves=waves, excluded=excluded, dry_run=dry_run) == scope


@pytest.mark.parametrize(
    ("plan_waves", "waves", "excluded", "words"),
    [
        (3, 2, 0, "2 of 3 waves"),
        (3, 2, 1, "2 of 3 waves, 1 server excluded"),
        (3, 3, 2, "all 3 waves, 2 servers excluded"),
        (1, 1, 1, "the only wave, 1 server excluded"),
    ],
)
def test_a_part_is_told_in_words(plan_waves: int, waves: int, excluded: int, words: str) -> None:
    """The reader sees what was left out without opening the record."""
    assert part_of(plan_waves=plan_waves, waves=waves, excluded=excluded) == words


def test_the_scope_of_a_run_comes_from_its_parameters() -> None:
    """The plan has two waves."""
    assert scope_of_run(make_run()) == "full"
    assert scope_of_run(make_run(dry_run=True)) == "dry_run"
    part = make_run(waves=["database"], exclude_servers=[DATABASE[0]])
    assert (scope_of_run(part), part_of_run(part)) == ("partial", "1 of 2 waves, 1 server excluded")
