"""Explains a value of the wrong type: text where a list is meant, a number where text is meant."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from drs.plan import corrections
from drs.plan.corrections import as_yaml, is_short
from drs.plan.near import nearest, shown
from drs.plan.plan_schema import property_for, schema_at
from drs.plan.source import KeyPath, meaning

_MAPPING = "a mapping of keys to values"
_KINDS = {  # what the value should have been, by pydantic's error type
    "string_type": "text",
    "tuple_type": "a list",
    "mapping_type": _MAPPING,
    "model_type": _MAPPING,
    "model_attributes_type": _MAPPING,
    "dict_type": _MAPPING,
    "bool_type": "true or false",
    "int_type": "a whole number",
    "invalid-json-value": "text",
    "duration_syntax": "a duration",
}


@dataclass(frozen=True, slots=True)
class Invalid:
    """A value that is there and not allowed.

    :param kind: pydantic's error type
    :param written: the text of the value in the file, if it is a single value
    """

    kind: str
    loc: KeyPath
    value: object
    context: Mapping[str, Any]
    written: str | None


def explain(error: Invalid) -> tuple[str, str] | None:
    """What is wrong with a value, and the remedy; ``None`` if its type is not what is wrong."""
    wanted = _KINDS.get(error.kind)
    if wanted is None:
        return None
    value, written = error.value, error.written
    if written is not None and not isinstance(value, str):
        message = f"YAML reads {shown(written)} as {meaning(value)}; this must be {wanted}."
    else:
        found = "a list" if isinstance(value, list) else "a mapping" if isinstance(value, dict) else "text"
        message = f"This must be {wanted}, but it is {found}."
        if found == "text" and wanted in ("true or false", "a whole number"):
            message = f"This must be {wanted}, but it is text: it has quotes, or is another word."
    remedy = {
        "text": _text,
        "a list": _list,
        _MAPPING: _mapping,
        "true or false": _boolean,
        "a whole number": _number,
        "a duration": _duration,
    }[wanted]
    return message, remedy(error)


def _text(error: Invalid) -> str:
    loc, value, written = error.loc, error.value, error.written
    if _is_tag(loc) and isinstance(value, list):
        return _one_value_of_a_tag(loc, value)
    schema = schema_at(loc)
    if isinstance(value, list):
        single = value[0] if len(value) == 1 and isinstance(value[0], str) else None
        if single is not None and is_short(single):
            return f"Write {_with_key(loc, single)}"
        return f"Write one value. {schema.get('description', '')}".rstrip()
    if written is None:
        return f"Write one text. {schema.get('description', '')}".rstrip()
    pattern = schema.get("pattern", "")
    text = corrections.corrected(written, pattern) or written
    if not re.search(pattern, text):
        return f"Write it in full, and in quotes. Wanted: {schema['description']}"
    quoted = '"' + shown(text).replace("\\", "\\\\").replace('"', '\\"') + '"'
    if "enum" in schema:
        return f"Write {' or '.join(schema['enum'])}."
    return f"Put it in quotes: {f'{loc[-1]}: {quoted}' if isinstance(loc[-1], str) else quoted}"


def _is_tag(loc: KeyPath) -> bool:
    return len(loc) > 1 and loc[-2] == "server_tags"


def _one_value_of_a_tag(loc: KeyPath, values: list[object]) -> str:
    each = [f"{{{loc[-1]}: {as_yaml(value)}}}" for value in values if isinstance(value, str)]
    groups = f", with server_tags: {' and '.join(each)}" if each and is_short(each) else ""
    return f"A tag has one value. Make a group for each value{groups}; a wave may launch both groups."


def _list(error: Invalid) -> str:
    loc, value, written = error.loc, error.value, error.written
    item = schema_at((*loc, 0))
    keys = _keys(item)
    if loc[-1] == "depends_on" and isinstance(value, str | bool) and _means_nothing(value):
        return "Write depends_on: [] if the wave depends on no wave."
    if (meant := corrections.wrapped(value, keys, apart="pattern" in item)) and is_short(meant):
        return f"Write {_with_key(loc, meant)}"
    if isinstance(value, Mapping):
        by_name = " Write the name of each under it: - name: <name>." if "name" in keys else ""
        return f"Begin each item with a dash (-).{by_name}"
    text = " Without any, write []." if not schema_at(loc).get("minItems") else ""
    description = schema_at(loc).get("description", "")
    if isinstance(value, str | bool) and _means_nothing(value):
        return f"Write a list. {description}{text}"
    quoted = f'["{shown(written)}"]' if written else "[<items>]"
    return f"Write {loc[-1]}: {quoted}. {description}" if isinstance(loc[-1], str) else f"Write {quoted}."


def _means_nothing(value: str | bool) -> bool:
    return value is False or (isinstance(value, str) and corrections.wrapped(value, (), apart=False) is None)


def _mapping(error: Invalid) -> str:
    loc, value = error.loc, error.value
    schema = schema_at(loc)
    if loc[-1] == "server_tags":
        return _tags(value)
    if isinstance(value, bool):
        return _switched(loc, value)
    if isinstance(value, str) and (meant := _key_of_text(loc, value)) and is_short(value):
        return f"Write {_with_key(loc, meant)}{_other_keys(schema, meant)}"
    if loc == ("protection_groups",):
        return "Write each group under its name, without a dash: <name>: {source_servers: [...]}."
    keys = _keys(schema)
    if isinstance(value, list) and "source_servers" in keys:
        return "Write the ids under source_servers: [...]."
    if keys:
        return f"Write its keys below it: {', '.join(keys)}."
    return f"Write one line for each name: <name>: <value>. {schema.get('description', '')}".rstrip()


def _key_of_text(loc: KeyPath, text: str) -> dict[str, str] | None:
    """The mapping that is meant by the value of one of its keys alone; ``None`` if no key fits."""
    schema = schema_at(loc)
    if chooser := schema.get("discriminator"):
        kind = nearest(text, list(chooser["mapping"]))
        return {chooser["propertyName"]: kind} if kind else None
    if loc[0] == "waves" and len(loc) == 2:
        return {"name": text}
    key = property_for(loc, text)
    return {key: text} if key else None


def _switched(loc: KeyPath, value: bool) -> str:
    """The remedy for true or false in place of a section."""
    schema = schema_at(loc)
    if not value:
        instead = " To keep the instances, write cleanup: {when: never}." if loc == ("cleanup",) else ""
        return f"If it is not wanted, remove the key {loc[-1]}.{instead}"
    if schema.get("required"):
        return f"Write its keys below it: {', '.join(_keys(schema))}."
    return f"For all of its defaults, write {loc[-1]}: {{}}. Its keys are: {', '.join(_keys(schema))}."


def _other_keys(schema: Mapping[str, object], there: Mapping[str, str]) -> str:
    required = schema.get("required")
    others = [each for each in required if each not in there] if isinstance(required, list) else []
    return f", and add {', '.join(others)}." if others else ""


def _tags(value: object) -> str:
    """The remedy for tags in another form, such as ``Tier=web`` or AWS's ``{Key: Tier, Value: web}``."""
    parts = value.replace(",", " ").split() if isinstance(value, str) else value
    found: dict[str, str] = {}
    for part in parts if isinstance(parts, list) else []:
        if isinstance(part, str) and (cut := next((sign for sign in "=:" if sign in part), None)):
            key, _, text = part.partition(cut)
            found[key.strip()] = text.strip()
        elif isinstance(part, Mapping):
            lower = {str(key).lower(): str(text) for key, text in part.items()}
            if {"key", "value"} <= lower.keys():
                found[lower["key"]] = lower["value"]
            elif len(part) == 1:
                found |= {str(key): str(text) for key, text in part.items()}
    if found and len(found) == len(parts if isinstance(parts, list) else []) and is_short(found):
        return f"Write server_tags: {as_yaml(found)}"
    return "Write one line for each tag: <key>: <value>."


