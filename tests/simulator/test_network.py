"""What a fleet has in EC2: subnets, security groups and launch templates, there or missing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

import simulator
from simulator.engine.fleet import Fleet, FleetError
from tests.simulator.api import Api
from tests.simulator.conftest import ACCOUNT, REGION, fleet, server_id, servers

pytestmark = pytest.mark.usefixtures("mocked")

SUBNET, GROUP = "subnet-0a1b2c3d4e5f60718", "sg-0a1b2c3d4e5f60718"


def _network(count: int = 0, **region: Any) -> Fleet:
    content = {"servers": servers(count), **region}
    return Fleet.parse({"accounts": {ACCOUNT: {"regions": {REGION: content}}}}, "test")


def _ec2() -> Any:
    return boto3.client("ec2", region_name=REGION)


def _code(call: Callable[..., Any], **parameters: Any) -> str:
    with pytest.raises(ClientError) as refusal:
        call(**parameters)
    return str(refusal.value.response["Error"]["Code"])


def _default_version(drs: Api, number: int) -> dict[str, Any]:
    """The network interface that a server's launch template gives, read as a client does."""
    template = drs.get_launch_configuration(sourceServerID=server_id(number))["ec2LaunchTemplateID"]
    (version,) = _ec2().describe_launch_template_versions(LaunchTemplateId=template, Versions=["$Default"])[
        "LaunchTemplateVersions"
    ]
    (interface,) = version["LaunchTemplateData"]["NetworkInterfaces"]
    return {"subnet": interface["SubnetId"], "groups": interface["Groups"]}


def _launch_error(drs: Api, number: int) -> str:
    job = drs.drill(number)
    drs.clock.advance(600)
    items = drs.describe_job_log_items(jobID=job["jobID"])["items"]
    (error,) = [item["eventData"]["rawError"] for item in items if item["event"] == "LAUNCH_FAILED"]
    return str(error)


def test_a_region_has_the_subnets_and_groups_that_the_fleet_declares(api: Callable[..., Api]) -> None:
    """Under their ids, with their names and blocks, in the default VPC."""
    api(
        _network(
            subnets=[
                {"id": SUBNET, "name": "drill", "cidr": "172.31.240.0/28"},
                {"id": "subnet-0000000b"},
                {"id": "subnet-0000000c"},
            ],
            security_groups=[{"id": GROUP, "name": "drill"}, {"id": "sg-0000000b"}],
        )
    )
    drill, *others = _ec2().describe_subnets(SubnetIds=[SUBNET, "subnet-0000000b", "subnet-0000000c"])[
        "Subnets"
    ]
    assert (drill["CidrBlock"], drill["Tags"]) == ("172.31.240.0/28", [{"Key": "Name", "Value": "drill"}])
    assert [each["CidrBlock"] for each in others] == ["172.31.128.0/22", "172.31.132.0/22"]
    groups = _ec2().describe_security_groups(GroupIds=[GROUP, "sg-0000000b"])["SecurityGroups"]
    assert [each["GroupName"] for each in groups] == ["drill", "sg-0000000b"]
    assert {each["VpcId"] for each in groups} == {drill["VpcId"]}


def test_a_drill_can_be_redirected_into_a_declared_subnet(api: Callable[..., Api]) -> None:
    """By a new default version of the server's launch template; one address of the subnet is gone."""
    drs = api(_network(1, subnets=[{"id": SUBNET}], security_groups=[{"id": GROUP}]))
    ec2 = _ec2()
    template = drs.get_launch_configuration(sourceServerID=server_id(1))["ec2LaunchTemplateID"]
    (before,) = ec2.describe_subnets(SubnetIds=[SUBNET])["Subnets"]
    interface = {"DeviceIndex": 0, "SubnetId": SUBNET, "Groups": [GROUP]}
    ec2.create_launch_template_version(
        LaunchTemplateId=template, SourceVersion="1", LaunchTemplateData={"NetworkInterfaces": [interface]}
    )
    ec2.modify_launch_template(LaunchTemplateId=template, DefaultVersion="2")
    assert _default_version(drs, 1) == {"subnet": SUBNET, "groups": [GROUP]}
    drs.drill(1)
    drs.clock.advance(600)
    drs.simulation.tick()
    (reservation,) = ec2.describe_instances()["Reservations"]
    (instance,) = reservation["Instances"]
    assert (instance["SubnetId"], [each["GroupId"] for each in instance["SecurityGroups"]]) == (
        SUBNET,
        [GROUP],
    )
    (after,) = ec2.describe_subnets(SubnetIds=[SUBNET])["Subnets"]
    assert before["AvailableIpAddressCount"] - after["AvailableIpAddressCount"] == 1


