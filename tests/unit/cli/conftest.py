"""What the tests of commands share: a simulated AWS, and a folder of plans."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="session")
def simulator_url() -> Iterator[str]:
    """A simulator that serves all tests of a worker."""
    from tests.unit.cli.simulated_aws import Server

    server = Server()
    yield server.url
    server.stop()


@pytest.fixture
def aws(simulator_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """AWS as the environment leads to it: see ``tests.unit.cli.simulated_aws.Aws``."""
    from tests.unit.cli.simulated_aws import Aws

    monkeypatch.setenv("AWS_ENDPOINT_URL", simulator_url)
    return Aws(simulator_url, capsys)


@pytest.fixture
def plans(tmp_path: Path) -> Path:
    """A folder with the plan orders."""
    from tests.unit.cli.simulated_aws import plan_text

    folder = tmp_path / "plans"
    folder.mkdir()
    (folder / "orders.yaml").write_text(plan_text())
    return folder
