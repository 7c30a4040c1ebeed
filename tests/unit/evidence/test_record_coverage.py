"""What a check of records covers beyond their chain: the HTML pages, and who signed the records."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from drs.evidence import chain, covered_page
from drs.evidence.page import render_page
from drs.evidence.record import Evidence
from drs.evidence.record_coverage import Examined
from drs.evidence.signatures import ALGORITHMS, NotAKeyError, load_public_key
from drs.evidence.storage import LocalStorage
from drs.evidence.store import EvidenceStore
from tests.unit.evidence.keys import KEY, PrivateKey, private_key, public_file, signing
from tests.unit.evidence.test_store import run


def page(record: Evidence) -> str:
    """A page that shows the record's hash, as the real one does."""
    return f"<p>{record.id} {record.result}</p><code>{record.hash}</code>"


class Store:
    """A folder of records.

    :param folder: the folder
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.count = 0

    def keep(self, key: PrivateKey | None = None, *, with_page: bool = True) -> Evidence:
        """Keep the record of one more run, signed if there is a key."""
        sign = signing(key) if key else None
        store = EvidenceStore(LocalStorage(self.folder), page if with_page else None, sign)
        self.count += 1
        return store.keep(run(self.count)).record

    def examine(self, *keys: PrivateKey) -> Examined:
        loaded = [load_public_key(public_file(key)) for key in keys]
        return EvidenceStore(LocalStorage(self.folder)).examine("orders", keys=loaded)

    def found(self, *keys: PrivateKey) -> list[tuple[str, str]]:
        """The problems, by what has them and by kind."""
        return [(each.id, each.kind) for each in self.examine(*keys).problems]

    def file(self, name: str) -> Path:
        return self.folder / "orders" / name

    def edit(self, name: str, old: str, new: str) -> None:
        text = self.file(name).read_text()
        assert old in text
        self.file(name).write_text(text.replace(old, new))

    def change_record(self, number: int, **members: Any) -> None:
        """Change members of a record, as somebody would who can also compute hashes."""
        name = f"orders-{number:06d}.json"
        content = json.loads(self.file(name).read_text()) | members
        content["hash"] = chain.record_hash(content)
        self.file(name).write_bytes(chain.render(content))


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path)


# --- pages ------------------------------------------------------------------------------------------------


def test_a_page_is_covered_and_shows_the_hash_of_its_record(store: Store) -> None:
    """The page shows the hash that covers it."""
    record = store.keep()
    assert record.page_hash is not None
    assert record.hash in store.file("orders-000001.html").read_text()
    assert covered_page.BLANK not in store.file("orders-000001.html").read_text()
    assert store.found() == []


def test_the_real_page_is_covered(tmp_path: Path) -> None:
    """The page that a drill's evidence writes."""
    place = EvidenceStore(LocalStorage(tmp_path), render_page)
    record = place.keep(run(0)).record
    path = tmp_path / "orders" / "orders-000001.html"
    assert path.read_text() == render_page(record)
    assert place.verify("orders") == []
    path.write_text(path.read_text().replace("passed", "failed"))
    assert [problem.id for problem in place.verify("orders")] == ["orders-000001.html"]


def test_a_page_that_was_changed_is_named_and_its_record_is_not(store: Store) -> None:
    """Also by one byte."""
    store.keep()
    store.keep()
    store.edit("orders-000001.html", "passed", "Passed")
    assert store.found() == [("orders-000001.html", "changed")]


def test_a_page_in_which_the_hash_was_taken_out_is_noticed(store: Store) -> None:
    """The zeros that the hash of the page is made with are no way around it."""
    record = store.keep()
    store.edit("orders-000001.html", record.hash, covered_page.BLANK)
    assert store.found() == [("orders-000001.html", "changed")]


def test_zeros_in_a_server_s_name_do_no_harm(tmp_path: Path) -> None:
    """A page may contain the same text by itself."""
    place = EvidenceStore(LocalStorage(tmp_path), lambda record: f"{record.hash} {covered_page.BLANK}")
    place.keep(run(0))
    assert place.verify("orders") == []


def test_a_page_that_is_missing_is_named(store: Store) -> None:
    """With the command that makes it from the record."""
    store.keep()
    store.file("orders-000001.html").unlink()
    (problem,) = store.examine().problems
    assert (problem.id, problem.kind) == ("orders-000001.html", "missing")
    assert "evidence export orders-000001 --format html" in problem.says


def test_records_without_pages_are_no_problem_but_are_named(store: Store) -> None:
    """As those of earlier versions are."""
    store.keep(with_page=False)
    store.keep(with_page=False)
    examined = store.examine()
    assert examined.problems == []
    assert examined.notes[0].startswith(
        "Not covered: the HTML pages of 2 records, orders-000001 to orders-000002"
    )


# --- signatures -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("encoding", [Encoding.PEM, Encoding.DER])
def test_a_signature_of_each_kind_is_checked(tmp_path: Path, algorithm: str, encoding: Encoding) -> None:
    """With the key as PEM, and as DER, as AWS KMS gives it. The key of somebody else does not do."""
    key, other = private_key(algorithm), private_key(algorithm, 1)
    place = EvidenceStore(LocalStorage(tmp_path), None, signing(key, algorithm))
    place.keep(run(0))
    good = load_public_key(public_file(key, encoding))
    assert place.examine("orders", keys=[good]).problems == []
    bad = load_public_key(public_file(other, encoding))
    (problem,) = place.examine("orders", keys=[bad]).problems
    assert (problem.id, problem.kind) == ("orders-000001", "wrong signature")
    assert KEY in problem.says


