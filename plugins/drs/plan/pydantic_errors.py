"""pydantic's errors in the words of a plan's author: a code, what is wrong, and what to write instead."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import Any

import yaml
from pydantic_core import ErrorDetails

from drs.errors import Code
from drs.plan import durations
from drs.plan.consistency import PlanContradiction
from drs.plan.schema import path_at, schema_at
from drs.plan.source import Document, KeyPath, meaning

_KINDS = {
    "string_type": "text",
    "tuple_type": "a list",
    "mapping_type": "a mapping of keys to values",
    "model_type": "a mapping of keys to values",
    "model_attributes_type": "a mapping of keys to values",
    "dict_type": "a mapping of keys to values",
    "bool_type": "true or false",
    "int_type": "a whole number",
    "invalid-json-value": "text",
}
_CHOICE_OF_MODEL = ("union_tag_not_found", "union_tag_invalid")


def place(error: ErrorDetails) -> KeyPath:
    """Where in the file one error of pydantic is."""
    path = path_at(error["loc"])
    return (*path, _chooser(error["loc"])) if error["type"] in _CHOICE_OF_MODEL else path


def explain(error: ErrorDetails, document: Document) -> PlanContradiction:
    """One error of pydantic as a finding about the file."""
    loc = error["loc"]
    if loc and loc[-1] == "[key]":
        return _bad_key(loc[:-1])
    kind, value, path = error["type"], error["input"], place(error)
    context: Mapping[str, Any] = error.get("ctx", {})
    if loc == ("waves",) and kind in ("missing", "too_short"):
        remedy = f"Add at least one wave, for example: {_example(loc)}"
        return PlanContradiction(path, Code.PLAN_HAS_NO_WAVES, "The plan has no waves.", remedy)
    if kind == "missing":
        message = f"The key {path[-1]} is missing."
        return PlanContradiction(path, Code.MISSING_FIELD, message, f"Add it: {_example(loc)}")
    if kind == "union_tag_not_found":
        remedy = f"Add it: {path[-1]}: {' or '.join(_kinds(loc))}."
        return PlanContradiction(path, Code.MISSING_FIELD, f"The key {path[-1]} is missing.", remedy)
    if kind == "group_without_servers":
        message = "The protection group says neither source_servers nor server_tags."
        remedy = f"Add one of them: {_example((*loc, 'source_servers'))}"
        return PlanContradiction(path, Code.MISSING_FIELD, message, remedy)
    message, remedy = _invalid(kind, loc, value, context, document.written(path))
    return PlanContradiction(
        path, Code.INVALID_FIELD, message, remedy or f"Write it like this: {_example(loc)}"
    )


def _invalid(
    kind: str, loc: KeyPath, value: object, context: Mapping[str, Any], written: str | None
) -> tuple[str, str]:
    """What is wrong with a value, and the remedy; an empty remedy leaves it to the key's example."""
    if kind == "extra_forbidden":
        return _unknown_key(loc)
    if "remedy" in context:  # a validator of ours
        return f"{context['message']}.", context["remedy"]
    if kind == "group_named_twice":
        return "The protection group says both source_servers and server_tags.", "Keep one of the two."
    if kind == durations.NUMBER_WITHOUT_UNIT or (kind == "duration_syntax" and isinstance(value, str)):
        return _no_duration(value, written or str(value))
    if kind == "duration_zero":
        return f"{written} is no time at all; this must be longer.", ""
    if kind == "literal_error":
        schema = schema_at(loc)
        return _not_a_choice(str(value), schema.get("enum") or [schema["const"]])
    if kind == "union_tag_invalid":
        return _not_a_choice(written or str(context["tag"]), _kinds(loc))
    if kind in ("less_than_equal", "greater_than_equal"):
        schema = schema_at(loc)
        return f"{written} is not from {schema['minimum']} to {schema['maximum']}.", ""
    if kind == "string_pattern_mismatch":
        return f'"{str(value)[:80]}" is not allowed here. Wanted: {schema_at(loc)["description"]}', ""
    if kind == "string_too_long":
        length, allowed = len(str(value)), context["max_length"]
        return f"The text has {length} characters; {allowed} are allowed.", "Shorten it."
    if kind in ("string_too_short", "too_short"):
        return _empty(loc)
    wanted = _KINDS.get(kind, "a duration" if kind == "duration_syntax" else None)
    if wanted is None:
        return f"The value is not allowed: {context.get('error', kind)}.", ""
    if written is not None and not isinstance(value, str):
        message = f"YAML reads {written} as {meaning(value)}; this must be {wanted}."
        quoted = _with_key(loc, f'"{written}"')
        return message, f"Put it in quotes: {quoted}" if wanted == "text" else ""
    found = "a list" if isinstance(value, list) else "a mapping" if isinstance(value, dict) else "text"
    return f"This must be {wanted}, and is {found}.", ""


