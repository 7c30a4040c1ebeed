"""Where records are kept: a folder, and a bucket of the simulator's S3."""

from __future__ import annotations

import errno
import fcntl
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from drs.errors import Code, EvidenceIncomplete
from drs.evidence import chain, storage
from drs.evidence.record import Evidence, RunFindings
from drs.evidence.storage import (
    LocalStorage,
    ObjectStorage,
    RecordStorage,
    default_evidence_folder,
    is_url,
    open_storage,
)
from drs.evidence.store import EvidenceStore
from drs.run.ticks import MissedTick
from tests.unit.cli.simulated_aws import KEY, REGION, Server
from tests.unit.drill import after, make_run
from tests.unit.evidence.runs import found, passed_run


def page(record: Evidence) -> str:
    """Stands in for the page of a record."""
    return f"<p>{record.id}</p>"


def run(number: int, **fields: Any) -> RunFindings:
    """What run number so-and-so of the plan showed; each run began an hour after the one before."""
    at = after(3600 * number)
    said = found(passed_run(make_run(run_id=f"run-{number}", began_at=at)))
    return said.model_copy(update={"assembled_at": after(3600 * number + 1000), **fields})


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    """The simulator over HTTP, which clients find by environment variables."""
    server = Server()
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("AWS_ENDPOINT_URL", server.url)
        environment.setenv("AWS_ACCESS_KEY_ID", KEY)
        environment.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        environment.setenv("AWS_DEFAULT_REGION", REGION)
        boto3.client("s3", region_name=REGION).create_bucket(Bucket="evidence")
        yield "s3://evidence"
    server.stop()


