"""Values of a record in words."""

from __future__ import annotations

import datetime as dt

import pytest

from drs.evidence.record import Measure
from drs.evidence.texts import is_remarkable, objective, server_result
from drs.times import duration, instant
from tests.unit.evidence.records import RAW_ERROR, copy, make_server


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (0.04, "0 s"),
        (4.5, "4.5 s"),
        (9.97, "10 s"),
        (59.6, "1 min"),
        (533, "8 min 53 s"),
        (3600, "1 h"),
        (90_061, "1 d 1 h 1 min 1 s"),
        (-90, "−1 min 30 s"),
        (None, "not known"),
    ],
)
def test_a_span_is_told_in_the_units_that_it_fills(seconds: float | None, text: str) -> None:
    """Tenths are shown only for short spans."""
    assert duration(seconds) == text


def test_an_instant_is_told_in_utc() -> None:
    """In whatever time zone it was written; without one it is taken as UTC."""
    berlin = dt.timezone(dt.timedelta(hours=1))
    assert instant(dt.datetime(2026, 3, 1, 0, 30, 15, 900_000, tzinfo=berlin)) == "2026-02-28 23:30:15"
    assert instant(dt.datetime(2026, 3, 1, 6, 0)) == "2026-03-01 06:00:00"  # noqa: DTZ001
    assert instant(None, "not reached") == "not reached"


@pytest.mark.parametrize(
    ("target", "measured", "met", "words"),
    [
        (3600.0, 3000.0, True, "met, 10 min to spare"),
        (3600.0, 3600.4, False, "missed by 0.4 s"),
        (3600.0, None, None, "not measured"),
        (None, 3000.0, None, "no target"),
    ],
)
def test_an_objective_says_by_how_much(
    target: float | None, measured: float | None, met: bool | None, words: str
) -> None:
    """A target and a measure may differ although they read the same."""
    assert objective(Measure(target_seconds=target, measured_seconds=measured, met=met))[1] == words


@pytest.mark.parametrize(
    ("changes", "result"),
    [
        ({}, ("✓", "launched, valid")),
        ({"valid": None}, ("✓", "launched, was not checked")),
        ({"valid": False}, ("✕", "launched, not valid")),
        ({"launched": False, "valid": None}, ("✕", "did not launch")),
        ({"launched": False, "valid": None, "optional": True}, ("△", "did not launch (optional)")),
    ],
)
def test_a_servers_result_is_told_without_colour(changes: dict[str, object], result: tuple[str, str]) -> None:
    """A mark with its own shape, and words, show it."""
    assert server_result(copy(make_server(0, 0, 0), **changes)) == result


def test_a_launched_server_with_an_error_in_its_log_is_worth_telling_of() -> None:
    """For example, its snapshot failed, and DRS used an older one."""
    server = make_server(0, 0, 0)
    assert not is_remarkable(server)
    first, *rest = server.events
    assert is_remarkable(copy(server, events=(copy(first, raw_error=RAW_ERROR), *rest)))
