"""Fixtures of the command line's tests: a simulated AWS, and a folder of plans."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.unit.cli.simulated_aws import Aws


@pytest.fixture(scope="session")
def simulator_url() -> Iterator[str]:
    """The address of a simulator that serves all tests of a worker."""
    from tests.unit.cli.simulated_aws import Server

    server = Server()
    yield server.url
    server.stop()


@pytest.fixture(scope="session")
def simulated_aws(simulator_url: str) -> Iterator[Aws]:
    """One client for all tests of a worker.

    botocore's sessions share the service models: every command has a session of its own, and reading the
    models takes longer than the rest of the command.
    """
    import botocore.session

    from tests.unit.cli.simulated_aws import Aws

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(botocore.session, "create_loader", functools.cache(botocore.session.create_loader))
        yield Aws(simulator_url)


@pytest.fixture
def aws(simulated_aws: Aws, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Aws:
    """A simulated AWS that only holds the fleet of :mod:`tests.unit.cli.simulated_aws`."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", simulated_aws.url)
    simulated_aws.begin(capsys)
    return simulated_aws


@pytest.fixture
def plans(tmp_path: Path) -> Path:
    """A folder that contains the plan orders."""
    from tests.unit.cli.simulated_aws import plan_text

    folder = tmp_path / "plans"
    folder.mkdir()
    (folder / "orders.yaml").write_text(plan_text())
    return folder
