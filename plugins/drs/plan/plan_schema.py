"""The JSON Schema of a plan, generated from the models. Editors and the loader's messages use it."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from functools import cache
from typing import Any

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from drs.plan import durations
from drs.plan.model import Plan


@cache
def plan_schema() -> JsonSchemaValue:
    """The schema of a plan file (draft 2020-12). All callers share it: do not change it."""
    generated = Plan.model_json_schema(schema_generator=_PlanSchema)
    return {"$schema": _PlanSchema.schema_dialect, **generated, "title": "Recovery plan"}


def schema_text() -> str:
    """The text of the schema's file."""
    return json.dumps(plan_schema(), indent=2, ensure_ascii=False) + "\n"


def schema_at(loc: tuple[str | int, ...]) -> JsonSchemaValue:
    """The schema of the place in a plan that pydantic names; empty if a plan has no such place."""
    return _walk(loc)[1]


def path_at(loc: tuple[str | int, ...]) -> tuple[str | int, ...]:
    """The place in the file that pydantic names.

    pydantic adds parts that the file does not have: the model that it chose among several, and in a value of
    any type, the type that it found.
    """
    return _walk(loc)[0]


def owner_of(key: str) -> str | None:
    """The section of a plan that has this key; ``None`` if no section has it, or several."""
    schema = plan_schema()
    owners = [
        place
        for place in schema["properties"]
        for loc in ((place,), (place, 0), (place, ""))
        if key in _walk(loc)[1].get("properties", {})
    ]
    return (
        {"protection_groups": "a protection group", "waves": "a wave"}.get(owners[0], owners[0])
        if len(owners) == 1
        else None
    )


def property_for(loc: tuple[str | int, ...], text: str) -> str | None:
    """The only key of a mapping whose value may be this text; ``None`` if there is none, or several.

    Free text is no value that shows what is meant.
    """
    fitting = []
    for key in schema_at(loc).get("properties", {}):
        schema = schema_at((*loc, key))
        pattern = schema.get("pattern")
        if text in schema.get("enum", ()) or (pattern and re.search(pattern, text)):
            fitting.append(key)
    return fitting[0] if len(fitting) == 1 else None


def _walk(loc: tuple[str | int, ...]) -> tuple[tuple[str | int, ...], JsonSchemaValue]:
    node = _resolved(plan_schema())
    path: list[str | int] = []
    taken_for = False
    for part in loc:
        kinds = _schema_or_empty(node.get("discriminator")).get("mapping", {})
        if part in kinds:
            node = _resolved({"$ref": kinds[part]})
        elif _is_anything(node) and part in ("list", "dict") and not taken_for:
            taken_for = True
        else:
            taken_for = False
            path.append(part)
            node = _resolved(_child(node, part))
    return tuple(path), node


class _PlanSchema(GenerateJsonSchema):
    """A schema for editors: durations are texts such as 30s, and null, which no plan may have, is absent."""

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        if schema.get("default", ...) is None:
            return self.generate_inner(schema["schema"])
        return super().default_schema(schema)

    def encode_default(self, dft: Any) -> Any:
        if isinstance(dft, timedelta):
            return durations.render(dft)
        if isinstance(dft, tuple):
            return [self.encode_default(item) for item in dft]
        return super().encode_default(dft)

    def field_title_should_be_set(self, schema: object) -> bool:  # noqa: ARG002
        return False


def _child(node: JsonSchemaValue, part: str | int) -> JsonSchemaValue:
    if isinstance(part, int):
        return _schema_or_empty(node.get("items"))
    if part in node.get("properties", {}):
        return _schema_or_empty(node["properties"][part])
    for child in node.get("patternProperties", {}).values():
        return _schema_or_empty(child)  # also for a name that does not match the pattern
    return _schema_or_empty(node.get("additionalProperties"))


def _is_anything(node: JsonSchemaValue) -> bool:
    return not node.keys() - {"description", "examples"}


def _schema_or_empty(value: object) -> JsonSchemaValue:
    return value if isinstance(value, dict) else {}


def _resolved(node: JsonSchemaValue) -> JsonSchemaValue:
    """The node merged with the definition that it refers to; the node's own description and default win."""
    reference = node.get("$ref")
    if reference is None:
        return node
    target = plan_schema()["$defs"][reference.rpartition("/")[2]]
    return {**target, **{word: value for word, value in node.items() if word != "$ref"}}
