"""The error codes: each has one class, and each failure says what to do."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import drs
from drs.errors import (
    AirflowUnavailable,
    Code,
    DrillError,
    DrsUnavailable,
    EvidenceIncomplete,
    InvalidField,
    SourceServerNotFound,
)

PACKAGE = Path(next(iter(drs.__path__)))
CLASSES = {cls.__name__: cls for cls in DrillError.__subclasses__()}


def raises() -> Iterator[tuple[str, ast.Call]]:
    """Every place in the package that makes a coded failure, with the call."""
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in CLASSES:
                yield f"{path.relative_to(PACKAGE)}:{node.lineno} {node.func.id}", node


def test_every_code_has_exactly_one_class() -> None:
    """The class is named after the code. One code has no class, because it is only a warning."""
    codes = [cls.code for cls in CLASSES.values()]
    assert sorted([*codes, Code.LEFTOVER_DRILL_INSTANCE]) == sorted(Code)
    for name, cls in CLASSES.items():
        assert name.lower() == cls.code.replace("_", "").lower()


@pytest.mark.parametrize("place", list(raises()), ids=lambda place: place[0])
def test_every_failure_names_a_remedy(place: tuple[str, ast.Call]) -> None:
    """The class's own remedy, or one that is given where it is raised."""
    _, call = place
    assert isinstance(call.func, ast.Name)
    own = CLASSES[call.func.id].remedy
    assert own or any(keyword.arg == "remedy" for keyword in call.keywords)


def test_a_failure_tells_code_message_and_remedy() -> None:
    """The text of a task log is complete on its own."""
    assert str(InvalidField("No name.", remedy="Write one.")) == (
        "[INVALID_FIELD] No name.\nWhat to do: Write one."
    )
    assert str(InvalidField("No name.")) == "[INVALID_FIELD] No name."


def test_a_given_remedy_takes_the_place_of_the_class_s_own() -> None:
    """This holds only for that failure."""
    assert SourceServerNotFound("Gone.", remedy="Look.").remedy == "Look."
    assert "describe-source-servers" in SourceServerNotFound("Gone.").remedy


def test_only_what_may_pass_by_itself_is_worth_a_retry() -> None:
    """DRS, Airflow or a store did not answer. For every other failure the same call is refused again."""
    assert [cls for cls in CLASSES.values() if cls.retryable] == [
        DrsUnavailable,
        AirflowUnavailable,
        EvidenceIncomplete,
    ]
