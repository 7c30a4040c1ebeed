"""Runs a drill's task as Airflow does, for tests: what it reads from Airflow, and its waits in triggers."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from types import SimpleNamespace
from typing import Any

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import TaskDeferred
from airflow.triggers.base import BaseTrigger

from tests.unit.drill import MemoryStore


class FakeTaskInstance:
    """A task instance that knows the states of its run's tasks and of its DAG's other runs.

    :param states: the state of each task of the run, by task id
    :param runs: the state of each other run, by run id
    """

    dag_id = "drs_drill__orders"
    run_id = "run-1"
    task_id = "wave_database.start_recovery"
    log_url = "http://localhost:8080/dags/drs_drill__orders/runs/run-1/tasks/evidence?try_number=1"
    try_number = 1
    max_tries = 2

    def __init__(
        self, states: Mapping[str, str | None] | None = None, runs: Mapping[str, str] | None = None
    ) -> None:
        self.states = dict(states or {})
        self.runs = dict(runs or {})
        self.previous: Any = None
        """The DAG's run before this one, if there was one."""
        self.paused = False
        """Whether the DAG is paused."""
        self.xcom: dict[str, Any] = {}
        """What each task of the run returned, by task id."""
        self.pushed: dict[tuple[str, str], Any] = {}
        """What the tasks pushed under other keys, by task id and key."""

    def get_task_states(
        self, *, dag_id: str, run_ids: list[str], task_ids: list[str] | None = None
    ) -> dict[str, dict[str, str | None]]:
        assert (dag_id, run_ids) == (self.dag_id, [self.run_id])
        states = {name: state for name, state in self.states.items() if task_ids is None or name in task_ids}
        return {self.run_id: states} if states else {}

    def xcom_pull(
        self,
        *,
        task_ids: str,
        key: str = "return_value",
        dag_id: str | None = None,
        run_id: str | None = None,
    ) -> Any:
        assert (dag_id or self.dag_id, run_id or self.run_id) == (self.dag_id, self.run_id)
        return self.xcom.get(task_ids) if key == "return_value" else self.pushed.get((task_ids, key))

    def xcom_push(self, *, key: str, value: Any) -> None:
        self.pushed[self.task_id, key] = value

    def get_dr_count(
        self, *, dag_id: str, run_ids: list[str] | None = None, states: list[str] | None = None
    ) -> int:
        assert dag_id == self.dag_id
        return sum(
            run_id in (run_ids or [run_id]) and state in (states or [state])
            for run_id, state in self.runs.items()
        )

    def get_dagrun_state(self, dag_id: str, run_id: str) -> str:
        assert dag_id == self.dag_id
        return self.runs[run_id]

    def get_previous_dagrun(self) -> Any:
        return self.previous

    def get_dag(self, dag_id: str) -> Any:
        paused = self.paused and dag_id == self.dag_id
        return SimpleNamespace(is_paused=paused, bundle_name="dags-folder", relative_fileloc=f"{dag_id}.py")


class FakeStateStore(MemoryStore):
    """The task's own state store. Retries, and clearing the run's XCom, leave it unchanged."""

    def set(self, key: str, value: Any, retention: object = None) -> None:
        super().set(key, value)
        self.kept_for = retention


class FakeVariables:
    """Airflow's variables, in memory."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}

    def get(self, key: str, default: Any = None, deserialize_json: bool = False) -> Any:
        found = self.values.get(key, default)
        return json.loads(found) if deserialize_json and key in self.values else found

    def set(self, key: str, value: Any, description: str | None = None, serialize_json: bool = False) -> None:
        self.values[key] = json.dumps(value) if serialize_json else value

    def keys(self, prefix: str | None = None) -> list[str]:
        return [key for key in self.values if key.startswith(prefix or "")]


def make_context(
    states: Mapping[str, str | None] | None = None, *, runs: Mapping[str, str] | None = None
) -> Any:
    """A task's context; ``states`` are the states of the run's tasks."""
    return {"ti": FakeTaskInstance(states, runs)}


def see_through(
    make: Callable[[], BaseOperator],
    context: Any,
    deferrals: list[TaskDeferred] | None = None,
    *,
    method: str = "execute",
) -> Any:
    """Run a task to its end. It waits in its own trigger, and resumes as a new operator after each wait.

    :param make: makes the operator, as every process does
    :param deferrals: receives each deferral
    :param method: the method to begin with; another one than ``execute`` if the task has waited already
    """
    event: tuple[dict[str, Any], ...] = ()
    while True:
        try:
            return getattr(make(), method)(context, *event)
        except TaskDeferred as deferred:
            if deferrals is not None:
                deferrals.append(deferred)
            method, event = deferred.method_name, (asyncio.run(_first_event(deferred.trigger)),)


async def _first_event(trigger: BaseTrigger) -> dict[str, Any]:
    async for event in trigger.run():
        payload: dict[str, Any] = event.payload
        return payload
    raise AssertionError("the trigger ended without an event")


class AsyncClient:
    """A boto3 client in the place of aiobotocore's client, which moto does not replace."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(self, *_: object) -> None:
        pass

    async def describe_jobs(self, **parameters: Any) -> Any:
        return self._client.describe_jobs(**parameters)

    async def send_command(self, **parameters: Any) -> Any:
        return self._client.send_command(**parameters)

    async def get_command_invocation(self, **parameters: Any) -> Any:
        return self._client.get_command_invocation(**parameters)

    def get_paginator(self, operation: str) -> _AsyncPages:
        return _AsyncPages(self._client.get_paginator(operation))


class _AsyncPages:
    def __init__(self, paginator: Any) -> None:
        self._paginator = paginator

    async def paginate(self, **parameters: Any) -> AsyncIterator[Any]:
        for page in self._paginator.paginate(**parameters):
            yield page
