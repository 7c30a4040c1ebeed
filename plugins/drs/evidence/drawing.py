"""Lays out the drawn timeline of a run: rows, bars and marks, in CSS pixels. Pure.

A figure is as wide as the text of an A4 page and at most as high as the page. A large run has several
figures; the first one shows only its waves.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from drs.evidence.axis import Axis, Break, Tick
from drs.evidence.record import CleanupEvidence, Evidence, ServerEvidence, WaveEvidence
from drs.evidence.texts import MARKS, WAVE_STATES, is_failed, server_result
from drs.run.records import ApprovalRecord
from drs.text.times import as_utc, duration, instant

ROW = 13.0
TOP, BOTTOM = 34.0, 28.0
"""Room above the rows for the axis, and below them for the labels of the run's start and the RTO."""
ROWS_OF_A_PAGE = 64
ROWS_BELOW_THE_HEADING = 57
"""The rows that fit on the page with the heading of the timeline and its legend."""
FEWEST_ROWS = 4
"""If a page has room for fewer rows than these, a wave begins on the next page."""
PHASES = ("SNAPSHOT", "CONVERSION", "LAUNCH")

Moments = tuple[dt.datetime, dt.datetime]


@dataclass(frozen=True)
class Span:
    """A stretch of a row, from its left to its right end."""

    kind: str
    left: float
    right: float

    @property
    def width(self) -> float:
        return self.right - self.left


@dataclass(frozen=True)
class Mark:
    """A moment of a row."""

    shape: Literal["started", "launched", "validated", "approved", "rejected", "failed"]
    x: float
    title: str


@dataclass(frozen=True)
class Row:
    """A wave, a server, or something that concerns the whole run."""

    kind: Literal["run", "wave", "server", "cleanup"]
    label: str
    note: str
    failed: bool = False
    bar: Span | None = None
    spans: tuple[Span, ...] = ()
    marks: tuple[Mark, ...] = ()


@dataclass(frozen=True)
class Figure:
    """One picture: rows under an axis."""

    caption: str
    rows: tuple[Row, ...]
    ticks: tuple[Tick, ...]
    breaks: tuple[Break, ...]
    began: str
    began_x: float
    rto: str
    rto_x: float | None

    @property
    def bottom(self) -> float:
        """The lower end of the last row."""
        return TOP + ROW * len(self.rows)

    @property
    def height(self) -> float:
        return self.bottom + BOTTOM


def draw(record: Evidence) -> tuple[Figure, ...]:
    """The figures of a run's timeline; none if nothing was launched."""
    if not any(wave.first_call_at or any(map(extent, wave.servers)) for wave in record.waves):
        return ()
    drawing = _Drawing(record)
    pages = list(drawing.pages())
    if sum(map(len, pages)) <= ROWS_BELOW_THE_HEADING:
        return (drawing.figure("Waves and servers", pages[0]),)
    waves, parts = drawing.overview(), len(pages)
    return (
        *(
            drawing.figure("The waves", waves[first : first + ROWS_BELOW_THE_HEADING])
            for first in range(0, len(waves), ROWS_BELOW_THE_HEADING)
        ),
        *(
            drawing.figure(f"Servers, part {number} of {parts}", rows)
            for number, rows in enumerate(pages, start=1)
        ),
    )


def extent(server: ServerEvidence) -> Moments | None:
    """The time from a server's request to its launch, or to the last event that is known of it."""
    seen = sorted(as_utc(event.at) for event in server.events)
    begin = server.requested_at or (seen[0] if seen else server.launched_at)
    if begin is None:
        return None
    end = server.launched_at or (seen[-1] if seen else begin)
    return as_utc(begin), max(as_utc(begin), as_utc(end))


def phases(server: ServerEvidence, within: Moments) -> Iterator[tuple[str, Moments]]:
    """The phases of DRS's work on a server. A phase without an end lasts to the end of the server's bar."""
    first, last = within
    opened: dict[str, dt.datetime] = {}
    for event in sorted(server.events, key=lambda event: as_utc(event.at)):
        phase, _, step = event.event.partition("_")
        at = min(max(first, as_utc(event.at)), last)
        if phase not in PHASES:
            continue
        if step == "START":
            opened.setdefault(phase, at)
        elif phase in opened:
            yield phase.lower(), (opened.pop(phase), at)
    for phase, at in opened.items():
        yield phase.lower(), (at, last)


