"""How the unit tests reach AWS: over a connection of their own, and mostly with a simulated DRS."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.unit.versions import SEES_RECOVERY_PLANS, see_no_recovery_plans


@pytest.fixture(autouse=True)
def aws_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    """Define ``aws_default`` with credentials from the environment, and send no measures to CloudWatch."""
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", "aws://")
    monkeypatch.setenv("AIRFLOW__DRS__METRICS", "False")


@pytest.fixture(autouse=True)
def aws_recovery_plans(monkeypatch: pytest.MonkeyPatch) -> None:
    """With an older boto3, preflight warns that it cannot see AWS's own recovery plans. Only the tests of
    this warning are about it.
    """
    if not SEES_RECOVERY_PLANS:
        see_no_recovery_plans(monkeypatch)


@pytest.fixture(scope="session", autouse=True)
def service_models() -> Iterator[Callable[..., Any]]:
    """Parse each of botocore's service models once. The value is the function that parses, as it was.

    Every connection of Airflow has a session of its own, which would parse megabytes of JSON for each client.
    """
    from botocore.loaders import JSONFileLoader

    load_file = JSONFileLoader.load_file

    @functools.cache
    def load_once(path: str) -> Any:
        return load_file(JSONFileLoader(), path)

    with pytest.MonkeyPatch.context() as loader:
        loader.setattr(JSONFileLoader, "load_file", lambda _, path: load_once(path))
        yield load_file


@pytest.fixture(scope="module")
def simulated_hook() -> Iterator[Any]:
    """A hook for the simulated DRS and moto's EC2. Each module has one: clients are slow to make."""
    # Imported here, because moto takes seconds to import and most tests need neither moto nor DRS.
    from moto import mock_aws

    import simulator
    from tests.unit.simulated import ACCOUNT, make_hook

    simulator.register()
    with pytest.MonkeyPatch.context() as environment:
        # moto replaces the access key from which the simulator would take the account.
        environment.setenv("MOTO_ACCOUNT_ID", ACCOUNT)
        # Otherwise moto loads hundreds of images that no test uses.
        environment.setenv("MOTO_EC2_LOAD_DEFAULT_AMIS", "false")
        with mock_aws():
            yield make_hook()


@pytest.fixture
def drill(simulated_hook: Any) -> Callable[..., Any]:
    """Begin a run with a DRS of its own; see ``tests.unit.simulated.SimulatedDrill``."""
    from tests.unit.simulated import SimulatedDrill, forget_instances

    forget_instances()
    return functools.partial(SimulatedDrill, simulated_hook)


@pytest.fixture
def xcom(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Keep the XCom of the run's first task in memory, and let tasks run without Airflow's task runner."""
    from airflow.sdk.bases.operator import ExecutorSafeguard

    from drs.tasks import drill_task
    from tests.unit.drill import MemoryStore

    store = MemoryStore()
    monkeypatch.setattr(drill_task, "XComStore", lambda _: store)
    monkeypatch.setattr(ExecutorSafeguard, "test_mode", True)
    return store


@pytest.fixture
def ledger(xcom: Any) -> Any:
    """The run's records, in memory."""
    from drs.run.ledger import Ledger

    return Ledger(xcom)
