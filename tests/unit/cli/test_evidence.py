"""``evidence`` and ``report``: they show the records and check that none was changed or removed."""

from __future__ import annotations

import datetime as dt
import json
import os
import re
import shutil
from pathlib import Path
from typing import Any

import boto3
import jsonschema
import pytest
import yaml
from cryptography.hazmat.primitives.serialization import Encoding

from drs.cli import main, report
from drs.cli.evidence_show import shown
from drs.evidence.record import Evidence, RunFindings
from drs.evidence.record_schema import evidence_schema_text
from drs.evidence.storage import LARGEST_FILE, LocalStorage
from drs.evidence.store import EvidenceStore
from drs.run.records import FailureRecord, Stop
from drs.run.ticks import MissedTick
from tests.unit.cli.simulated_aws import REGION, Result, plan_text
from tests.unit.drill import DATABASE, after, make_plan, make_run
from tests.unit.evidence.keys import KEY, private_key, public_file, signing
from tests.unit.evidence.records import copy, failed_record, instance_id, server_id
from tests.unit.evidence.runs import GATE, found, outcome, passed_run, told
from tests.unit.fake_airflow import fake_airflow

ROOT = Path(__file__).parents[3]
NOW = after(86400 * 60)
MONTH = 86400 * 30


class Commands:
    """Runs commands with one folder of records."""

    def __init__(self, path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.path = path
        self.store = EvidenceStore(LocalStorage(path))
        self._capsys = capsys

    def run(self, *argv: str) -> Result:
        self._capsys.readouterr()
        code = main([*argv, "--path", str(self.path)])
        out, err = self._capsys.readouterr()
        return Result(code, out, err)

    def change(self, record: str, old: bytes, new: bytes) -> None:
        path = self.path / record.rpartition("-")[0] / f"{record}.json"
        assert old in path.read_bytes()
        path.write_bytes(path.read_bytes().replace(old, new))


@pytest.fixture(scope="session")
def three_drills(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three drills of the plan orders, of which the last failed, and one drill of billing."""
    folder = tmp_path_factory.mktemp("drills")
    store = EvidenceStore(LocalStorage(folder))
    for number, failed in enumerate((False, False, True)):
        store.keep(drill(number, failed=failed))
    store.keep(drill(0, plan="billing"))
    return folder


@pytest.fixture
def kept(three_drills: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Commands:
    """Runs commands with a copy of these records."""
    shutil.copytree(three_drills, tmp_path / "evidence")
    return Commands(tmp_path / "evidence", capsys)


def drill(number: int, *, plan: str = "orders", failed: bool = False, **fields: Any) -> RunFindings:
    """The record of the plan's drill of that month."""
    at = after(MONTH * number)
    of = make_plan(name=plan, objectives={"rto": "15m", "rpo": "1m"}, schedule="0 6 1 * *")
    ledger = passed_run(make_run(of, run_id=f"run-{number}", began_at=at, initiator="ada (manual)", **fields))
    states: dict[str, str | None] = {}
    if failed:
        ledger.save_outcome("database", outcome("database", failed={DATABASE[1]: "No capacity."}))
        ledger.save_failure(GATE["database"], FailureRecord(code="SERVER_LAUNCH_FAILED", message="1 of 2."))
        states = {GATE["database"]: "failed", "wave_application.start_recovery": "upstream_failed"}
    record = found(ledger, told(states))
    # The fixed times of the launches are those of the first month.
    return record.model_copy(update={"assembled_at": at + dt.timedelta(seconds=1000)})


# --- evidence list ----------------------------------------------------------------------------------------


def test_records_are_listed_newest_first(kept: Commands) -> None:
    """Each row has the result, the measured times, who started the run, and what failed."""
    result = kept.run("evidence", "list", "orders")
    assert result.code == 0
    header, _, *rows = result.out.splitlines()
    columns = ["record", "began (UTC)", "kind", "result", "RTO", "validated", "RPO", "by", "failed"]
    assert re.split(" {2,}", header) == columns
    assert [row.split()[0] for row in rows] == [f"orders-{number:06d}" for number in (3, 2, 1)]
    assert rows[0].split()[4] == "failed"
    assert rows[0].rstrip().endswith("SERVER_LAUNCH_FAILED")
    assert "612 s" in rows[2]
    assert "75 s !" in rows[2]
    assert "ada (manual)" in rows[2]


def test_records_of_all_plans_are_listed_and_as_json(kept: Commands) -> None:
    """JSON has the same records, at most --limit of each plan."""
    listed = json.loads(kept.run("evidence", "list", "--json", "--limit", "1").out)
    assert [each["id"] for each in listed] == ["billing-000001", "orders-000003"]
    assert listed[1]["failures"] == ["SERVER_LAUNCH_FAILED"]
    assert listed[0]["rto_launched_seconds"] == 612
    assert listed[0]["hash"] == kept.store.read("billing", "billing-000001").hash


def test_a_plan_without_records_is_exit_code_2(kept: Commands, tmp_path: Path) -> None:
    """The message lists the plans that have records. For an empty folder, it says how to give another one."""
    result = kept.run("evidence", "list", "web")
    assert (result.code, result.out) == (2, "")
    assert "Plans with records: billing, orders." in result.err
    kept.path = tmp_path / "empty"
    kept.path.mkdir()
    result = kept.run("evidence", "list")
    assert result.code == 2
    assert "AIRFLOW__DRS__EVIDENCE_PATH" in result.err


@pytest.mark.parametrize(
    "command", ["evidence list", "evidence verify", "evidence show orders-000001", "report", "report orders"]
)
def test_a_place_that_cannot_be_reached_is_exit_code_3(
    kept: Commands, plans: Path, tmp_path: Path, command: str
) -> None:
    """A folder that is not mounted must not read as `never drilled`, although there is a plan file."""
    kept.path = tmp_path / "not mounted"
    folder = ["--plans", str(plans)] if command.startswith("report") else []
    result = kept.run(*command.split(), *folder)
    assert (result.code, result.out) == (3, "")
    assert f"cannot be reached: there is no folder {kept.path} here" in result.err
    assert "AIRFLOW__DRS__EVIDENCE_PATH" in result.err


def test_an_empty_folder_of_records_is_a_plan_that_was_never_drilled(
    kept: Commands, plans: Path, tmp_path: Path
) -> None:
    """That place answers."""
    kept.path = tmp_path / "empty"
    kept.path.mkdir()
    result = kept.run("report", "--plans", str(plans))
    assert result.code == 1
    assert "orders: never drilled" in result.out


def test_hostile_files_are_named_and_hold_nothing_up(kept: Commands, plans: Path) -> None:
    """A pipe without a writer, an endless device, a folder, a link to itself, a file that is too large, JSON
    that is nested too deep, and a number far ahead of the newest record. The other records are shown.
    """
    folder = kept.path / "orders"
    (folder / "orders-000002.json").unlink()
    os.mkfifo(folder / "orders-000002.json")
    (folder / "orders-000004.json").symlink_to("/dev/zero")
    with (folder / "orders-000005.json").open("wb") as large:
        large.truncate(LARGEST_FILE + 1)
    (folder / "orders-000006.json").write_bytes(b"[" * 1_000_000)
    (folder / "orders-000007.json").mkdir()
    (folder / "orders-000008.json").symlink_to("orders-000008.json")
    (folder / "orders-100000000.json").write_bytes(b"{}")
    bad = [f"orders-{number:06d}" for number in (8, 7, 6, 5, 4, 2)]
    result = kept.run("report", "orders", "--plans", str(plans))
    assert result.code == 1
    assert f"cannot be read: {', '.join(bad)} (" in result.out
    assert "orders-000003" in result.out
    listed = json.loads(kept.run("evidence", "list", "orders", "--json").out)
    said = {each["id"]: each["unreadable"] for each in listed if "unreadable" in each}
    assert list(said) == bad
    assert {said[f"orders-{number:06d}"] for number in (2, 4, 7, 8)} == {"it is no regular file"}
    assert said["orders-000005"] == "it has more than 16 MiB"
    (verified,) = json.loads(kept.run("evidence", "verify", "orders", "--json").out)["plans"]
    kinds = {(each["id"], each["kind"]) for each in verified["problems"]}
    assert {(each, "unreadable") for each in bad} <= kinds
    assert ("orders-100000000", "changed") in kinds
    assert ("orders-000009", "missing") in kinds
    assert len(verified["problems"]) < 14
    (gap,) = [each["says"] for each in verified["problems"] if each["kind"] == "missing"]
    assert gap.startswith("99999991 records are missing (orders-000009 to orders-99999999)")
    assert kept.run("evidence", "show", "orders-000002").code == 1
    assert kept.run("evidence", "export", "orders-000004", "--to", str(kept.path)).code == 1


def test_a_record_that_cannot_be_read_is_listed_as_such(kept: Commands) -> None:
    """The other records are still shown."""
    kept.change("orders-000002", b'"sequence"', b'"sequenze"')
    result = kept.run("evidence", "list", "orders")
    assert result.code == 1
    assert "orders-000002  -" in result.out
    assert "unreadable" in result.out
    assert "orders-000001" in result.out
    assert json.loads(kept.run("evidence", "list", "orders", "--json").out)[1]["id"] == "orders-000002"
    assert kept.run("evidence", "show", "orders-000002").code == 1


def test_the_path_is_the_environments(
    kept: Commands, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command reads the same variable as Airflow."""
    monkeypatch.setenv("AIRFLOW__DRS__EVIDENCE_PATH", str(kept.path))
    assert main(["evidence", "verify"]) == 0


# --- evidence show ----------------------------------------------------------------------------------------


def test_a_record_is_shown_for_people(kept: Commands) -> None:
    """The text has the parameters, result and reasons, servers, measured times, clean-up and hash."""
    result = kept.run("evidence", "show", "orders-000003")
    record = kept.store.read("orders", "orders-000003")
    assert result.code == 0
    for said in (
        "orders-000003: DRILL of orders, failed",
        record.summary,
        "by ada (manual)",
        "account 111122223333, us-east-1",
        "to launched: not measured: the value is not known for every server (target 900 s)",
        *DATABASE,
        "Why it did not pass:",
        "SERVER_LAUNCH_FAILED",
        "4 instances launched, all proven gone in DRS and EC2",
        f"Evidence SHA-256: {record.hash}",
        "Previous record: orders-000002 ",
    ):
        assert said in result.out, said


def test_a_record_is_shown_for_programs(kept: Commands) -> None:
    """The JSON is the same as in the store."""
    stored = json.loads((kept.path / "orders" / "orders-000001.json").read_bytes())
    assert json.loads(kept.run("evidence", "show", "orders-000001", "--json").out) == stored


@pytest.mark.parametrize("record", ["orders-000009", "web-000001", "orders"])
def test_a_record_that_does_not_exist_is_exit_code_2(kept: Commands, record: str) -> None:
    """The message lists the records of the plan."""
    result = kept.run("evidence", "show", record)
    assert (result.code, result.out) == (2, "")
    assert f"There is no record {record}" in result.err
    assert ("orders-000001 to orders-000003" in result.err) == (record == "orders-000009")


# --- evidence export --------------------------------------------------------------------------------------


def test_a_record_is_exported_byte_for_byte(kept: Commands, tmp_path: Path) -> None:
    """The target is a file, or a folder, in which the file gets the record's name."""
    stored = (kept.path / "orders" / "orders-000001.json").read_bytes()
    assert kept.run("evidence", "export", "orders-000001", "--to", str(tmp_path / "audit.json")).code == 0
    assert (tmp_path / "audit.json").read_bytes() == stored
    result = kept.run("evidence", "export", "orders-000001", "--to", str(tmp_path))
    assert result.out == f"{tmp_path}/orders-000001.json\n"
    assert (tmp_path / "orders-000001.json").read_bytes() == stored


def test_a_record_is_exported_as_its_page(kept: Commands, tmp_path: Path) -> None:
    """The page for people is made from the record."""
    result = kept.run("evidence", "export", "orders-000003", "--to", str(tmp_path), "--format", "html")
    assert result.code == 0
    page = (tmp_path / "orders-000003.html").read_text(encoding="utf-8")
    assert page.startswith("<!DOCTYPE html>")
    assert kept.store.read("orders", "orders-000003").hash in page


def test_a_file_that_cannot_be_written_is_exit_code_2(kept: Commands, tmp_path: Path) -> None:
    """The message has the system's reason."""
    result = kept.run("evidence", "export", "orders-000001", "--to", str(tmp_path / "no" / "such" / "folder"))
    assert result.code == 2
    assert "No such file or directory" in result.err


# --- evidence verify --------------------------------------------------------------------------------------


def test_whole_chains_are_confirmed(kept: Commands) -> None:
    """Each plan has one line. What was not covered follows: these records have no pages and no signatures."""
    result = kept.run("evidence", "verify")
    assert result.code == 0
    assert [line for line in result.out.splitlines() if not line.startswith(" ")] == [
        "ok  billing: 1 record, none missing or changed",
        "ok  orders: 3 records, none missing or changed",
    ]
    assert "    Not covered: the HTML pages of 3 records, orders-000001 to orders-000003" in result.out
    (billing, _) = json.loads(kept.run("evidence", "verify", "--json").out)["plans"]
    assert [note.split(":")[0] for note in billing["not_covered"]] == ["Not covered", "Not covered"]


def test_a_changed_page_is_named(kept: Commands) -> None:
    """The exit code is 1."""
    EvidenceStore(LocalStorage(kept.path), lambda record: f"<p>{record.result}").keep(drill(0, plan="web"))
    assert kept.run("evidence", "verify", "web").code == 0
    page = kept.path / "web" / "web-000001.html"
    page.write_bytes(page.read_bytes().replace(b"passed", b"PASSED"))
    result = kept.run("evidence", "verify", "web")
    assert result.code == 1
    assert "web-000001.html  changed" in result.out


def test_signatures_are_checked_with_a_public_key(kept: Commands, tmp_path: Path) -> None:
    """The key of somebody else is exit code 1, a file that is no key exit code 2. No AWS is reached."""
    EvidenceStore(LocalStorage(kept.path), None, signing(private_key())).keep(drill(0, plan="web"))
    own, other, none = (tmp_path / name for name in ("own.pem", "other.der", "none.pem"))
    own.write_bytes(public_file(private_key()))
    other.write_bytes(public_file(private_key(number=1), Encoding.DER))
    none.write_text("no key")
    verify = ("evidence", "verify", "web", "--public-key")
    assert kept.run(*verify, str(own)).code == 0
    assert kept.run(*verify, str(other), "--public-key", str(own)).code == 0
    result = kept.run(*verify, str(other))
    assert result.code == 1
    assert "web-000001  wrong signature" in result.out
    for file in (none, tmp_path / "nowhere.pem"):
        result = kept.run(*verify, str(file))
        assert result.code == 2
        assert str(file) in result.err
    assert f"Signed with: {KEY} (ECDSA_SHA_256)" in kept.run("evidence", "show", "web-000001").out


def test_a_changed_byte_and_a_missing_record_are_named(kept: Commands) -> None:
    """The exit code is 1. The chain of the other plan is still confirmed."""
    kept.change("orders-000002", b"ada (manual)", b"eve (manual)")
    (kept.path / "orders" / "orders-000003.json").unlink()
    result = kept.run("evidence", "verify")
    assert result.code == 1
    assert "ok  billing: 1 record," in result.out
    assert "NOT ok  orders: 2 records, 2 problems" in result.out
    rows = [line.split()[:2] for line in result.out.splitlines() if line.startswith("orders-")]
    assert rows == [["orders-000002", "changed"], ["orders-000003", "missing"]]
    verified = json.loads(kept.run("evidence", "verify", "orders", "--json").out)
    (plan,) = verified["plans"]
    assert (plan["plan"], plan["ok"], plan["records"]) == ("orders", False, 2)
    assert [(each["id"], each["kind"]) for each in plan["problems"]] == [
        ("orders-000002", "changed"),
        ("orders-000003", "missing"),
    ]


def test_the_hash_that_was_sent_is_looked_for(kept: Commands) -> None:
    """The hash may belong to any plan. If the last record was removed, only the hash shows it."""
    sent = kept.store.read("orders", "orders-000003").hash
    assert kept.run("evidence", "verify", "--hash", sent).code == 0
    assert json.loads(kept.run("evidence", "verify", "--hash", sent, "--json").out)["in_the_chain"] is True
    result = kept.run("evidence", "verify", "billing", "--hash", sent)
    assert result.code == 1
    assert f"Hash {sent} is the hash of NO record" in result.out
    assert "ok  billing" in result.out


def test_records_in_a_bucket_are_verified(
    simulator_url: str, monkeypatch: pytest.MonkeyPatch, kept: Commands, capsys: pytest.CaptureFixture[str]
) -> None:
    """The credentials come from the environment. For a store that cannot be reached, the exit code is 3."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", simulator_url)
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    bucket = boto3.client("s3")
    bucket.create_bucket(Bucket="audit")
    for path in (kept.path / "orders").iterdir():
        bucket.put_object(Bucket="audit", Key=f"drills/orders/{path.name}", Body=path.read_bytes())
    assert main(["evidence", "verify", "orders", "--path", "s3://audit/drills"]) == 0
    assert "ok  orders: 3 records," in capsys.readouterr().out
    bucket.delete_object(Bucket="audit", Key="drills/orders/orders-000001.json")
    assert main(["evidence", "verify", "--path", "s3://audit/drills"]) == 1
    assert "orders-000001  missing" in capsys.readouterr().out
    assert main(["evidence", "verify", "--path", "nothing://audit"]) == 3
    assert "nothing://audit cannot be reached" in capsys.readouterr().err
    assert main(["report", "--path", "s3://no-such-bucket/drills"]) == 3
    assert "there is no bucket no-such-bucket" in capsys.readouterr().err
    assert main(["evidence", "list", "--path", "s3://audit/empty"]) == 2


# --- report -----------------------------------------------------------------------------------------------


@pytest.fixture
def plans(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the plan orders, which runs on the first of the month. The time is fixed at NOW, and no
    Airflow answers.
    """
    monkeypatch.setattr(report, "utc_now", lambda: NOW)
    monkeypatch.setenv("DRS_AIRFLOW_URL", "http://127.0.0.1:9")
    folder = tmp_path / "plans"
    folder.mkdir()
    (folder / "orders.yaml").write_text(plan_text() + 'schedule: "0 5 2 * *"\n')
    return folder


def test_a_plans_history_is_told(kept: Commands, plans: Path) -> None:
    """The report has the last drills, when one last passed, and when the next is due by the plan's current
    file.
    """
    result = kept.run("report", "orders", "--plans", str(plans))
    assert result.code == 1
    lines = result.out.splitlines()
    assert [line.split()[0] for line in lines[2:5]] == [f"orders-{number:06d}" for number in (3, 2, 1)]
    assert lines[-2] == (
        "orders: last full pass 2026-03-31 06:00:00 UTC, 30 d 0 h ago (orders-000002); next run 2026-05-02 "
        "05:00:00 UTC"
    )


def test_all_plans_are_told_those_never_drilled_too(kept: Commands, plans: Path) -> None:
    """Without a plan file, the schedule comes from the newest record."""
    text = plan_text().replace("name: orders", "name: web")
    (plans / "web.yaml").write_text(text)
    result = kept.run("report", "--plans", str(plans), "--limit", "1")
    assert result.code == 1
    lines = result.out.splitlines()
    assert lines[-4] == (
        "billing: last full pass 2026-03-01 06:00:00 UTC, 60 d 0 h ago (billing-000001); next run "
        "2026-05-01 06:00:00 UTC"
    )
    assert lines[-3].startswith("orders: last full pass 2026-03-31 06:00:00 UTC, ")
    assert lines[-1] == "web: never drilled; no schedule"
    assert "orders-000001 " not in result.out


def test_a_plan_whose_last_drill_passed_is_exit_code_0(kept: Commands, plans: Path) -> None:
    """An automatic check can use the exit code."""
    assert kept.run("report", "billing", "--plans", str(plans)).code == 0


def test_a_dry_run_is_no_drill(kept: Commands, plans: Path) -> None:
    """A dry run does not count as a drill and does not hide the drill before it."""
    kept.store.keep(drill(3, dry_run=True))
    result = kept.run("report", "orders", "--plans", str(plans), "--json")
    (told_of,) = json.loads(result.out)
    assert [each["id"] for each in told_of["drills"]] == ["orders-000003", "orders-000002", "orders-000001"]
    assert (told_of["good"], told_of["last_passed_age_seconds"]) == (False, MONTH)
    assert told_of["drills"][0]["failures"] == ["SERVER_LAUNCH_FAILED"]
    assert told_of["drills"][2]["rpo_seconds"] == 75
    assert told_of["next_run"] == "2026-05-02T05:00:00+00:00"


def test_a_partial_pass_is_no_pass_of_the_plan(kept: Commands, plans: Path) -> None:
    """It is marked in both lists. The last full drill failed, so the exit code is 1."""
    kept.store.keep(drill(3, waves=["application"]))
    result = kept.run("report", "orders", "--plans", str(plans))
    assert result.code == 1
    row = next(line for line in result.out.splitlines() if line.startswith("orders-000004"))
    assert "DRILL (partial)" in row
    assert "passed" in row
    assert "orders: last full pass 2026-03-31 06:00:00" in result.out
    (told_of,) = json.loads(kept.run("report", "orders", "--plans", str(plans), "--json").out)
    assert told_of["good"] is False
    assert [each["scope"] for each in told_of["drills"]] == ["partial", "full", "full", "full"]
    listed = json.loads(kept.run("evidence", "list", "orders", "--json", "--limit", "1").out)
    assert listed[0]["scope"] == "partial"
    shown = kept.run("evidence", "show", "orders-000004").out
    assert "orders-000004: DRILL (partial) of orders, passed" in shown
    assert "covered   1 of 2 waves: not a pass of the whole plan" in shown
    assert "missed    the RPO was missed by" in kept.run("evidence", "show", "orders-000002").out


def test_a_partial_pass_after_a_full_one_is_exit_code_0(kept: Commands, plans: Path) -> None:
    """A plan with partial passes alone has never passed."""
    kept.store.keep(drill(1, plan="billing", exclude_servers=[DATABASE[0]]))
    assert kept.run("report", "billing", "--plans", str(plans)).code == 0
    kept.store.keep(drill(0, plan="web", waves=["application"]))
    result = kept.run("report", "web", "--plans", str(plans))
    assert result.code == 1
    assert "web: never passed in full; " in result.out


def test_a_plan_that_changed_since_its_last_full_pass_is_told(kept: Commands, plans: Path) -> None:
    """By key; the drill that failed since then does not count. An unchanged plan has no such line."""
    changed = "the plan's file has changed since that pass: "
    text = kept.run("report", "orders", "--plans", str(plans)).out
    assert f"  {changed}schedule, objectives.rto, " in text
    (told_of,) = json.loads(kept.run("report", "orders", "--plans", str(plans), "--json").out)
    assert "schedule" in told_of["changed_since_last_passed"]
    same = make_plan(objectives={"rto": "15m", "rpo": "1m"}, schedule="0 6 1 * *")
    (plans / "orders.yaml").write_text(yaml.safe_dump(same.model_dump(mode="json", exclude_unset=True)))
    result = kept.run("report", "orders", "--plans", str(plans))
    assert changed not in result.out
    (told_of,) = json.loads(kept.run("report", "orders", "--plans", str(plans), "--json").out)
    assert told_of["changed_since_last_passed"] == []
    (told_of,) = json.loads(kept.run("report", "billing", "--plans", str(plans), "--json").out)
    assert told_of["changed_since_last_passed"] is None


def test_losses_and_fates_are_shown(kept: Commands) -> None:
    """And who stopped the run."""
    record = failed_record()
    stop = Stop(by="ada", at=after(700), reason="wrong day")
    lines = "\n".join(shown(copy(record, run=copy(record.run, stop=stop))))
    for words in (
        "  stopped   by ada at 2026-03-01 06:11:40 UTC: wrong day",
        "Instances that somebody else ended during the drill:",
        "is gone: drsjob-0cc of plan billing, run manual__2026-03-01, ended it; last seen as it should be at",
        "Clean-up: NOT proven. Instances: 4 launched: 1 lost, 2 terminated, 1 not proven gone",
        "lost: it is gone: drsjob-0cc ended it",
        f"{instance_id(1, 2)} of {server_id(1, 2)}: not proven gone",
    ):
        assert words in lines, words
    assert record.cleanup is not None
    proven = copy(record.cleanup, proven=True, instances=record.cleanup.instances[:2])
    assert (
        "all proven gone in DRS and EC2, but not all by this run. Instances: 2 launched: 1 lost"
        in "\n".join(shown(copy(record, cleanup=proven)))
    )


def test_an_older_record_is_shown_as_it_is_stored(kept: Commands, tmp_path: Path) -> None:
    """JSON has none of the members that this version adds when it reads the record."""
    old = ROOT / "tests" / "unit" / "evidence" / "data"
    kept.path = tmp_path / "old"
    shutil.copytree(old, kept.path)
    stored = json.loads((old / "orders" / "orders-000002.json").read_bytes())
    assert json.loads(kept.run("evidence", "show", "orders-000002", "--json").out) == stored
    assert "scope" not in stored
    assert "DRILL (partial)" in kept.run("evidence", "list", "orders").out
    assert kept.run("evidence", "verify").code == 0


def tick(day: int, **fields: Any) -> MissedTick:
    """A tick of that day of March that launched nothing."""
    at = after(86400 * (day - 1))
    run_id = f"scheduled__{at.isoformat()}"
    return MissedTick.model_validate(
        {"run_id": run_id, "run_type": "scheduled", "due": at, "at": at, "why": "Missed: late.", **fields}
    )


def test_scheduled_runs_that_launched_nothing_are_reported(kept: Commands, plans: Path) -> None:
    """Newest first, with how to make up for the last one. They are no drills: the exit code is the same."""
    kept.store.keep_tick("billing", tick(2))
    kept.store.keep_tick("billing", tick(9, code="PLAN_ALREADY_EXECUTING", why="Run run-0 is active."))
    result = kept.run("report", "billing", "--plans", str(plans))
    assert result.code == 0
    assert result.out.splitlines()[-3:] == [
        "  2026-03-09 06:00:00 UTC refused, PLAN_ALREADY_EXECUTING: Run run-0 is active.",
        "  2026-03-02 06:00:00 UTC missed: Missed: late.",
        "  To make up for it, trigger a run by hand: `python -m drs drill billing --reason "
        '"makes up for 2026-03-09 06:00 UTC"`.',
    ]
    (told_of,) = json.loads(
        kept.run("report", "billing", "--plans", str(plans), "--limit", "1", "--json").out
    )
    (missed,) = told_of["missed"]
    assert (missed["fate"], missed["due"]) == ("refused, PLAN_ALREADY_EXECUTING", "2026-03-09T06:00:00Z")


def test_a_tick_that_cannot_be_read_is_told_in_the_report(kept: Commands, plans: Path) -> None:
    """Like a record that cannot be read."""
    path = Path(kept.store.keep_tick("billing", tick(2)))
    path.write_bytes(b"{")
    result = kept.run("report", "billing", "--plans", str(plans))
    assert result.code == 1
    assert f"cannot be read: ticks/{path.name}: " in result.out


@pytest.mark.parametrize(
    ("dags", "says", "next_run", "in_airflow"),
    [
        (
            [{"dag_id": "drs_drill__billing", "is_paused": False}],
            "next run 2026-05-01 06:00:00 UTC",
            "2026-05-01T06:00:00+00:00",
            "active",
        ),
        (
            [{"dag_id": "drs_drill__billing", "is_paused": True}],
            "no next run: its DAG is paused (its schedule names 2026-05-01 06:00:00 UTC)",
            None,
            "paused",
        ),
        (
            [{"dag_id": "billing", "is_paused": False}],
            "no next run: Airflow has no DAG of it (its schedule names 2026-05-01 06:00:00 UTC)",
            None,
            "absent",
        ),
    ],
    ids=["active", "paused", "absent"],
)
def test_a_plan_that_is_paused_has_no_next_run(
    kept: Commands,
    plans: Path,
    monkeypatch: pytest.MonkeyPatch,
    dags: list[dict[str, Any]],
    says: str,
    next_run: str | None,
    in_airflow: str,
) -> None:
    """Airflow is asked. Without its answer the schedule is given, and a line says that it may be paused."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with fake_airflow() as airflow:
        airflow.answers["/api/v2/monitor/health"] = lambda _: (200, {})
        airflow.answers["/api/v2/dags"] = lambda _: (200, {"dags": dags, "total_entries": 1})
        arguments = ("report", "billing", "--plans", str(plans), "--airflow-url", airflow.url)
        result = kept.run(*arguments)
        (told_of,) = json.loads(kept.run(*arguments, "--json").out)
    assert result.out.splitlines()[-1].endswith(f"; {says}")
    assert result.err == ""
    assert (told_of["next_run"], told_of["in_airflow"]) == (next_run, in_airflow)
    alone = kept.run("report", "billing", "--plans", str(plans), "--airflow-url", "http://127.0.0.1:9")
    assert alone.code == 0
    assert alone.out.splitlines()[-1].endswith("; next run 2026-05-01 06:00:00 UTC")
    assert "Airflow at http://127.0.0.1:9 did not say which plans are paused." in alone.err


def test_a_record_that_cannot_be_read_is_told_in_the_report(kept: Commands, plans: Path) -> None:
    """The record that cannot be read may be of a failed drill, so the exit code is 1."""
    kept.change("orders-000003", b'"sequence"', b'"sequenze"')
    result = kept.run("report", "orders", "--plans", str(plans))
    assert result.code == 1
    assert "cannot be read: orders-000003 (python -m drs evidence verify orders)" in result.out


def test_a_report_on_an_unknown_plan_is_exit_code_2(kept: Commands, plans: Path, tmp_path: Path) -> None:
    """The message lists the plans that exist."""
    result = kept.run("report", "web", "--plans", str(plans))
    assert result.code == 2
    assert "The plans are: billing, orders." in result.err
    kept.path = tmp_path / "empty"
    kept.path.mkdir()
    assert kept.run("report", "--plans", str(tmp_path / "none")).code == 2


# --- the schema -------------------------------------------------------------------------------------------


def test_the_published_schema_is_that_of_the_model(capsys: pytest.CaptureFixture[str]) -> None:
    """`python -m drs schema --evidence --output include/evidence.schema.json` updates the file."""
    assert main(["schema", "--evidence"]) == 0
    printed = capsys.readouterr().out
    assert printed == evidence_schema_text()
    assert (ROOT / "include" / "evidence.schema.json").read_text(encoding="utf-8") == printed


def test_stored_records_are_what_the_schema_says(kept: Commands) -> None:
    """The record of a failed drill conforms too. The schema refuses an unknown member."""
    validator = jsonschema.Draft202012Validator(json.loads(evidence_schema_text()))
    for record in ("orders-000001", "orders-000003"):
        stored = json.loads((kept.path / "orders" / f"{record}.json").read_bytes())
        assert list(validator.iter_errors(stored)) == []
        assert not validator.is_valid({**stored, "colour": "red"})
        assert Evidence.model_validate(stored).id == record