def _unknown_key(loc: KeyPath) -> tuple[str, str]:
    key = str(loc[-1])
    known = list(schema_at(loc[:-1]).get("properties", {}))
    near = difflib.get_close_matches(key, known, n=1)
    remedy = f"Did you mean {near[0]}?" if near else f"The keys known here are: {', '.join(known)}."
    return f"There is no key {key} here.", remedy


def _not_a_choice(value: str, allowed: Sequence[str]) -> tuple[str, str]:
    remedy = f"Write {' or '.join(allowed)}."
    near = difflib.get_close_matches(value, allowed, n=1)
    return f"{value} is not a choice here.", f"Did you mean {near[0]}? {remedy}" if near else remedy


def _chooser(loc: KeyPath) -> str:
    """The key whose value chooses among the models that may stand at this place."""
    return str(schema_at(loc)["discriminator"]["propertyName"])


def _kinds(loc: KeyPath) -> Sequence[str]:
    return list(schema_at(loc)["discriminator"]["mapping"])


def _no_duration(value: object, written: str) -> tuple[str, str]:
    if written.startswith("-"):
        return f"{written} is negative; a duration is not.", ""
    if isinstance(value, str):
        return f'"{value}" is not a duration.', "Write 30s, 5m, 1h30m, or ISO 8601 such as PT30S."
    if ":" in written:
        first, _, second = written.partition(":")
        remedy = f"Write {first}h{second}m or {first}m{second}s." if second.isdigit() else ""
        return f"YAML reads {written} as {meaning(value)} (base 60); a duration needs units.", remedy
    return (
        f"{written} has no unit.",
        f"Write {written}s for seconds, or m, h, d." if written.isdigit() else "",
    )


def _empty(loc: KeyPath) -> tuple[str, str]:
    if _named(loc) == ("waves", "protection_groups"):
        return "The wave has no servers: it names no protection group.", "Name one, or remove the wave."
    if loc[-1] in ("source_servers", "server_tags"):
        return f"The protection group has no servers: {loc[-1]} is empty.", ""
    return "The value is empty.", ""


def _bad_key(loc: KeyPath) -> PlanContradiction:
    schema, path = schema_at(loc[:-1])["propertyNames"], path_at(loc)
    message = f'"{path[-1]}" is not allowed as a key here.'
    return PlanContradiction(path, Code.INVALID_FIELD, message, f"Wanted: {schema['description']}")


def _named(loc: KeyPath) -> tuple[str, ...]:
    return tuple(part for part in loc if isinstance(part, str))


def _example(loc: KeyPath) -> str:
    """What could stand at this place, as YAML: with its key, or alone in a list."""
    schema = schema_at(loc)
    value = schema.get("default") or schema["examples"][0]
    text = yaml.safe_dump([value], default_flow_style=True, sort_keys=False, width=1000).strip()
    return _with_key(loc, text[1:-1].replace("'", '"'))


def _with_key(loc: KeyPath, text: str) -> str:
    return f"{loc[-1]}: {text}" if isinstance(loc[-1], str) else text
