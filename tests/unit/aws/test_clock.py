"""How far this machine's clock is from AWS's, by the answers of AWS."""

from __future__ import annotations

import datetime as dt
from email.utils import format_datetime
from typing import Any

import pytest

from drs.aws.clock import clock_ahead
from tests.unit.drill import NOW, after


def answer(at: dt.datetime) -> Any:
    """What a boto3 client returned at that time by AWS's clock."""
    return {"ResponseMetadata": {"HTTPHeaders": {"date": format_datetime(at, usegmt=True)}}}


@pytest.mark.parametrize("seconds", [-1, 0, 3, 8])
def test_the_time_that_a_call_takes_is_no_skew(seconds: float) -> None:
    """The call took eight seconds, and AWS answered at any time of it. The header has whole seconds only, so
    AWS's clock may be up to one second further than it says.
    """
    assert clock_ahead(answer(after(seconds)), NOW, after(8)) == dt.timedelta(0)


@pytest.mark.parametrize(
    ("aws", "ahead"),
    [(-2, 2), (-300, 300), (-86400, 86400), (9, -1), (308, -300)],
)
def test_a_clock_that_is_ahead_or_behind_is_measured(aws: float, ahead: float) -> None:
    """Never more than what the call's own time leaves open: from its beginning, or from its end."""
    assert clock_ahead(answer(after(aws)), NOW, after(8)) == dt.timedelta(seconds=ahead)


@pytest.mark.parametrize(
    "nothing",
    [
        {},
        {"ResponseMetadata": {}},
        {"ResponseMetadata": {"HTTPHeaders": {}}},
        {"ResponseMetadata": {"HTTPHeaders": {"date": "yesterday"}}},
        {"ResponseMetadata": None},
    ],
    ids=str,
)
def test_an_answer_without_a_time_says_nothing(nothing: Any) -> None:
    """A proxy may have taken the header away."""
    assert clock_ahead(nothing, NOW, after(8)) is None
