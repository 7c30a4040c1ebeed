"""Whether the place where servers would be launched exists, and whether the plan allows it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from drs.errors import Code
from drs.preflight import Report
from tests.unit.preflight.account import DATABASE, WEB, Account, Make, only, two_waves

SUBNET, GROUP = "subnet-0d5a1b2c3d4e5f601", "sg-0d5a1b2c3d4e5f601"
OTHER_SUBNET, OTHER_GROUP = "subnet-0d5a1b2c3d4e5f602", "sg-0d5a1b2c3d4e5f602"
IN_PLACE = {"launch": {"subnet": SUBNET, "security_groups": [GROUP]}}
ALLOWED = {"allowed_subnets": [SUBNET], "allowed_security_groups": [GROUP]}


def looked(make: Make, settings: Mapping[str, Any], **parts: Any) -> Report:
    """Preflight of servers in the allowed place, except the first, which has these launch settings."""
    traits = dict.fromkeys((*DATABASE, *WEB), IN_PLACE)
    return make({**traits, DATABASE[0]: {"launch": settings}}).look(two_waves(**parts))


def test_servers_in_the_allowed_place_have_no_findings(account: Make) -> None:
    """Subnet and security group are those that the plan's network allows."""
    assert looked(account, IN_PLACE["launch"], network=ALLOWED).findings == ()


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"subnet": OTHER_SUBNET, "security_groups": [GROUP]}, f"subnet {OTHER_SUBNET}; the plan's allowed"),
        ({"subnet": SUBNET, "security_groups": [GROUP, OTHER_GROUP]}, f"security group {OTHER_GROUP}; the"),
    ],
)
def test_a_place_outside_the_plan_s_network_is_an_error(
    account: Make, settings: Mapping[str, Any], said: str
) -> None:
    """A drill that lands in production is the classic accident."""
    finding = only(looked(account, settings, network=ALLOWED))
    assert (finding.code, finding.server_id) == (Code.LAUNCH_CONFIGURATION_INVALID, DATABASE[0])
    assert f"Server {DATABASE[0]} (host-d1) is to be launched by EC2 launch template lt-" in finding.seen
    assert said in finding.seen


def test_without_a_network_every_place_that_exists_is_allowed(account: Make) -> None:
    """The plan does not restrict where servers are launched."""
    assert looked(account, {"subnet": OTHER_SUBNET}).findings == ()


@pytest.mark.parametrize(
    ("missing", "said"),
    [
        ("template", "which does not exist"),
        ("subnet", f"subnet {SUBNET}, which does not exist"),
        ("security_groups", f"security group {GROUP}, which does not exist"),
    ],
)
def test_what_ec2_does_not_have_is_an_error(account: Make, missing: str, said: str) -> None:
    """Without this check the launch would fail inside its job, minutes later."""
    look = account({DATABASE[0]: {"launch": {**IN_PLACE["launch"], "missing": [missing]}}})
    finding = only(look.look())
    assert finding.code is Code.LAUNCH_CONFIGURATION_INVALID
    assert said in finding.seen


def redirected(look: Account, server_id: str, data: dict[str, Any]) -> None:
    """Give a server's launch template another default version, as a person does in EC2."""
    settings = look.clients.drs.launch_configuration(server_id)
    template_id = settings["ec2LaunchTemplateID"]
    version = look.clients.ec2.create_launch_template_version(
        LaunchTemplateId=template_id,
        LaunchTemplateData=data,  # type: ignore[arg-type]
    )["LaunchTemplateVersion"]["VersionNumber"]
    look.clients.ec2.modify_launch_template(LaunchTemplateId=template_id, DefaultVersion=str(version))


def test_a_template_without_subnet_or_group_is_an_error_only_where_the_plan_narrows_them(
    account: Make,
) -> None:
    """EC2 would use its defaults, which the plan does not allow."""
    look = account(dict.fromkeys((*DATABASE, *WEB), IN_PLACE))
    redirected(look, WEB[0], {"InstanceType": "m5.large"})
    subnet, group = look.look(two_waves(network=ALLOWED)).findings
    assert {subnet.code, group.code} == {Code.LAUNCH_CONFIGURATION_INVALID}
    assert f"in EC2's default subnet, since it names none; the plan allows {SUBNET}" in subnet.seen
    assert f"in the VPC's default security group, since it names none; the plan allows {GROUP}" in group.seen
    assert "(default version 2)" in subnet.seen
    assert look.look(two_waves()).findings == ()


