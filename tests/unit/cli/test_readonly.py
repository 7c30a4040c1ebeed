"""What the commands that change nothing call, compared with ``include/iam/readonly.json``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.unit.cli.simulated_aws import ACCOUNT, REGION, WEB
from tests.unit.drill import DATABASE
from tests.unit.versions import UNKNOWN_OPERATIONS

IAM = Path(__file__).parents[3] / "include" / "iam"


def policy() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((IAM / "readonly.json").read_text())
    return loaded


def allowed() -> set[str]:
    return {action for statement in policy()["Statement"] for action in statement["Action"]}


def called(aws: Any) -> set[str]:
    return {f"{call['service']}:{call['operation']}" for call in aws.journal()}


@pytest.fixture
def account(aws: Any) -> Any:
    """An account with an ended job, an AWS recovery plan that executes, and instances of a drill."""
    aws.launch([DATABASE[0]], run="manual__1")
    aws.arm(kind="plan_execution", servers=WEB[-1:])
    aws.clear_journal()
    yield aws
    aws.disarm()


def test_the_policy_has_what_the_commands_call_and_nothing_else(
    account: Any, plans: Path, tmp_path: Path
) -> None:
    """``doctor`` above all, with a recovery point; and every other command that calls AWS to look."""
    folder = ("--plans", str(plans))
    evidence = ("--path", str(tmp_path / "evidence"))
    account.run("doctor", "orders", "--recovery-point", "2100-01-01T00:00:00Z", *folder, *evidence)
    by_doctor = called(account)
    assert by_doctor - allowed() == set()
    (job,) = [each["jobID"] for each in account.drs.describe_jobs()["items"]]
    account.clear_journal()
    for command in (
        ("accounts", *folder),
        ("groups", "orders", *folder),
        ("servers", "--region", REGION),
        ("jobs", "--region", REGION),
        ("job", job, "--region", REGION),
        ("quotas", "--region", REGION),
        ("watch", "--no-airflow", *folder, *evidence),
    ):
        result = account.run(*command)
        assert result.code != 2, f"{command}: {result.err}"
    by_others = called(account)
    assert by_others - allowed() == set()
    assert allowed() - by_doctor - by_others == {f"drs:{each}" for each in UNKNOWN_OPERATIONS}


def test_doctor_rehearses_another_role_for_those_who_only_look(account: Any, plans: Path) -> None:
    """A reader may not launch, which says nothing about the role that Airflow drills with."""
    iam = account.client("iam", REGION)
    trust = {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Principal": "*", "Action": "*"}}
    for name, document in (
        ("reader", policy()),
        ("drills", json.loads((IAM / "drill.json").read_text())),
    ):
        iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust))
        iam.put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=json.dumps(document))
    command = ("doctor", "orders", "--waves", "application", "--plans", str(plans), "--role")
    try:
        reader = account.run(*command, f"arn:aws:iam::{ACCOUNT}:role/reader", "--json")
        drills = account.run(*command, f"arn:aws:iam::{ACCOUNT}:role/drills")
    finally:
        for name in ("reader", "drills"):
            iam.delete_role_policy(RoleName=name, PolicyName="p")
            iam.delete_role(RoleName=name)
    (finding,) = [each for each in json.loads(reader.out)["findings"] if each["severity"] == "error"]
    assert finding["code"] == "ACCESS_DENIED"
    assert f"arn:aws:iam::{ACCOUNT}:role/reader lacks permissions" in finding["seen"]
    assert "drs:StartRecovery" in finding["seen"]
    assert reader.code == 1
    assert "ACCESS_DENIED" not in drills.out
    assert drills.code == 0, drills.out


def test_doctor_says_whose_permissions_it_checked(account: Any, plans: Path) -> None:
    """If a permission is missing, it may be because Airflow drills with another role."""
    iam = account.client("iam", REGION)
    deny = {"Effect": "Deny", "Action": "drs:StartRecovery", "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": deny})
    iam.put_user_policy(UserName="simulator", PolicyName="deny", PolicyDocument=document)
    try:
        result = account.run("doctor", "orders", "--plans", str(plans), "--json")
    finally:
        iam.delete_user_policy(UserName="simulator", PolicyName="deny")
    assert result.code == 1
    (note,) = [note for note in json.loads(result.out)["notes"] if "--role ARN" in note]
    assert f"arn:aws:iam::{ACCOUNT}:user/simulator" in note
