"""The sockets of launched instances, on a server of its own, met over real connections."""

from __future__ import annotations

import secrets
import socket
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from tests.simulator.conftest import server_id
from tests.simulator.test_server import KEY, Server, _completed, _eventually, _start

NETWORK = f"127.{64 + secrets.randbelow(64)}.{secrets.randbelow(256)}"
"""Of these tests alone, also if they run twice at once."""

WEB, DATABASE = server_id(1), server_id(2)
ADDRESSES = {WEB: f"{NETWORK}.11", DATABASE: f"{NETWORK}.12"}
LISTENERS = {
    WEB: [
        {"port": 8080, "protocol": "http", "path": "/health", "body": '{"status": "ok"}'},
        {"port": 8081, "protocol": "http", "status": 204},
    ],
    DATABASE: [{"port": 5432, "protocol": "tcp", "body": "ready"}],
}


def _fleet(**more: Any) -> dict[str, Any]:
    servers = [
        {
            "id": each,
            "hostname": each,
            "address": ADDRESSES[each],
            "listeners": LISTENERS[each],
            "commands": {"output": "active"},
            **more,
        }
        for each in (WEB, DATABASE)
    ]
    account = {"access_key_id": KEY, "regions": {"us-east-1": {"servers": servers}}}
    return {"accounts": {"111122223333": account}, "unknowns": {"terminate_seconds": 10}}


@pytest.fixture(scope="module")
def running() -> Iterator[Server]:
    server = Server("--speed", "600")
    yield server
    assert server.stop() == (0, "")


@pytest.fixture
def server(running: Server) -> Iterator[Server]:
    """With the two servers, and nothing launched of them."""
    running.control("POST", "fleet?mode=replace", _fleet())
    running.control("DELETE", "journal")
    yield running
    running.control("POST", "fleet?mode=replace", _fleet())


def _launched(server: Server) -> list[str]:
    """The instances of a drill of both."""
    drs = server.client("drs")
    job = _completed(drs, _start(drs, [WEB, DATABASE]))
    return [each["recoveryInstanceID"] for each in job["participatingServers"]]


