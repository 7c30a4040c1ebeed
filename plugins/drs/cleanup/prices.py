"""What a running instance costs, by EC2's price for an hour from a table with a date.

The table (``prices.json``) has on-demand prices for Linux in us-east-1. It does not cover disks, licences,
other Regions or discounts. A type that is not in the table has no price: we never guess one.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from drs.run.records import InstanceRecord
from drs.text.tables import table
from drs.text.times import age

STOPPED = frozenset({"stopping", "stopped"})


@dataclass(frozen=True)
class Prices:
    """The table of prices.

    :param as_of: the day of the prices, ``YYYY-MM-DD``
    :param source: where the prices come from
    :param region: the Region of the prices
    :param per_hour: USD an hour, by instance type
    """

    as_of: str
    source: str
    region: str
    per_hour: dict[str, float]


@cache
def prices() -> Prices:
    """The table that comes with the package."""
    content = json.loads(Path(__file__).with_name("prices.json").read_text())
    return Prices(content["as_of"], content["source"], content["region"], content["per_hour"])


def per_hour(instance_type: str | None) -> float | None:
    """USD an hour; ``None`` if the type is not known or not in the table."""
    return prices().per_hour.get(instance_type or "")


def cost_so_far(instance: InstanceRecord, now: dt.datetime) -> float | None:
    """USD since the instance was launched; ``None`` if that is not known.

    The cost of a stopped instance is not known, because EC2 does not report since when it is stopped.
    """
    price = per_hour(instance.instance_type)
    if price is None or instance.launched_at is None or instance.state in STOPPED:
        return None
    return price * max((now - instance.launched_at).total_seconds(), 0) / 3600


COST_HEADER = ("type", "age", "cost so far", "cost per day")


def cost_cells(instance: InstanceRecord, now: dt.datetime) -> tuple[str, str, str, str]:
    """An instance's cells under :data:`COST_HEADER`."""
    price, so_far = per_hour(instance.instance_type), cost_so_far(instance, now)
    if instance.state in STOPPED:
        running: tuple[str, str] = ("stopped", "stopped")
    else:
        running = (
            "not known" if so_far is None else f"{so_far:.2f} USD",
            "not known" if price is None else f"{price * 24:.2f} USD",
        )
    return (instance.instance_type or "not known", age(instance.launched_at, now), *running)


LISTING_HEADER = ("recovery instance", "EC2 instance", "server", *COST_HEADER, "job")


def listing_rows(instances: Iterable[InstanceRecord], now: dt.datetime) -> list[tuple[str, ...]]:
    """One row for each instance, below :data:`LISTING_HEADER`."""
    return [
        (
            item.recovery_instance_id,
            item.ec2_instance_id,
            item.server_id,
            *cost_cells(item, now),
            item.job_id,
        )
        for item in instances
    ]


def cost_listing(instances: Sequence[InstanceRecord], now: dt.datetime) -> str:
    """A table of the instances with the cost of each, their total, and what the figures are based on."""
    listed = table(LISTING_HEADER, listing_rows(instances, now))
    return f"{listed}\n{total(instances, now)}\n{basis(instances)}"


def total(instances: Iterable[InstanceRecord], now: dt.datetime) -> str:
    """What the instances have cost together so far, and what they cost an hour and a day."""
    listed = list(instances)
    running = [item for item in listed if item.state not in STOPPED]
    hourly = [price for item in running if (price := per_hour(item.instance_type)) is not None]
    so_far = [cost for item in running if (cost := cost_so_far(item, now)) is not None]
    daily = sum(hourly) * 24
    text = f"Total: {sum(so_far):.2f} USD so far, {sum(hourly):.2f} USD an hour, {daily:.2f} USD a day"
    unknown = len(running) - len(hourly)
    return f"{text}, without {unknown} instance(s) whose price is not known." if unknown else f"{text}."


def basis(instances: Iterable[InstanceRecord]) -> str:
    """What the figures are based on, and the instance types without a known price."""
    table_of = prices()
    unknown = sorted(
        {item.instance_type for item in instances if item.instance_type} - set(table_of.per_hour)
    )
    missing = f" No price is known for {', '.join(unknown)}." if unknown else ""
    return (
        f"Prices: on-demand, Linux, {table_of.region}, as of {table_of.as_of}; EBS volumes and licences are "
        f"not included.{missing}"
    )
