"""Plain tables and short lists for task logs and terminals."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

NAMED = 5
"""Items of a long list that a message names."""


def first_of(items: Sequence[str]) -> str:
    """``a, b, c, d, e and 2 more``: the first items, and how many more there are."""
    named = ", ".join(items[:NAMED])
    return f"{named} and {len(items) - NAMED} more" if len(items) > NAMED else named


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table with a rule under its header. Each column is as wide as its widest cell."""
    lines = [tuple(header), *(tuple(row) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    rule = "  ".join("-" * width for width in widths)
    first, *rest = [
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in lines
    ]
    return "\n".join(line.rstrip() for line in (first, rule, *rest))
