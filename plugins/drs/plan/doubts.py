"""What a valid plan holds that its author probably did not mean. It is told, and nothing is refused."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from drs.plan import regions, zones
from drs.plan.arns import Arn, arns
from drs.plan.model import Plan
from drs.plan.plan_schedule import both_days, cron_of
from drs.plan.problems import key_of
from drs.plan.schedule_words import day_parts

_ORDINALS = {"1-7": 1, "8-14": 2, "15-21": 3, "22-28": 4}
"""The days of a month that hold each day of the week exactly once."""


@dataclass(frozen=True, slots=True)
class Doubt:
    """One value that is allowed and doubtful.

    :param key: its place in the plan, such as ``target.region``
    """

    key: str
    message: str
    remedy: str


def doubts(plan: Plan) -> list[Doubt]:
    """Everything doubtful in a plan. Reads the data of the installed botocore: not for the DAG processor."""
    return [*_schedule(plan), *_timezone(plan), *_region(plan), *_arns(plan)]


def _schedule(plan: Plan) -> Iterator[Doubt]:
    if plan.schedule is None:
        return
    minute, hour, day, month, weekday = cron_of(plan.schedule).split()
    if both_days(plan.schedule):
        parts = day_parts(plan.schedule) or (f"on days of month {day}", f"on days of week {weekday}")
        remedy = "For one of the two, write * for the other."
        if day in _ORDINALS and re.fullmatch(r"\d|[a-zA-Z]{3}", weekday):
            meant = f"{minute} {hour} * {month} {weekday}#{_ORDINALS[day]}"
            remedy = f'For the days that fit both, write "{meant}". {remedy}'
        message = (
            "Day of month and day of week are both set, and cron runs on the days that fit either of them: "
            f"this drill runs {parts[1]}, and also {parts[0]}."
        )
        yield Doubt("schedule", message, remedy)
    for field, size, unit, whole in ((minute, 60, "minutes", "hour"), (hour, 24, "hours", "day")):
        step = re.fullmatch(r"(?:\*|0)/(\d+)", field)
        if step and size % int(step[1]):
            message = (
                f"{field} is not every {step[1]} {unit}: it begins again with each {whole}, so the last "
                f"pause before that is only {size % int(step[1])} {unit}."
            )
            yield Doubt("schedule", message, f"Choose a divisor of {size}, or name the {unit} one by one.")


def _timezone(plan: Plan) -> Iterator[Doubt]:
    if found := zones.doubt(plan.timezone):
        yield Doubt("timezone", f"{found[0]}.", found[1])


def _region(plan: Plan) -> Iterator[Doubt]:
    region = plan.target.region
    if not regions.is_known(region):
        yield Doubt("target.region", *_unknown(region))
    elif regions.has_drs(region) is False:
        message = f"botocore, as installed here, knows no DRS in {region}. It may be older than DRS there."
        yield Doubt("target.region", message, "Look at AWS's list of Regions of DRS; then update boto3.")


def _unknown(region: str) -> tuple[str, str]:
    near = regions.nearest_regions(region)
    meant = f"Did you mean {' or '.join(near)}? " if near else ""
    message = f"botocore, as installed here, knows no Region {region}. It may be older than the Region."
    return message, f"{meant}If the Region is new, update boto3."


def _arns(plan: Plan) -> Iterator[Doubt]:
    home = plan.target.region
    for path, arn in arns(plan):
        if arn.region and not regions.is_known(arn.region) and arn.region != home:
            yield Doubt(key_of(path), *_unknown(arn.region))
        elif arn.region and arn.region != home:
            yield Doubt(key_of(path), *_elsewhere(arn, home))


def _elsewhere(arn: Arn, home: str) -> tuple[str, str]:
    message = f"This is in {arn.region}, and the drill is in {home}."
    return message, f"If that is not meant: {arn.moved(region=home)}"
