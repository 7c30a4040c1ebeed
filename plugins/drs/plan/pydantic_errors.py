"""Explains pydantic's errors to the author of a plan: a code, what is wrong, and what to write instead.

What to write is the author's own value, corrected (:mod:`drs.plan.corrections`), or a description of what is
wanted. It is never the value of an example.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pydantic_core import ErrorDetails

from drs.errors import Code
from drs.plan import corrections, durations, wrong_type
from drs.plan.corrections import as_yaml
from drs.plan.fields import PLAN_NAME_PATTERN
from drs.plan.near import nearest, shown
from drs.plan.plan_schema import owner_of, path_at, schema_at
from drs.plan.problems import PlanContradiction
from drs.plan.source import Document, KeyPath, meaning
from drs.plan.wrong_type import Invalid
from drs.text.tables import first_of

_CHOICE_OF_MODEL = ("union_tag_not_found", "union_tag_invalid")
_HOW_LONG = "Write a number with its unit, such as 30s, 5m, 1h30m or 2d, or ISO 8601 such as PT30S."


def place(error: ErrorDetails) -> KeyPath:
    """The place in the file of one error of pydantic."""
    path = path_at(error["loc"])
    return (*path, _chooser(error["loc"])) if error["type"] in _CHOICE_OF_MODEL else path


def explain(error: ErrorDetails, document: Document, stem: str) -> PlanContradiction:
    """Turn one error of pydantic into a finding about the file.

    :param stem: the file's name without its suffix
    """
    loc, kind, path = error["loc"], error["type"], place(error)
    if loc and loc[-1] == "[key]":
        return _bad_key(loc[:-1])
    if loc == ("waves",) and kind in ("missing", "too_short"):
        remedy = f"Add at least one wave: {_a_wave(document)}"
        return PlanContradiction(path, Code.PLAN_HAS_NO_WAVES, "The plan has no waves.", remedy)
    if kind == "missing":
        message = f"The key {path[-1]} is missing."
        return PlanContradiction(path, Code.MISSING_FIELD, message, _to_add(loc, document, stem))
    if kind == "union_tag_not_found":
        remedy = f"Add it: {path[-1]}: {' or '.join(_kinds(loc))}."
        return PlanContradiction(path, Code.MISSING_FIELD, f"The key {path[-1]} is missing.", remedy)
    if kind == "group_without_servers":
        message = "The protection group has neither source_servers nor server_tags."
        remedy = (
            "Add one of them: source_servers: [<ids of source servers>], or server_tags: {<key>: <value>}. "
            "`python -m drs servers` lists the servers that DRS knows."
        )
        return PlanContradiction(path, Code.MISSING_FIELD, message, remedy)
    message, remedy = _invalid(
        Invalid(kind, loc, error["input"], error.get("ctx", {}), document.written(path))
    )
    return PlanContradiction(path, Code.INVALID_FIELD, message, remedy)


def _invalid(error: Invalid) -> tuple[str, str]:
    """What is wrong with a value, and the remedy."""
    if "remedy" in error.context:  # from a validator of this package
        return f"{error.context['message']}.", error.context["remedy"]
    explanation = _EXPLANATIONS.get(error.kind)
    if explanation is not None:
        return explanation(error)
    return wrong_type.explain(error) or (
        f"The value is not allowed: {shown(error.context.get('error', error.kind))}.",
        _wanted(error.loc),
    )


def _zero_duration(error: Invalid) -> tuple[str, str]:
    remedy = "Write a longer duration."
    if default := schema_at(error.loc).get("default"):
        remedy = f"Write a longer duration, or remove the key: the default is {default}."
    return f"{error.written} is zero; this duration must be longer.", remedy


def _named_twice(_: Invalid) -> tuple[str, str]:
    return "The protection group has both source_servers and server_tags.", "Keep one of the two."


def _unknown_choice(error: Invalid) -> tuple[str, str]:
    schema = schema_at(error.loc)
    return _not_a_choice(error, error.written or str(error.value), schema.get("enum") or [schema["const"]])


def _unknown_kind(error: Invalid) -> tuple[str, str]:
    return _not_a_choice(error, error.written or str(error.context["tag"]), _kinds(error.loc))


def _not_a_choice(error: Invalid, value: str, allowed: Sequence[str]) -> tuple[str, str]:
    remedy = f"Write {' or '.join(allowed)}."
    near = nearest(value, allowed) if isinstance(error.value, str | Mapping | list) else None
    return (
        f"{shown(value)} is not one of the allowed values.",
        f"Did you mean {near}? {remedy}" if near else remedy,
    )


def _out_of_range(error: Invalid) -> tuple[str, str]:
    schema = schema_at(error.loc)
    least, most = schema["minimum"], schema["maximum"]
    return f"{shown(error.written)} is not from {least} to {most}.", f"Write a number from {least} to {most}."


def _wrong_pattern(error: Invalid) -> tuple[str, str]:
    text = str(error.value)
    schema = schema_at(error.loc)
    message = f'"{shown(text)}" is not allowed here. Wanted: {schema["description"]}'
    if mistaken := corrections.mistaken_id(text, schema["pattern"]):
        message = f'"{shown(text)}" is not allowed here. {mistaken} Wanted: {schema["description"]}'
    found = corrections.corrected(text, schema["pattern"])
    return message, f"Write {_with_key(error.loc, found)}" if found else _hint(error, text)


def _hint(error: Invalid, text: str) -> str:
    """The remedy for a text that cannot be corrected: what is wanted, without an example's value."""
    last = error.loc[-1]
    if last == "account_id" and (digits := len(re.sub(r"\D", "", text))):
        return f"Write all 12 digits, in quotes: these are {digits}. Zeros at the beginning count too."
    if last == "sns_topic_arn":
        return (
            "Write the whole ARN of a standard topic, as SNS shows it: "
            "arn:<partition>:sns:<Region>:<account>:<name of the topic>."
        )
    if last in ("notifier", "function"):
        name = shown(text) if re.fullmatch(r"\w+", text) else "<name>"
        return f"Write it with the module in which it is, with dots: {last}: <module>.{name}"
    return _wanted(error.loc)


