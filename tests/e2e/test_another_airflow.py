"""An Airflow of another kind: its users log in, and it has no triggerer. The other tests' Airflow takes
everybody for its administrator, and defers.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

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


@pytest.fixture(scope="module")
def another(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack with two administrators, who must log in; tests act as bob. Every wait is in the worker."""
    folder = tmp_path_factory.mktemp("another")
    passwords = folder / "passwords.json"
    passwords.write_text(json.dumps(PASSWORDS))
    plans = folder / "plans"
    plans.mkdir()
    waves = [("database", DATABASE[:1]), ("web", WEB[:1])]
    approval = "delay_before: 0s, approval: {approvers: [alice]}"
    write_plan(plans, "guarded", waves, wave_extra=approval, top="allow_recovery: true")
    waves = [("database", DATABASE[1:3]), ("web", WEB[1:2])]
    write_plan(plans, "patient", waves, wave_extra="delay_before: 5s")
    settings = {
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "False",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": "alice:admin,bob:admin",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(passwords),
        "AIRFLOW__DRS__DEFERRABLE": "False",
    }
    stack = Stack(folder / "stack", plans=plans, settings=settings)
    stack.api = as_user(stack, "bob")
    with stack:
        stack.kill("triggerer")
        yield stack


def trigger(stack: Stack, plan: str, conf: dict[str, Any] | None = None) -> DrillRun:
    return DrillRun.trigger(stack, stack.home.parent / "plans" / f"{plan}.yaml", conf)


def test_a_drill_runs_without_a_triggerer(another: Stack) -> None:
    """With `[drs] deferrable = False` every wait happens in the worker, and the drill is the same."""
    run = trigger(another, "patient")
    assert run.wait(timeout=180) == "success", run.describe()
    log = run.log("wave_web.wait_until_launched")
    assert "LAUNCH_END" in log
    assert "DEFERRED" not in log
    assert {instance.state for instance in run.instances()} == {"terminated"}


def test_only_those_whom_the_plan_names_may_answer(another: Stack) -> None:
    """Airflow refuses anybody else, an administrator too, about the recovery as about a wave; whose answer it
    took goes on record.
    """
    conf = {"execution_type": "RECOVERY", "reason": "us-east-1 is down"}
    run = trigger(another, "guarded", conf)
    alice = as_user(another, "alice")
    for task in ("approve_recovery", "wave_web.approve"):
        await_question(run, task)
        with pytest.raises(NotAllowed):
            another.api.answer(run.dag_id, run.run_id, task, "Approve")
        answer(run, task, api=alice)
    assert run.wait() == "success", run.describe()
    approvals = run.xcom("evidence")["approvals"]
    assert [(given["answered"], given["by"]) for given in approvals.values()] == [
        ("by a person", "alice")
    ] * 2