def _get(port: int, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://{ADDRESSES[WEB]}:{port}{path}", timeout=10) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def _is_open(server_id: str, port: int) -> bool:
    try:
        socket.create_connection((ADDRESSES[server_id], port), timeout=10).close()
    except ConnectionError:  # refused, or reset: it closed in that moment
        return False
    return True


def test_a_launched_instance_listens_where_ec2_says(server: Server) -> None:
    """HTTP with status, path and body, TCP with a greeting; the source server listens nowhere."""
    assert not _is_open(WEB, 8080)
    _, database = _launched(server)
    (reservation,) = server.client("ec2").describe_instances(InstanceIds=[database])["Reservations"]
    address = reservation["Instances"][0]["PrivateIpAddress"]
    assert address == ADDRESSES[DATABASE]
    with closing(socket.create_connection((address, 5432), timeout=10)) as connection:
        assert connection.recv(100) == b"ready"
    assert _get(8080, "/health?deep=1") == (200, '{"status": "ok"}')
    assert _get(8080, "/") == (404, "")
    assert _get(8081, "/anything") == (204, "")


def test_sockets_close_with_their_instances(server: Server) -> None:
    """Stopped by EC2, or terminated by DRS though nobody asks; once started again, it listens again."""
    ec2 = server.client("ec2")
    web, database = _launched(server)
    ec2.stop_instances(InstanceIds=[web])
    assert (_is_open(WEB, 8080), _is_open(DATABASE, 5432)) == (False, True)
    ec2.start_instances(InstanceIds=[web])
    assert _is_open(WEB, 8080)
    server.client("drs").terminate_recovery_instances(recoveryInstanceIDs=[web, database])
    _eventually(lambda: not _is_open(WEB, 8080) and not _is_open(DATABASE, 5432))


def test_a_replaced_fleet_takes_its_sockets_along(server: Server) -> None:
    """With its instances."""
    _launched(server)
    server.control("POST", "fleet?mode=replace", _fleet())
    assert not _is_open(WEB, 8080)
    assert server.control("GET", "listeners") == {"listeners": []}


def test_a_port_may_be_closed(server: Server) -> None:
    """One, or all of a server's, until the fault is taken away or its time is over, though nobody asks."""
    _launched(server)
    fault = {"kind": "port_closed", "servers": [WEB], "port": 8080}
    (armed,) = server.control("POST", "faults", fault)["faults"]
    assert [_is_open(WEB, port) for port in (8080, 8081)] == [False, True]
    server.control("DELETE", f"faults/{armed['id']}")
    assert _is_open(WEB, 8080)
    server.control("POST", "faults", {"kind": "port_closed", "servers": [WEB], "seconds": 1})
    assert [_is_open(*each) for each in ((WEB, 8080), (WEB, 8081), (DATABASE, 5432))] == [False, False, True]
    _eventually(lambda: _is_open(WEB, 8080) and _is_open(WEB, 8081))


def test_http_may_answer_an_error(server: Server) -> None:
    """By the status of the fault, whatever the path."""
    _launched(server)
    server.control("POST", "faults", {"kind": "http_error", "servers": [WEB], "port": 8080, "seconds": 1})
    assert (_get(8080, "/health"), _get(8081, "/")) == ((500, ""), (204, ""))
    _eventually(lambda: _get(8080, "/health")[0] == 200)
    server.control("POST", "faults", {"kind": "http_error", "status": 503})
    assert _get(8081, "/")[0] == 503


def test_commands_and_status_checks_over_http(server: Server) -> None:
    """With unmodified boto3; the journal has them, with account and parameters."""
    web, _ = _launched(server)
    ec2, ssm = server.client("ec2"), server.client("ssm")

    def checks() -> list[str]:
        (status,) = ec2.describe_instance_status(InstanceIds=[web])["InstanceStatuses"]
        return [status["SystemStatus"]["Status"], status["InstanceStatus"]["Status"]]

    _eventually(lambda: checks() == ["ok", "ok"])
    _eventually(lambda: len(ssm.describe_instance_information()["InstanceInformationList"]) == 2)
    script = {"commands": ["systemctl is-active nginx"]}
    sent = ssm.send_command(
        DocumentName="AWS-RunShellScript", InstanceIds=[web], Parameters=script, Comment="drill 1"
    )["Command"]
    found = {"CommandId": sent["CommandId"], "InstanceId": web}
    ssm.get_waiter("command_executed").wait(**found, WaiterConfig={"Delay": 1})
    assert ssm.get_command_invocation(**found)["StandardOutputContent"] == "active"
    (entry,) = server.journal(service="ssm", operation="SendCommand")
    assert (entry["account"], entry["status"], entry["parameters"]["Comment"]) == (
        "111122223333",
        200,
        "drill 1",
    )
    assert entry["parameters"]["Parameters"] == script
    (entry, *_) = server.journal(service="ec2", operation="DescribeInstanceStatus")
    assert entry["parameters"]["InstanceIds"] == [web]


@pytest.fixture
def own_server() -> Iterator[Server]:
    """One whose standard error a test may read."""
    server = Server("--speed", "600")
    yield server
    server.process.kill()
    server.process.communicate()


def test_a_port_in_use_is_told_and_kills_nothing(own_server: Server) -> None:
    """On standard error and by the control interface; the other ports are open, and it is tried again."""
    server = own_server
    server.control("POST", "fleet?mode=replace", _fleet())
    with socket.create_server((ADDRESSES[WEB], 8080)):
        web, _ = _launched(server)
        reason = f"cannot listen on {ADDRESSES[WEB]}:8080: Address already in use"
        listeners = server.control("GET", "listeners")["listeners"]
        assert [(each["port"], each["instanceID"] == web, each["error"]) for each in listeners] == [
            (8080, True, reason),
            (8081, True, None),
            (5432, False, None),
        ]
    _eventually(lambda: _is_open(WEB, 8080))
    assert server.control("GET", "listeners")["listeners"][0]["error"] is None
    code, errors = server.stop()
    assert (code, errors) == (0, f"simulator: {reason}; it is for {web} of {WEB}\n")