def _too_long(error: Invalid) -> tuple[str, str]:
    length, allowed = len(str(error.value)), error.context["max_length"]
    return f"The text has {length} characters; {allowed} are allowed.", "Shorten it."


def _unknown_key(error: Invalid) -> tuple[str, str]:
    key = str(error.loc[-1])
    known = list(schema_at(error.loc[:-1]).get("properties", {}))
    message = f"There is no key {shown(key)} here."
    if near := nearest(key, known):
        return message, f"Did you mean {near}?"
    if owner := owner_of(key):
        return message, f"The key {key} belongs to {owner}."
    return message, f"The keys that are allowed here are: {', '.join(known)}."


def _chooser(loc: KeyPath) -> str:
    """The key whose value chooses among the models that are possible at this place."""
    return str(schema_at(loc)["discriminator"]["propertyName"])


def _kinds(loc: KeyPath) -> Sequence[str]:
    return list(schema_at(loc)["discriminator"]["mapping"])


def _no_duration(error: Invalid) -> tuple[str, str]:
    written = error.written if error.written is not None else str(error.value)
    if isinstance(error.value, bool) or not isinstance(error.value, str | int | float):
        return wrong_type.explain(dataclasses.replace(error, kind="duration_syntax")) or ("", _HOW_LONG)
    if isinstance(error.value, str):
        message = f'"{shown(written)}" is not a duration.'
        if written.strip().startswith("-"):
            message = f"{shown(written)} is negative; a duration cannot be."
        meant = corrections.as_duration(written)
        return message, _duration_remedy(error.loc, meant) if meant is not None else _HOW_LONG
    if ":" in written:
        return _base_60(error, written)
    if written.startswith("-"):
        return f"{shown(written)} is negative; a duration cannot be.", _HOW_LONG
    choices = [
        durations.render(each)
        for unit in "sm"
        if (each := corrections.as_duration(f"{written}{unit}")) is not None
    ]
    if not choices:
        return f"{shown(written)} has no unit.", _HOW_LONG
    return (
        f"{shown(written)} has no unit.",
        f"Write {written}s for seconds ({choices[0]}), or {written}m for minutes ({choices[1]})."
        if "." in written
        else f"Write {written}s for seconds, or {written}m, {written}h, {written}d for minutes, hours, days.",
    )


