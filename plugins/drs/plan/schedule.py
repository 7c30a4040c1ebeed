"""The schedule of a plan: checks of its cron expression and time zone, and the next time that it names."""

from __future__ import annotations

import difflib
import zoneinfo
from datetime import UTC, datetime

from pydantic_core import PydanticCustomError

BAD_CALENDAR = "bad_calendar"
"""The error type of this module; its context holds the ``remedy``."""

# Airflow's presets for a schedule, without @once and @continuous, which name no recurring time.
PRESETS = ("@hourly", "@daily", "@weekly", "@monthly", "@quarterly", "@yearly")
_QUARTERLY = {"@quarterly": "0 0 1 */3 *"}
"""Presets that Airflow knows and croniter does not."""
_CRON_FIELDS = 5
# Any moment would do, but it is fixed: the result must not depend on when the file is read.
_SOME_MOMENT = datetime(2024, 1, 1, tzinfo=UTC)


def checked_schedule(schedule: str) -> str:
    """Return the schedule if Airflow can use it.

    :raises PydanticCustomError: it is not a cron expression of five fields, or names a date that never comes
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
        # croniter reads R as a random number: the schedule would change each time the file is read.
        raise _error(f'"{schedule}" asks for a random time', "Name the minute and the hour.")
    # The import is slow, and plans without a schedule do not need it.
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
    """Return the name if it is a time zone of the IANA database.

    :raises PydanticCustomError: it is not
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
    """The next time at which a plan with this schedule runs by itself, in UTC.

    :param schedule: a schedule that :func:`checked_schedule` accepts
    :param timezone: the IANA name of the time zone in which it is written
    """
    from croniter import croniter

    local = after.astimezone(zoneinfo.ZoneInfo(timezone))
    found: datetime = croniter(_QUARTERLY.get(schedule, schedule), local).get_next(datetime)
    return found.astimezone(UTC)


def _error(message: str, remedy: str) -> PydanticCustomError:
    return PydanticCustomError(BAD_CALENDAR, "{message}", {"message": message, "remedy": remedy})
