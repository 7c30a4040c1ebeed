"""Text from outside: nothing of it acts on the medium that shows it, and nothing of it is lost."""

from __future__ import annotations

import json
import re
import shlex

import pytest
from markdown_it import MarkdownIt

from drs.text import shown
from drs.text.tables import markdown_table, table


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("db-1", "db-1"),
        ("Zürich 東京 ✓ – …", "Zürich 東京 ✓ – …"),
        ("C:\\logs", "C:\\logs"),
        ("a\x1b[31mb", "a\\x1b[31mb"),
        ("a\x9b31mb", "a\\x9b31mb"),
        ("a\x00b\x7fc\x08", "a\\x00b\\x7fc\\x08"),
        ("a\nb\r\nc\td", "a\\nb\\r\\nc\\td"),
        ("a\x0bb\x0cc\x85d\u2028e\u2029f", "a\\x0bb\\x0cc\\x85d\\u2028e\\u2029f"),
        ("a\u202eb\u2066c\u061cd", "a\\u202eb\\u2066c\\u061cd"),
        ("a\u200bb\u2060c\ufeffd\u00ade", "a\\u200bb\\u2060c\\ufeffd\\xade"),
        ("a\u3164b\u2800c\u115fd\ufe0fe", "a\\u3164b\\u2800c\\u115fd\\ufe0fe"),
        ("a\U000e0041b\U000e0100c", "a\\U000e0041b\\U000e0100c"),
        ("a\ud800b", "a\\ud800b"),
        ("a\u00a0b\u3000c", "a\u00a0b\u3000c"),
        ("::group::x", "\\x3a:group::x"),
        ("a ::endgroup:: ::ERROR file=x::y", "a \\x3a:endgroup:: \\x3a:ERROR file=x::y"),
        ("fe80::1 std::vector", "fe80::1 std::vector"),
    ],
)
def test_a_value_is_one_line_without_effect(text: str, seen: str) -> None:
    """Airflow folds the lines after ``::group::`` wherever in a line it is."""
    assert shown.line(text) == seen


def test_escapes_of_a_colour_do_not_join_the_parts_of_a_command() -> None:
    """Airflow removes colours before it looks for commands."""
    assert "::group::" not in shown.line("::gr\x1b[0moup::").replace("\x1b[0m", "")


def test_several_lines_of_ours_stay_lines() -> None:
    """In them a command is as harmless as in one line."""
    assert shown.block("a\nb\x1bc\n::group::d") == "a\nb\\x1bc\n\\x3a:group::d"


def test_lines_of_others_are_marked() -> None:
    """The output of a command cannot look like our own lines."""
    assert shown.quoted("ok\r\n[OK] What to do: nothing\n") == "  | ok\n  | [OK] What to do: nothing\n  | "


def test_a_value_in_a_command_is_one_argument() -> None:
    """A person may paste the command."""
    hostile = "x'; rm -rf ~; echo '\n"
    assert shlex.split(f"drs cleanup orders --run {shown.argument(hostile)}")[-1] == shown.line(hostile)
    assert shown.argument("manual__2026-03-01T06:00:00+00:00") == "manual__2026-03-01T06:00:00+00:00"


def test_a_subject_is_ascii() -> None:
    """Nothing is replaced by a question mark."""
    assert shown.ascii_line("Zürich\n東") == "Z\\xfcrich\\n\\u6771"


def test_a_page_keeps_line_ends_and_tabs() -> None:
    """Its template escapes the characters of HTML."""
    assert shown.html("a\tb\r\nc\x1b\u202e<") == "a\tb\nc\\x1b\\u202e<"


HOSTILE = (
    "x **b** _i_ `code` ``c`` [l](http://evil.example) ![i](http://evil.example/i.png) <b>h</b> <!-- c -->",
    "http://evil.example www.evil.example _www.evil.example eve@evil.example https://e.example",
    "\n\n# heading\n\n- item\n1. one\n> quote\n---\n```\nfence\n```\n    code\n===\n",
    "| a | b |\n|---|---|\n| c | d |",
    "a\\|b\\\\|c|d",
    "trailing \\",
    "`",
    "``",
    " ` ",
    "~~s~~ ***",
    "&lt;b&gt; &#42; &amp;",
    "[x]: http://evil.example",
    "1. first",
    "  2) second",
)


def rendered(markdown: str) -> tuple[list[str], str]:
    """The kinds of elements in a Markdown text, and its words."""
    kinds: list[str] = []
    words: list[str] = []
    for token in MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(markdown):
        kinds.append(token.type)
        for child in token.children or ():
            kinds.append(child.type)
            words.append(child.content)
            if child.type == "text":  # what Airflow's renderer turns into links even if it is escaped
                assert "://" not in child.content
                assert "www." not in child.content
                assert not re.search(r"\S@\S", child.content)
    return kinds, "".join(words)


@pytest.mark.parametrize("hostile", HOSTILE)
def test_a_value_in_markdown_is_a_quotation(hostile: str) -> None:
    """It is one code span, whatever it contains, and can be read as it was."""
    kinds, words = rendered(f"Reason: {shown.markdown(hostile)}.")
    assert kinds == ["paragraph_open", "inline", "text", "code_inline", "text", "paragraph_close"]
    assert words.replace("\\x7c", "|") == f"Reason: {shown.line(hostile)}."


@pytest.mark.parametrize("hostile", HOSTILE)
def test_a_sentence_in_markdown_is_text(hostile: str) -> None:
    """No emphasis, no link, no HTML: the words are seen as they were written."""
    kinds, words = rendered(shown.markdown_sentence(hostile))
    assert set(kinds) <= {"paragraph_open", "inline", "text", "text_special", "paragraph_close"}
    plain = words.replace("\\x3a//", "://").replace("www\\x2e", "www.").replace("\\x40", "@")
    assert plain == shown.line(hostile).strip()


@pytest.mark.parametrize("hostile", HOSTILE)
def test_a_table_in_markdown_has_its_own_cells_only(hostile: str) -> None:
    """No value adds a cell or a row."""
    rows = [("s-1", hostile, hostile), ("s-2", "", "fine")]
    kinds, _ = rendered(f"{markdown_table(('server', 'name', 'seen'), rows, sentences=('seen',))}\n")
    assert (kinds.count("tr_open"), kinds.count("th_open"), kinds.count("td_open")) == (3, 3, 6)
    assert not {"strong_open", "em_open", "link_open", "image", "html_inline", "s_open"} & set(kinds)


def test_a_block_in_markdown_cannot_be_ended_from_within() -> None:
    """Not even by as many backticks as begin it."""
    kinds, _ = rendered(shown.markdown_block("a\n```\n# b\n````\n<b>\n"))
    assert kinds == ["fence"]


def test_a_plain_table_has_one_line_for_each_row() -> None:
    """A name with a line end does not add a row."""
    lines = table(("server", "name"), [("s-1", "db\ns-2  healthy"), ("s-3", "\x1b[2K")]).splitlines()
    assert lines[2:] == ["s-1     db\\ns-2  healthy", "s-3     \\x1b[2K"]


def test_what_is_shown_can_be_sent() -> None:
    """Half of a character that needs two cannot be encoded."""
    assert json.dumps(shown.block("\ud800")).encode()
