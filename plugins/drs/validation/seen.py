"""What one look at a server saw, and how much of what others wrote is kept."""

from __future__ import annotations

from dataclasses import dataclass

OUTPUT = 2000
"""Characters of a command's or an answer's text that are kept."""
LINE = 200
"""Characters of it within a sentence."""


@dataclass(frozen=True, slots=True)
class Seen:
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


def passed(text: str, output: str = "") -> Seen:
    """The check is passed."""
    return Seen(text, passed=True, final=True, output=shortened(output))


def not_yet(text: str, output: str = "") -> Seen:
    """A later look may see it pass."""
    return Seen(text, output=shortened(output))


def failed(text: str, output: str = "") -> Seen:
    """Looking again cannot help."""
    return Seen(text, final=True, output=shortened(output))


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
