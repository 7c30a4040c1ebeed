"""What the product reaches of the outside world, replaced for the time of a campaign.

Replaced are the clock, sleep, connections to AWS, Airflow's XComs and Variables, random numbers, and threads
(their work is done at once). The rules of the product are not touched.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import errno
import functools
import logging
import secrets
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from unittest import mock
from urllib.parse import urlsplit

import httpx
import structlog
from airflow.providers.standard.operators import hitl
from airflow.sdk import Variable
from airflow.sdk.execution_time.xcom import XCom
from greenlet import getcurrent

import drs.aws.calls
import drs.preflight.inspection
import drs.preflight.reading
import drs.settings
import drs.tasks.best_effort
import drs.tasks.operators.evidence
import drs.tasks.operators.preflight
import drs.tasks.operators.watch
import drs.tasks.publish_measures
import drs.tasks.send_messages
import drs.tasks.triggers
import drs.tasks.watching
import drs.text.times
import drs.validation.checks.http_get
from bench.campaign.aws import ACCOUNT
from bench.campaign.clients import ATTEMPTS, Client, open_client
from bench.campaign.hub import Hub, Process
from bench.campaign.loop import HubPolicy
from bench.campaign.watchman import PlansFolder
from drs.aws.clients import AwsClients
from drs.evidence.store import EvidenceStore
from drs.plan import Plan
from drs.run.own_code import AllowedCode
from drs.run.records import RunRecord
from drs.tasks.hook import DrsHook
from simulator.engine.instances import OpenPort

if TYPE_CHECKING:
    from bench.campaign.world import World

POLL, POLL_NEAR = 60.0, 15.0
"""Seconds between two looks at jobs. The default is shorter; fewer looks make a drill cheaper to run."""


class Present:
    """The drill that runs now. Everything that is replaced asks here."""

    def __init__(self) -> None:
        self._world: World | None = None

    @property
    def world(self) -> World:
        assert self._world is not None, "no drill runs now"
        return self._world

    @property
    def hub(self) -> Hub:
        return self.world.hub

    @contextlib.contextmanager
    def of(self, world: World) -> Iterator[None]:
        """Make this the drill that runs now."""
        self._world = world
        try:
            yield
        finally:
            self._world = None

    def now(self) -> dt.datetime:
        """What the clock of the machine shows on which the current process runs."""
        process = getcurrent()
        skew = process.skew if isinstance(process, Process) else 0.0
        return self.hub.datetime() + dt.timedelta(seconds=skew)

    def sleep(self, seconds: float) -> None:
        self.hub.sleep(seconds)


PRESENT = Present()


class _Datetime(dt.datetime):
    @classmethod
    def now(cls, tz: dt.tzinfo | None = None) -> Any:
        return PRESENT.now()


CLOCK = SimpleNamespace(
    datetime=_Datetime,
    timedelta=dt.timedelta,
    UTC=dt.UTC,
    timezone=dt.timezone,
    date=dt.date,
    tzinfo=dt.tzinfo,
)
"""In the place of the module ``datetime`` in modules of the product that ask for the time."""


class _Pool:
    """A pool without threads: what is submitted is done at once."""

    def __init__(self, *_: object) -> None: ...

    def __enter__(self) -> _Pool:
        return self

    def __exit__(self, *_: object) -> None: ...

    def submit(self, function: Callable[..., Any], *arguments: Any) -> _Done:
        return _Done(function(*arguments))

    def map(self, function: Callable[..., Any], *items: Iterable[Any]) -> Iterator[Any]:
        return map(function, *items)


class _Done:
    def __init__(self, value: Any) -> None:
        self._value = value

    def result(self) -> Any:
        return self._value


def _client(service: str) -> Client:
    """The client of a service; one for all, because it has no state."""
    clients = PRESENT.world.clients
    if service not in clients:
        clients[service] = Client(PRESENT.world.account, service, ATTEMPTS)
    return clients[service]


def _unrepeated(hook: DrsHook) -> Client:
    """The hook's own client that sends each call once: what looks at its calls is registered with it."""
    known = hook.__dict__.get("_campaign")
    if known is None:
        known = hook.__dict__["_campaign"] = Client(PRESENT.world.account, "drs", 1)
    assert isinstance(known, Client)
    return known


def _clients_of_preflight(hook: DrsHook) -> AwsClients:
    made: Any = {service: _client(service) for service in ("ec2", "sts", "iam")}
    return AwsClients(drs=hook, **made)


def _port(address: str, port: int) -> OpenPort | None:
    """The port of a launched instance, if something listens there now."""
    ports = PRESENT.world.account.service.instances.open_ports()
    return next((each for each in ports if each.key == (address, port)), None)


async def _connect(address: str, port: int) -> tuple[None, Any]:
    if _port(address, port) is None:
        raise ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused")
    return None, SimpleNamespace(close=lambda: None)


async def _get(url: str) -> tuple[int, str]:
    parts = urlsplit(url)
    port = _port(parts.hostname or "", parts.port or 80)
    if port is None:
        raise httpx.ConnectError("Connection refused")
    listener = port.listener
    status = listener.status if listener.path in (None, parts.path) else 404
    return port.status or status, listener.body


