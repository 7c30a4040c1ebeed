"""What differs between the versions of Airflow that are supported, 3.2 to the newest. No other module knows
versions.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol

from airflow.sdk import Context, Variable
from airflow.sdk.definitions.callback import AsyncCallback
from airflow.sdk.definitions.deadline import DeadlineAlert, DeadlineReference
from airflow.sdk.observability import stats
from asgiref.sync import sync_to_async

from drs.run.proof import SETUP_TASK_ID


class TaskStore(Protocol):
    """Values of a task that outlive its tries and are there again when the task is cleared."""

    def get(self, key: str) -> Any: ...

    def set(self, key: str, value: Any) -> None: ...


def task_store(context: Context) -> TaskStore:
    """The store of the context's task. Its values never expire."""
    store = context.get("task_state_store")
    return _XComOfSetup(context["ti"]) if store is None else _TaskState(store)


class _TaskState:
    """Airflow's own store, from 3.3 on."""

    def __init__(self, store: Any) -> None:
        self._store = store

    def get(self, key: str) -> Any:
        return self._store.get(key)

    def set(self, key: str, value: Any) -> None:
        from airflow.sdk.execution_time.context import NEVER_EXPIRE

        self._store.set(key, value, retention=NEVER_EXPIRE)


class _XComOfSetup:
    """In its place below 3.3: XComs of the run's setup task. Airflow deletes a task's XComs when the task
    starts, and that one never does: it is an EmptyOperator, which the scheduler itself calls a success.
    """

    def __init__(self, ti: Any) -> None:
        self._place = {"dag_id": ti.dag_id, "run_id": ti.run_id, "task_id": SETUP_TASK_ID}
        self._prefix = f"{ti.task_id}."

    def get(self, key: str) -> Any:
        from airflow.sdk.execution_time.xcom import XCom

        return XCom.get_one(key=self._prefix + key, **self._place)

    def set(self, key: str, value: Any) -> None:
        from airflow.sdk.execution_time.xcom import XCom

        XCom.set(key=self._prefix + key, value=value, **self._place)


KEYS = "drs_variables"
"""The Airflow Variable in which the keys of others are kept, below 3.3."""


def keep_key(key: str) -> None:
    """Make sure that :func:`keys_beginning` finds this Variable. Below 3.3 a task cannot list Variables.

    If two tasks keep a key at the same moment, one of the keys may be lost until it is kept again.
    """
    if hasattr(Variable, "keys"):
        return
    kept = _kept_keys()
    if key not in kept:
        Variable.set(
            KEYS,
            sorted({*kept, key}),
            description="Keys of Variables of the recovery plans, which Airflow 3.2 lets no task list",
            serialize_json=True,
        )


def keys_beginning(prefix: str, perhaps: Iterable[str] = ()) -> list[str]:
    """The keys of all Variables that begin so; below 3.3 those that were kept, and those that may exist.

    :param perhaps: keys that may exist
    """
    if hasattr(Variable, "keys"):
        return list(Variable.keys(prefix=prefix))
    return sorted({key for key in _kept_keys() if key.startswith(prefix)}.union(perhaps))


def _kept_keys() -> list[str]:
    kept: list[str] | None = Variable.get(KEYS, default=None, deserialize_json=True)
    return kept or []


def alert_after(interval: dt.timedelta, callback: Callable[..., Any], name: str) -> DeadlineAlert:
    """An alert that calls a coroutine in the triggerer so long after a run was queued.

    :param name: what the alert is called in Airflow, from 3.3 on
    """
    what: dict[str, Any] = {
        "reference": DeadlineReference.DAGRUN_QUEUED_AT,
        "interval": interval,
        "callback": AsyncCallback(callback),
    }
    try:
        return DeadlineAlert(**what, name=name)
    except TypeError:
        return DeadlineAlert(**what)


def count(metric: str, value: int, tags: Mapping[str, str]) -> None:
    """Add to one of Airflow's own metrics."""
    _stats().incr(metric, value, tags=dict(tags))


def timing(metric: str, value: dt.timedelta, tags: Mapping[str, str]) -> None:
    """Record a duration in one of Airflow's own metrics."""
    _stats().timing(metric, value, tags=dict(tags))


def _stats() -> Any:
    """A class below 3.3, and a module since."""
    return getattr(stats, "Stats", stats)


async def in_thread(function: Callable[..., Any], *arguments: Any) -> Any:
    """Call a function that blocks, beside the triggerer's event loop.

    It may ask Airflow for XComs and Variables. Below 3.3 Airflow would give such a request from a thread of
    ``asyncio.to_thread`` another request's answer, and the triggerer would end.
    """
    return await sync_to_async(function, thread_sensitive=False)(*arguments)
