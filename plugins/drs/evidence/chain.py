"""The chain of a plan's records: each carries its own hash and that of the record before it. Pure.

A record has exactly one rendering as a file, so that every changed byte is noticed, even white space. Files
are read here as plain JSON, so that a record of an earlier version of this package can be verified too.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import Field

from drs.evidence import covered_page
from drs.evidence.record import Evidence, Link, Part, RunFindings, Signature

HEAD = "head.json"
FIRST = 1
LISTED = 20
"""Missing records in a row that are listed one by one."""

Kind = Literal[
    "changed",
    "missing",
    "out of order",
    "unreadable",
    "head differs",
    "not in the chain",
    "not signed",
    "wrong signature",
]
LOST: Kind = "not in the chain"
"""A hash that was sent elsewhere, and that no record has."""


class Head(Part):
    """The newest record of a plan, in a file of its own, so that removing the last record is noticed."""

    plan: str
    sequence: int = Field(ge=FIRST)
    id: str
    hash: str


@dataclass(frozen=True, slots=True)
class ChainProblem:
    """What is wrong with a chain.

    :param id: the record, its page (``<id>.html``), or ``head.json``
    :param kind: the problem in a word or two
    :param says: the problem in a sentence
    """

    id: str
    kind: Kind
    says: str


class NotARecordError(ValueError):
    """A file is not a record that this package wrote."""


def record_id(plan: str, sequence: int) -> str:
    return f"{plan}-{sequence:06d}"


def sequence_of(plan: str, name: str) -> int | None:
    """The sequence number in a record's id; ``None`` if the name is not an id of this plan."""
    digits = name.removeprefix(f"{plan}-")
    if not digits.isascii() or not digits.isdigit() or record_id(plan, int(digits)) != name:
        return None
    return int(digits)


def render(content: Mapping[str, Any]) -> bytes:
    """The only form in which a record or a head is stored."""
    return (json.dumps(content, indent=2, ensure_ascii=False) + "\n").encode()


def record_hash(content: Mapping[str, Any]) -> str:
    """The hash that a record with this content must have."""
    bare = {name: value for name, value in content.items() if name not in {"hash", "signature"}}
    return hashlib.sha256(json.dumps(bare, separators=(",", ":"), ensure_ascii=False).encode()).hexdigest()


def seal(
    found: RunFindings,
    previous: Link | None,
    sequence: int,
    *,
    page: Callable[[Evidence], str] | None = None,
    sign: Callable[[str], Signature] | None = None,
) -> Evidence:
    """Make the record of a run: add its place in the chain, the hash of its page, its hash, its signature.

    :param page: renders the record's page
    :param sign: signs the record's hash
    """
    record = Evidence(
        **{name: getattr(found, name) for name in RunFindings.model_fields},
        id=record_id(found.plan.name, sequence),
        sequence=sequence,
        previous=previous,
        hash="",
    )
    if page is not None:
        record = record.model_copy(update={"page_hash": covered_page.page_hash(record, page)})
    record = record.model_copy(update={"hash": record_hash(record.model_dump(mode="json"))})
    return record.model_copy(update={"signature": sign(record.hash)}) if sign is not None else record


def link(record: Evidence) -> Link:
    return Link(id=record.id, hash=record.hash)


def head_of(record: Evidence) -> Head:
    return Head(plan=record.plan.name, sequence=record.sequence, id=record.id, hash=record.hash)


def says_the_same(found: RunFindings, record: Evidence) -> bool:
    """Whether the record has the same content, apart from the time when it was assembled."""
    return all(
        getattr(found, name) == getattr(record, name)
        for name in RunFindings.model_fields
        if name != "assembled_at"
    )


def parse(data: bytes) -> dict[str, Any]:
    """A stored file as JSON.

    :raises NotARecordError: it is not a JSON object
    """
    try:
        content = json.loads(data.decode("utf-8"))
        if isinstance(content, dict):
            render(content)  # JSON can escape half a character, which cannot be written as UTF-8
            return content
    except (ValueError, RecursionError) as error:
        raise NotARecordError(f"it is not JSON: {error}") from error
    raise NotARecordError("it is not a JSON object")


def check_file(plan: str, name: str, data: bytes) -> tuple[dict[str, Any] | None, ChainProblem | None]:
    """Check one record by itself: is it readable, unchanged, and the record that its file is named after?"""
    try:
        content = parse(data)
    except NotARecordError as error:
        return None, ChainProblem(name, "unreadable", f"The record cannot be read: {error}.")
    if content.get("hash") != record_hash(content):
        return content, ChainProblem(
            name, "changed", "The record was changed: its hash does not match its content."
        )
    if data != render(content):
        return content, ChainProblem(
            name,
            "changed",
            "The record's file was changed: it has the same content in another form (white space).",
        )
    if content.get("id") != name or content.get("sequence") != sequence_of(plan, name):
        return content, ChainProblem(
            name, "out of order", f"The file is named {name}, but holds record {content.get('id')}."
        )
    return content, None


