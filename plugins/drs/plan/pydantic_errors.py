"""Explains pydantic's errors to the author of a plan: a code, what is wrong, and what to write instead."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml
from pydantic_core import ErrorDetails

from drs.errors import Code
from drs.plan import durations
from drs.plan.consistency import PlanContradiction
from drs.plan.schema import path_at, schema_at
from drs.plan.source import Document, KeyPath, meaning

_KINDS = {  # what the value should have been, by pydantic's error type
    "string_type": "text",
    "tuple_type": "a list",
    "mapping_type": "a mapping of keys to values",
    "model_type": "a mapping of keys to values",
    "model_attributes_type": "a mapping of keys to values",
    "dict_type": "a mapping of keys to values",
    "bool_type": "true or false",
    "int_type": "a whole number",
    "invalid-json-value": "text",
    "duration_syntax": "a duration",
}
_CHOICE_OF_MODEL = ("union_tag_not_found", "union_tag_invalid")


def place(error: ErrorDetails) -> KeyPath:
    """The place in the file of one error of pydantic."""
    path = path_at(error["loc"])
    return (*path, _chooser(error["loc"])) if error["type"] in _CHOICE_OF_MODEL else path


def explain(error: ErrorDetails, document: Document) -> PlanContradiction:
    """Turn one error of pydantic into a finding about the file."""
    loc, kind, path = error["loc"], error["type"], place(error)
    if loc and loc[-1] == "[key]":
        return _bad_key(loc[:-1])
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
        message = "The protection group has neither source_servers nor server_tags."
        remedy = f"Add one of them: {_example((*loc, 'source_servers'))}"
        return PlanContradiction(path, Code.MISSING_FIELD, message, remedy)
    message, remedy = _invalid(
        _Invalid(kind, loc, error["input"], error.get("ctx", {}), document.written(path))
    )
    return PlanContradiction(
        path, Code.INVALID_FIELD, message, remedy or f"Write it like this: {_example(loc)}"
    )


@dataclass(frozen=True, slots=True)
class _Invalid:
    """A value that is there and not allowed.

    :param kind: pydantic's error type
    :param written: the text of the value in the file, if it is a single value
    """

    kind: str
    loc: KeyPath
    value: object
    context: Mapping[str, Any]
    written: str | None


def _invalid(error: _Invalid) -> tuple[str, str]:
    """What is wrong with a value, and the remedy. If the remedy is empty, the caller gives an example."""
    if "remedy" in error.context:  # from a validator of this package
        return f"{error.context['message']}.", error.context["remedy"]
    if error.kind == "duration_syntax" and isinstance(error.value, str):
        return _no_duration(error)
    explanation = _EXPLANATIONS.get(error.kind, _wrong_type)
    return explanation(error)


def _zero_duration(error: _Invalid) -> tuple[str, str]:
    return f"{error.written} is no time at all; this must be longer.", ""


def _named_twice(_: _Invalid) -> tuple[str, str]:
    return "The protection group has both source_servers and server_tags.", "Keep one of the two."


def _unknown_choice(error: _Invalid) -> tuple[str, str]:
    schema = schema_at(error.loc)
    return _not_a_choice(str(error.value), schema.get("enum") or [schema["const"]])


def _unknown_kind(error: _Invalid) -> tuple[str, str]:
    return _not_a_choice(error.written or str(error.context["tag"]), _kinds(error.loc))


def _out_of_range(error: _Invalid) -> tuple[str, str]:
    schema = schema_at(error.loc)
    return f"{error.written} is not from {schema['minimum']} to {schema['maximum']}.", ""


def _wrong_pattern(error: _Invalid) -> tuple[str, str]:
    wanted = schema_at(error.loc)["description"]
    return f'"{str(error.value)[:80]}" is not allowed here. Wanted: {wanted}', ""


def _too_long(error: _Invalid) -> tuple[str, str]:
    length, allowed = len(str(error.value)), error.context["max_length"]
    return f"The text has {length} characters; {allowed} are allowed.", "Shorten it."


def _wrong_type(error: _Invalid) -> tuple[str, str]:
    wanted = _KINDS.get(error.kind)
    if wanted is None:
        return f"The value is not allowed: {error.context.get('error', error.kind)}.", ""
    value, written = error.value, error.written
    if written is not None and not isinstance(value, str):
        message = f"YAML reads {written} as {meaning(value)}; this must be {wanted}."
        quoted = _with_key(error.loc, f'"{written}"')
        return message, f"Put it in quotes: {quoted}" if wanted == "text" else ""
    found = "a list" if isinstance(value, list) else "a mapping" if isinstance(value, dict) else "text"
    return f"This must be {wanted}, but it is {found}.", ""


def _unknown_key(error: _Invalid) -> tuple[str, str]:
    key = str(error.loc[-1])
    known = list(schema_at(error.loc[:-1]).get("properties", {}))
    near = difflib.get_close_matches(key, known, n=1)
    remedy = f"Did you mean {near[0]}?" if near else f"The keys known here are: {', '.join(known)}."
    return f"There is no key {key} here.", remedy


def _not_a_choice(value: str, allowed: Sequence[str]) -> tuple[str, str]:
    remedy = f"Write {' or '.join(allowed)}."
    near = difflib.get_close_matches(value, allowed, n=1)
    return f"{value} is not a choice here.", f"Did you mean {near[0]}? {remedy}" if near else remedy


def _chooser(loc: KeyPath) -> str:
    """The key whose value chooses among the models that are possible at this place."""
    return str(schema_at(loc)["discriminator"]["propertyName"])


def _kinds(loc: KeyPath) -> Sequence[str]:
    return list(schema_at(loc)["discriminator"]["mapping"])


def _no_duration(error: _Invalid) -> tuple[str, str]:
    value, written = error.value, error.written or str(error.value)
    if written.startswith("-"):
        return f"{written} is negative; a duration cannot be.", ""
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


def _empty(error: _Invalid) -> tuple[str, str]:
    loc = error.loc
    if _named(loc) == ("waves", "protection_groups"):
        return "The wave has no servers: it names no protection group.", "Name one, or remove the wave."
    if loc[-1] in ("source_servers", "server_tags"):
        return f"The protection group has no servers: {loc[-1]} is empty.", ""
    return "The value is empty.", ""


_EXPLANATIONS: Mapping[str, Callable[[_Invalid], tuple[str, str]]] = {
    "extra_forbidden": _unknown_key,
    "group_named_twice": _named_twice,
    durations.NUMBER_WITHOUT_UNIT: _no_duration,
    "duration_zero": _zero_duration,
    "literal_error": _unknown_choice,
    "union_tag_invalid": _unknown_kind,
    "less_than_equal": _out_of_range,
    "greater_than_equal": _out_of_range,
    "string_pattern_mismatch": _wrong_pattern,
    "string_too_long": _too_long,
    "string_too_short": _empty,
    "too_short": _empty,
}
"""What is said about each of pydantic's error types; :func:`_wrong_type` explains all others."""


def _bad_key(loc: KeyPath) -> PlanContradiction:
    schema, path = schema_at(loc[:-1])["propertyNames"], path_at(loc)
    message = f'"{path[-1]}" is not allowed as a key here.'
    return PlanContradiction(path, Code.INVALID_FIELD, message, f"Wanted: {schema['description']}")


def _named(loc: KeyPath) -> tuple[str, ...]:
    return tuple(part for part in loc if isinstance(part, str))


def _example(loc: KeyPath) -> str:
    """An example of what is allowed at this place, as YAML: with its key, or without one in a list."""
    schema = schema_at(loc)
    value = schema.get("default") or schema["examples"][0]
    text = yaml.safe_dump([value], default_flow_style=True, sort_keys=False, width=1000).strip()
    return _with_key(loc, text[1:-1].replace("'", '"'))


def _with_key(loc: KeyPath, text: str) -> str:
    return f"{loc[-1]}: {text}" if isinstance(loc[-1], str) else text
