"""Every pattern explains its own examples, and no example of another pattern."""

from __future__ import annotations

import datetime as dt
import itertools
import re
from pathlib import Path

import pytest

from drs.aws.access_denied import statement
from drs.aws.refusals import ErrorKind
from drs.aws.refusals.meaning import OTHERWISE
from drs.explain import MEANINGS, PATTERNS, LaunchExplanation, Pattern, explain_failure
from drs.explain.pattern import Example
from tests.unit.drill import DATABASE, make_event

A = DATABASE[0]
CASES = [
    (pattern, Example(example) if isinstance(example, str) else example)
    for pattern in PATTERNS
    for example in pattern.examples
]
WORDS = {
    "action": "*the action*",
    "statement": "*the statement*",
    "denies": "explicitly denies (or does not allow)",
    "policy": "",
    "otherwise": OTHERWISE,
    "operation": "",
    "code": "*the code*",
    "said": "*AWS's words*",
}
"""What the page says in place of each placeholder."""
JOB_EVENTS = {"JOB_START", "JOB_END"}


def explained(example: Example) -> LaunchExplanation:
    events = [
        make_event(second, name, None if name in JOB_EVENTS else A)
        for second, name in enumerate(example.events)
    ]
    silent = example.silent_minutes
    return explain_failure(
        example.raw_error,
        events,
        job_status=example.job_status,
        launch_status=example.launch_status,
        silent_for=None if silent is None else dt.timedelta(minutes=silent),
    )


@pytest.mark.parametrize(
    ("pattern", "example"),
    CASES,
    ids=[f"{pattern.id}: {number}" for number, (pattern, _) in enumerate(CASES)],
)
def test_an_example_is_explained_by_its_own_pattern(pattern: Pattern | ErrorKind, example: Example) -> None:
    """No earlier pattern fits the example. Every placeholder in the texts is replaced."""
    explanation = explained(example)
    assert explanation.pattern == pattern.id
    assert explanation.retry_is_safe == pattern.retry_is_safe
    for text in (explanation.cause, explanation.remedy, explanation.phrase):
        assert text
        assert not re.search(r"\{\w+\}", text)


@pytest.mark.parametrize("pattern", PATTERNS, ids=lambda pattern: str(pattern.id))
def test_a_pattern_matches_in_one_way_and_has_an_example(pattern: Pattern | ErrorKind) -> None:
    """A sign matches by an event, or by a condition. What is no code and no event is also given in words."""
    assert pattern.examples
    if isinstance(pattern, Pattern):
        assert (bool(pattern.events), pattern.when is not None) in ((True, False), (False, True))
        assert bool(pattern.matches) is (pattern.when is not None)
    else:
        assert pattern.codes or pattern.vague_codes or pattern.matches


def test_ids_are_unique() -> None:
    """Evidence and tests refer to patterns by their ids."""
    assert len({pattern.id for pattern in PATTERNS}) == len(PATTERNS)


def test_a_missing_permission_is_named_with_the_statement_to_paste() -> None:
    """The action is in the cause, and the statement is in the remedy."""
    explanation = explain_failure("You are not authorized to perform: ec2:RunInstances", [])
    assert explanation.action == "ec2:RunInstances"
    assert "ec2:RunInstances" in explanation.cause
    assert statement(["ec2:RunInstances"]) in explanation.remedy


def test_a_permission_that_is_not_named_is_not_invented() -> None:
    """The cause says that the error does not name the action."""
    explanation = explain_failure("UnauthorizedOperation", [])
    assert (explanation.action, explanation.denied) == (None, True)
    assert "an action that the error does not name" in explanation.cause


def test_a_raw_error_is_tried_before_events() -> None:
    """A conversion that failed because of a missing permission is explained as a missing permission."""
    events = [make_event(1, "CONVERSION_FAIL", A)]
    assert explain_failure("not authorized to perform: ec2:AttachVolume", events).pattern == "permission"
    odd = explain_failure("Something odd", events)
    assert odd.pattern == "conversion_failed"
    assert odd.cause.startswith('"Something odd": this error is unknown')


def test_a_fallback_that_was_followed_by_another_failure_is_not_the_cause() -> None:
    """The launch failed later, after the fallback."""
    events = [make_event(1, "USING_PREVIOUS_SNAPSHOT", A), make_event(2, "LAUNCH_FAILED", A)]
    assert explain_failure("Something odd", events).pattern == "unknown"


def test_meanings_of_events_are_drs_s_own_names() -> None:
    """They are in the API's model, except LAUNCH_END, which DRS writes although its model lacks it."""
    import botocore.session
    from botocore.model import StringShape

    event = botocore.session.get_session().get_service_model("drs").shape_for("JobLogEvent")
    assert isinstance(event, StringShape)
    assert set(MEANINGS) - {"LAUNCH_END"} <= set(event.enum)


def test_the_page_of_failures_lists_every_pattern() -> None:
    """The page has id, cause, remedy and retry, in the order in which the patterns are tried."""
    page = Path("docs/failures.md").read_text()
    rows = [line for line in page.splitlines() if line.startswith("| `")]
    assert [re.findall(r"`(\w+)`", row)[0] for row in rows] == [pattern.id for pattern in PATTERNS]
    for pattern, row in itertools.zip_longest(PATTERNS, rows):
        assert row == page_row(pattern)


def page_row(pattern: Pattern | ErrorKind) -> str:
    """The row of the page, with readable words in place of placeholders."""
    cells = [f"`{pattern.id}`", recognised(pattern), pattern.cause, pattern.remedy]
    cells = [re.sub(r"\{(\w+)\}", lambda found: WORDS[found[1]], cell) for cell in cells]
    return f"| {' | '.join([*cells, 'yes' if pattern.retry_is_safe else 'no'])} |"


def recognised(pattern: Pattern | ErrorKind) -> str:
    """By what a pattern is recognised."""
    if isinstance(pattern, Pattern):
        return pattern.matches or ", ".join(sorted(pattern.events))
    codes = ", ".join((*pattern.codes, *pattern.vague_codes))
    return "; ".join(filter(None, (codes, pattern.matches)))
