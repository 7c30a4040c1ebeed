"""What one look at a server has seen, and how much of a long output is kept."""

from __future__ import annotations

import os
from dataclasses import dataclass

OUTPUT = 2000
"""Characters that are kept of a command's output or an answer's body."""
LINE = 200
"""Characters of its first line that are quoted in a sentence."""


@dataclass(frozen=True, slots=True)
class Observation:
    """What one look has seen.

    :param text: what was seen, as a sentence that needs no context
    :param passed: whether the check has passed
    :param final: whether another look cannot change the result
    :param output: the output of a command, or the body of an answer
    """

    text: str
    passed: bool = False
    final: bool = False
    output: str = ""


def passed(text: str, output: str = "") -> Observation:
    """The check has passed."""
    return Observation(text, passed=True, final=True, output=shortened(output))


def not_yet(text: str, output: str = "") -> Observation:
    """The check has not passed, but a later look may see it pass."""
    return Observation(text, output=shortened(output))


def failed(text: str, output: str = "") -> Observation:
    """The check has failed, and another look would not help."""
    return Observation(text, final=True, output=shortened(output))


def shortened(text: str) -> str:
    """The text, without its middle if it is long: the beginning says what it is, the end how it ended."""
    text = text.strip()
    if len(text) <= OUTPUT:
        return text
    half = OUTPUT // 2
    return f"{text[:half]}\n[... {len(text) - 2 * half} characters ...]\n{text[-half:]}"


def first_line(text: str) -> str:
    """The first line that is not empty, short enough to be quoted in a sentence."""
    line = next((line.strip() for line in text.splitlines() if line.strip()), "")
    return line if len(line) <= LINE else f"{line[:LINE]}..."


def why_not_connected(error: BaseException) -> str:
    """The operating system's reason, such as ``Connection refused``, which libraries wrap in other errors."""
    inner: BaseException | None = error
    while inner is not None:
        if isinstance(inner, OSError) and inner.errno is not None and inner.errno > 0:
            return os.strerror(inner.errno)
        inner = inner.__cause__ or inner.__context__
    return str(error) or type(error).__name__
