"""What differs between the versions of Airflow. Each test holds with every supported version."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import functools
import socket
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from airflow.sdk import Variable
from airflow.sdk.execution_time import comms, task_runner

from drs import compat
from drs.compat import KEYS, alert_after, in_thread, keep_key, keys_beginning, task_store
from drs.run.proof import SETUP_TASK_ID, asks_a_person
from drs.tasks.best_effort import tried
from drs.validation.checks.python import _in_a_thread
from tests.unit.task_harness import FakeStateStore, FakeTaskInstance, FakeVariables, make_context

# --- requests to Airflow from threads of the triggerer ----------------------------------------------------


def answering(requests: socket.socket) -> None:
    """Answer each request for a Variable with its key, as Airflow's supervisor does, until the other end is
    closed.
    """
    with contextlib.suppress(OSError), requests.makefile("rb") as stream:
        while header := stream.read(4):
            frame = comms._RequestFrame(*_decoded(stream.read(int.from_bytes(header, "big"))))
            assert frame.body is not None
            key = frame.body["key"]
            reply = comms.VariableResult(key=key, value=f"value of {key}")
            requests.sendall(comms._ResponseFrame(frame.id, reply.model_dump()).as_bytes())


def _decoded(frame: bytes) -> tuple[int, dict[str, Any]]:
    import msgspec

    number, body, *_ = msgspec.msgpack.decode(frame)
    return number, body


@pytest.fixture
async def triggerer(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[None]:
    """This process is a triggerer: its event loop has the only connection to Airflow."""
    from airflow.jobs.triggerer_job_runner import TriggerCommsDecoder

    ours, theirs = socket.socketpair()
    supervisor = threading.Thread(target=answering, args=[theirs])
    supervisor.start()
    reader, writer = await asyncio.open_connection(sock=ours)
    decoder = TriggerCommsDecoder(async_reader=reader, async_writer=writer, socket=ours)
    if hasattr(decoder, "start_reader"):  # from 3.3 on
        await decoder.start_reader()
    monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", decoder, raising=False)
    yield
    if task := getattr(decoder, "_reader_task", None):
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
    writer.close()
    theirs.shutdown(socket.SHUT_RDWR)
    supervisor.join()
    theirs.close()


def request(key: str) -> str:
    reply: Any = task_runner.SUPERVISOR_COMMS.send(comms.GetVariable(key=key))
    return str(reply.value)


async def in_best_effort(key: str) -> str:
    """As the RTO alarm does that sends a notice."""
    found: list[str] = []
    failure = await in_thread(tried, "Asking", lambda: found.append(request(key)))
    assert failure is None, failure
    return found[0]


async def as_own_check(key: str) -> Any:
    """As a check does that the plan's author wrote."""
    return await _in_a_thread(functools.partial(request, key))


@pytest.mark.parametrize(
    "ask",
    [functools.partial(in_thread, request), in_best_effort, as_own_check],
    ids=["alarm", "notice", "check"],
)
async def test_a_thread_of_the_triggerer_gets_the_answers_to_its_own_requests(
    triggerer: None, ask: Callable[[str], Awaitable[str]]
) -> None:
    """The triggerer itself asks at the same time. Otherwise it would end, and with it every wait."""

    async def ask_in_loop(key: str) -> str:
        reply: Any = await task_runner.SUPERVISOR_COMMS.asend(comms.GetVariable(key=key))
        return str(reply.value)

    keys = [f"key-{number}" for number in range(40)]
    answers = await asyncio.gather(*((ask if n % 2 else ask_in_loop)(key) for n, key in enumerate(keys)))
    assert answers == [f"value of {key}" for key in keys]


# --- what outlives a task's tries -------------------------------------------------------------------------


class FakeXComs:
    """All XComs of a run, by task and key."""

    values: dict[tuple[str, str, str, str], Any]

    def __init__(self) -> None:
        self.values = {}

    def get_one(self, *, key: str, dag_id: str, task_id: str, run_id: str) -> Any:
        return self.values.get((dag_id, run_id, task_id, key))

    def set(self, *, key: str, value: Any, dag_id: str, task_id: str, run_id: str) -> None:
        self.values[dag_id, run_id, task_id, key] = value


