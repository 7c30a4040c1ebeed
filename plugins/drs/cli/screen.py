"""Tables that fit the terminal. In a pipe or a file they are plain, and each row is one line.

At a terminal no word is ever broken, so that every id can be copied. Long texts are wrapped between words. If
the columns do not fit side by side, the less important ones are written below their row.
"""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Iterable, Sequence

from drs.text import shown
from drs.text.tables import table

SHORT = 30
"""A cell of at most so many characters is never wrapped."""
GAP = 2
INDENT = 4
_BAD = re.compile(
    r"\b(failed|FAILED|error|NOT OK|NOT LAUNCHED|ANOTHER ACCOUNT|USED UP|unreadable|STALLED|DISCONNECTED)\b"
)
_DOUBTFUL = re.compile(r"\b(warning|missed|running|queued|live|not known|dry run|partial)\b")
Row = Sequence[str]


def show_table(header: Row, rows: Iterable[Row], *, below: Sequence[str] = ()) -> None:
    """Print a table.

    :param below: the columns that are written below their row where there is no room, in the order in which
        they give way
    """
    print(fitted(header, rows, below=below, width=terminal_width()))


def terminal_width() -> int | None:
    """The width of the terminal, in characters; ``None`` if standard output is no terminal."""
    if not sys.stdout.isatty():
        return None
    from rich.console import Console  # slow to import, and needed only here

    return Console().width


def fitted(header: Row, rows: Iterable[Row], *, below: Sequence[str], width: int | None) -> str:
    """The table as text.

    :param width: of the terminal; ``None``: there is none
    """
    listed = [tuple(map(shown.line, row)) for row in rows]
    return table(header, listed) if width is None else _Fitted(header, listed, below, width).text()


class _Fitted:
    """A table for a terminal of a known width."""

    def __init__(self, header: Row, rows: Sequence[Row], below: Sequence[str], width: int) -> None:
        self._header = header
        self._rows = rows
        self._width = width
        columns = range(len(header))
        least = [max(_least(line[column]) for line in (header, *rows)) for column in columns]
        self._beside = list(columns)
        for name in below:
            if self._total(least[column] for column in self._beside) <= width:
                break
            self._beside.remove(header.index(name))
        self._below = [column for column in columns if column not in self._beside]
        self._widths = self._shrunk(least)

    def _total(self, widths: Iterable[int]) -> int:
        return sum(widths) + GAP * (len(self._beside) - 1)

    def _shrunk(self, least: Sequence[int]) -> dict[int, int]:
        """How wide each column is. The widest give way first, and none gets narrower than it may be."""
        widths = {
            column: max(_cells(part) for line in (self._header, *self._rows) for part in _parts(line[column]))
            for column in self._beside
        }
        while self._total(widths.values()) > self._width:
            wide = max(
                (each for each in widths if widths[each] > least[each]), key=widths.__getitem__, default=None
            )
            if wide is None:
                break
            widths[wide] -= 1
        return widths

    def text(self) -> str:
        from rich.console import Console
        from rich.text import Text

        rule = (" " * GAP).join("-" * self._widths[column] for column in self._beside).rstrip()
        lines = [*(Text(line, style="bold") for line in self._lines(self._header)), Text(rule)]
        for row in self._rows:
            lines += [Text(line, style=_style(row)) for line in self._lines(row)]
            lines += [Text(line) for line in self._lines_below(row)]
        screen = io.StringIO()
        # The width of a line is decided here: rich neither wraps nor cuts it.
        console = Console(file=screen, force_terminal=True, width=self._width, highlight=False)
        for line in lines:
            console.print(line, soft_wrap=True)
        return screen.getvalue().rstrip("\n")

    def _lines(self, row: Row) -> list[str]:
        """The lines of a row whose cells are beside each other."""
        cells = [_wrapped(row[column], self._widths[column]) for column in self._beside]
        lines = []
        for number in range(max(map(len, cells))):
            parts = [cell[number] if number < len(cell) else "" for cell in cells]
            padded = (
                part + " " * (self._widths[column] - _cells(part))
                for part, column in zip(parts, self._beside, strict=True)
            )
            lines.append((" " * GAP).join(padded).rstrip())
        return lines

    def _lines_below(self, row: Row) -> list[str]:
        """The cells below a row: as many on a line as fit, each with the name of its column."""
        room, lines = self._width - INDENT, [""]
        for column in self._below:
            if row[column] in {"", "-"}:
                continue
            said = f"{self._header[column]}: {row[column]}"
            joined = f"{lines[-1]};  {said}" if lines[-1] else said
            if "\n" not in said and _cells(joined) <= room:
                lines[-1] = joined
            else:
                lines += _wrapped(said, room)
        return [f"{' ' * INDENT}{line}" for line in lines if line]


def _style(row: Row) -> str:
    """The colour of a row, by its short cells: a job may be COMPLETED although a server of it FAILED."""
    short = "\n".join(cell for cell in row if len(cell) <= SHORT)
    if _BAD.search(short):
        return "red"
    return "yellow" if _DOUBTFUL.search(short) else ""


def _parts(cell: str) -> list[str]:
    return cell.splitlines() or [""]


def _least(cell: str) -> int:
    """How narrow the cell may be: not narrower than a word, and only a long text is wrapped."""
    return max(min(_cells(part), max(SHORT, *map(_cells, _words(part) or [""]))) for part in _parts(cell))


def _words(part: str) -> list[str]:
    """What is never broken: a word, and a line with columns of its own."""
    return [part] if "  " in part else part.split()


def _wrapped(cell: str, width: int) -> list[str]:
    """The cell in lines of at most this width, except for words that are longer."""
    lines: list[str] = []
    for part in _parts(cell):
        lines.append("")
        for word in _words(part):
            joined = f"{lines[-1]} {word}" if lines[-1] else word
            if lines[-1] and _cells(joined) > width:
                lines.append(word)
            else:
                lines[-1] = joined
    return lines


def _cells(text: str) -> int:
    """How many places the text takes at a terminal."""
    from rich.cells import cell_len

    return cell_len(text)
