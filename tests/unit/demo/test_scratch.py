"""The folder of scratch homes: one owner each, and never more than a few."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from demo import scratch
from demo.processes import StackError


def test_a_home_has_one_owner_who_says_where_it_is(tmp_path: Path) -> None:
    """A second claimant is refused, and reads the note of the first."""
    with (
        scratch.claimed(tmp_path, note="http://127.0.0.1:8080"),
        pytest.raises(scratch.HomeInUseError, match=r"^http://127\.0\.0\.1:8080$"),
        scratch.claimed(tmp_path, note="http://127.0.0.1:9090"),
    ):
        pass


def test_a_home_that_was_left_can_be_claimed(tmp_path: Path) -> None:
    """A lock file of a process that is gone holds nobody up."""
    with scratch.claimed(tmp_path):
        pass
    with scratch.claimed(tmp_path) as home:
        assert home == tmp_path


def test_a_full_disk_is_told_before_anything_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message names what is free and what is needed."""
    monkeypatch.setattr(scratch, "NEEDED_MB", 10**9)
    with (
        pytest.raises(StackError, match=r"Only \d+ MB are free .* 1000000000 are needed"),
        scratch.claimed(tmp_path),
    ):
        pass


def test_of_old_homes_the_newest_are_kept(tmp_path: Path) -> None:
    """With the new one there are as many as are kept; the oldest are gone."""
    homes = [scratch.new_home(tmp_path) for _ in range(scratch.KEPT)]
    for age, home in enumerate(reversed(homes)):
        os.utime(home, (1000 - age, 1000 - age))
    new = scratch.new_home(tmp_path)
    assert {*homes[1:], new} == set(tmp_path.iterdir())


def test_a_home_in_use_is_not_removed(tmp_path: Path) -> None:
    """However old it is, and however many there are."""
    home = scratch.new_home(tmp_path)
    os.utime(home, (0, 0))
    with scratch.claimed(home):
        for _ in range(scratch.KEPT + 1):
            scratch.new_home(tmp_path)
        assert home.is_dir()
