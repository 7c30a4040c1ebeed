"""The chain of a plan's records: every record that was changed or is missing is named."""

from __future__ import annotations

import json

import pytest

from drs.evidence import chain
from drs.evidence.chain import HEAD, ChainProblem, head_of, link, render, seal
from drs.evidence.record import Evidence
from tests.unit.evidence.runs import found

PLAN = "orders"
COUNT = 5


def chained(count: int = COUNT) -> list[Evidence]:
    """So many records of one plan, each following the one before."""
    records: list[Evidence] = []
    for number in range(count):
        said = found().model_copy(update={"remarks": (f"run {number}",)})
        records.append(seal(said, link(records[-1]) if records else None, number + 1))
    return records


RECORDS = chained()
FILES = {record.id: render(record.model_dump(mode="json")) for record in RECORDS}
HEAD_FILE = render(head_of(RECORDS[-1]).model_dump(mode="json"))
IDS = list(FILES)


def named(problems: list[ChainProblem]) -> list[tuple[str, str]]:
    return [(problem.id, problem.kind) for problem in problems]


def resealed(position: int) -> bytes:
    """The record with other content and the hash that matches it."""
    content = json.loads(FILES[IDS[position]])
    content["summary"] = "All went well."
    content["hash"] = chain.record_hash(content)
    return render(content)


def test_a_whole_chain_has_no_problem() -> None:
    """Each record is named after its plan and its number."""
    assert [f"orders-{number:06d}" for number in range(1, 6)] == IDS
    assert chain.verify(PLAN, FILES, HEAD_FILE) == []
    assert chain.verify(PLAN, {}, None) == []


@pytest.mark.parametrize("record", IDS)
def test_one_changed_byte_names_the_record(record: str) -> None:
    """Every byte of every record counts: in a key, a value, a hash, or white space."""
    data = FILES[record]
    for position in range(0, len(data), 307):
        changed = data[:position] + bytes([data[position] ^ 1]) + data[position + 1 :]
        problems = chain.verify(PLAN, {**FILES, record: changed}, HEAD_FILE)
        assert [problem.id for problem in problems] == [record], (position, problems)
        assert problems[0].kind in {"changed", "unreadable", "out of order"}


@pytest.mark.parametrize("record", IDS)
@pytest.mark.parametrize(
    "what", ["a space more", "a line end less", "Windows line ends", "keys in another order"]
)
def test_another_form_of_the_same_content_names_the_record(record: str, what: str) -> None:
    """White space is not content, but a change of it is noticed."""
    data = FILES[record]
    changed = {
        "a space more": data.replace(b'": ', b'":  ', 1),
        "a line end less": data[:-1],
        "Windows line ends": data.replace(b"\n", b"\r\n"),
        "keys in another order": render(dict(sorted(json.loads(data).items()))),
    }[what]
    assert named(chain.verify(PLAN, {**FILES, record: changed}, HEAD_FILE)) == [(record, "changed")]


@pytest.mark.parametrize("record", IDS)
def test_a_missing_record_is_named(record: str) -> None:
    """This includes the first and the last record."""
    files = {name: data for name, data in FILES.items() if name != record}
    assert named(chain.verify(PLAN, files, HEAD_FILE)) == [(record, "missing")]


@pytest.mark.parametrize("position", range(COUNT - 1))
def test_a_record_with_a_hash_computed_anew_is_named(position: int) -> None:
    """The next record names its former hash."""
    files = {**FILES, IDS[position]: resealed(position)}
    (problem,) = chain.verify(PLAN, files, HEAD_FILE)
    assert (problem.id, problem.kind) == (IDS[position], "changed")
    assert RECORDS[position].hash in problem.says


def test_the_newest_record_with_a_hash_computed_anew_is_named() -> None:
    """The head names its former hash."""
    files = {**FILES, IDS[-1]: resealed(COUNT - 1)}
    assert named(chain.verify(PLAN, files, HEAD_FILE)) == [(IDS[-1], "head differs")]


def test_records_that_changed_places_are_named() -> None:
    """Each file holds a valid record of another number."""
    files = {**FILES, IDS[1]: FILES[IDS[2]], IDS[2]: FILES[IDS[1]]}
    assert named(chain.verify(PLAN, files, HEAD_FILE)) == [(IDS[1], "out of order"), (IDS[2], "out of order")]


def test_what_is_no_record_is_named() -> None:
    """A file that cannot be read, a file of another plan, and a number that cannot exist."""
    files = {**FILES, IDS[0]: b"\xff\xfe", "billing-000001": FILES[IDS[0]], "orders-1": FILES[IDS[0]]}
    assert named(chain.verify(PLAN, files, HEAD_FILE)) == [
        ("billing-000001", "out of order"),
        (IDS[0], "unreadable"),
        ("orders-1", "out of order"),
    ]
    for broken in (b"[]", b"", b"{}", b'{"hash": "\\ud800"}'):
        assert [p.id for p in chain.verify(PLAN, {**FILES, IDS[0]: broken}, HEAD_FILE)] == [IDS[0]], broken


def test_the_head_is_verified_as_well() -> None:
    """It is missing, unreadable, in another form, older than the newest record, or of another plan."""
    older = render(head_of(RECORDS[2]).model_dump(mode="json"))
    assert named(chain.verify(PLAN, FILES, None)) == [(HEAD, "missing")]
    assert named(chain.verify(PLAN, FILES, b"{}")) == [(HEAD, "unreadable")]
    assert named(chain.verify(PLAN, FILES, HEAD_FILE + b" ")) == [(HEAD, "changed")]
    assert named(chain.verify(PLAN, FILES, HEAD_FILE.replace(b'"orders"', b'"orderz"'))) == [
        (HEAD, "changed")
    ]
    assert named(chain.verify(PLAN, FILES, HEAD_FILE.replace(b": 5", b": 9"))) == [(HEAD, "changed")]
    assert named(chain.verify(PLAN, FILES, older)) == [(HEAD, "head differs")]


def test_all_records_gone_but_the_head_are_all_named() -> None:
    """Only the head says which records there were."""
    assert named(chain.verify(PLAN, {}, HEAD_FILE)) == [(record, "missing") for record in IDS]


def test_a_chain_that_was_cut_and_closed_again_is_betrayed_by_the_hash_that_was_sent() -> None:
    """Somebody who can write to the folder can remove the newest record and reset the head, but not the
    message.
    """
    files = {name: data for name, data in FILES.items() if name != IDS[-1]}
    head = render(head_of(RECORDS[-2]).model_dump(mode="json"))
    assert chain.verify(PLAN, files, head) == []
    (problem,) = chain.verify(PLAN, files, head, sent=RECORDS[-1].hash)
    assert problem.kind == "not in the chain"
    assert chain.verify(PLAN, FILES, HEAD_FILE, sent=RECORDS[2].hash) == []


def test_a_first_record_that_names_one_before_it_is_named() -> None:
    """Records before it were taken away, and those after them numbered again."""
    record = seal(found(), link(RECORDS[-1]), 1)
    files = {record.id: render(record.model_dump(mode="json"))}
    head = render(head_of(record).model_dump(mode="json"))
    assert named(chain.verify(PLAN, files, head)) == [(record.id, "out of order")]
