"""``accounts`` and ``quotas``, and how every command reaches AWS or explains why it cannot."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.unit.cli.simulated_aws import ACCOUNT, OTHER_ACCOUNT, OTHER_REGION, REGION, plan_text
from tests.unit.drill import DATABASE

CONNECTION: dict[str, Any] = {
    "conn_type": "aws",
    "extra": {
        "role_arn": f"arn:aws:iam::{OTHER_ACCOUNT}:role/drs-drills",
        "assume_role_kwargs": {"ExternalId": "seven-stones"},
    },
}


@pytest.fixture
def billing(plans: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Adds the plan billing for another account, whose connection is in the environment."""
    text = plan_text("billing", account=OTHER_ACCOUNT, region=OTHER_REGION, connection="billing")
    (plans / "billing.yaml").write_text(text)
    monkeypatch.setenv("AIRFLOW_CONN_BILLING", json.dumps(CONNECTION))
    return plans


def test_accounts_shows_where_each_plans_credentials_lead(aws: Any, billing: Path) -> None:
    """The command asks STS. It assumes the connection's role with the external id."""
    result = aws.run("accounts", "--plans", str(billing), "--json")
    assert result.code == 0
    other, orders = json.loads(result.out)
    assert (other["plan"], other["account"], other["origin"]) == (
        "billing",
        OTHER_ACCOUNT,
        "AIRFLOW_CONN_BILLING",
    )
    assert other["arn"] == f"arn:aws:sts::{OTHER_ACCOUNT}:assumed-role/drs-drills/drs-drills"
    assert (orders["plan"], orders["account"], orders["matches"]) == ("orders", ACCOUNT, True)
    table = aws.run("accounts", "billing", "--plans", str(billing))
    assert "AIRFLOW_CONN_BILLING" in table.out
    assert table.out.splitlines()[-1].endswith("ok")


