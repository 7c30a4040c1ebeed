"""An AWS in which everything is as it should be."""

from __future__ import annotations

import pytest

from tests.unit.validation.aws import FakeAws


@pytest.fixture
def aws() -> FakeAws:
    """An AWS in which every check of the launched instances passes."""
    return FakeAws()
