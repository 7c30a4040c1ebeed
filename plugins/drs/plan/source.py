"""A YAML file as plain data with line numbers.

Plans are read more strictly than YAML requires. A key that is written twice, a key without a value, an alias
and a tag are flaws, because each can make a plan do something that its reader does not expect.
"""

from __future__ import annotations

import contextlib
import re
from dataclasses import dataclass

import yaml

from drs.plan.near import shown

try:
    from yaml import CSafeLoader as _Loader
except ImportError:  # PyYAML without libyaml: slower, with the same results
    from yaml import SafeLoader as _Loader  # type: ignore[assignment]

KeyPath = tuple[str | int, ...]
"""A place in a plan: the keys and list positions that lead to it."""

_TAG = "tag:yaml.org,2002:"
_TEXT, _NULL, _MERGE = f"{_TAG}str", f"{_TAG}null", f"{_TAG}merge"
_PLAIN = frozenset(_TAG + name for name in ("str", "bool", "int", "float", "timestamp"))
_MAX_DEPTH = 16  # a plan needs 5
_MAX_PARTS = 20_000
"""Keys, values, lists and mappings of a file. A plan of 4,000 servers, the most that DRS has, has 5,000."""
_LONGEST_NUMBER = 64
"""A longer text is not read as a number: in base 60, that takes time that grows with its square."""


@dataclass(frozen=True, slots=True)
class Flaw:
    """Something that the YAML of a plan may not contain, whatever its keys are.

    :param unread: the value at ``path`` could not be read, so no other check of it is possible
    """

    path: KeyPath
    line: int
    message: str
    remedy: str
    unread: bool = True


class Document:
    """The data of one YAML file, the flaws of its YAML, and the line of everything in it."""

    def __init__(self, text: str) -> None:
        self.data: object = None
        self.flaws: list[Flaw] = []
        self._root: yaml.Node | None = None
        self._visited: set[int] = set()
        self._lines: dict[KeyPath, int] = {}
        self._written: dict[KeyPath, str] = {}
        try:
            if (flaw := _too_much(text)) is not None:
                self.flaws.append(flaw)
                return
            loader = _Loader(text)
            self._root = loader.get_single_node()
            self._construct = loader.construct_object
            if self._root is not None:
                self.data = self._value(self._root, ())
        except yaml.YAMLError as error:
            self.flaws.append(_syntax_flaw(error, text))

    @property
    def empty(self) -> bool:
        """Whether the file holds nothing but comments."""
        return self._root is None and not self.flaws

    def line(self, path: KeyPath) -> int:
        """The line of a key or list item.

        If the file does not have it: the line of the nearest part above it.
        """
        for length in range(len(path), -1, -1):
            if path[:length] in self._lines:
                return self._lines[path[:length]]
        return 1

    def written(self, path: KeyPath) -> str | None:
        """The text of a single value as it is written in the file; None if the file has no single value
        there.
        """
        return self._written.get(path)

    def _value(self, node: yaml.Node, path: KeyPath) -> object:
        self._lines.setdefault(path, _line(node))
        if isinstance(node, yaml.ScalarNode):
            self._written[path] = node.value
            return self._scalar(node, path)
        # An alias shows up as a node that was already visited, since the YAML library puts the same node
        # there.
        if id(node) in self._visited:
            return self._flaw(
                path, node, "An alias (*) repeats another part of the file.", "Write that part out."
            )
        self._visited.add(id(node))
        if isinstance(node, yaml.MappingNode) and node.tag == f"{_TAG}map":
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode) and node.tag == f"{_TAG}seq":
            return [self._value(item, (*path, index)) for index, item in enumerate(node.value)]
        return self._flaw(path, node, f"The YAML tag {shown(node.tag)} is not allowed.", "Remove the tag.")

    def _mapping(self, node: yaml.MappingNode, path: KeyPath) -> dict[str, object]:
        values: dict[str, object] = {}
        lines: dict[str, int] = {}
        for key_node, value_node in node.value:
            key = key_node.value
            if key_node.tag == _MERGE:
                self._flaw(path, key_node, "A merge key (<<) copies another part.", "Write the keys out.")
            elif not isinstance(key, str):
                self._flaw(path, key_node, "A key must be a single word or text.", "Write a plain key.")
            elif key_node.tag != _TEXT:
                self._flaw(
                    path,
                    key_node,
                    f"YAML does not read the key {shown(key)} as text.",
                    f'Write it as "{shown(key)}":',
                )
            elif key in lines:
                message = f"The key {shown(key)} is written twice; the first time on line {lines[key]}."
                flaw = Flaw((*path, key), _line(key_node), message, "Keep one of the two.", unread=False)
                self.flaws.append(flaw)
            else:
                lines[key] = self._lines[(*path, key)] = _line(key_node)
                values[key] = self._value(value_node, (*path, key))
        return values

    def _scalar(self, node: yaml.ScalarNode, path: KeyPath) -> object:
        if node.tag == _TEXT:
            return node.value
        if node.tag == _NULL:
            return self._flaw(path, node, "The key has no value.", "Write a value, or remove the key.")
        if node.tag not in _PLAIN:
            return self._flaw(
                path, node, f"The YAML tag {shown(node.tag)} is not allowed.", "Remove the tag."
            )
        with contextlib.suppress(ValueError, KeyError, AttributeError, OverflowError):
            # These are raised for a date such as 2026-13-45, and for a text with a wrong !!tag.
            if len(node.value) <= _LONGEST_NUMBER:
                return self._construct(node)
        message = f"{shown(node.value)} looks like a date or number but is not a valid one."
        remedy = f'If it is meant as text, put it in quotes: "{shown(node.value)}".'
        return self._flaw(path, node, message, remedy)

    def _flaw(self, path: KeyPath, node: yaml.Node, message: str, remedy: str) -> object:
        """Record a flaw, and return None in place of the value that could not be read."""
        self.flaws.append(Flaw(path, _line(node), message, remedy))
        return None


