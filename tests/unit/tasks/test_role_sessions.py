"""A role's credentials in the triggerer: they expire during a long drill and are renewed without blocking."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import logging
import os
import re
import threading
import types
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

from drs.tasks.drill_task import logged_failures
from drs.tasks.hook import DrsHook
from drs.tasks.operators.preflight import clients
from drs.tasks.shared_client import shared_client
from drs.tasks.triggers import DrsHoldersTrigger
from drs.text.times import utc_now

PARAMETERS = {"aws_conn_id": "aws_dr", "region_name": "eu-central-1", "verify": None, "botocore_config": None}
STS_REPLY = """\
<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult><Credentials>
<AccessKeyId>{key}</AccessKeyId><SecretAccessKey>secret</SecretAccessKey><SessionToken>token</SessionToken>
<Expiration>{expiration:%Y-%m-%dT%H:%M:%SZ}</Expiration>
</Credentials></AssumeRoleResult></AssumeRoleResponse>"""
STS_REFUSAL = "<ErrorResponse><Error><Code>{code}</Code><Message>no</Message></Error></ErrorResponse>"


class Aws:
    """STS and DRS over HTTP. A session lasts ten minutes, so that botocore renews it before every call.

    :param patience: seconds in which a held reply must be let go
    """

    def __init__(self, patience: float = 5.0) -> None:
        self.patience = patience
        self.sessions: list[str] = []
        self.signed_with: list[str] = []
        self.asked = threading.Event()
        self.gate = threading.Event()
        self.gate.set()
        self.refusal: tuple[int, str] | None = None

    def assume_role(self) -> tuple[int, bytes]:
        self.asked.set()
        if not self.gate.wait(self.patience):
            self.refusal = 403, "AccessDenied"
        if self.refusal:
            status, code = self.refusal
            return status, STS_REFUSAL.format(code=code).encode()
        self.sessions.append(f"ASIASESSION{len(self.sessions) + 1:09}")
        expiration = dt.datetime.now(dt.UTC) + dt.timedelta(minutes=10)
        return 200, STS_REPLY.format(key=self.sessions[-1], expiration=expiration).encode()

    def describe_jobs(self, authorization: str) -> tuple[int, bytes]:
        signature = re.search(r"Credential=(\w+)/", authorization)
        assert signature
        self.signed_with.append(signature.group(1))
        return 200, json.dumps({"items": []}).encode()

    @contextmanager
    def serving(self) -> Iterator[str]:
        aws = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                if self.path == "/DescribeJobs":
                    status, body = aws.describe_jobs(self.headers["Authorization"])
                else:
                    status, body = aws.assume_role()
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                """Nothing."""

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            serving.join()
            server.server_close()


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[Aws]:
    """AWS, which the connection ``aws_dr`` reaches through a role with an external id."""
    aws = Aws()
    with aws.serving() as url:
        connection = {
            "conn_type": "aws",
            "extra": {
                "role_arn": "arn:aws:iam::444455556666:role/drs-drills",
                "assume_role_kwargs": {"ExternalId": "seven-stones"},
                "config_kwargs": {"retries": {"total_max_attempts": 1}},
            },
        }
        monkeypatch.setenv("AIRFLOW_CONN_AWS_DR", json.dumps(connection))
        monkeypatch.setenv("AWS_ENDPOINT_URL", url)
        yield aws


async def test_a_wait_outlives_the_session_of_its_role(aws: Aws) -> None:
    """Each call is signed with the newest session: botocore renews one that is about to expire."""
    async with shared_client(PARAMETERS) as client:
        await client.describe_jobs()
        await client.describe_jobs()
    assert aws.signed_with == ["ASIASESSION000000002", "ASIASESSION000000003"]


async def test_other_waits_go_on_while_a_session_is_renewed(aws: Aws) -> None:
    """The triggerer has one thread for all waits. A slow STS must delay only the one call."""
    async with shared_client(PARAMETERS) as client:
        aws.gate.clear()
        aws.asked.clear()
        call = asyncio.create_task(client.describe_jobs())
        await asyncio.to_thread(aws.asked.wait, aws.patience)
        aws.gate.set()  # from the loop: were that held up, STS would refuse in the end
        await call
    assert aws.signed_with == aws.sessions[-1:] == ["ASIASESSION000000002"]


@pytest.mark.parametrize(
    ("refusal", "told"),
    [((503, "ServiceUnavailable"), "deadline"), ((403, "AccessDenied"), "error")],
    ids=["out of reach", "refused"],
)
async def test_a_wait_that_gets_no_session_ends_like_any_other(
    aws: Aws, refusal: tuple[int, str], told: str
) -> None:
    """If STS cannot be reached, the trigger waits until its deadline; if it refuses, the task gets the
    refusal.
    """
    aws.refusal = refusal
    soon = utc_now() + dt.timedelta(seconds=1)
    trigger = DrsHoldersTrigger(holders=["drsjob-1"], poll=1.0, deadline=soon.isoformat(), **PARAMETERS)
    events = [event.payload["status"] async for event in trigger.run()]
    assert events == [told]


def test_all_clients_of_a_task_use_one_session_of_their_role(aws: Aws) -> None:
    """To assume the role once more for each client would take time, and count against STS's rate of calls."""
    hook = DrsHook(aws_conn_id="aws_dr", region_name="eu-central-1")
    for client in (hook.conn, hook.unrepeated, hook.ec2, hook.client_of("sts")):
        assert client.meta.region_name == "eu-central-1"
    assert len(aws.sessions) == 1


def test_a_refused_role_is_told_with_the_connection_that_names_it(aws: Aws) -> None:
    """The remedy says what to compare in the connection; the caller's own permissions are not the cause."""

    class Task:
        aws_conn_id = "aws_dr"
        log = logging.getLogger("task")

        @logged_failures
        def execute(self, context: Any) -> None:
            assert DrsHook(aws_conn_id=self.aws_conn_id, region_name="eu-central-1").conn

    aws.refusal = 403, "AccessDenied"
    with pytest.raises(AirflowFailException) as failed:
        Task().execute({"ti": types.SimpleNamespace(task_id="preflight")})
    message = str(failed.value)
    assert message.startswith("[ACCESS_DENIED] STS refused the role of the AWS connection aws_dr")
    assert "What to do: Check the AWS connection aws_dr: compare role_arn" in message


def test_preflight_learns_how_long_the_sessions_of_the_role_are(
    aws: Aws, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the connection, which it warns of if they are too short."""
    connection = json.loads(os.environ["AIRFLOW_CONN_AWS_DR"])
    connection["extra"]["assume_role_kwargs"]["DurationSeconds"] = 900
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DR", json.dumps(connection))
    hook = DrsHook(aws_conn_id="aws_dr", region_name="eu-central-1")
    assert clients(hook).role_seconds == 900
