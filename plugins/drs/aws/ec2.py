"""What calls of EC2 have in common. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from drs.aws.calls import chunks

if TYPE_CHECKING:
    from mypy_boto3_ec2.type_defs import FilterTypeDef

FILTER_VALUES = 200
"""Values in one filter: EC2's limit."""


def filters_by_id(name: str, ids: Iterable[str]) -> Iterator[list[FilterTypeDef]]:
    """The filters of each call that is needed to describe the resources with these ids.

    A call that names ids without a filter is refused as a whole when one of them does not exist. A filter
    passes over such an id.

    :param name: the filter's name in EC2, such as ``subnet-id``
    """
    for chunk in chunks(sorted(ids), FILTER_VALUES):
        yield [{"Name": name, "Values": chunk}]
