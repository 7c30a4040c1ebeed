"""How the tests of preflight reach AWS: each has its own simulated DRS, beside moto's EC2 and IAM."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any

import pytest


@pytest.fixture(scope="session")
def shared_clients() -> Any:
    """The clients of every account: see ``tests.unit.preflight.account.Clients``."""
    from tests.unit.preflight.account import Clients

    return Clients()


@pytest.fixture
def account(simulated_hook: Any, shared_clients: Any) -> Iterator[Callable[..., Any]]:
    """Make an account: see ``tests.unit.preflight.account.Account``."""
    from tests.unit.preflight.account import Account

    yield functools.partial(Account, clients=shared_clients)
    shared_clients.forget()
