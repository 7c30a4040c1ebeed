"""The connection that tests reach AWS by: botocore tries once, so that a fault is met as it is armed."""

from __future__ import annotations

import json

import pytest


@pytest.fixture(autouse=True)
def aws_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    """``aws_default``, with credentials from the environment."""
    extra = {"config_kwargs": {"retries": {"mode": "standard", "total_max_attempts": 1}}}
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", json.dumps({"conn_type": "aws", "extra": extra}))
