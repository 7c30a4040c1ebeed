"""Filters for calls of EC2 that describe resources by their ids."""

from __future__ import annotations

from drs.aws.ec2 import FILTER_VALUES, filters_by_id


def test_many_ids_are_spread_over_several_calls() -> None:
    """A filter has at most 200 values. Every id is in one of the filters, and the ids are sorted."""
    ids = [f"subnet-{number:03d}" for number in range(2 * FILTER_VALUES + 1)]
    calls = list(filters_by_id("subnet-id", set(ids)))
    assert [len(each["Values"]) for (each,) in calls] == [200, 200, 1]
    assert [value for (each,) in calls for value in each["Values"]] == ids
    assert {each["Name"] for (each,) in calls} == {"subnet-id"}


def test_without_ids_there_is_no_call() -> None:
    """A filter without values would select every resource of the account."""
    assert list(filters_by_id("group-id", ())) == []