def test_a_signature_is_not_part_of_the_hash(store: Store) -> None:
    """It is made of the hash. A record that is not signed has the same hash."""
    record = store.keep(private_key())
    bare = record.model_copy(update={"signature": None})
    assert record.hash == chain.record_hash(bare.model_dump(mode="json"))


def test_a_forger_who_computes_every_hash_again_is_found(store: Store) -> None:
    """The seal alone cannot show this: the chain is whole."""
    record = store.keep(private_key())
    store.change_record(1, summary="All was well.")
    forged = json.loads(store.file("orders-000001.json").read_text())
    head = json.loads(store.file("head.json").read_text()) | {"hash": forged["hash"]}
    store.file("head.json").write_bytes(chain.render(head))
    store.edit("orders-000001.html", record.hash, forged["hash"])
    assert store.found() == []
    assert store.found(private_key()) == [("orders-000001", "wrong signature")]


def test_a_signature_of_another_record_does_not_do(store: Store) -> None:
    store.keep(private_key())
    second = store.keep(private_key())
    assert second.signature is not None
    store.change_record(1, signature=second.signature.model_dump(mode="json"))
    assert ("orders-000001", "wrong signature") in store.found(private_key())


@pytest.mark.parametrize(
    "signature",
    [
        {"key_id": KEY, "algorithm": "ECDSA_SHA_256", "value": "no base64"},
        {"key_id": KEY, "algorithm": "NONE", "value": "AAAA"},
        {"key_id": KEY, "algorithm": "RSASSA_PSS_SHA_256", "value": "AAAA"},
        {"key_id": KEY},
        "signed",
    ],
)
def test_a_malformed_signature_is_wrong(store: Store, signature: Any) -> None:
    """Whatever is in its place."""
    store.keep(private_key())
    store.change_record(1, signature=signature)
    assert ("orders-000001", "wrong signature") in store.found(private_key())


def test_a_record_without_a_signature_after_a_signed_one_is_named(store: Store) -> None:
    """Somebody who may not use the key wrote it. Without a key, nothing is said of it."""
    store.keep(private_key())
    store.keep()
    assert store.found() == []
    assert store.found(private_key()) == [("orders-000002", "not signed")]


def test_signatures_that_were_all_taken_out_are_missed(store: Store) -> None:
    """A key was given, so some record must be signed."""
    store.keep(private_key())
    store.change_record(1, signature=None)
    assert ("orders", "not signed") in store.found(private_key())


def test_records_from_before_the_first_signature_are_covered_by_it(store: Store) -> None:
    """The signed record has the hash of the one before it."""
    store.keep()
    store.keep()
    store.keep(private_key())
    examined = store.examine(private_key())
    assert examined.problems == []
    assert examined.notes == [
        "Not signed: 2 records, orders-000001 to orders-000002, written before orders-000003, the first "
        "signed record. Its signature covers them as they were when it was made."
    ]
    store.change_record(1, summary="All was well.")
    assert ("orders-000001", "changed") in store.found(private_key())


def test_a_key_that_was_changed_needs_both_keys(store: Store) -> None:
    """``--public-key`` may be given more than once."""
    old, new = private_key(), private_key(number=1)
    store.keep(old)
    store.keep(new)
    assert store.found(old, new) == []
    assert store.found(new) == [("orders-000001", "wrong signature")]


def test_without_a_key_it_is_said_that_signatures_were_not_checked(store: Store) -> None:
    """It names the key that the records name."""
    store.keep(private_key())
    (note,) = store.examine().notes
    assert f"by {KEY}, were not checked: give the public key with --public-key." in note


def test_records_that_are_not_signed_say_so(store: Store) -> None:
    store.keep()
    (note,) = store.examine().notes
    assert note.startswith("Not covered: who wrote the records. None is signed")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"nonsense",
        b"-----BEGIN PUBLIC KEY-----\nnonsense\n-----END PUBLIC KEY-----\n",
        ed25519.Ed25519PrivateKey.generate()
        .public_key()
        .public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
    ],
)
def test_a_file_that_is_no_such_key_is_refused(data: bytes) -> None:
    with pytest.raises(NotAKeyError):
        load_public_key(data)


def test_the_recipe_in_the_documentation_checks_a_record_and_its_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An auditor needs neither this package nor a key for it."""
    text = (Path(__file__).parents[3] / "docs" / "evidence.md").read_text()
    of_record, of_page = re.findall(r"```python\n(import hashlib.*?|page = .*?)```", text, re.DOTALL)
    EvidenceStore(LocalStorage(tmp_path), render_page, signing(private_key())).keep(run(0))
    for suffix in ("json", "html"):
        (tmp_path / "orders" / f"orders-000001.{suffix}").rename(tmp_path / f"orders-000007.{suffix}")
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    exec(of_record + of_page, names)
    with (tmp_path / "orders-000007.html").open("a") as page:
        page.write("<p>passed</p>")
    with pytest.raises(AssertionError):
        exec(of_page, names)


def test_a_key_that_a_forger_names_moves_no_cursor(store: Store) -> None:
    """The name of the key is the record's own, and so may be anything."""
    store.keep()
    store.change_record(1, signature={"key_id": "\x1b[2J\u202eok", "algorithm": "ECDSA_SHA_256", "value": ""})
    examined = store.examine(private_key())
    (problem,) = [each for each in examined.problems if each.kind == "wrong signature"]
    assert "\\x1b[2J\\u202eok made it" in problem.says
    assert "\x1b" not in "".join([problem.says, *store.examine().notes])
