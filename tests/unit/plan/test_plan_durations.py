"""Durations are read and written exactly, and a number without a unit is refused."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from pydantic import TypeAdapter, ValidationError

from drs.plan.durations import PATTERN, Duration, PositiveDuration, parse, render

READ = {
    "30s": timedelta(seconds=30),
    "0s": timedelta(0),
    "5m": timedelta(minutes=5),
    "90m": timedelta(minutes=90),
    "1h30m": timedelta(hours=1, minutes=30),
    "2d": timedelta(days=2),
    "1d2h3m4s": timedelta(days=1, hours=2, minutes=3, seconds=4),
    "0.25s": timedelta(milliseconds=250),
    "PT30S": timedelta(seconds=30),
    "PT1H30M": timedelta(hours=1, minutes=30),
    "P1DT2H": timedelta(days=1, hours=2),
    "P0D": timedelta(0),
    "PT0.000001S": timedelta(microseconds=1),
}
REFUSED = [
    "",
    "P",
    "PT",
    "P1DT",
    "30",
    "30 s",
    "s",
    "1m1h",
    "-5m",
    "1.5h",
    "1w",
    "30S",
    "pt30s",
    "٣s",
    "1h 30m",
    "30s\n",
]


@pytest.mark.parametrize(("text", "duration"), READ.items())
def test_a_duration_is_read_exactly(text: str, duration: timedelta) -> None:
    """The short and the ISO 8601 notation give the same durations."""
    assert duration == parse(text)


@pytest.mark.parametrize("text", REFUSED)
def test_anything_else_is_refused(text: str) -> None:
    """A text without a unit, in the wrong order, with a sign or with other digits is refused."""
    with pytest.raises(ValidationError):
        TypeAdapter(Duration).validate_python(text)


@pytest.mark.parametrize("value", [30, 1.5, True, None, ["30s"]])
def test_only_text_is_a_duration(value: object) -> None:
    """A number has no unit, whatever type YAML gives it."""
    with pytest.raises(ValidationError):
        TypeAdapter(Duration).validate_python(value)


@pytest.mark.parametrize("text", [*READ, *REFUSED])
def test_the_published_pattern_is_the_parsers_own(text: str) -> None:
    """The pattern in the schema accepts the same texts as the parser."""
    assert (text in READ) == bool(re.search(PATTERN.replace("$", r"\Z"), text, re.ASCII))


@pytest.mark.parametrize(
    ("duration", "text"),
    [
        (timedelta(0), "0s"),
        (timedelta(seconds=90), "1m30s"),
        (timedelta(hours=1), "1h"),
        (timedelta(days=1, seconds=1), "1d1s"),
        (timedelta(seconds=1, microseconds=500_000), "1.5s"),
        (timedelta(minutes=1, microseconds=1), "1m0.000001s"),
    ],
)
def test_a_duration_is_written_short_and_reads_back_exactly(duration: timedelta, text: str) -> None:
    """A duration that a run records is read back unchanged."""
    assert text == render(duration)
    assert duration == parse(text)


@pytest.mark.parametrize("value", [timedelta(0), timedelta(seconds=-1), "0s", "PT0S"])
def test_a_time_out_of_no_time_is_refused(value: object) -> None:
    """A timeout of zero or less makes no sense."""
    with pytest.raises(ValidationError):
        TypeAdapter(PositiveDuration).validate_python(value)


def test_a_negative_timedelta_is_refused() -> None:
    """A plan that is made in Python has the same rule as a plan from a file."""
    with pytest.raises(ValidationError):
        TypeAdapter(Duration).validate_python(timedelta(seconds=-1))
