"""Reads durations as people write them in a fleet file: ``45``, ``45s``, ``5m``, ``1h30m``, ``2d``."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated

from pydantic import BeforeValidator

_TEXT = re.compile(
    r"(?:(?P<days>\d+)d)?(?:(?P<hours>\d+)h)?(?:(?P<minutes>\d+)m)?(?:(?P<seconds>\d+(?:\.\d+)?)s)?"
)


def _parse(value: object) -> timedelta:
    if isinstance(value, timedelta):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool) and value >= 0:
        return timedelta(seconds=value)
    if isinstance(value, str) and value and (match := _TEXT.fullmatch(value)):
        return timedelta(**{unit: float(number) for unit, number in match.groupdict().items() if number})
    raise ValueError(f"{value!r} is not a duration; write seconds as a number, or like 45s, 5m, 1h30m, 2d")


Duration = Annotated[timedelta, BeforeValidator(_parse)]
