"""A plan's schedule in words, as cron means it."""

from __future__ import annotations

from typing import Any

from drs.plan.plan_schedule import both_days, cron_of

MOST_IN_A_LIST = 12
"""Values in the list of a field of months or days of the week: older cron-descriptors take twice as long for
each further one.
"""


def in_words(schedule: str) -> str:
    """For example ``At 06:00, on day 1 of the month``; the expression itself if there are no words for it.

    :param schedule: a schedule that :func:`drs.plan.plan_schedule.checked_schedule` accepts
    """
    cron = cron_of(schedule)
    if not both_days(cron):
        return _described(cron) or f'By cron "{cron}"'
    minute, hour, _, month, _ = cron.split()
    at = _described(f"{minute} {hour} * {month} *")
    days = day_parts(cron)
    return f"{at}, {days[0]}, and also {days[1]}" if at and days else f'By cron "{cron}"'


def day_parts(schedule: str) -> tuple[str, str] | None:
    """The two restrictions of days in words: ``on day 1 of the month`` and ``every Monday``."""
    from cron_descriptor import DescriptionTypeEnum

    fields = cron_of(schedule).split()
    of_month = _described(f"0 0 {fields[2]} * *", DescriptionTypeEnum.DAYOFMONTH)
    of_week = _described(f"0 0 * * {fields[4]}", DescriptionTypeEnum.DAYOFWEEK)
    if not of_month or not of_week:
        return None
    every = of_week.removeprefix("only on ").removeprefix("on ")
    if " through " in every and not every.startswith("every"):
        every = f"day from {every}"
    every = every if every.startswith(("every", "the ")) else f"every {every}"
    return of_month, every.replace(" and ", " and every ") if "every " in every else every


def _described(cron: str, part: Any = None) -> str:
    """The words for a cron expression, or for one of its parts; empty if there are none."""
    if any(field.count(",") >= MOST_IN_A_LIST for field in cron.split()[3:]):
        return ""
    # The import takes time, and only people read words.
    from cron_descriptor import DescriptionTypeEnum, ExpressionDescriptor, Options

    options = Options(locale_code="en_US", use_24hour_time_format=True)
    try:
        words: str = ExpressionDescriptor(cron, options).get_description(part or DescriptionTypeEnum.FULL)
    except Exception:  # the library knows fewer forms than croniter, and fails at them in several ways
        return ""
    return words.removeprefix(", ")
