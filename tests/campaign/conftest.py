"""Drills in processes of their own, in which a seed always gives the same drill."""

from __future__ import annotations

from collections.abc import Iterator
from multiprocessing.pool import Pool

import pytest

from bench.campaign.runner import workers

PROCESSES = 2


@pytest.fixture(scope="session")
def drills() -> Iterator[Pool]:
    """Processes that run drills."""
    with workers(PROCESSES, nice=0) as pool:
        yield pool
