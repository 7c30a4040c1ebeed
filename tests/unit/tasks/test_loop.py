"""The triggerer has one event loop for all waits of all drills: no step of ours may hold it up.

Each trigger runs against replies as large as they are at DRS's quotas, and a monitor measures its steps.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import inspect
import json
import re
import sys
import threading
import typing
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from airflow.triggers.base import BaseTrigger
from botocore.loaders import JSONFileLoader

from drs.plan import checks
from drs.plan.model import Network
from drs.tasks import hook, triggers
from drs.tasks.shared_client import shared_client
from drs.tasks.triggers import (
    DrsHoldersTrigger,
    DrsJobsEndedTrigger,
    DrsJobStartedTrigger,
    DrsValidationTrigger,
)
from drs.text.times import utc_now
from drs.validation.wave_to_check import ServerToCheck, WaveToCheck
from tests.unit.tasks.large_aws import JOBS, SERVERS, LargeAws, instance_id, job_id, numbers_of, server_id
from tests.unit.tasks.loop_monitor import LoopMonitor
from tests.unit.validation import own_checks

CONNECTION = {"aws_conn_id": "aws_dr", "region_name": "us-east-1"}
OWN = own_checks.__name__
SLOW_TO_IMPORT = """\
import time

from drs.validation import drs_check

ends = time.thread_time() + 0.15
while time.thread_time() < ends:
    pass


@drs_check
def says(server):
    return server.name
