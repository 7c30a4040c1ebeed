"""The regular expressions in plans, matched by RE2: its time grows only linearly with the length of the text.

Python's own ``re`` may try billions of ways to match a short text, and would stop the triggerer meanwhile.
"""

from __future__ import annotations

import functools
import re
from typing import Any

import re2

LARGEST = 1000
"""Steps of a compiled expression that are allowed: the time of a match grows with their number, too."""
_INSTEAD = (
    (
        r"\(\?<?[=!]|\(\?<$",
        "RE2 has no look-ahead and no look-behind. Match the text itself, such as 'up.*ready' instead of "
        "'up(?=.*ready)'. For a text that must not be there, use a check of type python.",
    ),
    (
        r"\\[1-9]$|\(\?P$|\\k|\\g",
        "RE2 has no back-references. Write the expression of the group a second time.",
    ),
    (
        r"^[*+?}]\+|\(\?>",
        "RE2 never goes back in the text: remove the second +, and write (?:...) for (?>...).",
    ),
    (r"\\Z", r"Write \z for the end of the text, or $."),
    (r"\\[uU]", r"Write the character itself, or its number in hexadecimal digits, such as \x{20AC}."),
    (r"\\N", "Write the character itself."),
    (r"\(\?[aLux]", "RE2 knows the flags i, m, s and U. Remove the others."),
    (r"\(\?#", "Write the comment above the line in YAML, after a #."),
    (r"\(\?\(", "RE2 has no conditions. Write both cases, with | between them."),
    (r"^\{\d+,?\d*\}?$", "RE2 repeats something at most 1000 times. Write * or +, or a smaller number."),
)
"""What to write instead of what Python's ``re`` has and RE2 has not, by the part that RE2 complains of."""
_LITERALLY = (
    r"Put a backslash before a character that is meant literally, such as \( or \[. "
    "In YAML, put the expression in single quotes."
)


class ExpressionError(ValueError):
    """A text that RE2 cannot match by.

    :param why: what is wrong, as part of a sentence
    :param remedy: what to write instead
    """

    def __init__(self, why: str, remedy: str) -> None:
        super().__init__(why)
        self.why = why
        self.remedy = remedy


def check(expression: str) -> None:
    """Compile the expression.

    :raises ExpressionError: RE2 cannot compile it, or it is too large
    """
    _compiled(expression)


def found(expression: str, text: str) -> bool:
    """Whether the expression matches somewhere in the text.

    As in Python, ``$`` also matches before a line break that ends the text.
    """
    compiled = _compiled(expression)
    endings = {text, text.removesuffix("\n")}
    # A character that cannot be encoded, half of a pair, matches as a question mark.
    return any(compiled.search(each.encode(errors="replace")) is not None for each in endings)


@functools.lru_cache(maxsize=256)
def _compiled(expression: str) -> Any:
    options = re2.Options()
    options.log_errors = False  # RE2 would write them to stderr
    options.never_capture = True  # finding where a group matches takes longer than finding a match
    try:
        compiled = re2.compile(expression, options)  # type: ignore[no-untyped-call]
    except re2.error as error:
        why = _text(error)
        raise ExpressionError(why, _instead(why)) from None
    except UnicodeEncodeError:
        raise ExpressionError(
            "it has a character that is half of a pair", "Write the whole character."
        ) from None
    if compiled.programsize > LARGEST:
        why = f"it has {compiled.programsize} steps, and {LARGEST} are allowed"
        raise ExpressionError(why, "Shorten it: write * or + for a large number of repetitions.")
    return compiled


def _text(error: Exception) -> str:
    said = error.args[0] if error.args else ""
    return said.decode(errors="replace") if isinstance(said, bytes) else str(said)


def _instead(why: str) -> str:
    """The remedy for what RE2 says: its words, a colon, and the part of the expression that it means."""
    if why.startswith("pattern too large"):
        return "Shorten it: write * or + for a large number of repetitions."
    part = why.partition(": ")[2]
    return next((remedy for pattern, remedy in _INSTEAD if re.search(pattern, part)), _LITERALLY)