def verify(
    plan: str, files: Mapping[str, bytes], head: bytes | None, *, sent: str | None = None
) -> list[ChainProblem]:
    """All problems of a plan's records; empty if every record is there and unchanged.

    Pages and signatures are checked by :func:`drs.evidence.record_coverage.examine`.

    :param files: the content of the records' files, by record id
    :param head: the content of the head's file
    :param sent: a hash that was sent elsewhere (in a message, in a log) and must be in the chain
    """
    return Chain(plan, files).all_problems(head, sent)


class Chain:
    """The records of a plan, each read once, and the problems of each record by itself.

    :ivar contents: the records that are unchanged, by their sequence number
    """

    def __init__(self, plan: str, files: Mapping[str, bytes]) -> None:
        self.plan = plan
        self.contents: dict[int, dict[str, Any]] = {}
        self.wrong: set[int] = set()
        self.present: set[int] = set()
        self.problems: list[ChainProblem] = []
        for name, data in sorted(files.items()):
            sequence = sequence_of(plan, name)
            if sequence is None or sequence < FIRST:
                self.problems.append(
                    ChainProblem(name, "out of order", f"{name} is not a record of plan {plan}.")
                )
                continue
            self.present.add(sequence)
            content, problem = check_file(plan, name, data)
            if problem:
                self.wrong.add(sequence)
                self.problems.append(problem)
            elif content is not None:
                self.contents[sequence] = content
        self.newest = max(self.present, default=0)

    def id(self, sequence: int) -> str:
        return record_id(self.plan, sequence)

    def missing(self, first: int, last: int, why: str) -> Iterator[ChainProblem]:
        """These records are missing. Many in a row are one problem: a file may have any number."""
        if last - first >= LISTED:
            says = f"{last - first + 1} records are missing ({self.id(first)} to {self.id(last)}){why}"
            yield ChainProblem(self.id(first), "missing", says)
            return
        for sequence in range(first, last + 1):
            yield ChainProblem(self.id(sequence), "missing", f"The record is missing{why}")

    def all_problems(self, head: bytes | None, sent: str | None) -> list[ChainProblem]:
        """The problems of the records, of their links, and of the head."""
        problems = [*self.problems, *self.broken_links(), *_head_problems(self, head)]
        if sent is not None and sent not in {content.get("hash") for content in self.contents.values()}:
            says = (
                f"No record of plan {self.plan} has the hash {sent}: the record that had it is gone, or was "
                "changed."
            )
            problems.append(ChainProblem(self.plan, LOST, says))
        return problems

    def broken_links(self) -> Iterator[ChainProblem]:
        """Records that are missing, and records whose successor names another hash."""
        before_it = FIRST - 1
        for sequence in sorted(self.present):
            yield from self.missing(before_it + 1, sequence - 1, ", although a later one exists.")
            before_it = sequence
            after = self.contents.get(sequence)
            if after is None:
                continue
            before = self.contents.get(sequence - 1)
            said = after.get("previous")
            if sequence == FIRST:
                if said is not None:
                    yield ChainProblem(
                        self.id(sequence), "out of order", f"The first record names a predecessor: {said}."
                    )
            elif before is not None and said != {"id": before["id"], "hash": before["hash"]}:
                known = said.get("hash") if isinstance(said, dict) else None
                yield ChainProblem(
                    self.id(sequence - 1),
                    "changed",
                    f"The record was changed and its hash computed again: {self.id(sequence)} names the hash "
                    f"{known}, but it is now {before['hash']}.",
                )


def _head_problems(chain: Chain, head: bytes | None) -> Iterator[ChainProblem]:
    if head is None:
        if chain.present:
            yield ChainProblem(
                HEAD, "missing", f"The plan's {HEAD}, which names the newest record, is missing."
            )
        return
    try:
        content = parse(head)
        said = Head.model_validate(content)
    except ValueError as error:
        yield ChainProblem(HEAD, "unreadable", f"{HEAD} cannot be read: {error}.")
        return
    if (said.plan, said.id) != (chain.plan, chain.id(said.sequence)):
        yield ChainProblem(
            HEAD, "changed", f"{HEAD} was changed: {said.id} is not record {said.sequence} of the plan."
        )
        return
    if head != render(content):
        yield ChainProblem(
            HEAD, "changed", f"{HEAD} was changed: it has the same content in another form (white space)."
        )
    yield from chain.missing(chain.newest + 1, said.sequence, f": {HEAD} names {said.id} as the newest.")
    newest = chain.contents.get(chain.newest)
    if said.sequence > chain.newest or (newest is None and said.sequence == chain.newest):
        return
    if said.sequence < chain.newest:
        yield ChainProblem(
            HEAD,
            "head differs",
            f"{HEAD} names {said.id} as the newest record, but {chain.id(chain.newest)} exists.",
        )
    elif newest is not None and said.hash != newest["hash"]:
        yield ChainProblem(
            chain.id(chain.newest),
            "head differs",
            f"The newest record has the hash {newest['hash']}, but {HEAD} names {said.hash} for {said.id}.",
        )
