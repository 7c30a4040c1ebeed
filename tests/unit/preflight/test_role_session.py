"""A connection whose role sessions are so short that the role is assumed at almost every call: a warning."""

from __future__ import annotations

import dataclasses

import pytest
from botocore.credentials import RefreshableCredentials

from drs.aws.clients import role_seconds
from drs.errors import Code
from drs.preflight import Report
from drs.preflight.role_session import RENEWED_EARLY, short_role_session
from tests.unit.preflight.account import Account, Make, only, two_waves


def look(account: Account, seconds: int | None) -> Report:
    """Preflight of a plan whose connection asks for role sessions of so many seconds."""
    account.clients = dataclasses.replace(account.clients, role_seconds=seconds)
    return account.look()


@pytest.mark.parametrize("seconds", [900, 959])
def test_short_sessions_of_a_role_are_a_warning(account: Make, seconds: int) -> None:
    """The run goes on. The reader learns the connection, the number, what happens, and what to write."""
    report = look(account(), seconds)
    finding = only(report)
    assert (finding.code, finding.severity) == (Code.INVALID_FIELD, "warning")
    connection = two_waves().target.aws_conn_id
    assert f"The connection {connection} asks for sessions of {seconds} s of its role" in finding.seen
    assert "assumes the role again at almost every call" in finding.seen
    assert f"extra of the connection {connection}" in finding.remedy
    assert '"DurationSeconds": 3600' in finding.remedy
    assert report.resolution is not None


@pytest.mark.parametrize("seconds", [None, 960, 3600])
def test_longer_sessions_are_no_finding(account: Make, seconds: int | None) -> None:
    """Nor is a connection that leaves the duration to AWS."""
    assert look(account(), seconds).findings == ()


def test_botocore_renews_sessions_as_early_as_this_check_says() -> None:
    """If botocore changes it, the warning and its text change too."""
    assert RefreshableCredentials._advisory_refresh_timeout == RENEWED_EARLY  # type: ignore[attr-defined]
    assert short_role_session("aws_dr", RENEWED_EARLY)


@pytest.mark.parametrize(
    ("arguments", "seconds"),
    [
        ({"DurationSeconds": 900}, 900),
        ({"ExternalId": "x"}, None),
        ({}, None),
        ({"DurationSeconds": "x"}, None),
    ],
)
def test_the_duration_is_read_from_the_arguments_of_assume_role(
    arguments: dict[str, object], seconds: int | None
) -> None:
    """What is not a number is for STS to refuse."""
    assert role_seconds(arguments) == seconds
