"""Regular expressions of plans: what matches, how long it takes, what is said of those that RE2 refuses."""

from __future__ import annotations

import random
import re
import time

import pytest

from drs.plan import expressions
from drs.plan.expressions import LARGEST, ExpressionError
from drs.validation.checks.http_get import BODY


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        ("ok", "it is ok now"),
        ('"status": *"ok"', '{"status":   "ok"}'),
        ("(?i)OK", "ok"),
        ("(?m)^ready$", "starting\nready\n"),
        ("(?s)up.*ready", "up\nand ready"),
        (r"\bok\b", "is ok"),
        (r"(\d+) of (?P<all>\d+)", "3 of 4"),
        ("grün|größer", "alles grün"),
        ("^ok$", "ok"),
        ("^ok$", "ok\n"),
        ("^ok\n$", "ok\n"),
        ("^$", ""),
    ],
)
def test_an_expression_is_found_as_python_finds_it(expression: str, text: str) -> None:
    """Also a $ before a line break that ends the text, as most answers have one."""
    assert re.search(expression, text)
    assert expressions.found(expression, text)


@pytest.mark.parametrize(
    ("expression", "text"),
    [("ok", "OK"), ("^ok$", "ok\n\n"), ("^ok$", "ok\nmore"), ("up.*ready", "up\nready"), ("a{3}", "aa")],
)
def test_an_expression_is_not_found_where_python_does_not_find_it(expression: str, text: str) -> None:
    assert not re.search(expression, text)
    assert not expressions.found(expression, text)


@pytest.mark.parametrize(
    "expression",
    [
        "(a+)+$",
        "(a|aa)+$",
        "(.*a){25}$",
        "^(([a-z])+.)+[A-Z]([a-z])+$",
        "(a?){100}a{100}$",
        "[ab]*a[ab]{200}c",
        "a[ab]{990}c",
    ],
)
def test_no_expression_takes_long(expression: str) -> None:
    """Neither do those that keep Python's own engine busy for years, nor the largest that are allowed."""
    mixed = "".join(random.Random(1).choices("ab", k=BODY - 1)) + "!"
    for text in (mixed, "a" * (BODY - 1) + "!"):
        began = time.thread_time()
        assert not expressions.found(expression, text)
        assert time.thread_time() - began < 5


@pytest.mark.parametrize(
    ("expression", "remedy"),
    [
        ("up(?=.*ready)", "no look-ahead"),
        ("up(?!.*down)", "no look-ahead"),
        ("(?<=up )ready", "no look-ahead and no look-behind"),
        ("(?<!not )ready", "no look-ahead and no look-behind"),
        (r"(['\"])ok\1", "no back-references"),
        ("(?P<quote>['\"])ok(?P=quote)", "no back-references"),
        ("(?>a+)b", "never goes back"),
        ("a++b", "never goes back"),
        (r"ok\Z", r"Write \z"),
        (r"\u20ac", r"\x{20AC}"),
        ("(?x) o k", "flags i, m, s and U"),
        ("ok(?#for now)", "comment"),
        ("(a)?(?(1)b|c)", "conditions"),
        ("a{1001}", "at most 1000 times"),
        ("(a{100}){100}", "1000 times"),
        ("ok (", "backslash"),
        ("ok [", "backslash"),
        ("*", "backslash"),
    ],
)
def test_an_expression_that_re2_refuses_is_told_with_what_to_write_instead(
    expression: str, remedy: str
) -> None:
    """Why it is refused is in RE2's own words, as text."""
    with pytest.raises(ExpressionError) as refused:
        expressions.check(expression)
    assert remedy in refused.value.remedy
    assert re.match(r"[a-z ]+[)\]]?: \S", refused.value.why)


@pytest.mark.parametrize("expression", ["a{1000}b{1000}c{1000}", r"(\pL{100}){10}"])
def test_an_expression_that_is_too_large_is_refused(expression: str) -> None:
    """A match would take too long."""
    with pytest.raises(ExpressionError) as refused:
        expressions.check(expression)
    assert str(LARGEST) in refused.value.why or "too large" in refused.value.why
    assert refused.value.remedy.startswith("Shorten it")


def test_re2_writes_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    """It would write its errors to stderr."""
    with pytest.raises(ExpressionError):
        expressions.check("(?=a)")
    assert capfd.readouterr() == ("", "")
