"""Checks the ARNs of a plan against the Region of its drill, by what botocore knows of AWS's Regions."""

from __future__ import annotations

from collections.abc import Iterator

from drs.errors import Code
from drs.plan import regions
from drs.plan.arns import Arn, arns
from drs.plan.near import shown
from drs.plan.problems import PlanContradiction


def misplaced(plan: object, home: str) -> Iterator[PlanContradiction]:
    """Every ARN that cannot be used from the Region of the drill.

    :param plan: the plan, or the mapping from which one is to be made
    :param home: the Region of the drill
    """
    partition = regions.partition_of(home)
    if partition is None:
        return  # the Region itself is reported
    for path, arn in arns(plan):
        if problem := _problem(arn, home, partition):
            yield PlanContradiction(path, Code.INVALID_FIELD, *problem)


def _problem(arn: Arn, home: str, partition: str) -> tuple[str, str] | None:
    if arn.region and not regions.is_known(arn.region) and not regions.may_be_new(arn.region):
        near = regions.nearest_regions(arn.region)
        meant = [f'"{shown(arn.moved(region=region, partition=partition))}"' for region in near]
        remedy = f"Did you mean {' or '.join(meant)}?" if meant else "Write the Region of the resource."
        return f"There is no Region {shown(arn.region)} in AWS.", remedy
    if arn.partition == partition:
        own = regions.partition_of(arn.region) if arn.region else partition
        if own == partition:
            return None
    moved = arn.moved(partition=partition)
    if arn.region and regions.partition_of(arn.region) != partition:
        moved = moved.moved(region=home)
    message = f"The ARN is of {shown(_where(arn))}, and the drill's Region {home} is in {partition}."
    return message, f'Write "{shown(moved)}", or the ARN of a resource in the partition {partition}.'


def _where(arn: Arn) -> str:
    """The partition of an ARN, or its Region if the two do not belong together."""
    own = regions.partition_of(arn.region) if arn.region else None
    return (
        f"the partition {arn.partition}"
        if own in (None, arn.partition)
        else (f"the partition {arn.partition}, and its Region {arn.region} of {own}")
    )
