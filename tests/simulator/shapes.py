"""Holds a response against botocore's model of it: types, enumerations, required and unknown members."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import botocore.session

MODEL = botocore.session.get_session().get_service_model("drs")

# DRS writes job log events that its own model does not list (LAUNCH_END among them).
OPEN_STRINGS = {"JobLogEvent"}
_TYPES: dict[str, Any] = {
    "string": str,
    "boolean": bool,
    "integer": int,
    "long": int,
    "structure": dict,
    "list": list,
    "map": dict,
}


def deviations(operation: str, response: dict[str, Any]) -> list[str]:
    """Where a parsed response of boto3 departs from the operation's output shape."""
    shape = MODEL.operation_model(operation).output_shape
    content = {name: value for name, value in response.items() if name != "ResponseMetadata"}
    return list(_deviations(shape, content, operation)) if shape else [f"unexpected: {n}" for n in content]


def unmodelled(operation: str, raw: dict[str, Any]) -> list[str]:
    """Members of a raw JSON body that the output shape does not have; boto3's parser would drop them."""
    return list(_unmodelled(MODEL.operation_model(operation).output_shape, raw, operation))


def _deviations(shape: Any, value: Any, path: str) -> Iterator[str]:
    if not isinstance(value, _TYPES[shape.type_name]):
        yield f"{path}: {value!r} is not a {shape.type_name}"
    elif shape.type_name == "structure":
        yield from (f"{path}.{name} is missing" for name in shape.required_members if name not in value)
        for name, item in value.items():
            if name in shape.members:
                yield from _deviations(shape.members[name], item, f"{path}.{name}")
            else:
                yield f"{path}.{name} is unknown"
    elif shape.type_name == "list":
        for place, item in enumerate(value):
            yield from _deviations(shape.member, item, f"{path}[{place}]")
    elif shape.type_name == "map":
        for key, item in value.items():
            yield from _deviations(shape.value, item, f"{path}[{key}]")
    elif getattr(shape, "enum", None) and shape.name not in OPEN_STRINGS and value not in shape.enum:
        yield f"{path}: {value!r} is not one of {shape.enum}"


def _unmodelled(shape: Any, value: Any, path: str) -> Iterator[str]:
    if shape is None or shape.type_name == "map":
        return
    if isinstance(value, dict):
        for name, item in value.items():
            if name in shape.members:
                yield from _unmodelled(shape.members[name], item, f"{path}.{name}")
            else:
                yield f"{path}.{name}"
    elif isinstance(value, list):
        for item in value:
            yield from _unmodelled(shape.member, item, path)
