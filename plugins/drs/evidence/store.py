"""Keeps records as ``<plan>/<id>.json``, with a page ``<id>.html``, and ``head.json``. No record is
overwritten. Ticks of a plan's schedule that launched nothing are kept beside them, in ``<plan>/ticks/``.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from drs.errors import EvidenceIncomplete
from drs.evidence import chain, covered_page
from drs.evidence.chain import HEAD, Head, NotARecordError
from drs.evidence.record import Evidence, Link, RunFindings, Signature
from drs.evidence.record_coverage import Examined, examine
from drs.evidence.storage import RecordStorage, UnusableFileError
from drs.run.ticks import MissedTick
from drs.text.times import SEARCH_CLOCK_SKEW

if TYPE_CHECKING:
    from drs.evidence.signatures import PublicKey

TICKS = "ticks"
"""The folder of a plan's ticks, within the folder of the plan."""
FAR = 1000
"""A number that is so much greater than that of the record before it was not given by this package."""
TRIES = 3
"""How often to try again if other runs of the plan write their records at the same time."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A record that is in the store.

    :param record: the record
    :param path: its file
    :param new: false if the run had the same record already
    """

    record: Evidence
    path: str
    new: bool


class EvidenceStore:
    """The records of all plans in one storage.

    :param place: the storage
    :param page: renders a record as its HTML page
    :param sign: signs the hash of a record
    """

    def __init__(
        self,
        place: RecordStorage,
        page: Callable[[Evidence], str] | None = None,
        sign: Callable[[str], Signature] | None = None,
    ) -> None:
        self._place = place
        self._page = page
        self._sign = sign

    def __str__(self) -> str:
        return str(self._place)

    # --- reading ----------------------------------------------------------------------------------------

    def check(self) -> None:
        """Check that the place can be reached, so that an empty answer means that there are no records.

        :raises FileNotFoundError: there is no such folder or bucket
        """
        self._place.check()

    def plans(self) -> list[str]:
        """The plans that have files here: records, or at least a head."""
        return [name for name in self._place.names("") if self._place.names(name)]

    def ids(self, plan: str) -> list[str]:
        """The plan's records, oldest first. Files with a number :data:`FAR` ahead are none."""
        return self._numbered(plan)[0]

    def _numbered(self, plan: str) -> tuple[list[str], list[str]]:
        """The plan's records, oldest first, and the files whose numbers are far ahead of them."""
        names = (name.removesuffix(".json") for name in self._place.names(plan) if name.endswith(".json"))
        numbered = sorted((sequence, name) for name in names if (sequence := chain.sequence_of(plan, name)))
        reached = 0
        for position, (sequence, _) in enumerate(numbered):
            if sequence - reached > FAR:
                head = self._head(plan)  # records of before the head may have been moved elsewhere
                if not isinstance(head, Head) or sequence > head.sequence:
                    ids = [name for _, name in numbered]
                    return ids[:position], ids[position:]
            reached = sequence
        return [name for _, name in numbered], []

    def read_file(self, plan: str, record_id: str) -> bytes | None:
        """The unchanged content of a record's file.

        :raises UnusableFileError: something else has its name, or it is too large
        """
        return self._place.read(f"{plan}/{record_id}.json")

    def read(self, plan: str, record_id: str) -> Evidence:
        """A record.

        :raises NotARecordError: the file is missing, is not a record, or is one of another version
        """
        try:
            data = self.read_file(plan, record_id)
            if data is None:
                raise NotARecordError(f"{record_id} does not exist")
            return Evidence.model_validate(chain.parse(data))
        except NotARecordError:
            raise
        except ValueError as error:
            raise NotARecordError(str(error)) from error

    def ticks(self, plan: str) -> Iterator[MissedTick | str]:
        """The plan's missed and refused runs, newest first. A text says why one cannot be read."""
        for name in reversed(self._place.names(f"{plan}/{TICKS}")):
            if not name.endswith(".json"):
                continue
            try:
                yield MissedTick.model_validate(
                    chain.parse(self._place.read(f"{plan}/{TICKS}/{name}") or b"")
                )
            except ValueError as error:
                yield f"{TICKS}/{name}: {error}"

    def ticks_before(self, plan: str, run_id: str, most: int) -> tuple[MissedTick, ...]:
        """The missed and refused runs since the newest record of another run, oldest first.

        :param run_id: the run whose own records do not count
        :param most: at most this many, the newest
        """
        ticks = (tick for tick in self.ticks(plan) if isinstance(tick, MissedTick))
        newest = next(ticks, None)
        if newest is None:
            return ()  # then no record is read: it may be large
        since = self._last_assembled(plan, run_id)
        later = itertools.takewhile(lambda tick: tick.at >= since, itertools.chain([newest], ticks))
        return tuple(reversed(list(itertools.islice(later, most))))

    def _last_assembled(self, plan: str, run_id: str) -> dt.datetime:
        for _, record in self.newest_first(plan):
            if isinstance(record, Evidence) and record.run.run_id != run_id:
                return record.assembled_at
        return dt.datetime.min.replace(tzinfo=dt.UTC)

    def verify(self, plan: str, *, sent: str | None = None) -> list[chain.ChainProblem]:
        """The problems of the plan's records and pages; empty if none is missing or changed."""
        return self.examine(plan, sent=sent).problems

    def examine(self, plan: str, *, sent: str | None = None, keys: Sequence[PublicKey] = ()) -> Examined:
        """Check the plan's records, pages and signatures (:func:`drs.evidence.record_coverage.examine`)."""
        unusable: dict[str, str] = {}
        files, pages = self._read_all(plan, ".json", unusable), self._read_all(plan, ".html", {})
        head = files.pop(HEAD.removesuffix(".json"), None)
        found = examine(plan, files, head, pages, sent=sent, keys=keys)
        found.problems[:] = [
            dataclasses.replace(each, says=unusable[each.id])
            if each.kind == "unreadable" and each.id in unusable
            else each
            for each in found.problems
        ]
        return found

    def _read_all(self, plan: str, suffix: str, unusable: dict[str, str]) -> dict[str, bytes]:
        """The plan's files with this suffix, by their names without it.

        :param unusable: gets the files that cannot be read; their content is empty
        """
        contents: dict[str, bytes | None] = {}
        for name in self._place.names(plan):
            if not name.endswith(suffix):
                continue
            try:
                contents[name.removesuffix(suffix)] = self._place.read(f"{plan}/{name}")
            except UnusableFileError as error:
                contents[name.removesuffix(suffix)] = b""
                record_id = name if name == HEAD else name.removesuffix(suffix)
                unusable[record_id] = f"{name} cannot be read: {error}."
        return {name: data for name, data in contents.items() if data is not None}

    # --- writing ----------------------------------------------------------------------------------------

    def keep(self, found: RunFindings) -> Kept:
        """Seal what a run showed and write it after the plan's newest record.

        If the run has the same record already, no second one is written; a page or head that an earlier try
        did not write is written now.

        :raises EvidenceIncomplete: the record cannot be written; or it is written, but the records before it
            are not those that the head names
        """
        try:
            return self._keep(found)
        except EvidenceIncomplete:
            raise
        except Exception as error:  # every kind of store raises its own errors
            raise EvidenceIncomplete(
                f"The record of run {found.run.run_id} could not be written to {self}/{found.plan.name}: "
                f"{type(error).__name__}: {error}"
            ) from error

    def keep_tick(self, plan: str, tick: MissedTick) -> str:
        """Write that a run was missed or refused. If that is written already, nothing changes.

        :return: the file
        :raises EvidenceIncomplete: it cannot be written
        """
        name = f"{plan}/{TICKS}/{tick.file_name}"
        try:
            self._place.create(name, chain.render(tick.model_dump(mode="json")))
        except FileExistsError:
            pass
        except Exception as error:  # every kind of store raises its own errors
            raise EvidenceIncomplete(
                f"It could not be written to {self}/{name} that run {tick.run_id} was {tick.fate}: "
                f"{type(error).__name__}: {error}"
            ) from error
        return f"{self}/{name}"

    def _keep(self, found: RunFindings) -> Kept:
        plan = found.plan.name
        existing = self._of_the_same_run(found)
        if existing is not None:
            return self._closed(existing, new=False)
        for _ in range(TRIES):
            before, doubt = self._newest(plan)
            record = chain.seal(found, before.link, before.sequence + 1, page=self._page, sign=self._sign)
            try:
                self._create(record)
            except FileExistsError:
                continue  # another run of the plan wrote its record first
            kept = self._closed(record, new=True)
            if doubt:
                raise EvidenceIncomplete(
                    f"The record of this run is written ({kept.path}, hash {record.hash}), but the chain "
                    f"before it is broken: {doubt}",
                    remedy=(
                        f"Run `python -m drs evidence verify {plan}`, find out who changed the files, and "
                        "restore them. Clear the task 'evidence' if this run should end with its own result."
                    ),
                    retryable=False,
                )
            return kept
        raise EvidenceIncomplete(
            f"{TRIES} times, another run wrote its record to {self}/{plan} before this run could."
        )

    def _of_the_same_run(self, found: RunFindings) -> Evidence | None:
        """The run's last record, if it has the same content. Records from before the run's start are not
        read.
        """
        for name in reversed(self.ids(found.plan.name)):
            try:
                record = self.read(found.plan.name, name)
            except NotARecordError:
                return None
            if (record.run.dag_id, record.run.run_id) == (found.run.dag_id, found.run.run_id):
                return record if chain.says_the_same(found, record) else None
            if record.assembled_at < found.run.began_at - SEARCH_CLOCK_SKEW:
                return None
        return None

    def _newest(self, plan: str) -> tuple[_Before, str]:
        """The record that the next one follows, and why the chain is in doubt (empty if it is not)."""
        ids, ahead = self._numbered(plan)
        head = self._head(plan)
        newest = _Before(None, 0)
        doubt = ""
        if ids:
            newest, doubt = self._as_before(plan, ids[-1])
        if ahead:
            doubt = doubt or (
                f"{ahead[0]}.json is no record of it: no run has come so far that a record has that number. "
                "Move the file elsewhere"
            )
        if isinstance(head, str):
            return newest, doubt or head
        if head is None or head.sequence < newest.sequence:
            return newest, doubt  # a writer was cut off after the record and before the head
        named = Link(id=head.id, hash=head.hash)
        if head.sequence > newest.sequence:
            last = ids[-1] if ids else "none"
            doubt = f"{HEAD} names {head.id} as the newest record, but the newest file is {last}."
        elif named != newest.link:
            doubt = doubt or f"{HEAD} names the hash {head.hash} for {head.id}, but its file has another."
        return _Before(named, head.sequence), doubt

    def _as_before(self, plan: str, record_id: str) -> tuple[_Before, str]:
        """A record as the one that the next one follows, and what is wrong with it (empty if nothing is)."""
        sequence = chain.sequence_of(plan, record_id)
        assert sequence is not None
        try:
            content, problem = chain.check_file(plan, record_id, self.read_file(plan, record_id) or b"")
            doubt = f"{problem.id}: {problem.says}" if problem else ""
        except UnusableFileError as error:
            content, doubt = None, f"{record_id}.json cannot be read: {error}."
        said = (content or {}).get("hash")
        return _Before(Link(id=record_id, hash=said if isinstance(said, str) else ""), sequence), doubt

    def _head(self, plan: str) -> Head | str | None:
        """The head; ``None`` if there is none; a text that says why if it cannot be read."""
        try:
            return _parsed_head(self._place.read(f"{plan}/{HEAD}"))
        except UnusableFileError as error:
            return f"{HEAD} cannot be read: {error}."

    def _create(self, record: Evidence) -> None:
        name, data = f"{record.plan.name}/{record.id}.json", chain.render(record.model_dump(mode="json"))
        try:
            self._place.create(name, data)
        except Exception:  # every kind of store raises its own errors
            # The reply to the request may be lost: then the file is there, and the request that is sent again
            # finds it. What counts is the file.
            if not self._is(name, data):
                raise

    def _closed(self, record: Evidence, *, new: bool) -> Kept:
        """Write the record's page, and the head if this record is the newest."""
        plan = record.plan.name
        name = f"{plan}/{record.id}.html"
        if self._page is not None and (new or self._is(name, None)):
            page = covered_page.written_page(record, self._page)
            # Another version of this package may draw the page of an earlier try in another way.
            if record.page_hash is None or covered_page.is_covered(record.model_dump(), page):
                self._place.replace(name, page)
        self._advance_head(record)
        return Kept(record, f"{self}/{plan}/{record.id}.json", new)

    def _advance_head(self, record: Evidence) -> None:
        """Make the head name this record, unless it names a later one. It is never set back, whatever other
        runs write at the same time.
        """
        name = f"{record.plan.name}/{HEAD}"
        data = chain.render(chain.head_of(record).model_dump(mode="json"))
        for _ in range(TRIES):
            try:
                seen = self._place.read(name)
            except UnusableFileError:  # a pipe or the like, which this run reports
                self._place.replace(name, data)
                return
            head = _parsed_head(seen)
            if isinstance(head, Head) and head.sequence >= record.sequence:
                return
            try:
                self._place.swap(name, data, seen)
                return
            except FileExistsError:
                continue  # another run of the plan wrote the head first
        raise EvidenceIncomplete(
            f"The record of run {record.run.run_id} is written ({record.id}), but {TRIES} times another run "
            f"wrote {self}/{name} before this run could."
        )

    def _is(self, name: str, data: bytes | None) -> bool:
        """Whether the file has this content; ``None``: whether there is no file of this name."""
        try:
            return self._place.read(name) == data
        except UnusableFileError:
            return False

    def newest_first(self, plan: str) -> Iterator[tuple[str, Evidence | str]]:
        """The plan's records with their ids, newest first. A text says why a record cannot be read."""
        for name in reversed(self.ids(plan)):
            try:
                yield name, self.read(plan, name)
            except NotARecordError as error:
                yield name, str(error)


def _parsed_head(data: bytes | None) -> Head | str | None:
    if data is None:
        return None
    try:
        return Head.model_validate(chain.parse(data))
    except ValueError as error:
        return f"{HEAD} cannot be read: {error}."


@dataclass(frozen=True, slots=True)
class _Before:
    link: Link | None
    sequence: int
