"""Who may answer, on an Airflow whose users log in; the other tests' Airflow takes everybody for its
administrator.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from demo.airflow_api import AirflowApi
from demo.drill_run import DrillRun
from demo.stack import Stack
from drs.cli.airflow_api import Login, NotAllowed
from tests.e2e.plans import DATABASE, WEB, write_plan
from tests.e2e.questions import answer, await_question

pytestmark = pytest.mark.e2e

PASSWORDS = {"alice": "alices-word", "bob": "bobs-word"}


def as_user(stack: Stack, user: str) -> AirflowApi:
    return AirflowApi(stack.api.url, Login(user=user, password=PASSWORDS[user]))


@pytest.fixture
def guarded_stack(tmp_path: Path) -> Iterator[Stack]:
    """A stack with two administrators, who must log in; tests act as bob."""
    passwords = tmp_path / "passwords.json"
    passwords.write_text(json.dumps(PASSWORDS))
    plans = tmp_path / "plans"
    plans.mkdir()
    write_plan(
        plans,
        "guarded",
        [("database", DATABASE[:1]), ("web", WEB[:1])],
        wave_extra="delay_before: 0s, approval: {approvers: [alice]}",
        top="allow_recovery: true",
    )
    settings = {
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "False",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": "alice:admin,bob:admin",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(passwords),
    }
    stack = Stack(tmp_path / "stack", plans=plans, settings=settings)
    stack.api = as_user(stack, "bob")
    with stack:
        yield stack


def test_only_those_whom_the_plan_names_may_answer(guarded_stack: Stack) -> None:
    """Airflow refuses anybody else, an administrator too, about the recovery as about a wave; whose answer it
    took goes on record.
    """
    conf = {"execution_type": "RECOVERY", "reason": "us-east-1 is down"}
    run = DrillRun.trigger(guarded_stack, guarded_stack.home.parent / "plans" / "guarded.yaml", conf)
    alice = as_user(guarded_stack, "alice")
    for task in ("approve_recovery", "wave_web.approve"):
        await_question(run, task)
        with pytest.raises(NotAllowed):
            guarded_stack.api.answer(run.dag_id, run.run_id, task, "Approve")
        answer(run, task, api=alice)
    assert run.wait() == "success", run.describe()
    approvals = run.xcom("evidence")["approvals"]
    assert [(given["answered"], given["by"]) for given in approvals.values()] == [
        ("by a person", "alice")
    ] * 2