class _Drawing:
    """The figures of a run. All of them have the same axis."""

    def __init__(self, record: Evidence) -> None:
        self._record = record
        rto = record.objectives.rto_launched.target_seconds or record.objectives.rto_validated.target_seconds
        self._rto_at = None if rto is None else record.run.began_at + dt.timedelta(seconds=rto)
        self._rto = f"RTO target {duration(rto)}"
        names = {wave.name for wave in record.waves}
        self._of_the_run = {
            key: answer
            for key, answer in record.approvals.items()
            if key not in names and answer.answered != "skipped"
        }
        self._axis = Axis(record.run.began_at, self._moments(), self._busy())

    def figure(self, caption: str, rows: Sequence[Row]) -> Figure:
        axis = self._axis
        return Figure(
            caption=caption,
            rows=tuple(rows),
            ticks=axis.ticks,
            breaks=axis.breaks,
            began=f"run began {axis.start:%H:%M:%S}",
            began_x=axis.x(axis.start),
            rto=self._rto,
            rto_x=None if self._rto_at is None else axis.x(self._rto_at),
        )

    def overview(self) -> list[Row]:
        """One row for each wave, and the rows of the run."""
        return [*self._first_rows(), *map(self._wave_row, self._record.waves), *self._last_rows()]

    def pages(self) -> Iterator[list[Row]]:
        """All rows, in pages."""
        page = self._first_rows()
        for wave in self._record.waves:
            if len(page) + min(FEWEST_ROWS, 1 + len(wave.servers)) > ROWS_OF_A_PAGE:
                yield page
                page = []
            row = self._wave_row(wave)
            page.append(row)
            for server in wave.servers:
                if len(page) == ROWS_OF_A_PAGE:
                    yield page
                    page = [Row("wave", f"{wave.name}, continued", row.note)]
                page.append(self._server_row(server))
        yield [*page, *self._last_rows()]

    def _moments(self) -> Iterator[dt.datetime]:
        for begin, end in self._busy():
            yield from (begin, end)
        yield from (answer.at for answer in self._record.approvals.values())
        if cleanup := self._record.cleanup:
            yield from (at for at in (cleanup.started_at, cleanup.ended_at) if at)
        if self._rto_at:
            yield self._rto_at

    def _busy(self) -> Iterator[Moments]:
        for wave in self._record.waves:
            if own := _wave_extent(wave):
                yield own

    def _wave_row(self, wave: WaveEvidence) -> Row:
        bar = None
        spans = []
        if own := _wave_extent(wave):
            bar = self._span("wave", own)
            if before := self._gate_before(wave, own[0]):
                spans.append(self._span("pause", (before, own[0])))
        answer = self._record.approvals.get(wave.name)
        marks = [self._approval(answer)] if answer and answer.answered != "skipped" else []
        gates: tuple[tuple[Literal["started", "launched", "validated"], dt.datetime | None], ...] = (
            ("started", wave.started_at),
            ("launched", wave.launched_at),
            ("validated", wave.validated_at),
        )
        marks += [Mark(gate, self._axis.x(at), f"{gate} {instant(at)}") for gate, at in gates if at]
        return Row(
            "wave",
            wave.name,
            f"{MARKS[wave.state]} {WAVE_STATES[wave.state]}",
            wave.state == "failed",
            bar,
            tuple(spans),
            tuple(marks),
        )

    def _gate_before(self, wave: WaveEvidence, begin: dt.datetime) -> dt.datetime | None:
        """When the last gate before this wave was reached; the run's start if it depends on no other wave."""
        before = [other for other in self._record.waves if other.name in wave.depends_on]
        gates = [
            as_utc(at)
            for other in before
            for at in (other.started_at, other.launched_at, other.validated_at)
            if at
        ]
        return max((gate for gate in gates if gate <= begin), default=None if before else self._axis.start)

    def _server_row(self, server: ServerEvidence) -> Row:
        mark, words = server_result(server)
        took = duration(server.launch_seconds) if server.launch_seconds is not None else ""
        own = extent(server)
        return Row(
            "server",
            server.name or server.server_id,
            f"{mark} {words.removesuffix(' (optional)')}" if is_failed(server) or not took else took,
            not server.launched,
            self._span("server", own) if own else None,
            tuple(self._span(phase, moments) for phase, moments in phases(server, own)) if own else (),
            (Mark("failed", self._axis.x(own[1]), words),) if own and is_failed(server) else (),
        )

    def _first_rows(self) -> list[Row]:
        """A row for the answers that concern the whole run and not one wave."""
        if not self._of_the_run:
            return []
        marks = tuple(self._approval(answer) for answer in self._of_the_run.values())
        return [Row("run", "the run", "", marks=marks)]

    def _last_rows(self) -> list[Row]:
        cleanup = self._record.cleanup
        if cleanup is None:
            return []
        bar = None
        if cleanup.started_at:
            bar = self._span("cleanup", (cleanup.started_at, cleanup.ended_at or cleanup.started_at))
        return [Row("cleanup", "clean-up", _cleanup_note(cleanup), not (cleanup.proven or cleanup.kept), bar)]

    def _approval(self, answer: ApprovalRecord) -> Mark:
        shape: Literal["approved", "rejected"] = "approved" if answer.approved else "rejected"
        return Mark(shape, self._axis.x(answer.at), f"{shape} {answer.answered} {instant(answer.at)}")

    def _span(self, kind: str, moments: Moments) -> Span:
        left, right = (self._axis.x(at) for at in moments)
        return Span(kind, left, max(left, right))


def _wave_extent(wave: WaveEvidence) -> Moments | None:
    """The time from a wave's first call to the last instant that is known of it or of its servers."""
    servers = [own for server in wave.servers if (own := extent(server))]
    gates = [at for at in (wave.first_call_at, wave.started_at, wave.launched_at, wave.validated_at) if at]
    known = [*map(as_utc, gates), *(at for own in servers for at in own)]
    return (min(known), max(known)) if known else None


def _cleanup_note(cleanup: CleanupEvidence) -> str:
    if cleanup.kept:
        return f"{MARKS['left_out']} kept"
    if not cleanup.proven:
        return f"{MARKS['failed']} not proven"
    lost = sum(each.fate == "lost" for each in cleanup.instances)
    return f"{MARKS['warned']} gone, {lost} lost" if lost else f"{MARKS['passed']} all gone"