def _write_xcom(*, key: str, value: Any, dag_id: str, task_id: str, run_id: str) -> None:
    process = getcurrent()
    world = PRESENT.world
    attempt = process.attempt if isinstance(process, Process) else None
    world.mischief.point(attempt, f"before the write of {key}")
    world.airflow.xcoms.set((dag_id, run_id, task_id), key, value)
    world.mischief.point(attempt, f"after the write of {key}")


def _ask(ti_id: int, **question: Any) -> None:
    row = PRESENT.world.airflow.row_of(ti_id)
    if row is not None:
        row.question = question


def _at_once(ledger: Any, task_id: str, what: str, work: Callable[[], object]) -> None:
    """Measures are not published, and plans of a campaign notify nobody."""


_plans: dict[str, Plan] = {}


def _read_plan(record: RunRecord) -> Plan:
    """The record's plan. Each is validated once: that takes longer than the rest of a task."""
    if record.digest not in _plans:
        _plans[record.digest] = Plan.model_validate(record.plan)
    return _plans[record.digest]


def _token_hex(size: int = 16) -> str:
    return f"{PRESENT.world.ids.getrandbits(8 * size):0{2 * size}x}"


def _uuid4() -> uuid.UUID:
    return uuid.UUID(int=PRESENT.world.ids.getrandbits(128), version=4)


def _sleep(seconds: float, *, real: Callable[[float], None] = time.sleep) -> None:
    PRESENT.sleep(seconds) if isinstance(getcurrent(), Process) else real(seconds)


def _variable(name: str) -> Callable[..., Any]:
    return lambda *arguments, **named: getattr(PRESENT.world.airflow.variables, name)(*arguments, **named)


def _replacements() -> Iterator[tuple[Any, str, Any]]:
    """What is replaced: where, under which name, and by what."""
    yield drs.text.times, "dt", CLOCK
    yield drs.aws.calls, "dt", CLOCK
    yield time, "sleep", _sleep
    yield uuid, "uuid4", _uuid4
    yield secrets, "token_hex", _token_hex
    yield (
        drs.tasks.triggers,
        "shared_client",
        lambda _, service="drs", *, repeats=True: open_client(
            PRESENT.world.account, service, repeats=repeats
        ),
    )
    yield DrsHook, "conn", property(lambda _: _client("drs"))
    yield DrsHook, "unrepeated", property(_unrepeated)
    yield DrsHook, "conn_region_name", "us-east-1"
    yield DrsHook, "conn_partition", "aws"
    yield DrsHook, "ec2", property(lambda _: _client("ec2"))
    yield drs.tasks.operators.preflight, "clients", _clients_of_preflight
    for module in (drs.preflight.inspection, drs.preflight.reading):
        yield module, "ThreadPoolExecutor", _Pool
    yield asyncio, "open_connection", _connect
    yield drs.validation.checks.http_get, "_get", _get
    yield XCom, "set", staticmethod(_write_xcom)
    for name in ("get", "set", "keys", "delete"):
        yield Variable, name, staticmethod(_variable(name))
    yield hitl, "upsert_hitl_detail", _ask
    for module in (drs.tasks.best_effort, drs.tasks.publish_measures, drs.tasks.send_messages):
        yield module, "attempt", _at_once
    yield drs.tasks.operators.evidence, "store", lambda: EvidenceStore(PRESENT.world.evidence)
    yield drs.tasks.operators.evidence, "software", functools.cache(drs.tasks.operators.evidence.software)
    yield RunRecord, "read_plan", _read_plan
    for module in (drs.tasks.operators.watch, drs.tasks.watching):
        yield module, "Folder", lambda *_, **__: PlansFolder(PRESENT.world.plans)
    yield drs.tasks.watching, "store", lambda: EvidenceStore(PRESENT.world.evidence)
    yield DrsHook, "account_id", ACCOUNT
    constants: Mapping[str, Any] = {
        "watch_terminates": True,
        "watch_notifiers": (),
        "allowed_code": AllowedCode(),
        "evidence_kms_key_id": None,
        "deferrable": True,
        "poll_interval": POLL,
        "poll_interval_near": POLL_NEAR,
        "metrics": False,
        "base_url": "http://localhost:8080",
    }
    for name, value in constants.items():
        yield drs.settings, name, lambda value=value: value


def _say(_: Any, level: str, event: MutableMapping[str, Any]) -> str:
    """Give a line of a task's log to the reader of the drill, and write it nowhere else."""
    process = getcurrent()
    name = process.name if isinstance(process, Process) else "-"
    PRESENT.world.say(f"{name}  {level.upper()}  {event.get('event')}")
    raise structlog.DropEvent


@contextlib.contextmanager
def installed(*, verbose: bool = False) -> Iterator[None]:
    """Replace all of it, for as many drills as run inside.

    :param verbose: give the logs of the tasks to the reader of each drill, too
    """
    policy = asyncio.get_event_loop_policy()
    logging.disable(logging.CRITICAL)
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO if verbose else logging.CRITICAL),
        processors=[structlog.stdlib.PositionalArgumentsFormatter(), _say],
    )
    with contextlib.ExitStack() as stack:
        for where, name, what in _replacements():
            stack.enter_context(mock.patch.object(where, name, what))
        asyncio.set_event_loop_policy(HubPolicy(lambda: PRESENT.hub))
        try:
            yield
        finally:
            asyncio.set_event_loop_policy(policy)
            logging.disable(logging.NOTSET)