def meaning(value: object) -> str:
    """How YAML interpreted a plain value, in words."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return f"the number {value}"
    return f"the date {value}"


def _too_much(text: str) -> Flaw | None:
    """Why a file is not read at all: it is nested deeper, or has more parts, than any plan.

    Building the nodes of the first in libyaml would crash the whole process; the others take long.
    """
    if found := re.search(r"^%TAG", text, re.MULTILINE):
        line = text.count("\n", 0, found.start()) + 1
        return Flaw((), line, "A YAML directive (%TAG) is not allowed in a plan.", "Remove it.")
    depth = 0
    for count, event in enumerate(yaml.parse(text, Loader=_Loader)):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth <= _MAX_DEPTH and count <= _MAX_PARTS:
            continue
        line = event.start_mark.line + 1 if event.start_mark else 1
        if depth > _MAX_DEPTH:
            return _too_deep(line)
        message = f"The file has more than {_MAX_PARTS:,} keys and values, which no plan needs."
        return Flaw((), line, message, "Keep only one plan in the file.")
    return None


def _too_deep(line: int) -> Flaw:
    message = "The file is nested too deeply to be a plan."
    return Flaw((), line, message, "Look for brackets that are never closed.")


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1


def _syntax_flaw(error: yaml.YAMLError, text: str) -> Flaw:
    if isinstance(error, yaml.reader.ReaderError):
        line = text.encode()[: error.position].count(b"\n") + 1
        remedy = "Remove it, and save the file as UTF-8."
        return Flaw((), line, "The file holds a control character.", remedy)
    line, problem = 1, str(error)
    if isinstance(error, yaml.MarkedYAMLError):
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        problem = " ".join(part for part in (error.context, error.problem) if part)
    if "exceeded maximum nesting depth" in problem:  # PyYAML has a limit of its own, from 6.0.4 on
        return _too_deep(line)
    # Without the names in the file: it may be no plan, and hold what is not to be read here.
    problem = re.sub(r"(alias|anchor|directive|handle|document|tag) '.*?'", r"\1", problem)
    if "another document" in problem:
        remedy = "Keep one plan in a file: move what follows the line --- to a file of its own."
        return Flaw((), line, "The file holds more than one YAML document.", remedy)
    culprit = text.splitlines()[line - 1 : line]
    if culprit and "\t" in culprit[0]:
        remedy = "Indent with spaces; YAML does not allow tabs."
    elif "alias" in problem or "cannot start any token" in problem:
        remedy = "Put the value in quotes: YAML does not read a leading *, &, @, %, ! or ` as text."
    else:
        remedy = "Check this line and the one above: indentation, quotes, brackets, the space after a colon."
    return Flaw((), line, f"The file is not YAML: {problem}.", remedy)
