r"""Shows text that comes from outside, so that it has no effect where it is shown. Pure.

Host names, tags, reasons, comments, names of people and raw errors are written by others. A character of
theirs that is invisible, that moves the cursor, or that reverses the text around it is shown as an escape
sequence such as ``\x1b``. Nothing is dropped. Records keep the raw values: these functions are called where
text is shown, and there is one for each medium.
"""

from __future__ import annotations

import re
import shlex

_BLANK = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)
"""Characters that Unicode counts as printable and that leave no mark."""
_COMMAND = re.compile(
    r"::(?=(?:end)?group\b|error\b|warning\b|notice\b|debug\b|echo\b|add-|set-|save-|stop-|remove-)",
    re.IGNORECASE,
)
"""A command to the viewer of a log begins so: Airflow folds what follows ``::group::``, others know more."""
_NAMES = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
_MARKDOWN = re.compile(r"[\\`*\[\]<>~&]|(?<!\w)_|_(?!\w)")
"""What begins or ends an element within a line. An underscore within a word does not."""
_MARKDOWN_BEGIN = re.compile(r"^(\d+(?=[.)])|(?=[-+#=]))")
"""What makes a list, a heading or a rule of a line that begins with it: a number, or the place of a sign."""
_LINK = re.compile(r"://|www\.|(?<=\S)@(?=\S)", re.IGNORECASE)
"""What Airflow's Markdown turns into a link even if it is escaped."""


def line(text: object) -> str:
    """A value within one line: of a log, a message, a terminal or a table's cell."""
    return _no_command(_visible(str(text)))


def block(text: str) -> str:
    """Several lines of our own, for a log or a message. Values in them were made harmless by :func:`line`."""
    return "\n".join(line(each) for each in text.split("\n"))


def quoted(text: str) -> str:
    """Several lines of others, such as a command's output: each is marked, so that none looks like ours."""
    return "\n".join(f"  | {line(each)}" for each in re.split(r"\r?\n", text))


def argument(text: object) -> str:
    """A value within a command that a person may paste into a shell."""
    return shlex.quote(line(text))


def html(text: str) -> str:
    """Text for a page whose template escapes ``<``, ``>`` and ``&``. Line ends and tabs stay."""
    return "\n".join(
        "\t".join(_visible(part) for part in each.split("\t"))
        for each in text.replace("\r\n", "\n").split("\n")
    )


def markdown(text: object) -> str:
    """A value in Markdown, as a code span. Nothing is interpreted in it, and it is seen to be a quotation."""
    plain = line(text).replace(
        "|", r"\x7c"
    )  # no escape keeps a bar in a code span from ending a table's cell
    if not plain.strip():
        return "(empty)"
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", plain)), default=0))
    pad = " " if plain[0] in "` " or plain[-1] in "` " else ""
    return f"{fence}{pad}{plain}{pad}{fence}"


def markdown_sentence(text: object) -> str:
    """A sentence of ours in Markdown that may contain values of others."""
    plain = _LINK.sub(lambda found: _first_escaped(found.group()), line(text).strip())
    escaped = _MARKDOWN.sub(lambda found: "\\" + found.group(), plain).replace("|", "&#124;")
    return _MARKDOWN_BEGIN.sub(r"\1\\", escaped)


def markdown_block(text: str) -> str:
    """Several lines in Markdown as they are, in a fence that they cannot end."""
    plain = block(text)
    fence = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", plain)), default=0))
    return f"{fence}\n{plain}\n{fence}"


def ascii_line(text: object) -> str:
    """A value for a medium that takes only ASCII, such as the subject of a message."""
    return line(text).encode("ascii", "backslashreplace").decode("ascii")


def _no_command(text: str) -> str:
    return _COMMAND.sub(r"\\x3a:", text) if "::" in text else text


def _first_escaped(text: str) -> str:
    """A link's beginning with its telling character escaped."""
    at = next(index for index, char in enumerate(text) if char in ":.@")
    return f"{text[:at]}\\x{ord(text[at]):02x}{text[at + 1 :]}"


def _visible(text: str) -> str:
    if text.isprintable() and not _BLANK.search(text):
        return text
    return "".join(_escape(char) if _is_hidden(char) else char for char in text)


def _is_hidden(char: str) -> bool:
    # Spaces of other widths are not printable to Python, but harmless.
    return not (char.isprintable() or (char.isspace() and char not in _BREAKS)) or bool(_BLANK.match(char))


_BREAKS = frozenset("\t\n\v\f\r\x1c\x1d\x1e\x1f\x85\u2028\u2029")


def _escape(char: str) -> str:
    code = ord(char)
    if char in _NAMES:
        return _NAMES[char]
    if code <= 0xFF:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"
