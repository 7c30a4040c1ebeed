"""The ARNs in a plan, wherever they are."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from pydantic import BaseModel

_ARN = re.compile(r"arn:(aws[a-z-]*):([a-z0-9-]+):([a-z0-9-]*):([0-9]{12}|aws|):(\S{1,1024})")


@dataclass(frozen=True, slots=True)
class Arn:
    """The parts of an ARN. Region and account are empty for what has none, such as a role or a bucket."""

    partition: str
    service: str
    region: str
    account: str
    resource: str

    def __str__(self) -> str:
        return ":".join(("arn", *dataclasses.astuple(self)))

    def moved(self, **changes: str) -> Arn:
        """The same resource's ARN with another partition, Region or account."""
        return dataclasses.replace(self, **changes)


def read_arn(text: str) -> Arn | None:
    """The parts of a text that is an ARN; ``None`` if it is none."""
    found = _ARN.fullmatch(text)
    return Arn(*found.groups()) if found else None


def arns(part: object, path: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], Arn]]:
    """Every ARN in a plan, or in the mapping from which a plan is to be made, with its place."""
    if isinstance(part, BaseModel):
        part = dict(part)
    if isinstance(part, str):
        if part.startswith("arn:") and (arn := read_arn(part)):
            yield path, arn
    elif isinstance(part, Mapping):
        for key, value in part.items():
            if isinstance(key, str):
                yield from arns(value, (*path, key))
    elif isinstance(part, list | tuple):
        for index, value in enumerate(part):
            yield from arns(value, (*path, index))
