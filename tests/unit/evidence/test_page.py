"""The page of a record: complete, self-contained, escaped, the same for the same record."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from typing import Any
from xml.etree import ElementTree

import pytest

from drs.evidence.page import render_page
from drs.evidence.record import Evidence, ServerEvidence
from drs.run.records import ApprovalRecord, Stop
from drs.text.times import duration, instant
from tests.unit.drill import after
from tests.unit.evidence.records import (
    LAUNCH_SECONDS,
    RAW_ERROR,
    copy,
    dry_run_record,
    failed_record,
    large_record,
    make_record,
    partial_record,
    passed_record,
    passed_waves,
    recovery_record,
)

RECORDS = (passed_record, partial_record, failed_record, dry_run_record, recovery_record)
CHOICES = {"record", "result", "scope", "state", "fate", "severity", "execution_type", "answered"}
"""Members of a record that are one of a few words."""
HOSTILE = """</style></title><script>alert("x")</script>'"&{{ 7 * 7 }}{% raw %}\\"""


class Reader(HTMLParser):
    """What a browser finds in a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.style = ""
        self._inside = ""
        self.feed(page)
        self.close()

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.words))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._inside = tag

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside == "style":
            self.style += data
        else:
            self.words.append(data)


def told(value: Any, key: str = "") -> Iterator[str]:
    """Every text, instant and span of a part of a record, in the words of the page."""
    if isinstance(value, dict):
        for name, member in value.items():
            if name != "content":
                yield from told(member, name)
    elif isinstance(value, (list, tuple)):
        for member in value:
            yield from told(member, key)
    elif isinstance(value, dt.datetime):
        yield instant(value)
    elif isinstance(value, str) and key not in CHOICES - {"execution_type", "record", "severity"}:
        yield re.sub(r"\s+", " ", value)
    elif isinstance(value, float):
        yield duration(value)


def hostile(value: Any, key: str = "") -> Any:
    """The same part of a record, with an attack added to its free texts."""
    if isinstance(value, dict):
        return {name: hostile(member, name) for name, member in value.items()}
    if isinstance(value, (list, tuple)):
        return [hostile(member, key) for member in value]
    return value + HOSTILE if isinstance(value, str) and key not in CHOICES else value


@pytest.mark.parametrize("make", RECORDS)
def test_every_fact_of_the_record_stands_in_the_page(make: Callable[[], Evidence]) -> None:
    """Names, ids, reasons, instants, spans and hashes."""
    record = make()
    text = Reader(render_page(record)).text
    missing = [fact for fact in told(record.model_dump()) if fact not in text]
    assert missing == []
    assert record.result.upper() in text


def test_the_plan_stands_in_the_page_as_it_was() -> None:
    """It is shown as YAML, like a plan file."""
    page = render_page(passed_record())
    assert "next_wave_when: launched" in page
    assert "- s-00000003000000002" in page


def test_a_failed_run_says_first_what_kept_it_from_passing() -> None:
    """Reasons and failures with their remedies come first, then the objectives. A passed run has no such
    part.
    """
    text = Reader(render_page(failed_record())).text
    order = [
        "FAILED",
        "Why the run did not pass",
        "[SERVER_LAUNCH_FAILED]",
        "What to do: ",
        "Objectives",
        "missed by 6 min",
        "The exercise",
        "Timeline",
        RAW_ERROR,
        "Cause: ",
        "Retry: safe",
        "not proven gone",
        "How to verify this record",
        "python -m drs evidence verify order-system",
    ]
    places: list[int] = []
    for words in order:
        places.append(text.index(words, places[-1] if places else 0))
    assert "Why the run did not pass" not in render_page(passed_record())


@pytest.mark.parametrize("make", [*RECORDS, large_record])
def test_the_page_needs_nothing_from_outside(make: Callable[[], Evidence]) -> None:
    """It has no script, frame, picture, style sheet or font, and a policy that forbids them."""
    page = Reader(render_page(make()))
    outside = {"script", "img", "link", "iframe", "object", "embed", "base"}
    assert {tag for tag, _ in page.elements}.isdisjoint(outside)
    attributes = [pair for _, attributes in page.elements for pair in attributes.items()]
    assert {value for _, value in attributes if value and "url(" in value} <= {"url(#labels)"}
    assert not [name for name, _ in attributes if name in {"src", "srcset"} or name.startswith("on")]
    assert re.findall(r"url\((?!#)|@import", page.style) == []
    policies = [a["content"] for tag, a in page.elements if tag == "meta" and "http-equiv" in a]
    assert policies == [
        "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
    ]


@pytest.mark.parametrize("make", [passed_record, failed_record])
def test_texts_from_outside_stay_texts(make: Callable[[], Evidence]) -> None:
    """Markup, quotes and braces in names, reasons, raw errors and outputs are shown as text."""

    def structure(reader: Reader) -> set[tuple[str, ...]]:
        return {(tag, *sorted(attributes)) for tag, attributes in reader.elements}

    plain = Reader(render_page(make()))
    attacked = Reader(render_page(Evidence.model_validate(hostile(make().model_dump()))))
    assert structure(attacked) <= structure(plain)
    assert not set("<\\") & set(attacked.style)
    assert attacked.style.count('"') == plain.style.count('"')
    assert attacked.text.count(HOSTILE) > 50


def test_characters_that_nobody_sees_are_spelt_out() -> None:
    """A character that reverses the text direction could make a failure read as something else."""
    record = make_record(summary="pass\u202eed\x00 \u200bnow", remarks=("line one\r\nline two",))
    page = render_page(record)
    assert "pass\\u202eed\\x00 \\u200bnow" in page
    assert not re.search("[\x00\u200b\u202e\r]", page)


@pytest.mark.parametrize("url", ["javascript:alert(1)", "data:text/html,x", None])
def test_only_a_web_address_is_made_a_link(url: str | None) -> None:
    """Any other URL is shown as text."""
    record = make_record()
    page = Reader(render_page(copy(record, run=copy(record.run, url=url))))
    assert "a" not in {tag for tag, _ in page.elements}
    assert (url or "The run in Airflow –") in page.text


def test_the_run_is_linked() -> None:
    """The reader may have access to Airflow."""
    links = [a["href"] for tag, a in Reader(render_page(make_record())).elements if tag == "a"]
    assert links == [make_record().run.url]


@pytest.mark.parametrize("make", RECORDS)
def test_the_same_record_is_the_same_page(make: Callable[[], Evidence]) -> None:
    """Even after it was stored as JSON, so that the page can be made again at any time."""
    record = make()
    again = Evidence.model_validate_json(record.model_dump_json())
    assert render_page(record) == render_page(again)


def test_the_drawing_has_a_bar_for_each_server_with_times_and_the_rto_line() -> None:
    """Positions are compared with the axis of the same picture."""
    svg = re.search(r'<svg viewBox="[^"]*" role="img".*?</svg>', render_page(failed_record()), re.DOTALL)
    assert svg is not None
    drawing = ElementTree.fromstring(svg.group())
    bars = {
        row.findtext("text/title"): bar
        for row in drawing.iterfind("g")
        if (bar := row.find("rect[@class='bar']")) is not None
    }
    assert list(bars) == [
        "database-01",
        "database-02",
        "application-01",
        "application-02",
        "application-03",
        "clean-up",
    ]
    lines = {
        int(tick.attrib["data-minutes"]): float(line.attrib["x1"])
        for tick in drawing.iterfind(".//g[@data-minutes]")
        for line in tick.iterfind("line")
    }
    minute = (lines[10] - lines[0]) / 10
    assert float(bars["database-01"].attrib["x"]) == pytest.approx(lines[0] + minute * 25 / 60, abs=0.1)
    assert float(bars["database-01"].attrib["width"]) == pytest.approx(minute * LAUNCH_SECONDS / 60, abs=0.1)
    assert drawing.find("g[@class='rto']/line") is not None


def test_a_run_without_launches_says_so_where_others_have_a_picture() -> None:
    """An auditor must not wonder whether something is missing."""
    text = Reader(render_page(dry_run_record())).text
    for sentence in (
        "This run asked DRS to launch no server, so there is nothing to draw.",
        "No server was left out.",
        "The record holds no finding.",
        "The record holds no clean-up.",
        "The record holds no approval.",
        "none: this is the first record of the plan",
    ):
        assert sentence in text


def test_an_approval_that_nobody_was_asked_for_is_not_shown_as_one() -> None:
    """Skipped means neither yes nor no."""
    answer = ApprovalRecord(approved=True, answered="skipped", at=after(640))
    text = Reader(render_page(make_record(approvals={"application": answer}))).text
    assert "skipped, not asked" in text
    assert "approved skipped" not in text


def test_the_bare_minimum_of_a_record_has_a_page() -> None:
    """A run that ended before it had waves, and a run with servers of which nothing is known."""
    assert "The record holds no waves." in render_page(make_record(()))
    (wave,) = passed_waves(1)
    said = {"server_id", "name", "group", "optional", "launched", "events", "checks"}
    unknown = dict.fromkeys(set(ServerEvidence.model_fields) - said)
    bare = copy(wave.servers[0], launched=False, events=(), checks=(), **{**unknown, "live": False})
    text = Reader(render_page(make_record((copy(wave, servers=(bare,)),), cleanup=None))).text
    assert "DRS's job log has no event of this server." in text


def test_a_scheduled_run_without_a_reason_leaves_no_blank() -> None:
    """A dash is shown, so that nothing seems to be cut off."""
    record = make_record()
    page = render_page(copy(record, run=copy(record.run, reason="")))
    assert "Reason – " in Reader(page).text


def test_a_partial_pass_does_not_look_like_a_pass() -> None:
    """The title, the headline and what follows it say what was left out and missed."""
    page = render_page(partial_record())
    assert "<title>order-system-000007: PARTIAL DRILL PASSED</title>" in page
    text = Reader(page).text
    assert (
        "△ PARTIAL DRILL PASSED 2 of 3 waves, 1 server excluded the RTO was missed by 12 min: all servers "
        "were validated after 1 h 12 min, the target is 1 h" in text
    )
    assert 'class="verdict part"' in page
    assert 'class="verdict yes"' in render_page(passed_record())


def test_losses_fates_and_who_stopped_the_run_are_shown() -> None:
    """Who ended what, as far as the record knows."""
    record = failed_record()
    stop = Stop(by="ada (drs stop)", at=after(700), reason="wrong day")
    text = Reader(render_page(copy(record, run=copy(record.run, stop=stop)))).text
    for words in (
        "Instances that somebody else ended during the drill",
        "it is gone drsjob-0cc of plan billing, run manual__2026-03-01, ended it",
        "4 launched: 1 lost, 2 terminated, 1 not proven gone",
        "✕ lost: it is gone: drsjob-0cc ended it",
        "Stopped by ada (drs stop)",
        "Why it was stopped wrong day",
    ):
        assert words in text, words
    plain = Reader(render_page(passed_record())).text
    assert "Stopped by" not in plain
    assert "somebody else" not in plain


def test_a_server_that_was_still_launching_is_not_said_to_have_failed_to() -> None:
    """Its job outlived the wait for it."""
    (wave,) = passed_waves(1)
    live = copy(wave.servers[0], launched=False, live=True, valid=None, launched_at=None, checks=())
    text = Reader(render_page(make_record((copy(wave, servers=(live,)),)))).text
    assert "was still launching when the wait ended" in text
    assert "did not launch" not in text