def test_without_a_store_of_tasks_values_are_kept_beside_the_setup_task(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Airflow deletes a task's own XComs when it starts. The setup task never starts. Tasks that use the same
    key do not meet.
    """
    xcoms = FakeXComs()
    monkeypatch.setattr("airflow.sdk.execution_time.xcom.XCom", xcoms)
    begin, preflight = make_context(), make_context()
    begin["ti"].task_id, preflight["ti"].task_id = "begin", "preflight"
    task_store(begin).set("run", {"a": 1})
    assert task_store(begin).get("run") == {"a": 1}
    assert task_store(preflight).get("run") is None
    assert list(xcoms.values) == [
        (FakeTaskInstance.dag_id, FakeTaskInstance.run_id, SETUP_TASK_ID, "begin.run")
    ]


def test_a_store_of_tasks_is_used_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("airflow.sdk.execution_time.context.NEVER_EXPIRE", "for ever", raising=False)
    store = FakeStateStore()
    kept = task_store(make_context() | {"task_state_store": store})
    kept.set("run", {"a": 1})
    assert (kept.get("run"), store.kept_for) == ({"a": 1}, "for ever")


# --- Variables --------------------------------------------------------------------------------------------


class UnlistedVariables(FakeVariables):
    """Airflow's Variables below 3.3, which no task can list."""

    keys = property()


@pytest.fixture
def unlisted(monkeypatch: pytest.MonkeyPatch) -> UnlistedVariables:
    variables = UnlistedVariables()
    monkeypatch.setattr(compat, "Variable", variables)
    return variables


def test_where_variables_cannot_be_listed_the_kept_keys_are_found(unlisted: UnlistedVariables) -> None:
    """Each is kept once, in another Variable."""
    for key in ("drs_drill__b__run", "drs_drill__a__run", "drs_drill__b__run", "other"):
        keep_key(key)
    assert keys_beginning("drs_drill__") == ["drs_drill__a__run", "drs_drill__b__run"]
    assert list(unlisted.values) == [KEYS]


def test_a_key_that_was_lost_is_found_if_it_may_exist(unlisted: UnlistedVariables) -> None:
    """Two runs that begin in the same moment may overwrite each other's key."""
    keep_key("drs_drill__a__run")
    perhaps = ["drs_drill__a__run", "drs_drill__c__run"]
    assert keys_beginning("drs_drill__", perhaps) == perhaps


def test_where_variables_can_be_listed_none_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    variables = FakeVariables()
    monkeypatch.setattr(compat, "Variable", variables)
    variables.set("drs_drill__a__run", "1")
    keep_key("drs_drill__b__run")
    assert keys_beginning("drs_drill__", ["drs_drill__b__run"]) == ["drs_drill__a__run"]


def test_variables_are_listed_by_the_name_that_airflow_uses() -> None:
    """If Airflow renamed it, kept keys would be used although they are incomplete."""
    assert hasattr(Variable, "keys") == hasattr(comms, "GetVariableKeys")


# --- the rest ---------------------------------------------------------------------------------------------


def test_an_alert_calls_its_coroutine_after_the_time() -> None:
    async def ring() -> None: ...

    alert = alert_after(dt.timedelta(hours=1), ring, name="rto")
    assert alert.interval == dt.timedelta(hours=1)
    assert alert.callback.path.endswith("ring")
    assert getattr(alert, "name", "rto") == "rto"


@pytest.mark.parametrize(
    ("task_id", "state", "asks"),
    [
        ("wave_web.approve", "awaiting_input", True),
        ("wave_web.approve", "deferred", True),
        ("approve_cleanup", "deferred", True),
        ("wave_web.approve", "running", False),
        ("wave_approve.start_recovery", "deferred", False),
        ("terminate", "deferred", False),
        ("terminate", None, False),
    ],
)
def test_a_question_waits_in_either_state(task_id: str, state: str | None, asks: bool) -> None:
    """Airflow has a state of its own for it from 3.3 on."""
    assert asks_a_person(task_id, state) is asks
