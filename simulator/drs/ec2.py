"""Implements the engine's EC2 port with moto's EC2: launch templates, instances and their subnets."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from ipaddress import IPv4Network
from typing import Any, Final

from moto.core.exceptions import ServiceException
from moto.ec2.exceptions import InvalidInstanceIdError
from moto.ec2.models import EC2Backend, ec2_backends

from simulator.engine.ec2 import Ec2Error, Placement

IMAGE_ID: Final = "ami-0d5d7c9e3b1a2f4c6"


class MotoEc2:
    """moto's EC2 of one account and Region. It is looked up each time, as moto may have been reset."""

    def __init__(self, account: str, region: str) -> None:
        self._account = account
        self._region = region

    @property
    def _backend(self) -> EC2Backend:
        return ec2_backends[self._account][self._region]

    def ensure_subnet(self, subnet_id: str, *, name: str | None = None, cidr: str | None = None) -> None:
        backend = self._backend
        subnets = backend.describe_subnets()
        if any(subnet.id == subnet_id for subnet in subnets):
            return
        zone = min(backend.get_default_subnets())
        block = cidr or _free_block([IPv4Network(subnet.cidr_block) for subnet in subnets])
        try:
            subnet = backend.create_subnet(self._default_vpc(), block, availability_zone=zone)
        except ServiceException as error:
            raise Ec2Error(f"{subnet_id}: {error.message}") from None
        # moto chooses random ids, but a plan must be able to name the subnet before it is created.
        del backend.subnets[zone][subnet.id]
        subnet.id = subnet_id
        subnet.add_tags(_named(name))
        backend.subnets[zone][subnet_id] = subnet

    def ensure_security_group(self, group_id: str, *, name: str | None = None) -> None:
        backend = self._backend
        if backend.get_security_group_from_id(group_id):
            return
        try:
            group = backend.create_security_group(name or group_id, "Created for a simulated fleet")
        except ServiceException as error:
            raise Ec2Error(f"{group_id}: {error.message}") from None
        # As with subnets, moto would choose a random id.
        groups = backend.groups[self._default_vpc()]
        del groups[group.id]
        group.id = group.group_id = group_id
        group.add_tags(_named(name))
        groups[group_id] = group

    def create_launch_template(self, name: str, placement: Placement) -> str:
        backend = self._backend
        subnet_id = placement.subnet_id or self._default_subnet()
        if "subnet" in placement.missing:
            self._forget_subnet(subnet_id)
        else:
            self.ensure_subnet(subnet_id)
        for group_id in placement.security_group_ids:
            if "security_groups" in placement.missing:
                self._forget_security_group(group_id)
            else:
                self.ensure_security_group(group_id)
        groups = list(placement.security_group_ids) or [self._default_security_group()]
        data = {
            "ImageId": IMAGE_ID,
            "InstanceType": placement.instance_type,
            "NetworkInterfaces": [{"DeviceIndex": 0, "SubnetId": subnet_id, "Groups": groups}],
        }
        if name in backend.launch_template_name_to_ids:
            backend.delete_launch_template(name, None)
        tags = {"launch-template": {"AWSElasticDisasterRecoveryManaged": "drs.amazonaws.com"}}
        template_id: str = backend.create_launch_template(name, "", data, tags).id
        if "template" in placement.missing:
            backend.delete_launch_template(name, None)
        return template_id

    def launch(
        self,
        template_id: str,
        tags: dict[str, str],
        *,
        stopped: bool,
        at: datetime,
        private_ip: str | None = None,
    ) -> str:
        backend = self._backend
        try:
            data: dict[str, Any] = backend.get_launch_template(template_id).default_version().data
            interface: dict[str, Any] = next(iter(data.get("NetworkInterfaces") or ()), {})
            reservation = backend.run_instances(
                data.get("ImageId", IMAGE_ID),
                1,
                None,
                [],
                instance_type=data.get("InstanceType", "m5.large"),
                is_instance_type_default=False,
                region_name=self._region,
                subnet_id=interface.get("SubnetId") or self._default_subnet(),
                security_group_ids=list(interface.get("Groups") or data.get("SecurityGroupIds") or ()),
                tags={"instance": tags},
            )
        except ServiceException as error:
            raise Ec2Error(
                f"An error occurred ({error.code}) when calling the RunInstances operation: {error.message}"
            ) from None
        instance = reservation.instances[0]
        instance.launch_time = at
        if private_ip:
            # The address is set afterwards, because moto refuses an address that is not in the subnet.
            primary = instance.nics[0]
            primary.private_ip_address = private_ip
            primary.private_ip_addresses = [{"Primary": True, "PrivateIpAddress": private_ip}]
        if stopped:
            backend.stop_instances([instance.id])
        instance_id: str = instance.id
        return instance_id

    def terminate(self, instance_id: str) -> None:
        if self.state(instance_id) in ("terminated", "not_found"):
            return
        try:
            self._backend.terminate_instances([instance_id])
        except ServiceException as error:
            raise Ec2Error(
                f"An error occurred ({error.code}) when calling the TerminateInstances operation: "
                f"{error.message}"
            ) from None

    def state(self, instance_id: str) -> str:
        try:
            state: str = self._backend.get_instance(instance_id).state
        except InvalidInstanceIdError:
            return "not_found"
        return state

    def private_ip(self, instance_id: str) -> str | None:
        try:
            instance = self._backend.get_instance(instance_id)
        except InvalidInstanceIdError:
            return None
        address: str | None = instance.private_ip if instance.nics else None
        return address

    def _default_subnet(self) -> str:
        subnets = self._backend.get_default_subnets()
        subnet_id: str = subnets[min(subnets)].id
        return subnet_id

    def _default_vpc(self) -> str:
        vpc = self._backend.get_default_vpc()
        assert vpc
        vpc_id: str = vpc.id
        return vpc_id

    def _default_security_group(self) -> str:
        group = self._backend.get_default_security_group()
        assert group
        group_id: str = group.id
        return group_id

    def _forget_subnet(self, subnet_id: str) -> None:
        """Remove a subnet with this id, which an earlier fleet may have created."""
        for subnets in self._backend.subnets.values():
            subnets.pop(subnet_id, None)

    def _forget_security_group(self, group_id: str) -> None:
        for groups in self._backend.groups.values():
            groups.pop(group_id, None)


def _free_block(taken: Sequence[IPv4Network]) -> str:
    """Return a free /22 block of the default VPC. Its default subnets use the lower half of 172.31.0.0/16."""
    blocks = IPv4Network("172.31.128.0/17").subnets(new_prefix=22)
    return str(next(block for block in blocks if not any(block.overlaps(each) for each in taken)))


def _named(name: str | None) -> dict[str, str]:
    return {"Name": name} if name else {}
