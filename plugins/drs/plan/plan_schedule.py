"""The schedule of a plan: checks of its cron expression, and the times that it names.

The times are those of Airflow's scheduler, by the rule of ``airflow.timetables._cron``. The rule is repeated
here, and compared with Airflow's own by a test, because the command line works without importing Airflow.
"""

from __future__ import annotations

import re
import zoneinfo
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from pydantic_core import PydanticCustomError

from drs.plan import zones
from drs.plan.near import nearest, shown

BAD_CALENDAR = "bad_calendar"
"""The error type of this module; its context holds the ``remedy``."""

_PRESETS = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@quarterly": "0 0 1 */3 *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
PRESETS = tuple(_PRESETS)
"""Cron's and Airflow's presets, without @once, @continuous and @reboot, which name no recurring time."""
_LONGEST = 100
_FIELDS = (
    ("minute", 0, 59, 60),
    ("hour", 0, 23, 24),
    ("day of month", 1, 31, 31),
    ("month", 1, 12, 12),
    ("day of week", 0, 7, 7),
)
"""The fields of cron: name, smallest and largest number, and how many values there are."""
_FIVE = (
    "Write minute, hour, day of month, month and day of week: "
    '"0 6 1 * *" is 06:00 on the first of every month.'
)
# Any moment would do, but it is fixed: the result must not depend on when the file is read.
_SOME_MOMENT = datetime(2024, 1, 1)  # noqa: DTZ001  # a time on the wall, of no zone


def checked_schedule(schedule: str) -> str:
    """Return the schedule if Airflow can use it.

    :raises PydanticCustomError: it is not a cron expression of five fields, or names a date that never comes
    """
    if schedule in _PRESETS:
        return schedule
    if len(schedule) > _LONGEST:
        raise _error(
            f"The schedule has {len(schedule)} characters; {_LONGEST} are allowed",
            "Shorten it: write ranges and steps, such as 1-5 and */15.",
        )
    fields = schedule.split()
    if len(fields) != len(_FIELDS):
        raise _not_five(schedule, fields)
    if any(field[0] in "Rr" for field in fields):
        # croniter reads R as a random number: the schedule would change each time the file is read.
        raise _error(f'"{shown(schedule)}" asks for a random time', "Name the minute and the hour.")
    for text, (name, least, most, size) in zip(fields, _FIELDS, strict=True):
        if (wrong := _out_of_range(text, least, most, size)) is not None:
            raise _error(
                f'"{shown(schedule)}" has {wrong} for the {name}',
                f"Write numbers from {least} to {most} for the {name}, and after a slash at most {size}.",
            )
    # The import is slow, and plans without a schedule do not need it.
    from croniter import CroniterBadDateError

    try:
        _cron(schedule, _SOME_MOMENT).get_next()
    except CroniterBadDateError:
        raise _error(
            f'"{shown(schedule)}" names a date that never comes', "Name a day that exists in that month."
        ) from None
    except (
        ValueError,
        LookupError,
        TypeError,
    ):  # croniter's own errors are ValueErrors; it raises others too
        raise _error(f'"{shown(schedule)}" is not a cron expression', _FIVE) from None
    return schedule


def checked_timezone(name: str) -> str:
    """Return the name if it is a time zone of the IANA database.

    :raises PydanticCustomError: it is not
    """
    if (wrong := zones.problem(name)) is not None:
        raise _error(*wrong)
    return name


def cron_of(schedule: str) -> str:
    """The schedule as a cron expression of five fields. Airflow does not know all presets."""
    return _PRESETS.get(schedule, schedule)


def next_time(schedule: str, timezone: str, after: datetime) -> datetime:
    """The next time at which a plan with this schedule runs by itself, in UTC.

    :param schedule: a schedule that :func:`checked_schedule` accepts
    :param timezone: the IANA name of the time zone in which it is written
    """
    zone = zoneinfo.ZoneInfo(timezone)
    wall = after.astimezone(zone).replace(tzinfo=None, fold=0)
    cron = _cron(schedule, wall)
    found: datetime = cron.get_next(datetime)
    if cron.expanded[1] == ["*"]:
        # Every hour has a run, also the one that the clock shows twice.
        return after.astimezone(UTC) + (found - wall)
    # A time that the clock shows twice is the second of the two. For one that it skips, the run comes as much
    # later as the clock is put forward. Both are the later of the two readings.
    return max(found.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))


def next_times(schedule: str, timezone: str, after: datetime) -> Iterator[datetime]:
    """All times at which a plan with this schedule runs by itself, in UTC. They do not end."""
    while True:
        after = next_time(schedule, timezone, after)
        yield after


def both_days(schedule: str) -> bool:
    """Whether day of month and day of week are both restricted: cron then runs on days that fit *either*."""
    expanded = _cron(schedule, _SOME_MOMENT).expanded
    return bool(expanded[2] != ["*"] and expanded[4] != ["*"])


def _cron(schedule: str, start: datetime) -> Any:
    from croniter import croniter

    return croniter(cron_of(schedule), start)


def _not_five(schedule: str, fields: list[str]) -> PydanticCustomError:
    """The error of a text that does not have five fields, with what it most likely means."""
    if schedule.startswith("@") or len(fields) == 1:
        preset = nearest(f"@{schedule.lstrip('@')}", PRESETS)
        meant = f'Did you mean "{preset}"? ' if preset else ""
        if schedule.startswith("@"):
            return _error(
                f"{shown(schedule)} is not a schedule that a drill can run by",
                f"{meant}Use one of {', '.join(PRESETS)}, or cron.",
            )
        return _error(f'"{shown(schedule)}" is not a cron expression of five fields', f"{meant}{_FIVE}")
    meant = ""
    inner = re.fullmatch(r"cron\((.*)\)", schedule.strip())
    if inner and len(inner[1].split()) == 6:  # as in EventBridge, with the year at the end
        meant = f'"{" ".join(inner[1].split()[:5]).replace("?", "*")}"'
    elif len(fields) == 6 and fields[0] == "0":  # with seconds
        meant = f'"{" ".join(fields[1:])}"'
    return _error(
        f'"{shown(schedule)}" is not a cron expression of five fields',
        f"Write {meant}: minute, hour, day of month, month and day of week." if meant else _FIVE,
    )


def _out_of_range(field: str, least: int, most: int, size: int) -> str | None:
    """The first part of a field whose number, or whose step, is too large or too small."""
    for part in field.split(","):
        span, _, step = part.partition("/")
        numbers = [int(each) for each in re.findall(r"(?<![#\w])\d{1,9}(?![#\w])", span)]
        if any(not least <= number <= most for number in numbers):
            return span
        # A step that is longer than the field leaves only its first number: that is never meant.
        if step.isascii() and step.isdigit() and not 0 < int(step[:9]) <= size:
            return f"the step {step}"
    return None


def _error(message: str, remedy: str) -> PydanticCustomError:
    return PydanticCustomError(BAD_CALENDAR, "{message}", {"message": message, "remedy": remedy})