def _base_60(error: Invalid, written: str) -> tuple[str, str]:
    message = f"YAML reads {shown(written)} as {meaning(error.value)} (base 60); a duration needs units."
    parts = written.split(":")
    if len(parts) == 3 and (meant := corrections.as_duration(written)) is not None:
        return message, _duration_remedy(error.loc, meant)
    if len(parts) == 2 and parts[1].isdigit():
        return message, f"Write {parts[0]}h{parts[1]}m or {parts[0]}m{parts[1]}s."
    return message, _HOW_LONG


def _duration_remedy(loc: KeyPath, meant: Any) -> str:
    return f"Write {_with_key(loc, durations.render(meant))}"


def _empty(error: Invalid) -> tuple[str, str]:
    loc = error.loc
    if _named(loc) == ("waves", "protection_groups"):
        return "The wave has no servers: it names no protection group.", "Name one, or remove the wave."
    if loc[-1] in ("source_servers", "server_tags"):
        remedy = "Add servers, or remove the group and its name in the wave."
        return f"The protection group has no servers: {loc[-1]} is empty.", remedy
    if isinstance(loc[-1], int):
        return "The value is empty.", f"Remove it, or write a value. {_wanted(loc)}"
    default = schema_at(loc).get("default")
    unless = f" Without the key, it is {as_yaml(default)}." if default not in (None, "") else ""
    return "The value is empty.", f"Write a value, or remove the key.{unless}"


_EXPLANATIONS: Mapping[str, Callable[[Invalid], tuple[str, str]]] = {
    "extra_forbidden": _unknown_key,
    "group_named_twice": _named_twice,
    "duration_syntax": _no_duration,
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
"""What is said about each of pydantic's error types; :mod:`drs.plan.wrong_type` explains most others."""


def _bad_key(loc: KeyPath) -> PlanContradiction:
    schema, path = schema_at(loc[:-1])["propertyNames"], path_at(loc)
    key = str(path[-1])
    message = f'"{shown(key)}" is not allowed as a key here.'
    found = corrections.corrected(key, schema.get("pattern", ""))
    if found and len(found) <= schema.get("maxLength", len(found)):
        return PlanContradiction(path, Code.INVALID_FIELD, message, f"Write {found}, also where it is named.")
    return PlanContradiction(path, Code.INVALID_FIELD, message, f"Wanted: {schema['description']}")


def _to_add(loc: KeyPath, document: Document, stem: str) -> str:
    """The remedy for a key that is missing."""
    key = str(loc[-1])
    if loc == ("name",) and re.fullmatch(PLAN_NAME_PATTERN, stem):
        return f"Add it: name: {stem}"
    required = schema_at(loc).get("required", [])
    with_keys = f" Its required keys are: {', '.join(required)}." if required else ""
    groups = _groups(document) if _named(loc) == ("waves", "protection_groups") else []
    there = f" The groups of this plan are: {first_of(groups)}." if groups else ""
    return f"Add {key}: {schema_at(loc)['description']}{with_keys}{there}"


def _a_wave(document: Document) -> str:
    """A wave as it may be written in this plan, with one of its groups."""
    named = next(iter(_groups(document)), None)
    return f"waves: [{{name: {named or '<name>'}, protection_groups: [{named or '<group>'}]}}]"


def _groups(document: Document) -> list[str]:
    groups = document.data.get("protection_groups") if isinstance(document.data, dict) else None
    return [shown(name) for name in groups] if isinstance(groups, dict) else []


def _wanted(loc: KeyPath) -> str:
    description = schema_at(loc).get("description")
    if description is None and isinstance(loc[-1], int):
        description = schema_at(loc[:-1]).get("description")
    return f"Wanted: {description}" if description else "Correct or remove it."


def _named(loc: KeyPath) -> tuple[str, ...]:
    return tuple(part for part in loc if isinstance(part, str))


def _with_key(loc: KeyPath, value: object) -> str:
    """A value as YAML: with its key, or without one in a list."""
    text = as_yaml(value)
    return f"{loc[-1]}: {text}" if isinstance(loc[-1], str) else text