def test_only_the_default_version_counts(account: Make) -> None:
    """DRS uses the default version. A newer version that is not the default has no effect."""
    look = account(dict.fromkeys((*DATABASE, *WEB), IN_PLACE))
    template_id = look.clients.drs.launch_configuration(WEB[0])["ec2LaunchTemplateID"]
    look.clients.ec2.create_launch_template_version(
        LaunchTemplateId=template_id, LaunchTemplateData={"InstanceType": "m5.large"}
    )
    assert look.look(two_waves(network=ALLOWED)).findings == ()


def test_groups_of_the_template_itself_count_as_those_of_its_interface(account: Make) -> None:
    """A template without network interfaces names its security groups at the top level."""
    look = account(dict.fromkeys((*DATABASE, *WEB), IN_PLACE))
    redirected(look, WEB[0], {"SecurityGroupIds": [OTHER_GROUP]})
    look.clients.ec2.describe_security_groups()
    (finding,) = look.look(two_waves(network={"allowed_security_groups": [GROUP]})).findings
    assert f"security group {OTHER_GROUP}" in finding.seen


def test_a_subnet_and_a_group_of_different_vpcs_are_an_error(account: Make) -> None:
    """EC2 refuses such an instance."""
    look = account(dict.fromkeys((*DATABASE, *WEB), IN_PLACE))
    vpc = look.clients.ec2.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
    group = look.clients.ec2.create_security_group(GroupName=vpc, Description="-", VpcId=vpc)["GroupId"]
    redirected(
        look, WEB[0], {"NetworkInterfaces": [{"DeviceIndex": 0, "SubnetId": SUBNET, "Groups": [group]}]}
    )
    finding = only(look.look())
    assert f"subnet {SUBNET} and security group {group}, which belong to different VPCs" in finding.seen


@pytest.mark.parametrize(
    ("answer", "network", "said"),
    [
        ({"ec2LaunchTemplateID": None}, {}, "has no EC2 launch template in its launch settings"),
        (
            {"launchIntoInstanceProperties": {"launchIntoEC2InstanceID": "i-0123456789abcdef0"}},
            ALLOWED,
            "is to be launched into the existing instance i-0123456789abcdef0",
        ),
        ({"launchIntoInstanceProperties": {"launchIntoEC2InstanceID": "i-0123456789abcdef0"}}, {}, None),
    ],
)
def test_settings_that_the_simulated_drs_does_not_have(
    account: Make, answer: dict[str, Any], network: dict[str, Any], said: str | None
) -> None:
    """One has no template. Another is launched into an existing instance, where no template applies."""
    look = account(dict.fromkeys((*DATABASE, *WEB), IN_PLACE))

    def changed(parsed: dict[str, Any], **_: Any) -> None:
        if parsed["sourceServerID"] == WEB[0]:
            parsed.update(answer)

    look.on("after-call.drs.GetLaunchConfiguration", changed)
    seen = [finding.seen for finding in look.look(two_waves(network=network)).findings]
    assert len(seen) == (said is not None)
    assert all(said in text for text in seen if said)


def test_servers_that_are_launched_stopped_are_noted(account: Make) -> None:
    """This is allowed, but somebody who waits for these servers to answer should know it."""
    report = account({WEB[0]: {"launch": {"disposition": "STOPPED"}}}).look()
    assert report.findings == ()
    (note,) = report.notes
    assert note.startswith(f"The launch settings of {WEB[0]} (host-e1) leave the instance stopped")


def test_many_templates_are_listed_rather_than_asked_for_one_by_one(account: Make) -> None:
    """EC2 takes one template in a call, or none and lists all. The result of preflight is the same."""
    crowd = tuple(f"s-{number:017x}" for number in range(1, 13))
    look = account({crowd[11]: {"launch": {"missing": ["template"]}}}, servers=crowd)
    calls: list[dict[str, Any]] = []
    look.on(
        "provide-client-params.ec2.DescribeLaunchTemplateVersions",
        lambda params, **_: calls.append(dict(params)),
    )
    plan = two_waves(
        protection_groups={"all": {"source_servers": crowd}},
        waves=[{"name": "all", "protection_groups": ["all"]}],
    )
    assert only(look.look(plan)).server_id == crowd[11]
    assert [call.get("LaunchTemplateId") is None for call in calls] == [True, False]
