"""What instances cost: the cost comes from the table or is not known."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from drs.cleanup.prices import basis, cost_cells, cost_listing, cost_so_far, per_hour, prices, total
from drs.run.records import InstanceRecord
from drs.text.times import age
from tests.unit.drill import DATABASE, NOW, after

DAY = dt.timedelta(days=1)


def instance(**fields: Any) -> InstanceRecord:
    return InstanceRecord.model_validate(
        {
            "recovery_instance_id": "i-1",
            "ec2_instance_id": "i-1",
            "server_id": DATABASE[0],
            "job_id": "drsjob-1",
            "instance_type": "m5.large",
            "launched_at": NOW,
            "state": "running",
            **fields,
        }
    )


def test_the_table_says_what_it_is_and_of_when() -> None:
    """It has a date, a Region and a source, and every price in it is plausible."""
    table = prices()
    assert dt.date.fromisoformat(table.as_of) < dt.date.today()  # noqa: DTZ011
    assert table.region == "us-east-1"
    assert "on-demand, Linux" in table.source
    assert len(table.per_hour) > 400
    assert all(0.004 <= price < 30 for price in table.per_hour.values())


@pytest.mark.parametrize("family", ["c6i", "m6i", "m7i", "r6i", "t3", "t3a", "c7g", "i4i"])
def test_a_larger_instance_of_a_family_costs_more(family: str) -> None:
    """The prices of a family rise in the order of the table, so no figure is in the wrong place."""
    costs = [price for name, price in prices().per_hour.items() if name.split(".")[0] == family]
    assert len(costs) >= 7
    assert costs == sorted(costs)


@pytest.mark.parametrize(
    ("instance_type", "price"),
    [("m5.large", 0.096), ("t3.micro", 0.0104), ("r6i.4xlarge", 1.008), ("x9.large", None), (None, None)],
)
def test_the_price_of_an_hour(instance_type: str | None, price: float | None) -> None:
    """A type that is not in the table has no price."""
    assert per_hour(instance_type) == price


def test_the_cost_so_far_is_price_and_age() -> None:
    """The cost is the hourly price times the age, to the second."""
    assert cost_so_far(instance(), NOW + DAY) == pytest.approx(0.096 * 24)
    assert cost_so_far(instance(), after(1800)) == pytest.approx(0.048)
    assert cost_so_far(instance(), NOW - DAY) == 0


@pytest.mark.parametrize(
    "fields",
    [{"instance_type": "x9.large"}, {"instance_type": None}, {"launched_at": None}, {"state": "stopped"}],
    ids=str,
)
def test_a_cost_that_is_not_known_is_not_guessed(fields: dict[str, Any]) -> None:
    """The type, the price or the launch time is missing; or the instance is stopped, and nobody knows
    since when.
    """
    assert cost_so_far(instance(**fields), NOW + DAY) is None
    assert " USD" not in cost_cells(instance(**fields), NOW + DAY)[2]


def test_a_listing_tells_type_age_and_cost() -> None:
    """The listing has the cost of each instance and of all together, what the figures are based on, and
    what is not in them.
    """
    listed = [instance(), instance(recovery_instance_id="i-2", instance_type="x9.large")]
    lines = cost_listing(listed, NOW + dt.timedelta(hours=26)).splitlines()
    assert lines[2].split()[:3] == ["i-1", "i-1", DATABASE[0]]
    assert "m5.large  1 d 2 h  2.50 USD     2.30 USD" in lines[2]
    assert "x9.large  1 d 2 h  not known    not known" in lines[3]
    assert lines[4] == (
        "Total: 2.50 USD so far, 0.10 USD an hour, 2.30 USD a day, "
        "without 1 instance(s) whose price is not known."
    )
    assert lines[5].endswith("EBS volumes and licences are not included. No price is known for x9.large.")


def test_a_stopped_instance_is_not_in_the_sum() -> None:
    """EC2 does not charge its hours, and its disks are not in the table."""
    assert total([instance(), instance(state="stopped")], NOW + DAY) == (
        "Total: 2.30 USD so far, 0.10 USD an hour, 2.30 USD a day."
    )
    assert "No price" not in basis([instance(state="stopped")])


@pytest.mark.parametrize(
    ("seconds", "told"), [(0, "0 min"), (59 * 60, "59 min"), (3700, "1 h 1 min"), (100_000, "1 d 3 h")]
)
def test_an_age_is_told_in_two_units(seconds: float, told: str) -> None:
    """The units are minutes, hours and days."""
    assert age(NOW, after(seconds)) == told
    assert age(None, NOW) == "-"
