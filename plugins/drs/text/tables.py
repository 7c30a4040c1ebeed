"""Tables and short lists: plain for task logs and terminals, in Markdown for Airflow's pages."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from drs.text import shown

NAMED = 5
"""Items of a long list that a message names."""


def named(server_id: str, name: str) -> str:
    """``s-… (orders-db-1)``: a server with the name that its owner gave it."""
    return f"{server_id} ({shown.line(name)})"


def first_of(items: Sequence[str]) -> str:
    """``a, b, c, d, e and 2 more``: the first items, and how many more there are."""
    named = ", ".join(items[:NAMED])
    return f"{named} and {len(items) - NAMED} more" if len(items) > NAMED else named


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table with a rule under its header. Each column is as wide as its widest cell.

    A cell is one line, whatever is in it.
    """
    lines = [tuple(header), *(tuple(map(shown.line, row)) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    rule = "  ".join("-" * width for width in widths)
    first, *rest = [
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in lines
    ]
    return "\n".join(line.rstrip() for line in (first, rule, *rest))


def markdown_table(
    header: Sequence[str], rows: Iterable[Sequence[str]], *, sentences: Collection[str] = ()
) -> str:
    """The same table in Markdown, as Airflow's pages draw it.

    :param sentences: the columns whose cells are sentences of ours; the cells of all others are quoted values
    """
    render = [shown.markdown_sentence if name in sentences else shown.markdown for name in header]
    lines = [header]
    for row in rows:
        lines.append(
            [cell if cell in {"", "-"} else each(cell) for each, cell in zip(render, row, strict=True)]
        )
    first, *rest = [f"| {' | '.join(cells)} |" for cells in lines]
    return "\n".join((first, "|---" * len(header) + "|", *rest))
