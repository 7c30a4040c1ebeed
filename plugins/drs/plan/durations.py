"""Durations as people write them: ``30s``, ``1h30m`` or ISO 8601. A number without a unit is refused."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, PlainSerializer, WithJsonSchema
from pydantic_core import PydanticCustomError
from typing_extensions import TypeAliasType

# Without named groups, so that the JSON Schema (ECMA regular expressions) can use the same pattern.
_SECONDS = r"(\d{1,6})(?:\.(\d{1,6}))?"
_SHORT = rf"(?=\d)(?:(\d{{1,6}})d)?(?:(\d{{1,6}})h)?(?:(\d{{1,6}})m)?(?:{_SECONDS}s)?"
_ISO = rf"P(?=.)(?:(\d{{1,6}})D)?(?:T(?=\d)(?:(\d{{1,6}})H)?(?:(\d{{1,6}})M)?(?:{_SECONDS}S)?)?"
PATTERN = rf"^(?:{_SHORT}|{_ISO})$"
_DURATION = re.compile(PATTERN, re.ASCII)

NUMBER_WITHOUT_UNIT = "duration_without_unit"
"""The error type of a number without a unit.

The loader makes the message: it knows how the number was written.
"""


def parse(value: object) -> timedelta:
    """Read the text of a duration; a ``timedelta`` is returned unchanged.

    :raises PydanticCustomError: the value is anything else, such as a number without a unit
    """
    if isinstance(value, timedelta):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        raise PydanticCustomError(NUMBER_WITHOUT_UNIT, "a duration needs a unit")
    match = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise PydanticCustomError("duration_syntax", "not a duration")
    groups = match.groups()
    days, hours, minutes, seconds, fraction = groups[5:] if match[0].startswith("P") else groups[:5]
    return timedelta(
        days=int(days or 0),
        hours=int(hours or 0),
        minutes=int(minutes or 0),
        seconds=int(seconds or 0),
        microseconds=int((fraction or "").ljust(6, "0")),
    )


def render(duration: timedelta) -> str:
    """The shortest text that :func:`parse` reads back as exactly this duration."""
    hours, rest = divmod(duration.seconds, 3600)
    minutes, seconds = divmod(rest, 60)
    text = "".join(f"{n}{unit}" for n, unit in ((duration.days, "d"), (hours, "h"), (minutes, "m")) if n)
    fraction = f".{duration.microseconds:06d}".rstrip("0") if duration.microseconds else ""
    return text + (f"{seconds}{fraction}s" if seconds or fraction or not text else "")


def _not_negative(duration: timedelta) -> timedelta:
    if duration < timedelta(0):
        raise PydanticCustomError("duration_negative", "a duration cannot be negative")
    return duration


def _positive(duration: timedelta) -> timedelta:
    if not _not_negative(duration):
        raise PydanticCustomError("duration_zero", "this duration must be longer than zero")
    return duration


_SCHEMA = WithJsonSchema({"type": "string", "pattern": PATTERN, "examples": ["5m", "30s", "1h30m", "PT30S"]})
_WRITTEN = PlainSerializer(render, return_type=str, when_used="json")

# Named types, so that the schema states the pattern once and refers to it.
Duration = TypeAliasType(
    "Duration",
    Annotated[timedelta, BeforeValidator(parse), AfterValidator(_not_negative), _WRITTEN, _SCHEMA],
)
"""A length of time, zero included. In JSON it is text such as ``1h30m``."""

PositiveDuration = TypeAliasType(
    "PositiveDuration",
    Annotated[timedelta, BeforeValidator(parse), AfterValidator(_positive), _WRITTEN, _SCHEMA],
)
"""A length of time for which zero makes no sense: a timeout, or a pause that repeats."""