"""


@pytest.fixture
def port(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """The port of a large AWS, which the connection ``aws_dr`` reaches through a role."""
    with LargeAws().serving() as port:
        role = {"role_arn": "arn:aws:iam::111122223333:role/drs-drills"}
        monkeypatch.setenv("AIRFLOW_CONN_AWS_DR", json.dumps({"conn_type": "aws", "extra": role}))
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
        yield port


@pytest.fixture
def new_triggerer(monkeypatch: pytest.MonkeyPatch, service_models: Callable[..., Any]) -> None:
    """Nobody has read a service model yet, as in a triggerer that has just started."""
    monkeypatch.setattr(JSONFileLoader, "load_file", service_models)
    vars(hook.MODELS)["_cache"].clear()


@pytest.fixture
def monitor() -> LoopMonitor:
    return LoopMonitor()


def waiting(**fields: Any) -> dict[str, Any]:
    """The fields of a trigger that waits for jobs."""
    return {"deadline": (utc_now() + dt.timedelta(minutes=5)).isoformat(), **fields, **CONNECTION}


def validating(*asked: dict[str, Any], job: int = 0, servers: int = SERVERS) -> DrsValidationTrigger:
    """The trigger that makes these checks of the first servers of a job."""
    wave = WaveToCheck.model_validate(
        {
            "plan": "orders",
            "wave": f"wave-{job}",
            "token": "0123456789abcdef",
            "is_drill": True,
            "region": "us-east-1",
            "aws_conn_id": "aws_dr",
            "began_at": utc_now(),
            "network": Network(),
            "checks": {"all": asked},
            "servers": [
                ServerToCheck(
                    server_id=server_id(number),
                    name=f"server-{number}",
                    group="all",
                    job_id=job_id(job),
                    instance_id=instance_id(number),
                )
                for number in numbers_of(job)[:servers]
            ],
        }
    )
    return DrsValidationTrigger(wave=wave.model_dump(mode="json"), poll=3, **CONNECTION)


ALL_JOBS = [job_id(job) for job in range(JOBS)]
TRIGGERS: dict[type[BaseTrigger], Callable[[], BaseTrigger]] = {
    DrsHoldersTrigger: lambda: DrsHoldersTrigger(holders=ALL_JOBS, poll=0.01, **waiting()),
    DrsJobStartedTrigger: lambda: DrsJobStartedTrigger(job_ids=ALL_JOBS, near=0.01, far=0.01, **waiting()),
    DrsJobsEndedTrigger: lambda: DrsJobsEndedTrigger(job_ids=ALL_JOBS, near=0.01, far=0.01, **waiting()),
    DrsValidationTrigger: lambda: validating({"type": "instance_status"}, {"type": "launch_actions"}),
}
CHECKS: dict[str, Callable[[int], dict[str, Any]]] = {
    "instance_status": lambda _: {},
    "ssm": lambda _: {"parameters": {"commands": ["uptime"]}},
    "tcp": lambda port: {"port": port},
    # Python's own regular expressions would need longer than the age of the universe.
    "http": lambda port: {"port": port, "expect_body": "(a+)+$"},
    "launch_actions": lambda _: {},
    "python": lambda _: {"function": f"{OWN}.says"},
}


async def payloads(trigger: BaseTrigger) -> list[Any]:
    return [event.payload async for event in trigger.run()]


def test_every_trigger_is_measured() -> None:
    """A new class of triggers needs a case here."""
    ours = {
        each
        for each in vars(triggers).values()
        if inspect.isclass(each) and issubclass(each, BaseTrigger) and not inspect.isabstract(each)
    }
    assert {each for each in ours if not each.__name__.startswith("_")} - {BaseTrigger} == set(TRIGGERS)


def test_every_kind_of_check_is_measured() -> None:
    """A new kind of check needs a case here."""
    kinds = typing.get_args(typing.get_args(checks.Check)[0])
    assert {typing.get_args(typing.get_type_hints(kind)["type"])[0] for kind in kinds} == set(CHECKS)


@pytest.mark.parametrize("kind", TRIGGERS, ids=lambda kind: kind.__name__)
def test_no_trigger_blocks_the_loop(
    kind: type[BaseTrigger], port: int, new_triggerer: None, monitor: LoopMonitor
) -> None:
    """With five jobs of 100 servers each, from opening the client to the event."""
    (payload,) = monitor.check(payloads(TRIGGERS[kind]()))
    assert payload["status"] == "success"


@pytest.mark.parametrize("kind", CHECKS)
def test_no_check_blocks_the_loop(kind: str, port: int, monitor: LoopMonitor) -> None:
    """Of 100 servers at once."""
    trigger = validating({"type": kind, "timeout": "1s", **CHECKS[kind](port)})
    (payload,) = monitor.check(payloads(trigger))
    assert len(payload["results"]) == 200


def test_a_module_that_is_slow_to_import_does_not_block_the_loop(
    port: int, monitor: LoopMonitor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The module of a plan's own check is imported in a thread."""
    (tmp_path / "slow_to_import.py").write_text(SLOW_TO_IMPORT)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "slow_to_import", raising=False)
    trigger = validating({"type": "python", "function": "slow_to_import.says"})
    (payload,) = monitor.check(payloads(trigger))
    assert all(result["passed"] for result in payload["results"])


def test_the_worst_of_expressions_does_not_block_the_loop(port: int, monitor: LoopMonitor) -> None:
    """It has as many steps as are allowed, and the body is one for which RE2 needs the most time."""
    check = {
        "type": "http",
        "port": port,
        "path": "/mixed",
        "expect_body": "a[ab]{990}c",
        "timeout": "1s",
    }
    (payload,) = monitor.check(payloads(validating(check, servers=1)))
    assert [result["passed"] for result in payload["results"]] == [True, False]


def test_service_models_are_not_read_in_the_loop(
    port: int, new_triggerer: None, service_models: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """That of EC2 has 4 MB of JSON. A thread reads it once, for all clients."""
    readings: list[tuple[str, threading.Thread]] = []

    def load(loader: JSONFileLoader, path: str) -> Any:
        readings.append((path, threading.current_thread()))
        return service_models(loader, path)

    async def open_all() -> None:
        for service in ("drs", "ec2", "ssm"):
            async with shared_client({**CONNECTION, "verify": None, "botocore_config": None}, service):
                pass

    monkeypatch.setattr(JSONFileLoader, "load_file", load)
    for _ in range(2):
        asyncio.run(open_all())
    assert len([path for path, _ in readings if re.search("ec2.*service-2$", path)]) == 1
    assert threading.current_thread() not in {thread for _, thread in readings}
