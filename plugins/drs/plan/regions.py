"""The Regions of AWS, by the data of the installed botocore: which exist, and in which DRS has an endpoint.

The data is read from botocore's files, without importing botocore: a plan is checked without AWS.
"""

from __future__ import annotations

import importlib.util
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from drs.plan.near import Names, folded

_DIRECTIONS = frozenset(
    ("north", "south", "east", "west", "central", "northeast", "northwest", "southeast", "southwest")
)
_REGION = re.compile(r"^((?:[a-z]+-)+)([a-z]+)-(\d{1,2})$")


@dataclass(frozen=True, slots=True)
class Partition:
    """A group of AWS's Regions whose accounts and ARNs are of no other group, such as ``aws-cn``.

    :param regions: the Regions that botocore knows, each with its name for people
    """

    name: str
    pattern: str
    regions: Mapping[str, str]


def partition_of(region: str) -> str | None:
    """The partition of a Region, also of one that botocore does not know; ``None`` if no partition fits."""
    for partition in _partitions():
        if region in partition.regions or re.fullmatch(partition.pattern, region):
            return partition.name
    return None


def is_known(region: str) -> bool:
    """Whether botocore knows the Region. Without botocore's data, every Region counts as known."""
    return not _partitions() or region in _known()


def may_be_new(region: str) -> bool:
    """Whether AWS may have opened a Region of this name after botocore was released.

    AWS counts the Regions of an area and a direction: after ``eu-west-3`` comes ``eu-west-4``.
    """
    parts = _REGION.match(region)
    if parts is None or parts[2] not in _DIRECTIONS or partition_of(region) is None:
        return False
    prefix = f"{parts[1]}{parts[2]}-"
    return int(parts[3]) == 1 + max(
        (int(known.removeprefix(prefix)) for known in _known() if known.startswith(prefix)), default=0
    )


def nearest_regions(written: str) -> tuple[str, ...]:
    """The Regions that a misspelt one most likely means; none if no Region is near.

    Several are possible if only the number is wrong: ``eu-west-9`` may mean each of ``eu-west-1`` to ``-3``.
    """
    lower = written.strip().lower().replace("_", "-")
    if zone := re.fullmatch(r"([a-z-]+\d)[a-z]", lower):  # an Availability Zone
        lower = zone[1]
    if lower in _known():
        return (lower,)
    if called := folded(lower):
        for region, description in _known().items():
            # "US East (N. Virginia)" is called Virginia, and "Europe (Frankfurt)" Frankfurt.
            if called in (folded(description), folded(re.sub(r"^.*\((?:N\. )?|\)$", "", description))):
                return (region,)
    same = tuple(known for known in _known() if known.rpartition("-")[0] == lower.rpartition("-")[0])
    near = None if same else Names(_known()).nearest(lower)
    return same or ((near,) if near else ())


def has_drs(region: str) -> bool | None:
    """Whether DRS has an endpoint in the Region, as far as the installed botocore knows. Reads 1 MB.

    :return: ``None`` if botocore's data cannot be read
    """
    found = _drs_regions()
    return region in found if found else None


@cache
def _known() -> Mapping[str, str]:
    return {region: text for each in _partitions() for region, text in each.regions.items()}


@cache
def _partitions() -> tuple[Partition, ...]:
    return tuple(
        Partition(
            each["id"],
            each["regionRegex"],
            {
                region: described["description"]
                for region, described in each["regions"].items()
                if not region.endswith("-global")
            },
        )
        for each in _data("partitions.json")
    )


@cache
def _drs_regions() -> frozenset[str]:
    return frozenset(
        region
        for each in _data("endpoints.json")
        for region in each["services"].get("drs", {}).get("endpoints", {})
        if not region.startswith("fips-")
    )


def _data(name: str) -> list[dict[str, Any]]:
    """The partitions of one of botocore's files; none if it cannot be read."""
    found = importlib.util.find_spec("botocore")
    if found is None or found.origin is None:
        return []
    try:
        text = (Path(found.origin).parent / "data" / name).read_text(encoding="utf-8")
    except OSError:
        return []
    partitions: list[dict[str, Any]] = json.loads(text)["partitions"]
    return partitions
