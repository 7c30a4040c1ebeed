"""Checks a request against DRS's API model: required members, limits, patterns, enumerations.

The real DRS makes these checks itself; neither botocore nor moto makes them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from botocore.model import Shape

from simulator.engine.errors import ValidationError


def check(shape: Shape | None, value: Any) -> None:
    """Check a request. :raises ValidationError: it names every member that does not fit the model."""
    problems = list(_problems(shape, value, "")) if shape is not None else []
    if problems:
        raise ValidationError(
            f"{len(problems)} validation error{'s' * (len(problems) > 1)} detected: {'; '.join(problems)}"
        )


def _problems(shape: Any, value: Any, path: str) -> Iterator[str]:
    match shape.type_name:
        case "structure":
            for name in shape.required_members:
                if value.get(name) is None:
                    yield f"Value at '{_join(path, name)}' must not be null"
            for name, member in shape.members.items():
                if value.get(name) is not None:
                    yield from _problems(member, value[name], _join(path, name))
        case "list":
            yield from _range(shape, len(value), path, "have length")
            for place, item in enumerate(value):
                yield from _problems(shape.member, item, f"{path}.{place + 1}.member")
        case "map":
            for key, item in value.items():
                yield from _problems(shape.key, key, f"{path}.key")
                yield from _problems(shape.value, item, f"{path}.{key}")
        case "integer" | "long":
            yield from _range(shape, value, path, "have value")
        case "string":
            yield from _range(shape, len(value), path, "have length")
            pattern = shape.metadata.get("pattern")
            if pattern and not re.fullmatch(pattern, value):
                yield f"Value '{value}' at '{path}' must satisfy regular expression pattern: {pattern}"
            if shape.enum and value not in shape.enum:
                yield f"Value '{value}' at '{path}' must satisfy enum value set: {list(shape.enum)}"


def _range(shape: Any, size: int, path: str, what: str) -> Iterator[str]:
    if "min" in shape.metadata and size < shape.metadata["min"]:
        yield f"Value at '{path}' must {what} greater than or equal to {shape.metadata['min']}"
    if "max" in shape.metadata and size > shape.metadata["max"]:
        yield f"Value at '{path}' must {what} less than or equal to {shape.metadata['max']}"


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