@pytest.fixture(params=["folder", "s3"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> RecordStorage:
    """An empty storage of each kind."""
    if request.param == "folder":
        return open_storage(str(tmp_path / "evidence"))
    return open_storage(f"{request.getfixturevalue('s3')}/{tmp_path.name}")


@pytest.fixture
def store(place: RecordStorage) -> EvidenceStore:
    return EvidenceStore(place, page)


def tick(number: int, **fields: Any) -> MissedTick:
    """A tick that was missed that many minutes after NOW."""
    at = after(60 * number)
    return MissedTick.model_validate(
        {"run_id": f"run-{number}", "run_type": "scheduled", "due": at, "at": at, "why": "Missed.", **fields}
    )


def test_ticks_are_kept_beside_the_records(place: RecordStorage, store: EvidenceStore) -> None:
    """Newest first. One that is kept already is not written again. They are no part of the chain of records.

    A file that cannot be read is named.
    """
    for number in (2, 1, 2):
        assert store.keep_tick("orders", tick(number)).endswith(f"/orders/ticks/{tick(number).file_name}")
    assert list(store.ticks("orders")) == [tick(2), tick(1)]
    assert store.plans() == ["orders"]
    assert store.ids("orders") == []
    assert store.verify("orders") == []
    place.create("orders/ticks/20260301T060300Z-0.json", b"{}")
    unreadable, *others = store.ticks("orders")
    assert isinstance(unreadable, str)
    assert unreadable.startswith("ticks/20260301T060300Z-0.json: ")
    assert others == [tick(2), tick(1)]


def test_a_record_gets_the_newest_ticks_since_the_record_before_it(store: EvidenceStore) -> None:
    """Oldest first, and without those of before."""
    for number in range(5):
        store.keep_tick("orders", tick(number))
    assert store.ticks_before("orders", "run-a", 3) == (tick(2), tick(3), tick(4))


def test_a_tick_that_cannot_be_written_fails_with_a_code(
    place: RecordStorage, store: EvidenceStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Airflow then tries the task again."""

    def full(*_: Any) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(place, "create", full)
    with pytest.raises(EvidenceIncomplete, match=r"run run-1 was missed: OSError: disk full") as failed:
        store.keep_tick("orders", tick(1))
    assert failed.value.retryable


def names(place: RecordStorage) -> list[str]:
    return place.names("orders")


def test_a_record_is_kept_with_its_page_and_the_head(place: RecordStorage, store: EvidenceStore) -> None:
    """The record has its number in the chain, and the head names it as the newest."""
    assert (store.plans(), store.ids("orders")) == ([], [])
    kept = store.keep(run(0))
    assert names(place) == ["head.json", "orders-000001.html", "orders-000001.json"]
    assert (kept.path, kept.new) == (f"{place}/orders/orders-000001.json", True)
    assert (kept.record.sequence, kept.record.previous) == (1, None)
    assert place.read("orders/orders-000001.html") == b"<p>orders-000001</p>"
    assert json.loads(place.read("orders/head.json") or b"")["hash"] == kept.record.hash
    assert store.read("orders", "orders-000001") == kept.record
    assert (store.plans(), store.ids("orders")) == (["orders"], ["orders-000001"])


def test_records_form_a_chain(store: EvidenceStore) -> None:
    """Each names the one before it, and the whole chain verifies."""
    kept = [store.keep(run(number)).record for number in range(3)]
    assert [record.id for record in kept] == ["orders-000001", "orders-000002", "orders-000003"]
    assert kept[2].previous == chain.link(kept[1])
    assert store.verify("orders") == []
    assert store.verify("orders", sent=kept[1].hash) == []
    assert [name for name, _ in store.newest_first("orders")] == [record.id for record in reversed(kept)]


def test_a_record_is_never_overwritten(place: RecordStorage) -> None:
    """Not even by a record that would get the same number."""
    place.create("orders/orders-000001.json", b"first")
    with pytest.raises(FileExistsError):
        place.create("orders/orders-000001.json", b"second")
    assert place.read("orders/orders-000001.json") == b"first"
    assert place.read("orders/none.json") is None
    assert names(place) == ["orders-000001.json"]


def test_the_same_run_told_again_gives_no_second_record(store: EvidenceStore) -> None:
    """A retried task assembles the same record, only later."""
    first = store.keep(run(0))
    again = store.keep(run(0, assembled_at=after(5000)))
    assert (again.record, again.new) == (first.record, False)
    store.keep(run(1))
    assert store.keep(run(0, assembled_at=after(9000))).record == first.record
    assert store.ids("orders") == ["orders-000001", "orders-000002"]


def test_a_run_that_was_cleared_and_showed_something_else_gives_a_further_record(
    store: EvidenceStore,
) -> None:
    """Both records are kept."""
    store.keep(run(0))
    again = store.keep(run(0, remarks=("cleared",)))
    assert (again.record.id, again.new) == ("orders-000002", True)
    assert store.verify("orders") == []


def test_a_writer_that_ended_before_the_head_was_written_is_made_up_for(
    place: RecordStorage, store: EvidenceStore
) -> None:
    """The next try of the task, or the next run, writes the head."""
    first, second = store.keep(run(0)).record, store.keep(run(1)).record
    stale = chain.render(chain.head_of(first).model_dump(mode="json"))
    place.replace("orders/head.json", stale)
    assert [problem.kind for problem in store.verify("orders")] == ["head differs"]
    assert store.keep(run(1)).record == second
    assert store.verify("orders") == []
    place.replace("orders/head.json", stale)
    assert store.keep(run(2)).record.previous == chain.link(second)
    assert store.verify("orders") == []


def test_a_writer_that_comes_in_between_is_followed(place: RecordStorage) -> None:
    """Two Airflows may run one plan: the second record follows the first."""

    class Busy:
        """A storage into which another writer writes right after it was read."""

        def __init__(self) -> None:
            self.others = [run(7)]

        def create(self, name: str, data: bytes) -> None:
            if self.others:
                EvidenceStore(place).keep(self.others.pop())
            place.create(name, data)

        def __getattr__(self, name: str) -> Any:
            return getattr(place, name)

        __str__ = place.__str__

    kept = EvidenceStore(Busy()).keep(run(0))
    assert kept.record.id == "orders-000002"
    assert EvidenceStore(place).verify("orders") == []


def test_a_request_that_was_sent_twice_meets_its_own_record(place: RecordStorage) -> None:
    """The reply to the first request was lost, and the file has exactly the content to be written."""

    class Repeating:
        def create(self, name: str, data: bytes) -> None:
            place.create(name, data)
            place.create(name, data)

        def __getattr__(self, name: str) -> Any:
            return getattr(place, name)

        __str__ = place.__str__

    assert EvidenceStore(Repeating()).keep(run(0)).record.id == "orders-000001"


def change(place: RecordStorage, name: str, edit: Callable[[bytes], bytes]) -> None:
    place.replace(f"orders/{name}", edit(place.read(f"orders/{name}") or b""))


def test_a_newest_record_that_was_changed_makes_the_next_run_red_and_is_named(
    place: RecordStorage, store: EvidenceStore
) -> None:
    """The next record is still written, and names the former hash of the changed one."""
    first = store.keep(run(0)).record
    change(place, "orders-000001.json", lambda data: data.replace(b"passed", b"PASSED"))
    with pytest.raises(
        EvidenceIncomplete, match=r"is written .* chain before it is broken: orders-000001"
    ) as caught:
        store.keep(run(1))
    assert (caught.value.code, caught.value.retryable) == (Code.EVIDENCE_INCOMPLETE, False)
    assert "evidence verify orders" in caught.value.remedy
    assert store.read("orders", "orders-000002").previous == chain.link(first)
    assert [(problem.id, problem.kind) for problem in store.verify("orders")] == [
        ("orders-000001", "changed")
    ]


def test_a_head_that_names_a_record_which_is_gone_makes_the_next_run_red(place: RecordStorage) -> None:
    """The next record does not take the number of the missing one, so the gap stays visible."""
    records = [chain.seal(run(0), None, 1)]
    records.append(chain.seal(run(1), chain.link(records[0]), 2))
    place.create("orders/orders-000001.json", chain.render(records[0].model_dump(mode="json")))
    place.create("orders/head.json", chain.render(chain.head_of(records[1]).model_dump(mode="json")))
    store = EvidenceStore(place)
    with pytest.raises(EvidenceIncomplete, match=r"head\.json names orders-000002"):
        store.keep(run(2))
    assert store.ids("orders") == ["orders-000001", "orders-000003"]
    assert store.read("orders", "orders-000003").previous == chain.link(records[1])
    assert [(problem.id, problem.kind) for problem in store.verify("orders")] == [
        ("orders-000002", "missing")
    ]


def test_a_head_that_cannot_be_read_is_written_anew_and_told(
    place: RecordStorage, store: EvidenceStore
) -> None:
    """One run fails because of it; the next run finds a valid head."""
    store.keep(run(0))
    place.replace("orders/head.json", b"nonsense")
    with pytest.raises(EvidenceIncomplete, match=r"head\.json cannot be read"):
        store.keep(run(1))
    assert store.keep(run(2)).record.id == "orders-000003"
    assert store.verify("orders") == []


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    """The message has the cause, and Airflow retries the task."""
    (tmp_path / "evidence").write_text("a file where the folder is to be")
    with pytest.raises(EvidenceIncomplete, match="NotADirectoryError") as caught:
        EvidenceStore(LocalStorage(tmp_path / "evidence")).keep(run(0))
    assert f"{tmp_path}/evidence/orders" in caught.value.message
    assert "run-0" in caught.value.message
    assert caught.value.retryable


def test_a_bucket_that_does_not_exist_is_named(s3: str) -> None:
    """The message quotes S3."""
    with pytest.raises(EvidenceIncomplete, match="s3://nowhere/drills/orders: FileNotFoundError"):
        EvidenceStore(open_storage("s3://nowhere/drills")).keep(run(0))


def test_a_half_written_file_is_never_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the disk is full, neither the record nor a temporary file is left."""
    place = LocalStorage(tmp_path)

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(EvidenceIncomplete, match="No space left on device"):
        EvidenceStore(place, page).keep(run(0))
    assert list((tmp_path / "orders").iterdir()) == []


def test_a_page_that_is_missing_is_made_up_for(tmp_path: Path) -> None:
    """The page is rendered again from the record."""
    store = EvidenceStore(LocalStorage(tmp_path), page)
    store.keep(run(0))
    (tmp_path / "orders" / "orders-000001.html").unlink()
    store.keep(run(0))
    assert (tmp_path / "orders" / "orders-000001.html").exists()


def test_records_of_other_names_do_not_disturb(tmp_path: Path) -> None:
    """A plan's name may begin like another's, and a stray file is not a record."""
    store = EvidenceStore(LocalStorage(tmp_path))
    store.keep(run(0))
    (tmp_path / "orders" / "orders-eu-000001.json").write_text("{}")
    (tmp_path / "orders" / "notes.txt").write_text("read me")
    assert store.ids("orders") == ["orders-000001"]
    assert [problem.id for problem in store.verify("orders")] == ["orders-eu-000001"]


def test_a_planted_number_far_ahead_is_not_followed(place: RecordStorage, store: EvidenceStore) -> None:
    """The next record has the next number. Every run is red and names the file until somebody moves it."""
    store.keep(run(0))
    place.create("orders/orders-100000000.json", b"{}")
    with pytest.raises(EvidenceIncomplete, match=r"orders-100000000\.json is no record of it.*Move the file"):
        store.keep(run(1))
    assert store.ids("orders") == ["orders-000001", "orders-000002"]
    assert store.read("orders", "orders-000002").previous == chain.link(store.read("orders", "orders-000001"))


def test_a_head_with_any_number_is_verified_at_once(place: RecordStorage, store: EvidenceStore) -> None:
    """The records that it promises are counted, not listed."""
    store.keep(run(0))
    head = {"plan": "orders", "sequence": 10**12, "id": f"orders-{10**12}", "hash": "x"}
    place.replace("orders/head.json", chain.render(head))
    (problem,) = store.verify("orders")
    assert (problem.id, problem.kind) == ("orders-000002", "missing")
    assert problem.says.startswith("999999999999 records are missing (orders-000002 to orders-1000000000000)")


def test_records_that_were_moved_elsewhere_do_not_end_the_chain(
    place: RecordStorage, store: EvidenceStore
) -> None:
    """The head says how far the chain had come."""
    last = chain.seal(run(0), None, 5000)
    place.create("orders/orders-005000.json", chain.render(last.model_dump(mode="json")))
    place.replace("orders/head.json", chain.render(chain.head_of(last).model_dump(mode="json")))
    assert store.keep(run(1)).record.previous == chain.link(last)


@pytest.mark.parametrize("error", [errno.EPERM, errno.EOPNOTSUPP])
def test_a_folder_without_hard_links_keeps_records(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: int
) -> None:
    """FAT and many network file systems have none. A record is not overwritten there either."""

    def refuse(*_: Any, **__: Any) -> None:
        raise OSError(error, os.strerror(error))

    monkeypatch.setattr("os.link", refuse)
    place = LocalStorage(tmp_path)
    store = EvidenceStore(place, page)
    store.keep(run(0))
    assert store.keep(run(1)).record.id == "orders-000002"
    assert store.verify("orders") == []
    with pytest.raises(FileExistsError):
        place.create("orders/orders-000001.json", b"second")
    assert not [path for path in (tmp_path / "orders").iterdir() if path.name.startswith(".")]


def test_another_failure_of_a_link_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """For example a full disk: then no file of the record's name is left."""

    def refuse(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.link", refuse)
    with pytest.raises(EvidenceIncomplete, match="No space left on device"):
        EvidenceStore(LocalStorage(tmp_path), page).keep(run(0))
    assert list((tmp_path / "orders").iterdir()) == []


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o640), (0o000, 0o640), (0o077, 0o600)])
def test_records_and_pages_are_not_for_everybody(tmp_path: Path, umask: int, mode: int) -> None:
    """The owner's group may read them, if the umask allows that."""
    before = os.umask(umask)
    try:
        EvidenceStore(LocalStorage(tmp_path), page).keep(run(0))
    finally:
        os.umask(before)
    files = list((tmp_path / "orders").iterdir())
    assert {path.name for path in files} == {"head.json", "orders-000001.html", "orders-000001.json"}
    assert {path.stat().st_mode & 0o777 for path in files} == {mode}


def test_a_pipe_in_the_place_of_a_file_holds_no_run_up(tmp_path: Path) -> None:
    """The next run takes the next number, is red, and names the file."""
    store = EvidenceStore(LocalStorage(tmp_path), page)
    store.keep(run(0))
    os.mkfifo(tmp_path / "orders" / "orders-000002.json")
    os.mkfifo(tmp_path / "orders" / "orders-000003.html")
    with pytest.raises(
        EvidenceIncomplete, match=r"orders-000002\.json cannot be read: it is no regular file"
    ):
        store.keep(run(1))
    assert store.ids("orders")[-1] == "orders-000003"
    assert (tmp_path / "orders" / "orders-000003.html").read_bytes() == b"<p>orders-000003</p>"
    (tmp_path / "orders" / "head.json").unlink()
    os.mkfifo(tmp_path / "orders" / "head.json")
    assert ("head.json", "unreadable") in {(each.id, each.kind) for each in store.verify("orders")}


def test_an_empty_object_is_an_empty_file(place: RecordStorage) -> None:
    """It is read like any other, and is no record."""
    place.create("orders/orders-000001.json", b"")
    assert place.read("orders/orders-000001.json") == b""


def test_places_by_their_names(tmp_path: Path) -> None:
    """A path, also with file://, is a folder; a URL is an object store; the default is in Airflow's home."""
    assert isinstance(open_storage(f"file://{tmp_path}"), LocalStorage)
    assert str(open_storage(f"file://{tmp_path}")) == str(tmp_path)
    assert isinstance(open_storage("memory://evidence"), ObjectStorage)
    assert (is_url("s3://bucket"), is_url("/srv/evidence")) == (True, False)
    assert default_evidence_folder({"AIRFLOW_HOME": "/srv/airflow"}) == Path("/srv/airflow/drs-evidence")
    assert default_evidence_folder({}) == Path("~/airflow/drs-evidence").expanduser()


def test_what_cannot_be_told_of_a_record_is_said_in_its_place(tmp_path: Path) -> None:
    """The other records are read all the same."""
    store = EvidenceStore(LocalStorage(tmp_path))
    first, _ = store.keep(run(0)).record, store.keep(run(1))
    (tmp_path / "orders" / "orders-000002.json").write_bytes(b"{}")
    (newest, why), (_, record) = store.newest_first("orders")
    assert newest == "orders-000002"
    assert isinstance(why, str)
    assert record == first


# --- replies that are lost, and writers that meet ---------------------------------------------------------


@pytest.mark.parametrize("error", [FileExistsError, ConnectionError])
def test_a_reply_of_s3_that_is_lost_seals_no_second_record(
    s3: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: type[OSError]
) -> None:
    """S3 wrote the record. s3fs sent the request again and was refused, or gave up. Its cached listing of the
    folder does not have the file.
    """
    place = open_storage(f"{s3}/{tmp_path.name}")
    store = EvidenceStore(place, page)
    store.keep(run(0))
    fs = place._fs  # type: ignore[attr-defined]
    written = fs.pipe_file
    lost: list[str] = []

    def pipe_file(path: str, data: bytes, **options: Any) -> None:
        if lost or not path.endswith("orders-000002.json"):
            written(path, data, **options)
            return
        lost.append(path)
        bucket, key = path.split("/", 1)
        boto3.client("s3", region_name=REGION).put_object(Bucket=bucket, Key=key, Body=data)
        raise error(path)

    monkeypatch.setattr(fs, "pipe_file", pipe_file)
    kept = store.keep(run(1))
    assert len(lost) == 1
    assert (kept.record.id, kept.new) == ("orders-000002", True)
    assert store.ids("orders") == ["orders-000001", "orders-000002"]
    assert store.verify("orders") == []


def test_a_request_that_failed_is_not_taken_for_written(
    place: RecordStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file is not there, so the task fails and is tried again."""

    def refused(*_: Any) -> None:
        raise ConnectionError("no route")

    monkeypatch.setattr(place, "create", refused)
    with pytest.raises(EvidenceIncomplete, match="ConnectionError: no route"):
        EvidenceStore(place).keep(run(0))


def head_id(place: RecordStorage) -> str:
    return str(json.loads(place.read("orders/head.json") or b"")["id"])


@pytest.mark.parametrize("earlier", [0, 1])
def test_a_slower_writer_does_not_set_the_head_back(place: RecordStorage, earlier: int) -> None:
    """Between its look at the head and its writing, another run writes a later record and its head."""
    for number in range(earlier):
        EvidenceStore(place).keep(run(number))

    class Slow:
        def __init__(self) -> None:
            self.others = [run(8)]

        def swap(self, name: str, data: bytes, seen: bytes | None) -> None:
            if self.others:
                EvidenceStore(place).keep(self.others.pop())
            place.swap(name, data, seen)

        def __getattr__(self, name: str) -> Any:
            return getattr(place, name)

        __str__ = place.__str__

    kept = EvidenceStore(Slow()).keep(run(5))
    assert kept.record.sequence == earlier + 1
    assert head_id(place) == f"orders-{earlier + 2:06d}"
    assert EvidenceStore(place).verify("orders") == []


def test_a_file_that_somebody_wrote_since_is_not_swapped(place: RecordStorage) -> None:
    """Nor one that is there although it was not, or is not there although it was."""
    place.create("orders/head.json", b"first")
    place.swap("orders/head.json", b"second", b"first")
    for seen in (b"first", None):
        with pytest.raises(FileExistsError):
            place.swap("orders/head.json", b"third", seen)
    assert place.read("orders/head.json") == b"second"


def test_s3_itself_refuses_a_swap_that_comes_too_late(
    s3: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another writer comes between the comparison and the request."""
    place = open_storage(f"{s3}/{tmp_path.name}")
    place.create("orders/head.json", b"first")

    def read(name: str) -> bytes:
        place.replace(name, b"of the other writer")
        return b"first"

    with monkeypatch.context() as patch:
        patch.setattr(place, "read", read)
        with pytest.raises(FileExistsError, match="written by somebody else"):
            place.swap("orders/head.json", b"second", b"first")
    assert place.read("orders/head.json") == b"of the other writer"


def test_a_swap_in_a_folder_locks_out_other_processes(tmp_path: Path) -> None:
    """The lock is that of the folder, and ends with its file descriptor."""
    with storage._locked(tmp_path):
        descriptor = os.open(tmp_path, os.O_RDONLY)
        try:
            with pytest.raises(BlockingIOError):
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        finally:
            os.close(descriptor)
    with storage._locked(tmp_path):
        pass


def test_a_page_that_a_newer_version_would_draw_otherwise_is_not_written(tmp_path: Path) -> None:
    """It would not be the page that the record covers. The check names the missing page instead."""
    store = EvidenceStore(LocalStorage(tmp_path), page)
    store.keep(run(0))
    (tmp_path / "orders" / "orders-000001.html").unlink()
    newer = EvidenceStore(LocalStorage(tmp_path), lambda record: f"<h1>{record.id}</h1>")
    newer.keep(run(0))
    assert [(each.id, each.kind) for each in newer.verify("orders")] == [("orders-000001.html", "missing")]
