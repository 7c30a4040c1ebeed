"""When a plan runs by itself: the checks of its cron expression and its time zone."""

from __future__ import annotations

import difflib
import zoneinfo
from datetime import UTC, datetime

from pydantic_core import PydanticCustomError

BAD_CALENDAR = "bad_calendar"
"""The error type of this module; its context holds the ``remedy``."""

# Airflow's own names for a schedule; @once and @continuous are no calendar.
PRESETS = ("@hourly", "@daily", "@weekly", "@monthly", "@quarterly", "@yearly")
_QUARTERLY = {"@quarterly": "0 0 1 */3 *"}
"""Airflow's, and not croniter's."""
_CRON_FIELDS = 5
# Any fixed moment does: whether a date ever comes must not depend on when the file is read.
_SOME_MOMENT = datetime(2024, 1, 1, tzinfo=UTC)


def checked_schedule(schedule: str) -> str:
    """The schedule itself, if Airflow can run by it.

    :raises PydanticCustomError: if it is no cron expression of five fields, or names a date that never comes
    """
    if schedule in PRESETS:
        return schedule
    if schedule.startswith("@"):
        raise _error(
            f"{schedule} is not a schedule that a drill can run by",
            f"Use one of {', '.join(PRESETS)}, or cron.",
        )
    if len(schedule.split()) != _CRON_FIELDS:
        raise _error(
            f'"{schedule}" is not a cron expression of five fields',
            "Write minute, hour, day of month, month and day of week: "
            '"0 6 1 * *" is 06:00 on the first of every month.',
        )
    if any(field[0] in "Rr" for field in schedule.split()):
        # croniter reads R as a random number: another schedule each time the file is read.
        raise _error(f'"{schedule}" asks for a random time', "Name the minute and the hour.")
    # Most plans of a folder may have no schedule: they should not pay for the import.
    from croniter import CroniterBadDateError, CroniterError, croniter

    try:
        croniter(schedule, _SOME_MOMENT).get_next()
    except CroniterBadDateError:
        raise _error(
            f'"{schedule}" names a date that never comes', "Name a day that exists in that month."
        ) from None
    except CroniterError as error:
        raise _error(
            f'"{schedule}" is not a cron expression: {error}',
            '"0 6 1 * *" is 06:00 on the first of every month.',
        ) from None
    return schedule


def checked_timezone(name: str) -> str:
    """The time zone's name itself, if the IANA database knows it.

    :raises PydanticCustomError: if it does not
    """
    if name == "UTC":
        return name
    try:
        zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        near = difflib.get_close_matches(name, zoneinfo.available_timezones(), n=1)
        remedy = f"Did you mean {near[0]}?" if near else "Use an IANA name such as Europe/Berlin, or UTC."
        raise _error(f'"{name}" is not a time zone of the IANA database', remedy) from None
    return name


def next_time(schedule: str, timezone: str, after: datetime) -> datetime:
    """When a plan of this schedule runs by itself next, in UTC.

    :param schedule: as :func:`checked_schedule` takes it
    :param timezone: the IANA name of the zone that it is written in
    """
    from croniter import croniter

    local = after.astimezone(zoneinfo.ZoneInfo(timezone))
    found: datetime = croniter(_QUARTERLY.get(schedule, schedule), local).get_next(datetime)
    return found.astimezone(UTC)


def _error(message: str, remedy: str) -> PydanticCustomError:
    return PydanticCustomError(BAD_CALENDAR, "{message}", {"message": message, "remedy": remedy})
