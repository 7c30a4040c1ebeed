"""Tables for logs and terminals."""

from __future__ import annotations

from drs.text.tables import first_of, table


def test_columns_are_as_wide_as_their_widest_cell() -> None:
    """No line ends in spaces."""
    assert table(("server", "name"), [("s-1", "database"), ("s-22222222", "")]) == (
        "server      name\n----------  --------\ns-1         database\ns-22222222"
    )


def test_a_table_without_rows_is_its_header() -> None:
    """Rows may come from any iterable, an empty one too."""
    assert table(("server", "name"), iter(())) == "server  name\n------  ----"


def test_a_long_list_is_cut_after_five_items() -> None:
    """The text says how many more items there are."""
    assert first_of(list("abcde")) == "a, b, c, d, e"
    assert first_of(list("abcdefg")) == "a, b, c, d, e and 2 more"
