"""Identity policies, evaluated for one action on one resource.

The rules are those of the IAM user guide ("Policy evaluation logic", "IAM JSON policy elements: Condition
operators"). moto's own evaluation is not used: it treats an Allow whose condition is not met as a
Deny.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

Decision = Literal["allowed", "explicitDeny", "implicitDeny"]
Context = Mapping[str, Sequence[str]]
"""The values of each context key. Keys are in lower case, because AWS ignores their case."""


@dataclass(frozen=True)
class Verdict:
    """:param missing: context keys that the deciding statements need and that the request does not give"""

    decision: Decision
    missing: tuple[str, ...]


def evaluate(documents: Iterable[str], action: str, resource: str, context: Context) -> Verdict:
    """Evaluate whether these policies, given as JSON, allow the action on the resource.

    :raises NotImplementedError: a condition operator or a policy variable that is not simulated.
    """
    statements = [
        statement
        for document in documents
        for statement in _listed(json.loads(document)["Statement"])
        if _concerns(statement, action, resource)
    ]
    asked = {key for statement in statements for _, key, _ in _conditions(statement)}
    missing = tuple(sorted(key for key in asked if key.lower() not in context))
    effects = {statement["Effect"] for statement in statements if _holds(statement, context)}
    if "Deny" in effects:
        return Verdict("explicitDeny", missing)
    return Verdict("allowed" if "Allow" in effects else "implicitDeny", missing)


def _concerns(statement: dict[str, Any], action: str, resource: str) -> bool:
    if "NotAction" in statement:
        named = not _any_matches(statement["NotAction"], action.lower(), str.lower)
    else:
        named = _any_matches(statement["Action"], action.lower(), str.lower)
    if not named:
        return False
    if "NotResource" in statement:
        return not _any_matches(statement["NotResource"], resource)
    return _any_matches(statement["Resource"], resource)


def _any_matches(patterns: Any, text: str, form: Callable[[str], str] = str) -> bool:
    return any(_matches(form(pattern), text) for pattern in _listed(patterns))


def _conditions(statement: dict[str, Any]) -> Iterator[tuple[str, str, list[str]]]:
    """Return operator, context key and values of each condition."""
    for operator, keys in statement.get("Condition", {}).items():
        for key, values in keys.items():
            yield operator, key, [_text(value) for value in _listed(values)]


def _holds(statement: dict[str, Any], context: Context) -> bool:
    return all(
        _is_met(operator, values, context.get(key.lower()))
        for operator, key, values in _conditions(statement)
    )


def _is_met(operator: str, wanted: list[str], given: Sequence[str] | None) -> bool:
    if operator == "Null":
        return (given is None) == (wanted[0] == "true")
    quantifier, _, name = operator.rpartition(":")
    negated = "Not" in name
    test = _TESTS.get(name.removesuffix("IfExists").replace("Not", ""))
    if test is None or quantifier not in ("", "ForAnyValue", "ForAllValues"):
        raise NotImplementedError(f"the condition operator {operator} is not simulated")
    if given is None:
        return negated or name.endswith("IfExists") or quantifier == "ForAllValues"
    met = (any(test(value, own) for value in wanted) != negated for own in given)
    every = quantifier == "ForAllValues" or (negated and not quantifier)
    return all(met) if every else any(met)


def _matches(pattern: str, text: str) -> bool:
    return _compiled(pattern).fullmatch(text) is not None


@functools.cache
def _compiled(pattern: str) -> re.Pattern[str]:
    if "${" in pattern:
        raise NotImplementedError(f"policy variables are not simulated: {pattern}")
    return re.compile(re.escape(pattern).replace(r"\*", ".*").replace(r"\?", "."), re.DOTALL)


_TESTS: Final[dict[str, Callable[[str, str], bool]]] = {
    "Bool": lambda wanted, own: wanted.lower() == own.lower(),
    "StringEquals": lambda wanted, own: wanted == own,
    "StringEqualsIgnoreCase": lambda wanted, own: wanted.lower() == own.lower(),
    "StringLike": _matches,
    "ArnEquals": _matches,
    "ArnLike": _matches,
}


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