def test_a_launch_template_names_what_the_server_names(api: Callable[..., Api]) -> None:
    """And what it names is there; without a name it is EC2's default."""
    named = {**servers(1)[0], "launch": {"subnet": SUBNET, "security_groups": [GROUP]}}
    drs = api(fleet([named, servers(2)[1]]))
    assert _default_version(drs, 1) == {"subnet": SUBNET, "groups": [GROUP]}
    assert len(_ec2().describe_subnets(SubnetIds=[SUBNET])["Subnets"]) == 1
    (default,) = _ec2().describe_subnets(SubnetIds=[_default_version(drs, 2)["subnet"]])["Subnets"]
    assert default["DefaultForAz"]


def test_a_launch_template_may_be_missing(api: Callable[..., Api]) -> None:
    """DRS still names it, EC2 does not know it, and the launch fails."""
    drs = api(fleet(servers(1, launch={"missing": ["template"]})))
    template = drs.get_launch_configuration(sourceServerID=server_id(1))["ec2LaunchTemplateID"]
    versions = _ec2().describe_launch_template_versions
    assert _code(versions, LaunchTemplateId=template) == "InvalidLaunchTemplateId.NotFound"
    assert "InvalidLaunchTemplateId.NotFound" in _launch_error(drs, 1)


def test_a_subnet_or_group_of_a_launch_template_may_be_missing(api: Callable[..., Api]) -> None:
    """The template names it, EC2 does not know it, and the launch fails; also if another fleet had it."""
    api(_network(subnets=[{"id": SUBNET}], security_groups=[{"id": GROUP}]))
    subnet = {"subnet": SUBNET, "missing": ["subnet"]}
    group = {"security_groups": [GROUP], "missing": ["security_groups"]}
    first, second = servers(2)
    drs = api(fleet([{**first, "launch": subnet}, {**second, "launch": group}]))
    assert _default_version(drs, 1)["subnet"] == SUBNET
    assert _default_version(drs, 2)["groups"] == [GROUP]
    assert _code(_ec2().describe_subnets, SubnetIds=[SUBNET]) == "InvalidSubnetID.NotFound"
    assert _code(_ec2().describe_security_groups, GroupIds=[GROUP]) == "InvalidGroup.NotFound"
    assert "InvalidSubnetID.NotFound" in _launch_error(drs, 1)
    assert "InvalidGroup.NotFound" in _launch_error(drs, 2)


@pytest.mark.parametrize("name", ["subnet", "security_groups"])
def test_what_is_missing_must_be_named(name: str) -> None:
    """Else there is nothing to miss."""
    with pytest.raises(FleetError, match=f"{name} is in missing but not set"):
        fleet(servers(1, launch={"missing": [name]}))


@pytest.mark.parametrize("cidr", ["10.0.0.0/24", "172.31.0.0/24", "everything"])
def test_a_block_that_ec2_does_not_take_refuses_the_fleet(cidr: str) -> None:
    """Outside of the VPC, in use, or no block."""
    with pytest.raises(FleetError, match=f"the network of {ACCOUNT}/{REGION}: {SUBNET}: .*{cidr}"):
        simulator.seed(_network(subnets=[{"id": SUBNET, "cidr": cidr}]))
