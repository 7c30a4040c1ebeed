"""A drill's task as Airflow runs it, for tests: what it asks Airflow for, and its waits in the triggerer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import TaskDeferred
from airflow.triggers.base import BaseTrigger


class FakeTaskInstance:
    """A task instance, the states of the tasks of its run, and those of the runs of its DAG.

    :param states: task id to state
    :param runs: run id to state, of the other runs that Airflow knows
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
        self.xcom: dict[str, Any] = {}
        """What the tasks of the run returned."""
        self.pushed: dict[tuple[str, str], Any] = {}
        """What they pushed besides, by task and key."""

    def get_task_states(
        self, *, dag_id: str, run_ids: list[str], task_ids: list[str] | None = None
    ) -> dict[str, dict[str, str | None]]:
        assert (dag_id, run_ids) == (self.dag_id, [self.run_id])
        states = {name: state for name, state in self.states.items() if task_ids is None or name in task_ids}
        return {self.run_id: states} if states else {}

    def xcom_pull(self, *, task_ids: str, key: str = "return_value") -> Any:
        return self.xcom.get(task_ids) if key == "return_value" else self.pushed.get((task_ids, key))

    def xcom_push(self, *, key: str, value: Any) -> None:
        self.pushed[self.task_id, key] = value

    def get_dr_count(self, *, dag_id: str, run_ids: list[str]) -> int:
        assert dag_id == self.dag_id
        return len(set(run_ids) & set(self.runs))

    def get_dagrun_state(self, dag_id: str, run_id: str) -> str:
        assert dag_id == self.dag_id
        return self.runs[run_id]


def make_context(*, runs: Mapping[str, str] | None = None, **states: str | None) -> Any:
    """A task's context; ``states`` are those of the run's tasks."""
    return {"ti": FakeTaskInstance(states, runs)}


def see_through(
    make: Callable[[], BaseOperator], context: Any, deferrals: list[TaskDeferred] | None = None
) -> Any:
    """Run a task to its end: it waits in its own trigger, and resumes in another process each time.

    :param make: makes the operator, as every process does
    :param deferrals: where each of them is noted
    """
    method: str = "execute"
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
    """A boto3 client in the place of aiobotocore's, which moto does not reach."""

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