def _boolean(error: Invalid) -> str:
    loc, value, written = error.loc, error.value, error.written
    meant = corrections.as_boolean(written if written is not None else value)
    if meant is not None:
        return f"Write {loc[-1]}: {'true' if meant else 'false'}, without quotes."
    return f"Write true or false, without quotes. {schema_at(loc).get('description', '')}".rstrip()


def _number(error: Invalid) -> str:
    loc, value = error.loc, error.value
    schema = schema_at(loc)
    least, most = schema.get("minimum"), schema.get("maximum")
    number = corrections.as_number(value)
    if number is not None and isinstance(least, int) and isinstance(most, int) and least <= number <= most:
        return f"Write {loc[-1]}: {number}, without quotes."
    return f"Write a whole number from {least} to {most}."


def _duration(_: Invalid) -> str:
    return "Write a number with its unit, such as 30s, 5m, 1h30m or 2d."


def _keys(schema: Mapping[str, object]) -> Sequence[str]:
    """The keys that a mapping may have; of one whose kind is chosen by a key, that key."""
    properties, chooser = schema.get("properties"), schema.get("discriminator")
    keys = list(properties) if isinstance(properties, Mapping) else []
    return [*keys, str(chooser["propertyName"])] if isinstance(chooser, Mapping) else keys


def _with_key(loc: KeyPath, value: object) -> str:
    text = as_yaml(value)
    return f"{loc[-1]}: {text}" if isinstance(loc[-1], str) else text
