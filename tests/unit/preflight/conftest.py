"""How the tests of preflight reach AWS: a simulated DRS of their own beside moto's EC2."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest


@pytest.fixture
def account(simulated_hook: Any) -> Callable[..., Any]:
    """Make an account: see ``tests.unit.preflight.account.Account``."""
    from tests.unit.preflight.account import Account

    return Account
