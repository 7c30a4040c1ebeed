"""``doctor``: runs the preflight of a plan at the terminal."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.unit.cli.simulated_aws import REGION
from tests.unit.drill import APPLICATION, DATABASE
from tests.unit.versions import use_older_boto3


def test_a_plan_that_could_be_drilled_is_exit_code_0(aws: Any, plans: Path) -> None:
    """The check launches nothing."""
    result = aws.run("doctor", "orders", "--plans", str(plans))
    assert (result.code, result.err) == (0, "")
    assert "Plan orders: 0 errors" in result.out
    assert aws.journal(operation="StartRecovery") == []


def test_an_older_boto3_is_one_warning(aws: Any, plans: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It cannot list the executions of AWS's own recovery plans. A drill could begin all the same."""
    use_older_boto3(monkeypatch)
    result = aws.run("doctor", "orders", "--plans", str(plans), "--json")
    (finding,) = json.loads(result.out)["findings"]
    assert (result.code, result.err) == (0, "")
    assert (finding["code"], finding["severity"]) == ("CHECK_UNAVAILABLE", "warning")
    assert "AWS's own recovery plans" in finding["seen"]


def test_findings_are_told_together_with_their_remedies(aws: Any, plans: Path) -> None:
    """Two findings in two waves are shown together, with one exit code."""
    aws.arm(kind="stuck_conversion", servers=[DATABASE[0]])
    held = aws.start([DATABASE[0]])
    path = plans / "orders.yaml"
    path.write_text(path.read_text().replace("Tier: app", "Tier: ap"))
    result = aws.run("doctor", "orders", "--plans", str(plans))
    assert result.code == 1
    assert "SERVER_CONFLICT" in result.out
    assert held in result.out
    assert "TAG_RESOLUTION_EMPTY" in result.out
    assert result.out.count("What to do: ") >= 2
    printed = json.loads(aws.run("doctor", "orders", "--plans", str(plans), "--json").out)
    assert {finding["code"] for finding in printed["findings"]} >= {"SERVER_CONFLICT", "TAG_RESOLUTION_EMPTY"}
    aws.disarm()


