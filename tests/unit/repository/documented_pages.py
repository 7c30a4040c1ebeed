"""The commands and blocks of README.md, CONTRIBUTING.md and docs/*.md.

A comment before a code block sets the scene: ``<!-- situation: held; exit code 1 -->``. The situations are in
:mod:`tests.unit.repository.situations`. What the block quotes is compared with what the command prints.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT = Path(__file__).resolve().parents[3]
PAGES = ("README.md", "CONTRIBUTING.md", *sorted(f"docs/{path.name}" for path in ROOT.glob("docs/*.md")))

_IS_COMMAND = re.compile(
    r"(?:[A-Z_]+=\S+ )?(?:\.venv/bin/)?"
    r"(?:python -m \S|drs [a-z]|make [a-z]|docker compose |airflow [a-z]|bash \S|aws [a-z]"
    r"|pip install |git [a-z]|ssh -|pre-commit |uv [a-z])"
)
_SITUATION = re.compile(r"<!-- situation: ([^;]+?)(?:; exit code (\d+))? -->")
_IN_A_CONTAINER = re.compile(
    r"docker compose exec (?:-T |--env \S+?=(?:'[^']*'|\S+) )*(?P<service>\S+) "
    r"(?P<inner>(?:python -m|airflow) .*)"
)


@dataclass(frozen=True)
class Command:
    """A command of a page.

    :param text: as it is written, on one line
    :param quoted: what the page quotes of its output
    :param inline: it is in the running text: without arguments it may only name the command
    :param situation: what was made of the simulated AWS before
    """

    page: str
    line: int
    text: str
    quoted: str = ""
    inline: bool = False
    situation: str = "good"
    exit_code: int | None = None

    @property
    def place(self) -> str:
        return f"{self.page}:{self.line}"

    @property
    def service(self) -> str:
        """The service of docker-compose.yaml in which it runs, if in any."""
        inside = _IN_A_CONTAINER.fullmatch(self.text)
        return inside["service"] if inside else ""

    @property
    def plain(self) -> str:
        """The command itself: without container, path of Python, pipe, and file for the output."""
        inside = _IN_A_CONTAINER.fullmatch(self.text)
        text = (inside["inner"] if inside else self.text).removeprefix(".venv/bin/")
        text = re.sub(r"^drs ", "python -m drs ", text)
        return re.sub(r" (\\?\| .*|> \S+)$", "", text)

    @property
    def name(self) -> str:
        """The name of a command of ``python -m drs``; empty for any other."""
        found = re.match(r"python -m drs ([a-z]+)", self.plain)
        return found[1] if found else ""


@dataclass(frozen=True)
class Block:
    """A fenced block that has no command: YAML, JSON, Python or text."""

    page: str
    line: int
    language: str
    text: str

    @property
    def place(self) -> str:
        return f"{self.page}:{self.line}"


# --- what the pages have --------------------------------------------------------------------------------


def read(page: str, text: str) -> tuple[list[Command], list[Block]]:
    """The commands and the other fenced blocks of a page."""
    commands: list[Command] = []
    blocks: list[Block] = []
    scene: tuple[str, int | None] = ("good", None)
    line = 1
    for token in MarkdownIt("commonmark").enable("table").parse(text):
        line = token.map[0] + 1 if token.map else line
        if token.type == "html_block" and (found := _SITUATION.search(token.content)):
            scene = (found[1], int(found[2]) if found[2] else None)
        elif token.type == "fence":
            made = list(_of_fence(page, line + 1, token, scene))
            commands += made
            if not made:
                blocks.append(Block(page, line, token.info.strip(), token.content))
            scene = ("good", None)
        elif token.type == "code_block":
            lines = enumerate(token.content.splitlines(), line)
            commands += [
                Command(page, at, _without_comment(text)) for at, text in lines if _IS_COMMAND.match(text)
            ]
        elif token.type == "inline":
            spans = [child.content for child in token.children or () if child.type == "code_inline"]
            commands += [
                Command(page, line, " ".join(span.split()), inline=True)
                for span in spans
                if _IS_COMMAND.match(span)
            ]
    return commands, blocks


def _of_fence(page: str, first: int, token: Token, scene: tuple[str, int | None]) -> Iterator[Command]:
    lines = list(enumerate(token.content.splitlines(), first))
    language = token.info.strip()
    if language == "cron":
        for line, text in lines:
            if text.startswith("*"):
                yield Command(page, line, re.sub(r".* (?=\.venv/bin/python )", "", text))
    elif language == "sh":
        for line, text in lines:
            yield Command(page, line, _without_comment(text))
    elif language == "console":
        yield from _of_terminal(page, lines, scene)


def _of_terminal(page: str, lines: list[tuple[int, str]], scene: tuple[str, int | None]) -> Iterator[Command]:
    """The commands after a prompt, each with the lines that follow it."""
    situation, code = scene
    begun: list[tuple[int, str, list[str]]] = []
    for line, text in lines:
        if text.startswith("$ "):
            begun.append((line, text[2:], []))
        elif begun and not _is_whole(begun[-1][1]):
            first, before, quoted = begun[-1]
            begun[-1] = (first, f"{before.removesuffix(chr(92))} {text.strip()}", quoted)
        elif begun:
            begun[-1][2].append(text)
    for line, text, quoted in begun:
        yield Command(
            page, line, _without_comment(text), "\n".join(quoted), situation=situation, exit_code=code
        )


def _is_whole(text: str) -> bool:
    """Whether a command ends here: no quote is open, and no backslash joins the next line to it."""
    try:
        shlex.split(text, comments=True)
    except ValueError:
        return False
    return not text.endswith("\\")


def _without_comment(text: str) -> str:
    return " ".join(re.sub(r"\s+# .*$", "", text).split())


@cache
def documented() -> tuple[tuple[Command, ...], tuple[Block, ...]]:
    """The commands and the other blocks of all pages."""
    read_pages = [read(page, (ROOT / page).read_text(encoding="utf-8")) for page in PAGES]
    return (
        tuple(command for commands, _ in read_pages for command in commands),
        tuple(block for _, blocks in read_pages for block in blocks),
    )
