"""Reads an Airflow connection to AWS from the environment, without Airflow.

``AIRFLOW_CONN_<ID>`` holds a connection as a URI or as JSON. Only the settings that select an account are
supported. Any other key is refused by name, because ignoring it might select another account.

.. seealso:: https://airflow.apache.org/docs/apache-airflow-providers-amazon/stable/connections/aws.html
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from drs.errors import InvalidField

SUPPORTED = (
    "aws_access_key_id",
    "aws_secret_access_key",
    "aws_session_token",
    "profile_name",
    "region_name",
    "endpoint_url",
    "role_arn",
    "assume_role_method",
    "assume_role_kwargs",
)


def variable(connection_id: str) -> str:
    """The environment variable from which Airflow reads the connection."""
    return f"AIRFLOW_CONN_{connection_id.upper()}"


@dataclass(frozen=True)
class Connection:
    """An AWS connection. For an absent value, boto3's default chain decides.

    :param role_arguments: additional arguments of AssumeRole, such as ``ExternalId``
    """

    access_key_id: str | None = None
    secret_access_key: str | None = None
    session_token: str | None = None
    profile: str | None = None
    region: str | None = None
    endpoint_url: str | None = None
    role_arn: str | None = None
    role_arguments: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def parse(cls, name: str, text: str) -> Connection:
        """Read the value of a variable.

        :param name: the name of the variable, for messages
        :raises InvalidField: it is not an AWS connection, or has keys that are not supported here
        """
        login, password, extra = (
            _from_json(name, text) if text.lstrip().startswith("{") else _from_uri(name, text)
        )
        unknown = sorted(key for key in extra if key not in SUPPORTED)
        method = extra.get("assume_role_method") or "assume_role"
        if method != "assume_role":
            unknown.append(f"assume_role_method: {method}")
        role_arguments = extra.get("assume_role_kwargs") or {}
        if not isinstance(role_arguments, Mapping):
            unknown.append("assume_role_kwargs, which is not a mapping")
        if unknown:
            raise _refused(
                f"{name} has settings that the command line does not support: {', '.join(unknown)}.",
                f"Supported are {', '.join(SUPPORTED)}.",
            )
        return cls(
            access_key_id=login or extra.get("aws_access_key_id"),
            secret_access_key=password or extra.get("aws_secret_access_key"),
            session_token=extra.get("aws_session_token"),
            profile=extra.get("profile_name"),
            region=extra.get("region_name"),
            endpoint_url=extra.get("endpoint_url"),
            role_arn=extra.get("role_arn"),
            role_arguments=role_arguments,
        )


def _from_json(name: str, text: str) -> tuple[str | None, str | None, dict[str, Any]]:
    try:
        value = json.loads(text)
        extra = value.get("extra") or {}
        extra = json.loads(extra) if isinstance(extra, str) else extra
    except ValueError as error:
        raise _refused(f"{name} is not JSON: {error}.") from None
    _require_aws(name, value.get("conn_type", "aws"))
    if not isinstance(extra, dict):
        raise _refused(f"The extra of {name} is not a mapping.")
    return value.get("login"), value.get("password"), extra


def _from_uri(name: str, text: str) -> tuple[str | None, str | None, dict[str, Any]]:
    parts = urlsplit(text)
    _require_aws(name, parts.scheme)
    extra: dict[str, Any] = dict(parse_qsl(parts.query, keep_blank_values=True))
    if packed := extra.pop("__extra__", None):
        try:
            extra |= json.loads(packed)
        except (ValueError, TypeError) as error:
            raise _refused(f"__extra__ of {name} is not a JSON mapping: {error}.") from None
    return _unquoted(parts.username), _unquoted(parts.password), extra


def _unquoted(text: str | None) -> str | None:
    return unquote(text) if text else None


def _require_aws(name: str, kind: str) -> None:
    if kind != "aws":
        raise _refused(f"{name} is a connection of the type {kind or '(none)'}, not aws.")


def _refused(message: str, remedy: str = "") -> InvalidField:
    return InvalidField(
        message, remedy=f"{remedy} Use a profile of your AWS configuration instead: --profile NAME.".lstrip()
    )