def test_what_a_drill_of_the_plan_has_left_is_a_finding(
    aws: Any, plans: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only its age shows it, and only what is older than any drill of the plan can be."""
    aws.launch([DATABASE[0]], run="manual__1")
    aws.launch([APPLICATION[0]], run="manual__1", plan="billing")
    options = ("--plans", str(plans), "--json")
    assert aws.run("doctor", "orders", *options).code == 0
    monkeypatch.setattr("drs.cli.watch_look.longest_drill", lambda plan: dt.timedelta(0))
    result = aws.run("doctor", "orders", *options)
    assert result.code == 1
    (finding,) = [each for each in json.loads(result.out)["findings"] if each["severity"] == "error"]
    assert finding["code"] == "ORPHANED_DRILL_INSTANCE"
    assert "1 drill instance(s) of plan orders, run manual__1, are left" in finding["seen"]


def test_waves_and_servers_may_be_left_out(aws: Any, plans: Path) -> None:
    """The options leave out waves and servers in the same way as a run's parameters."""
    aws.arm(kind="stuck_conversion", servers=[DATABASE[0]])
    aws.start([DATABASE[0]])
    options = ("--plans", str(plans), "--json")
    assert aws.run("doctor", "orders", *options).code == 1
    assert aws.run("doctor", "orders", "--waves", "application", *options).code == 0
    without = aws.run("doctor", "orders", "--exclude", DATABASE[0], *options)
    assert without.code == 0
    waves = json.loads(without.out)["resolution"]["waves"]
    servers = [server["server_id"] for wave in waves.values() for server in wave["servers"]]
    assert servers == [DATABASE[1], *APPLICATION]
    aws.disarm()


def test_a_wave_that_the_plan_lacks_is_exit_code_2(aws: Any, plans: Path) -> None:
    """The message lists the waves of the plan."""
    result = aws.run("doctor", "orders", "--waves", "web", "--plans", str(plans))
    assert result.code == 2
    assert "Plan orders has no wave web" in result.err
    assert "Its waves are: database, application." in result.err


def test_for_a_real_recovery_stalled_replication_only_warns(aws: Any, plans: Path) -> None:
    """In a real disaster replication is stalled, so this must not stop a recovery."""
    aws.arm(kind="replication", servers=[DATABASE[0]], state="STALLED")
    assert aws.run("doctor", "orders", "--plans", str(plans)).code == 1
    result = aws.run("doctor", "orders", "--execution-type", "RECOVERY", "--plans", str(plans))
    assert result.code == 0
    assert "UNHEALTHY_SERVER_REPLICATION" in result.out
    aws.disarm()


def test_a_recovery_point_names_its_time_zone(aws: Any, plans: Path) -> None:
    """A time without a time zone is refused. A time before every snapshot is a finding."""
    options = ("--plans", str(plans))
    assert aws.run("doctor", "orders", "--recovery-point", "2026-03-01T06:00:00", *options).code == 2
    assert aws.run("doctor", "orders", "--recovery-point", "yesterday", *options).code == 2
    year_1 = aws.run("doctor", "orders", "--recovery-point", "0001-01-01T00:00:00+23:59", *options)
    assert (year_1.code, "first or after the last year" in year_1.err) == (2, True)
    result = aws.run("doctor", "orders", "--recovery-point", "2001-01-01T00:00:00Z", *options)
    assert result.code == 1
    assert "RECOVERY_POINT_NOT_FOUND" in result.out


def test_code_that_the_plan_may_not_name_is_a_finding(aws: Any, plans: Path) -> None:
    """A check that must be imported to be judged is not judged here, and a note says so."""
    path = plans / "orders.yaml"
    path.write_text(path.read_text() + "\nnotifications: {notifiers: [{notifier: subprocess.Popen}]}\n")
    plan = yaml.safe_load(path.read_text())
    plan["waves"][0]["validation"] = [{"type": "python", "function": "my_team.checks.orders"}]
    path.write_text(yaml.safe_dump(plan))
    result = aws.run("doctor", "orders", "--plans", str(plans), "--json")
    assert result.code == 1
    printed = json.loads(result.out)
    (finding,) = [each for each in printed["findings"] if each["severity"] == "error"]
    assert finding["code"] == "INVALID_FIELD"
    assert (
        "notifications.notifiers[0].notifier: The notifier subprocess.Popen is not allowed" in finding["seen"]
    )
    (note,) = [note for note in printed["notes"] if "my_team.checks.orders" in note]
    assert "Airflow's own preflight" in note


def test_the_key_that_signs_records_is_tried(aws: Any, plans: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A key for encryption is a finding. A key that signs is none."""
    kms = aws.client("kms", REGION)
    good = kms.create_key(KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")["KeyMetadata"]["Arn"]
    bad = kms.create_key(KeySpec="RSA_2048", KeyUsage="ENCRYPT_DECRYPT")["KeyMetadata"]["Arn"]
    command = ("doctor", "orders", "--plans", str(plans))
    monkeypatch.setenv("AIRFLOW__DRS__EVIDENCE_KMS_KEY_ID", good)
    assert aws.run(*command).code == 0
    monkeypatch.setenv("AIRFLOW__DRS__EVIDENCE_KMS_KEY_ID", bad)
    result = aws.run(*command)
    assert result.code == 1
    assert "evidence_kms_key_id" in result.out
    assert bad in result.out


def test_records_in_a_folder_that_workers_do_not_share_are_a_warning(
    aws: Any, plans: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a container of Airflow, whose environment says how Airflow runs tasks. Elsewhere it is not known."""
    command = ("doctor", "orders", "--plans", str(plans), "--json")

    def warned() -> bool:
        result = aws.run(*command)
        assert result.code == 0
        return any("evidence_shared" in finding["remedy"] for finding in json.loads(result.out)["findings"])

    assert not warned()
    monkeypatch.setenv("AIRFLOW__CORE__EXECUTOR", "CeleryExecutor")
    assert warned()
    monkeypatch.setenv("AIRFLOW__DRS__EVIDENCE_SHARED", "True")
    assert not warned()
