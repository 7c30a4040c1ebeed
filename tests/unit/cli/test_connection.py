"""Which parts of an Airflow connection in the environment are read, and which are refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from drs.cli.connection import Connection, variable
from drs.errors import InvalidField

ROLE = "arn:aws:iam::444455556666:role/drs-drills"
IN_ROLE = Connection(
    access_key_id="AKIA1",
    secret_access_key="a/b+c",
    region="eu-central-1",
    role_arn=ROLE,
    role_arguments={"ExternalId": "seven-stones"},
)


def test_the_variable_is_airflows_own() -> None:
    """The variable's name is in capital letters."""
    assert variable("aws_default") == "AIRFLOW_CONN_AWS_DEFAULT"


def test_a_bare_connection_says_nothing() -> None:
    """For an empty connection, boto3's default chain finds the credentials, as in Airflow."""
    assert Connection.parse("X", "aws://") == Connection()


def test_json_and_uri_say_the_same() -> None:
    """JSON and URI are the two forms of a connection that Airflow accepts."""
    extra = {
        "region_name": "eu-central-1",
        "role_arn": ROLE,
        "assume_role_kwargs": {"ExternalId": "seven-stones"},
    }
    as_json = {"conn_type": "aws", "login": "AKIA1", "password": "a/b+c", "extra": extra}
    assert Connection.parse("X", json.dumps(as_json)) == IN_ROLE
    assert Connection.parse("X", json.dumps({**as_json, "extra": json.dumps(extra)})) == IN_ROLE
    packed = "%7B%22assume_role_kwargs%22%3A%20%7B%22ExternalId%22%3A%20%22seven-stones%22%7D%7D"
    uri = f"aws://AKIA1:a%2Fb%2Bc@/?region_name=eu-central-1&role_arn={ROLE}&__extra__={packed}"
    assert Connection.parse("X", uri) == IN_ROLE


def test_the_form_that_airflow_writes_is_read() -> None:
    """A connection that Airflow's own model has written is read back unchanged."""
    from airflow.models.connection import Connection as AirflowConnection

    extra = {
        "role_arn": ROLE,
        "assume_role_kwargs": {"ExternalId": "seven-stones"},
        "region_name": "eu-central-1",
    }
    written = AirflowConnection(
        conn_id="x", conn_type="aws", login="AKIA1", password="a/b+c", extra=json.dumps(extra)
    )
    assert Connection.parse("X", written.get_uri()) == IN_ROLE
    assert Connection.parse("X", written.as_json()) == IN_ROLE


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("postgres://a:b@c/d", "type postgres, not aws"),
        ('{"conn_type": "http"}', "type http, not aws"),
        ('{"conn_type": "aws"', "is not JSON"),
        ("aws://?__extra__=%7B", "is not a JSON mapping"),
        ('{"conn_type": "aws", "extra": [1]}', "is not a mapping"),
        (
            "aws://?config_kwargs=x&role_arn=y",
            "settings that the command line does not support: config_kwargs",
        ),
        ("aws://?assume_role_method=assume_role_with_saml", "assume_role_method: assume_role_with_saml"),
        ("aws://?assume_role_kwargs=ExternalId", "assume_role_kwargs, which is not a mapping"),
    ],
)
def test_what_is_not_understood_is_refused_by_name(text: str, why: str) -> None:
    """A key that is ignored might select another account. The message names --profile as the alternative."""
    with pytest.raises(InvalidField, match=why) as caught:
        Connection.parse("AIRFLOW_CONN_X", text)
    assert "--profile NAME" in caught.value.remedy
    assert caught.value.message.startswith(
        ("AIRFLOW_CONN_X", "__extra__ of AIRFLOW_CONN_X", "The extra of AIR")
    )


def test_a_connection_that_is_not_understood_is_exit_code_2(
    aws: Any, plans: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """AWS is not called with other credentials instead."""
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", "aws://?config_kwargs=x")
    result = aws.run("groups", "orders", "--plans", str(plans))
    assert result.code == 2
    assert "config_kwargs" in result.err
    assert aws.journal() == []
