"""What EC2 says of launched instances: address, type, time of launch, and the two status checks."""

from __future__ import annotations

import secrets
import socket
from collections.abc import Callable
from typing import Any

import boto3
import pytest

import simulator
from simulator.engine.faults import FAULT, ImpairedStatus
from simulator.engine.fleet import Fleet, FleetError, Server
from tests.simulator.api import Api
from tests.simulator.conftest import ACCOUNT, REGION, START, fleet, server_id, servers

pytestmark = pytest.mark.usefixtures("mocked")

LAUNCH = 530.6
"""Seconds of DRS time from StartRecovery to the launch of a Linux server."""


def _ec2() -> Any:
    return boto3.client("ec2", region_name=REGION)


def _launched(api: Callable[..., Api], **traits: Any) -> Api:
    """A drill of one server, right after its instance was launched."""
    drs = api(fleet(servers(1, **traits)))
    drs.drill(1)
    drs.clock.advance(LAUNCH)
    drs.simulation.tick()
    return drs


def _instance() -> Any:
    (reservation,) = _ec2().describe_instances()["Reservations"]
    (instance,) = reservation["Instances"]
    return instance


def _checks(**parameters: Any) -> list[tuple[str, str]]:
    """System and instance status of what DescribeInstanceStatus tells of."""
    found = _ec2().describe_instance_status(**parameters)["InstanceStatuses"]
    return [(each["SystemStatus"]["Status"], each["InstanceStatus"]["Status"]) for each in found]


@pytest.mark.parametrize("disposition", ["STARTED", "STOPPED"])
def test_an_instance_has_the_address_of_the_fleet(api: Callable[..., Api], disposition: str) -> None:
    """In EC2 and in DRS, running or stopped; the source server does not have it."""
    drs = _launched(api, address="127.77.0.11", launch={"disposition": disposition})
    instance = _instance()
    assert instance["PrivateIpAddress"] == "127.77.0.11"
    (interface,) = instance["NetworkInterfaces"]
    assert [each["PrivateIpAddress"] for each in interface["PrivateIpAddresses"]] == ["127.77.0.11"]
    (recovery,) = drs.describe_recovery_instances()["items"]
    properties = recovery["recoveryInstanceProperties"]
    assert properties["networkInterfaces"] == [{"ips": ["127.77.0.11"], "isPrimary": True}]
    assert recovery["ec2InstanceState"] == {"STARTED": "RUNNING", "STOPPED": "STOPPED"}[disposition]
    (source,) = drs.describe_source_servers()["items"]
    assert source["sourceProperties"]["networkInterfaces"][0]["ips"] == ["10.0.0.10"]


def test_an_instance_has_the_type_and_the_launch_time_that_its_cost_follows_from(
    api: Callable[..., Api],
) -> None:
    """The type of the launch template, and DRS's time of launch."""
    drs = _launched(api, launch={"instance_type": "r5.2xlarge"})
    instance = _instance()
    assert instance["InstanceType"] == "r5.2xlarge"
    (job,) = drs.describe_jobs()["items"]
    items = drs.describe_job_log_items(jobID=job["jobID"])["items"]
    (end,) = [item["logDateTime"] for item in items if item["event"] == "LAUNCH_END"]
    assert instance["LaunchTime"].isoformat()[:19] == end[:19]
    assert (instance["LaunchTime"] - START).total_seconds() == pytest.approx(530, abs=1)


def test_status_checks_are_initializing_and_then_passed(api: Callable[..., Api]) -> None:
    """Two minutes of DRS time after the launch."""
    drs = _launched(api)
    (status,) = _ec2().describe_instance_status()["InstanceStatuses"]
    assert (
        status["InstanceStatus"]
        == status["SystemStatus"]
        == {
            "Status": "initializing",
            "Details": [{"Name": "reachability", "Status": "initializing"}],
        }
    )
    drs.clock.advance(119)
    assert _checks() == [("initializing", "initializing")]
    drs.clock.advance(1)
    assert _checks() == [("ok", "ok")]
    assert _checks(Filters=[{"Name": "instance-status.status", "Values": ["impaired"]}]) == []


def test_the_time_of_status_checks_may_be_chosen(api: Callable[..., Api]) -> None:
    """It is nowhere documented."""
    drs = api(fleet(servers(1), unknowns={"status_check_seconds": 0}))
    drs.drill(1)
    drs.clock.advance(LAUNCH)
    assert _checks() == [("ok", "ok")]


