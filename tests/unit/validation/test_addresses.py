"""Checks that connect to the instance's address, where the test has a listener."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from tests.unit.validation.aws import A, FakeAws, instance, look


class Health(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        known = {"/health": (200, '{"status": "ok"}'), "/moved": (302, ""), "/broken": (500, "out of memory")}
        status, body = known.get(self.path, (404, "nothing here"))
        self.send_response(status)
        self.send_header("Location", "/health")
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """A port where an HTTP server listens."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Health)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_port
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def closed_port() -> int:
    """A port where nobody listens."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        number: int = listener.getsockname()[1]
    return number


def test_a_port_that_accepts_connections_passes(aws: FakeAws, port: int) -> None:
    """The text names the address and the port."""
    seen = look(aws, {"type": "tcp", "port": port})
    assert (seen.passed, seen.text) == (True, f"127.0.0.1:{port} accepts connections")


def test_a_closed_port_may_open_later(aws: FakeAws, closed_port: int) -> None:
    """The result is not final."""
    seen = look(aws, {"type": "tcp", "port": closed_port})
    assert (seen.passed, seen.final) == (False, False)
    assert seen.text == f"127.0.0.1:{closed_port}: Connection refused"


def http(aws: FakeAws, port: int, path: str, **fields: Any) -> Any:
    return look(aws, {"type": "http", "port": port, "path": path, **fields})


def test_an_answer_as_expected_passes(aws: FakeAws, port: int) -> None:
    """Status and body are as expected. The text contains the beginning of the body."""
    seen = http(aws, port, "/health", expect_body='"status": *"ok"')
    assert seen.passed
    assert seen.text == (
        f'GET http://127.0.0.1:{port}/health: status 200; the body begins: {{"status": "ok"}}'
    )
    assert seen.output == '{"status": "ok"}'


@pytest.mark.parametrize(
    ("path", "fields", "text"),
    [
        ("/broken", {}, "status 500 instead of 200; the body begins: out of memory"),
        ("/moved", {}, "status 302 instead of 200; the body is empty"),
        ("/health", {"expect_status": 401}, "status 200 instead of 401; the body begins: "),
        ("/health", {"expect_body": "degraded"}, "status 200, but the body does not match 'degraded'; the"),
    ],
    ids=["500", "redirect", "status", "body"],
)
def test_another_answer_does_not_pass(
    aws: FakeAws, port: int, path: str, fields: dict[str, Any], text: str
) -> None:
    """The result is not final, because a later answer may be as expected."""
    seen = http(aws, port, path, **fields)
    assert (seen.passed, seen.final) == (False, False)
    assert seen.text.startswith(f"GET http://127.0.0.1:{port}{path}: {text}")


def test_an_answer_that_is_expected_is_not_an_error(aws: FakeAws, port: int) -> None:
    """A plan may expect status 404."""
    assert http(aws, port, "/elsewhere", expect_status=404).passed


def test_a_connection_that_fails_does_not_pass(aws: FakeAws, closed_port: int) -> None:
    """The text contains the reason. A later look may pass."""
    seen = http(aws, closed_port, "/")
    assert (seen.passed, seen.final) == (False, False)
    assert seen.text == f"GET http://127.0.0.1:{closed_port}/: Connection refused"


@pytest.mark.parametrize("check", ["tcp", "http"])
def test_a_name_that_cannot_be_resolved_does_not_pass(aws: FakeAws, check: str) -> None:
    """The text contains the name and the reason. A later look may pass."""
    aws.instances = [instance(A, PrivateDnsName="db.invalid")]
    seen = look(aws, {"type": check, "port": 80, "address": "dns"})
    assert (seen.passed, seen.final) == (False, False)
    assert "db.invalid" in seen.text
    assert "not known" in seen.text or "resolution" in seen.text


def test_a_proxy_in_the_environment_is_not_used(
    aws: FakeAws, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The request goes to the instance itself."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    assert http(aws, port, "/health").passed


@pytest.mark.parametrize(
    ("kind", "named"),
    [
        ("private_ip", {"PrivateIpAddress": "127.0.0.1"}),
        ("public_ip", {"PublicIpAddress": "127.0.0.1"}),
        ("dns", {"PublicDnsName": "localhost", "PrivateDnsName": "ip-10-0-0-1.invalid"}),
        ("dns", {"PublicDnsName": "", "PrivateDnsName": "localhost"}),
    ],
)
@pytest.mark.parametrize("check", ["tcp", "http"])
def test_the_address_is_the_one_that_the_plan_names(
    aws: FakeAws, port: int, check: str, kind: str, named: dict[str, str]
) -> None:
    """The DNS name is the public one, or else the private one."""
    addresses = {"PrivateIpAddress": "", "PrivateDnsName": ""} | named
    aws.instances = [instance(A, **addresses)]
    path = {"path": "/health"} if check == "http" else {}
    assert look(aws, {"type": check, "port": port, "address": kind, **path}).passed
    aws.instances = [instance(A, PrivateIpAddress="", PrivateDnsName="")]
    seen = look(aws, {"type": check, "port": port, "address": kind, **path})
    assert (seen.passed, seen.text) == (False, f"EC2 names no {kind} of i-a")
