"""Tables at a terminal fit its width and break no word; in a pipe they are plain."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from drs.cli.screen import fitted
from drs.text.tables import table

ROOT = Path(__file__).parents[3]
RUN = "manual__2026-11-24T02:49:35.405480+00:00_1f9658c2"
JOB, SERVER = "drsjob-0b0d42f9182d1afdb", "s-3c1730a9e0771ea14"
SEEN = (
    f"Server {SERVER} (orders-db-1) is held by the live job {JOB}, which somebody else has started by hand."
)
HEADER = ("run", "state", "server", "job", "seen", "by")
ROWS = [(RUN, "failed", SERVER, JOB, SEEN, "ada"), (RUN, "success", SERVER, "-", "", "ada")]
BELOW = ("seen", "job", "server", "by")


@pytest.fixture(autouse=True)
def no_colour(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")


@pytest.mark.parametrize("width", [60, 80, 100, 120, 160, 400])
def test_no_line_is_wider_than_the_terminal_and_every_word_is_whole(width: int) -> None:
    """Every cell is still there, and an id can be copied."""
    text = fitted(HEADER, ROWS, below=BELOW, width=width)
    assert max(map(len, text.splitlines())) <= width
    words = text.split()
    for row in ROWS:
        for cell in row:
            assert all(any(word in shown for shown in words) for word in cell.split() if cell != "-")


def test_with_room_for_all_columns_the_table_is_the_plain_one() -> None:
    """Which is also what a pipe gets."""
    assert fitted(HEADER, ROWS, below=BELOW, width=400) == table(HEADER, ROWS)
    assert fitted(HEADER, ROWS, below=BELOW, width=None) == table(HEADER, ROWS)


def test_what_has_no_room_is_below_its_row_with_the_name_of_its_column() -> None:
    """In the order of the columns. An empty cell is not shown there."""
    _, _, first, *below, second = fitted(HEADER, ROWS, below=BELOW, width=84).splitlines()
    assert first == f"{RUN}  failed   {SERVER}  ada"
    assert second == f"{RUN}  success  {SERVER}  ada"
    assert below == [
        f"    job: {JOB}",
        f"    seen: Server {SERVER} (orders-db-1) is held by the live job",
        f"    {JOB}, which somebody else has started by hand.",
    ]


def test_a_long_text_is_wrapped_in_its_column() -> None:
    """As long as 30 characters remain for it."""
    lines = fitted(("code", "seen"), [("X", SEEN)], below=("seen",), width=60).splitlines()
    assert len(lines) == 5
    assert all(line.startswith(("code", "----", "X     ", "      ")) for line in lines)
    below = fitted(("code", "seen"), [("X" * 40, SEEN)], below=("seen",), width=60)
    assert f"\n    seen: Server {SERVER}" in below


def test_a_cell_is_one_line_whatever_is_in_it() -> None:
    """Text of others draws no row of its own and moves no cursor."""
    text = fitted(("name", "state"), [("a\nb\x1b[2J", "ok")], below=(), width=80)
    assert text.splitlines()[2:] == ["a\\nb\\x1b[2J  ok"]


def test_wide_characters_take_two_places() -> None:
    """A server's name may be written in any script."""
    text = fitted(("name", "state"), [("注文データベース", "ok"), ("db", "ok")], below=(), width=80)
    assert "注文データベース  ok" in text
    assert f"db{' ' * 14}  ok" in text


def at_terminal(columns: int, *argv: str, **environment: str) -> tuple[int, str]:
    """Run a command at a terminal of this width."""
    main, terminal = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "drs", *argv],
        cwd=ROOT,
        env={**os.environ, "COLUMNS": str(columns), **environment},
        stdin=terminal,
        stdout=terminal,
        stderr=subprocess.DEVNULL,
    )
    os.close(terminal)
    parts: list[bytes] = []
    while True:
        try:
            part = os.read(main, 65536)
        except OSError:  # Linux's way to say that the other end is closed
            break
        if not part:
            break
        parts.append(part)
    os.close(main)
    return process.wait(), b"".join(parts).decode().replace("\r\n", "\n")


def test_a_command_at_a_terminal_fits_it(aws: Any) -> None:
    """The header is bold, unless the user wants no colour."""
    where = {"AWS_ENDPOINT_URL": aws.url, "TERM": "xterm"}
    code, text = at_terminal(60, "servers", "--region", "us-east-1", **where)
    assert code == 0
    assert "\x1b[1mserver" in text
    plain = re.sub(r"\x1b\[[0-9;]*m", "", text)
    assert max(map(len, plain.splitlines())) <= 60
    assert "tags: Tier=app" in plain
