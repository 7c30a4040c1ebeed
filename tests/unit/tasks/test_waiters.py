"""The custom waiters, as a table of states."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import WaiterError
from botocore.stub import Stubber

from drs.tasks.hook import DrsHook

STATES: list[tuple[str, list[str], str]] = [
    ("job_started", ["STARTED"], "success"),
    ("job_started", ["COMPLETED"], "success"),
    ("job_started", ["STARTED", "COMPLETED"], "success"),
    ("job_started", ["PENDING"], "retry"),
    ("job_started", ["STARTED", "PENDING"], "retry"),
    ("job_started", [], "failure"),
]


def test_these_are_all_the_waiters() -> None:
    """Whoever adds one adds its states here."""
    assert set(DrsHook(region_name="us-east-1")._list_custom_waiters()) == {name for name, *_ in STATES}


@pytest.mark.parametrize(("name", "statuses", "outcome"), STATES)
def test_a_waiter_ends_as_its_jobs_stand(name: str, statuses: list[str], outcome: str) -> None:
    """All jobs together; jobs that DRS does not list are a failure, not a success."""
    hook = DrsHook(region_name="us-east-1")
    items: list[dict[str, Any]] = [
        {"jobID": f"drsjob-{number:017x}", "status": status} for number, status in enumerate(statuses)
    ]
    waiter = hook.get_waiter(name)
    with Stubber(hook.conn) as drs:
        drs.add_response("describe_jobs", {"items": items})
        try:
            waiter.wait(WaiterConfig={"MaxAttempts": 1})
        except WaiterError as error:
            seen = "failure" if "terminal failure" in str(error) else "retry"
        else:
            seen = "success"
    assert seen == outcome