def test_a_stopped_instance_has_no_status(api: Callable[..., Api]) -> None:
    """It is told of only when all are asked for."""
    _launched(api, launch={"disposition": "STOPPED"})
    assert _checks() == []
    assert _checks(IncludeAllInstances=True) == [("not-applicable", "not-applicable")]


@pytest.mark.parametrize(
    ("check", "expected"), [("instance", ("ok", "impaired")), ("system", ("impaired", "ok"))]
)
def test_a_status_check_may_be_impaired(
    api: Callable[..., Api], check: Any, expected: tuple[str, str]
) -> None:
    """One of the two, for as long as the fault says."""
    drs = _launched(api)
    drs.clock.advance(120)
    drs.simulation.arm(ImpairedStatus(servers=(server_id(1),), check=check, seconds=30))
    assert _checks() == [expected]
    drs.clock.advance(30)
    assert _checks() == [("ok", "ok")]


def test_other_instances_keep_motos_status(api: Callable[..., Api]) -> None:
    """What DRS did not launch is none of its business."""
    api(1)
    image = "ami-0d5d7c9e3b1a2f4c6"
    _ec2().run_instances(ImageId=image, MinCount=1, MaxCount=1)
    assert _checks() == [("ok", "ok")]


# What a fleet may say of it


def test_a_series_counts_addresses_out() -> None:
    """In the last part."""
    series = {"count": 3, "id_prefix": "s-7de4f3a2b1c0", "hostname": "web-{n}", "address": "127.77.3.{n}"}
    (region,) = fleet([series]).accounts[ACCOUNT].regions.values()
    found = [server.address for server in region.servers if isinstance(server, Server)]
    assert found == ["127.77.3.1", "127.77.3.2", "127.77.3.3"]


@pytest.mark.parametrize(
    ("traits", "message"),
    [
        ({"address": "10.0.0.1"}, "'10.0.0.1' is not an address of 127.0.0.0/8"),
        ({"address": "0.0.0.0"}, "'0.0.0.0' is not an address of 127.0.0.0/8"),
        ({"address": "127.1"}, "'127.1' is not an address of 127.0.0.0/8"),
        ({"listeners": [{"port": 80, "protocol": "tcp"}]}, "listeners need an address"),
        ({"address": "127.77.0.1", "listeners": [{"port": 80, "protocol": "udp"}]}, "'tcp' or 'http'"),
        (
            {"address": "127.77.0.1", "listeners": [{"port": 80, "protocol": "tcp", "status": 200}]},
            "status and path need protocol http",
        ),
        (
            {"address": "127.77.0.1", "listeners": [{"port": 80, "protocol": p} for p in ("tcp", "http")]},
            "two listeners have the same port",
        ),
    ],
)
def test_a_listener_that_makes_no_sense_is_refused(traits: dict[str, Any], message: str) -> None:
    """Above all an address that others could reach."""
    with pytest.raises(FleetError, match=message):
        fleet(servers(1, **traits))


def test_an_address_belongs_to_one_server() -> None:
    """Of all accounts: they share this machine."""
    regions = [{REGION: {"servers": servers(1, address="127.77.0.1")}} for _ in range(2)]
    accounts = {name: {"regions": each} for name, each in zip(("1" * 12, "2" * 12), regions, strict=True)}
    with pytest.raises(FleetError, match=r"two servers have the address 127\.77\.0\.1"):
        Fleet.parse({"accounts": accounts}, "test")


def test_an_address_of_a_fleet_that_is_there_already_is_taken() -> None:
    """A second fleet with it is refused."""
    first, second = (each | {"address": "127.77.0.1"} for each in servers(2))
    simulation = simulator.seed(fleet([first]))
    with pytest.raises(FleetError, match=r"a server has the address 127\.77\.0\.1 already"):
        simulation.load(fleet([second]))


def test_under_mock_aws_nothing_listens(api: Callable[..., Api]) -> None:
    """The instance has its address, and a test's process opens no port."""
    address = f"127.{128 + secrets.randbelow(64)}.{secrets.randbelow(256)}.1"
    _launched(api, address=address, listeners=[{"port": 8080, "protocol": "tcp"}])
    assert _instance()["PrivateIpAddress"] == address
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((address, 8080), timeout=10)


@pytest.mark.parametrize("kind", ["port_closed", "http_error", "impaired_status", "silent_agent"])
def test_faults_that_last_have_no_count(kind: str) -> None:
    """They are a state, and strike nothing."""
    with pytest.raises(ValueError, match="count"):
        FAULT.validate_python({"kind": kind, "count": 1})
