"""What one look at a server saw, and how much of what others wrote is kept."""

from __future__ import annotations

import os
from dataclasses import dataclass

OUTPUT = 2000
"""Characters of a command's or an answer's text that are kept."""
LINE = 200
"""Characters of it within a sentence."""


@dataclass(frozen=True, slots=True)
class Observation:
    """What one look saw.

    :param text: what was seen, complete on its own
    :param passed: the check is passed
    :param final: looking again cannot change it
    :param output: what a command or an answer said
    """

    text: str
    passed: bool = False
    final: bool = False
    output: str = ""


def passed(text: str, output: str = "") -> Observation:
    """The check is passed."""
    return Observation(text, passed=True, final=True, output=shortened(output))


def not_yet(text: str, output: str = "") -> Observation:
    """A later look may see it pass."""
    return Observation(text, output=shortened(output))


def failed(text: str, output: str = "") -> Observation:
    """Looking again cannot help."""
    return Observation(text, final=True, output=shortened(output))


def shortened(text: str) -> str:
    """The beginning and the end of a long text: the one says what it is, the other how it ended."""
    text = text.strip()
    if len(text) <= OUTPUT:
        return text
    half = OUTPUT // 2
    return f"{text[:half]}\n[... {len(text) - 2 * half} characters ...]\n{text[-half:]}"


def first_line(text: str) -> str:
    """The first line that says something, to stand in a sentence."""
    line = next((line.strip() for line in text.splitlines() if line.strip()), "")
    return line if len(line) <= LINE else f"{line[:LINE]}..."


def why_not_connected(error: BaseException) -> str:
    """The operating system's reason, which libraries wrap: ``Connection refused``."""
    inner: BaseException | None = error
    while inner is not None:
        if isinstance(inner, OSError) and inner.errno is not None and inner.errno > 0:
            return os.strerror(inner.errno)
        inner = inner.__cause__ or inner.__context__
    return str(error) or type(error).__name__
