"""A YAML file as plain data with line numbers.

Plans are read more strictly than YAML requires. A key that is written twice, a key without a value, an alias
and a tag are flaws, because each can make a plan do something that its reader does not expect.
"""

from __future__ import annotations

from dataclasses import dataclass

import yaml

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
        try:
            if (line := _line_nested_too_deeply(text)) is not None:
                message = "The file is nested too deeply to be a plan."
                self.flaws.append(Flaw((), line, message, "Look for brackets that are never closed."))
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
        return self._find(path)[0]

    def written(self, path: KeyPath) -> str | None:
        """The text of a single value as it is written in the file; None if the file has no single value
        there.
        """
        node = self._find(path)[1]
        return str(node.value) if isinstance(node, yaml.ScalarNode) else None

    def _find(self, path: KeyPath) -> tuple[int, yaml.Node | None]:
        node = self._root
        line = 1 if node is None else _line(node)
        for part in path:
            if isinstance(node, yaml.MappingNode):
                entry = next((pair for pair in node.value if pair[0].value == part), None)
                if entry is None:
                    return line, None
                line, node = _line(entry[0]), entry[1]
            elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
                node = node.value[part]
                line = _line(node)
            else:
                return line, None
        return line, node

    def _value(self, node: yaml.Node, path: KeyPath) -> object:
        if isinstance(node, yaml.ScalarNode):
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
        return self._flaw(path, node, f"The YAML tag {node.tag} is not allowed in a plan.", "Remove the tag.")

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
                    path, key_node, f"YAML does not read the key {key} as text.", f'Write it as "{key}":'
                )
            elif key in lines:
                message = f"The key {key} is written twice; the first time on line {lines[key]}."
                flaw = Flaw((*path, key), _line(key_node), message, "Keep one of the two.", unread=False)
                self.flaws.append(flaw)
            else:
                lines[key] = _line(key_node)
                values[key] = self._value(value_node, (*path, key))
        return values

    def _scalar(self, node: yaml.ScalarNode, path: KeyPath) -> object:
        if node.tag == _TEXT:
            return node.value
        if node.tag == _NULL:
            return self._flaw(path, node, "The key has no value.", "Write a value, or remove the key.")
        if node.tag not in _PLAIN:
            return self._flaw(path, node, f"The YAML tag {node.tag} is not allowed.", "Remove the tag.")
        try:
            return self._construct(node)
        except (ValueError, KeyError, AttributeError):  # 2026-13-45, and what a wrong !!tag makes of a text
            remedy = f'If it is meant as text, put it in quotes: "{node.value}".'
            return self._flaw(
                path, node, f"{node.value} looks like a date or number but is not a valid one.", remedy
            )

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


def _line_nested_too_deeply(text: str) -> int | None:
    """The line at which a file is nested deeper than any plan; None if it is not.

    Building the nodes of such a file in libyaml would crash the whole process.
    """
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > _MAX_DEPTH:
            return event.start_mark.line + 1 if event.start_mark else 1
    return None


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1


def _syntax_flaw(error: yaml.YAMLError, text: str) -> Flaw:
    if isinstance(error, yaml.reader.ReaderError):
        line = text.encode()[: error.position].count(b"\n") + 1
        return Flaw((), line, "The file holds a control character.", "Remove it, and save the file as UTF-8.")
    line, problem = 1, str(error)
    if isinstance(error, yaml.MarkedYAMLError):
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        problem = " ".join(part for part in (error.context, error.problem) if part)
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