def test_without_a_connection_the_default_chain_is_used_and_said(
    aws: Any, plans: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command cannot see connections in Airflow's database, so it shows which credentials it used."""
    monkeypatch.delenv("AIRFLOW_CONN_AWS_DEFAULT")
    result = aws.run("accounts", "--plans", str(plans))
    assert result.code == 0
    assert "boto3's default chain" in result.out


def test_another_account_is_exit_code_1(aws: Any, plans: Path) -> None:
    """For `accounts`, another account is a result and not an error of the call."""
    (plans / "orders.yaml").write_text(plan_text(account=OTHER_ACCOUNT))
    result = aws.run("accounts", "--plans", str(plans))
    assert result.code == 1
    assert "ANOTHER ACCOUNT" in result.out


@pytest.mark.parametrize(
    "command",
    [
        ("groups", "orders"),
        ("doctor", "orders"),
        ("cleanup", "orders"),
        ("runbook", "orders"),
        ("servers", "--plan", "orders"),
        ("quotas", "--plan", "orders"),
        ("jobs", "--plan", "orders"),
    ],
)
def test_the_wrong_account_is_never_asked_about_servers(
    aws: Any, plans: Path, command: tuple[str, ...]
) -> None:
    """The error is ACCOUNT_MISMATCH with both accounts and exit code 3. Only STS was called."""
    (plans / "orders.yaml").write_text(plan_text(account=OTHER_ACCOUNT))
    result = aws.run(*command, "--plans", str(plans))
    assert result.code == 3
    assert "[ACCOUNT_MISMATCH]" in result.err
    assert f"lead to account {ACCOUNT}, but plan orders is for account {OTHER_ACCOUNT}" in result.err
    assert "AIRFLOW_CONN_AWS_DEFAULT" in result.err
    assert {entry["operation"] for entry in aws.journal()} == {"GetCallerIdentity"}


def test_a_role_that_is_refused_says_what_to_compare(
    aws: Any, billing: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other plans are still shown. The exit code is 3, because AWS did not answer for all plans."""
    wrong = {**CONNECTION, "extra": {"role_arn": CONNECTION["extra"]["role_arn"]}}
    monkeypatch.setenv("AIRFLOW_CONN_BILLING", json.dumps(wrong))
    result = aws.run("accounts", "--plans", str(billing))
    assert result.code == 3
    assert result.err.startswith(
        "billing: [ACCESS_DENIED] AWS does not let the caller assume the connection's role"
    )
    assert "ExternalId" in result.err
    assert "ok" in result.out.splitlines()[-1]


def test_a_broken_plan_among_others_is_told(aws: Any, plans: Path) -> None:
    """The valid plans are still shown."""
    (plans / "bad.yaml").write_text("name: bad\n")
    result = aws.run("accounts", "--plans", str(plans))
    assert result.code == 1
    assert "Recovery plan bad cannot be used" in result.err
    assert "orders" in result.out


def test_a_folder_without_plans_is_exit_code_2(aws: Any, tmp_path: Path) -> None:
    """A check of nothing must not pass."""
    result = aws.run("accounts", "--plans", str(tmp_path))
    assert result.code == 2
    assert "holds no recovery plan" in result.err


def test_without_credentials_it_says_how_to_give_them(
    aws: Any, plans: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error is ACCESS_DENIED with exit code 3, without a traceback."""
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    result = aws.run("groups", "orders", "--plans", str(plans))
    assert result.code == 3
    assert result.err.startswith("[ACCESS_DENIED] There are no credentials that AWS accepts")
    assert "--profile NAME" in result.err


def test_a_profile_wins_over_the_connection(
    aws: Any, plans: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A profile that does not exist is reported."""
    config = tmp_path / "config"
    config.write_text("[profile dr]\naws_access_key_id=AKIASIMULATOR4444555\naws_secret_access_key=x\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    result = aws.run("accounts", "--plans", str(plans), "--profile", "dr", "--json")
    assert [(place["origin"], place["account"]) for place in json.loads(result.out)] == [
        ("profile dr", OTHER_ACCOUNT)
    ]
    missing = aws.run("groups", "orders", "--plans", str(plans), "--profile", "rd")
    assert missing.code == 3
    assert "The config profile (rd) could not be found" in missing.err


def test_an_action_that_is_denied_is_named_with_its_statement(aws: Any, plans: Path) -> None:
    """The statement can be pasted into the caller's policy."""
    aws.arm(kind="access_denied", operations=["DescribeSourceServers"])
    result = aws.run("groups", "orders", "--plans", str(plans))
    assert result.code == 3
    assert '{"Effect": "Allow", "Action": ["drs:DescribeSourceServers"], "Resource": "*"}' in result.err
    assert "task" not in result.err


def test_an_endpoint_that_nobody_serves_is_exit_code_3(
    aws: Any, plans: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error is DRS_UNAVAILABLE."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    result = aws.run("groups", "orders", "--plans", str(plans))
    assert result.code == 3
    assert result.err.startswith("[DRS_UNAVAILABLE] AWS did not answer")


def test_an_uninitialised_region_says_so(aws: Any) -> None:
    """The error is DRS_NOT_INITIALIZED."""
    region = {"initialized": False, "servers": []}
    aws._send("POST", "/fleet", json={"accounts": {ACCOUNT: {"regions": {"eu-west-1": region}}}})
    result = aws.run("servers", "--region", "eu-west-1")
    assert result.code == 3
    assert "[DRS_NOT_INITIALIZED]" in result.err


def test_quotas_count_what_is_in_use(aws: Any) -> None:
    """The quotas count jobs in progress, their servers, source servers, and replicating servers."""
    aws.arm(kind="stuck_conversion", servers=list(DATABASE))
    aws.start(DATABASE)
    result = aws.run("quotas", "--region", REGION, "--json")
    assert result.code == 0
    printed = json.loads(result.out)
    assert {quota["name"]: quota["used"] for quota in printed["quotas"]} == {
        "jobs in progress": 1,
        "servers in all jobs": 2,
        "replicating servers": 6,
        "source servers": 6,
    }
    assert printed["largest_job_in_progress"] == 2
    assert {quota["name"] for quota in printed["quotas"] if quota["adjustable"]} == {"source servers"}


def test_a_quota_that_is_used_up_is_exit_code_1(aws: Any) -> None:
    """When 20 jobs are in progress, no other job can start."""
    servers = [{"count": 20, "id_prefix": "s-0123456789ab", "hostname": "other-{n}"}]
    aws._send("POST", "/fleet", json={"accounts": {ACCOUNT: {"regions": {REGION: {"servers": servers}}}}})
    others = [f"s-0123456789ab{number:05x}" for number in range(1, 21)]
    aws.arm(kind="stuck_conversion", servers=others)
    for server in others:
        aws.start([server])
    result = aws.run("quotas", "--region", REGION)
    assert result.code == 1
    assert "jobs in progress     20      20     L-D88FAC3A  no             USED UP" in result.out


def test_doctor_warns_of_sessions_of_the_role_that_are_too_short(
    aws: Any, billing: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The duration comes from the connection in the environment, if that names a role."""
    extra = {
        **CONNECTION["extra"],
        "assume_role_kwargs": {"ExternalId": "seven-stones", "DurationSeconds": 900},
    }
    monkeypatch.setenv("AIRFLOW_CONN_BILLING", json.dumps({**CONNECTION, "extra": extra}))
    result = aws.run("doctor", "billing", "--plans", str(billing), "--json")
    warnings = [each for each in json.loads(result.out)["findings"] if each["severity"] == "warning"]
    assert any("billing asks for sessions of 900 s" in warning["seen"] for warning in warnings)
